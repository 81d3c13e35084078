"""What tshark says was sent again: many captures in one go, appended to each other."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from accuracy_truth import Score, Truth

FLAGS = (
    "tcp.analysis.retransmission",
    "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission",
    "tcp.analysis.out_of_order",
)
TIMEOUT_S = 300


def is_there() -> bool:
    return shutil.which("tshark") is not None and shutil.which("mergecap") is not None


def version() -> str:
    done = subprocess.run(["tshark", "--version"], capture_output=True, text=True, check=False)
    return " ".join(done.stdout.split()[2:3])


def flagged(captures: Sequence[tuple[Path, int]], scratch: Path) -> list[dict[int, tuple[str, set[str]]]]:
    """For each capture of so many frames: frame -> its sender's address and flags of `FLAGS`.

    The captures must not have connections in common. Raises RuntimeError with tshark's own words.
    """
    merged = scratch / "merged.pcap"
    run(["mergecap", "-a", "-F", "pcap", "-w", str(merged), *(str(path) for path, _ in captures)])
    fields = [part for name in ("frame.number", "ip.src", "ipv6.src", *FLAGS) for part in ("-e", name)]
    told = run(["tshark", "-n", "-r", str(merged), "-Y", " or ".join(FLAGS), "-T", "fields", *fields])
    merged.unlink()
    return shared_out(told, [count for _, count in captures])


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout


def shared_out(told: str, counts: Sequence[int]) -> list[dict[int, tuple[str, set[str]]]]:
    """The lines of all captures, given back to each, its frames from 1."""
    found: list[dict[int, tuple[str, set[str]]]] = [{} for _ in counts]
    place, before = 0, 0
    for line in told.splitlines():
        number, four, six, *values = line.split("\t")
        while int(number) - before > counts[place]:
            before += counts[place]
            place += 1
        flags = {name for name, value in zip(FLAGS, values, strict=True) if value}
        found[place][int(number) - before] = (four or six, flags)
    return found


def score(true: list[Truth], said: dict[int, tuple[str, set[str]]], own: str) -> dict[str, Score]:
    """Its `retransmission`, whatever the kind, alone and with `out_of_order`, which nothing is where it is
    sent; its `fast`. Of what the host itself has sent."""
    mine = {frame: flags for frame, (source, flags) in said.items() if source == own}
    again = {frame for frame, flags in mine.items() if flags - {FLAGS[3]}}
    fast = {frame for frame, flags in mine.items() if FLAGS[1] in flags}
    all_true = {t.frame for t in true}
    return {
        "retransmission": compared(all_true, again),
        "or out of order": compared(all_true, set(mine)),
        "fast": compared({t.frame for t in true if t.kind == "fast"}, fast),
    }


def score_far(
    again: set[int], late: set[int], said: dict[int, tuple[str, set[str]]], sender: str
) -> dict[str, Score]:
    """At the receiver: what of the sender's it takes for sent again, and what for out of order."""
    its = {frame: flags for frame, (source, flags) in said.items() if source == sender}
    called_again = {frame for frame, flags in its.items() if flags - {FLAGS[3]}}
    called_late = {frame for frame, flags in its.items() if FLAGS[3] in flags}
    return {
        "retransmission": compared(again, called_again),
        "out_of_order": compared(late, called_late),
    }


def compared(true: set[int], called: set[int]) -> Score:
    return Score(len(true & called), len(called - true), len(true - called))
