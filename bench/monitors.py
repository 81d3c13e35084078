"""What monitors under test cost: ten scenarios with three monitors, beside each of them on its own.

    python bench/monitors.py [--rounds 5]

Prints medians of one session: the ten scenarios without monitors; with all three; each monitor's own
processing time, which is one process of it over all the captures at once, start-up included. Then the ratio:
(with all three - without) / the slowest one's own time.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from tcpharness.cli import load_cases
from tcpharness.lab.door import enter
from tcpharness.packet.pcap import Reader, Writer
from tcpharness.scenario.model import Case
from tcpharness.score import uses_of
from tcpharness.verdict.result import Result

MONITORS = ("tshark", "suricata", "tcpharness")
SCENARIOS = (
    "handshake/open",
    "handshake/refused",
    "handshake/syn_lost",
    "retransmission/fast",
    "retransmission/lost_fin",
    "checksum/corrupted",
    "window/zero_window_brief",
    "ending/half_close",
    "ending/abort",
    "flags/impossible",
)
RULES = ["-S", "/etc/suricata/rules/stream-events.rules"]


class Quiet:
    """Nobody is told."""

    def started(self, case: Case) -> None:
        """Nothing."""

    def ended(self, result: Result) -> None:
        """Nothing."""


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def play(cases: list[Case], folder: Path | None = None) -> list[Result]:
    from tcpharness.run import Options, run_cases

    return run_cases(cases, Options(jobs=10, out=folder, keep=folder is not None), Quiet())


def joined(folder: Path) -> Path:
    """All captures as one, one behind the other."""
    whole = folder / "whole.pcap"
    with whole.open("wb") as target:
        writer = Writer(target)
        for path in sorted(folder.glob("*/*.pcap")):
            with path.open("rb") as source:
                for packet in Reader(source):
                    writer.write(packet.time_ns, packet.data, packet.wire_len)
    return whole


def own_times(folder: Path) -> dict[str, Callable[[], object]]:
    """Monitor -> one process of it over everything."""
    whole = str(joined(folder))
    commands = {
        "tshark": ["tshark", "-n", "-r", whole, "-T", "fields", "-e", "_ws.expert.message"],
        "suricata": ["suricata", "-r", whole, "-l", str(folder), "--runmode", "single", *RULES],
        "tcpharness": [sys.executable, "-m", "tcpharness", "analyze", "--jsonl", whole],
    }
    return {name: partial(quietly, argv) for name, argv in commands.items()}


def quietly(argv: list[str]) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found = load_cases([Path("scenarios") / f"{name}.yaml" for name in SCENARIOS])
    cases = list({case.file: case for case in found}.values())
    uses = tuple(uses_of(MONITORS))
    watched = [replace(case, monitors=uses) for case in cases]
    with tempfile.TemporaryDirectory() as folder:
        enter()
        play(cases, Path(folder) / "kept")
        alone = own_times(Path(folder) / "kept")
        measured: dict[str, list[float]] = {name: [] for name in (*alone, "without", "with")}
        for _ in range(rounds):
            measured["without"].append(timed(lambda: play(cases)))
            measured["with"].append(timed(lambda: play(watched)))
            for name, work in alone.items():
                measured[name].append(timed(work))
    medians = {name: statistics.median(times) for name, times in measured.items()}
    slowest = max(alone, key=lambda name: medians[name])
    for name in alone:
        print(f"{name}, one process over all captures: {medians[name]:.2f} s")
    print(f"{len(cases)} scenarios without monitors: {medians['without']:.2f} s")
    print(f"with {', '.join(MONITORS)}: {medians['with']:.2f} s")
    ratio = (medians["with"] - medians["without"]) / medians[slowest]
    print(f"ratio: {ratio:.2f} x {slowest}'s own time on top of the scenarios'")


if __name__ == "__main__":
    main()
