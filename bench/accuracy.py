"""Our detectors against the kernel that did it: random scenarios, segment by segment.

    bench/accuracy [--runs 100] [--seed 1] [--keep DIR] [--only N[,N...]]

Each run is an ordinary scenario (kept, with its captures, where something differs, under --keep; all of them
with --keep-all). What was sent again is known from the sender's own capture and from TcpRetransSegs, which
have to agree; why, from the tracepoint tcp_retransmit_skb with the kernel's stack and tcp_cong_state_set,
where tracefs lets us. Beside it what tshark says of the same captures, where it is installed.
Exit status: 0; 1 when recall or precision at the sender is below what is wanted.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).parent))
from accuracy_scenarios import scenario_text
from accuracy_trace import Flow, Sent, read_trace
from accuracy_truth import Frames, Score, Weighed, disagreements, said, truths, weigh

from tcpharness.lab.door import enter
from tcpharness.packet.pcap import Reader
from tcpharness.run import Options, run_cases
from tcpharness.scenario.load import load
from tcpharness.scenario.model import Case
from tcpharness.verdict.result import Result

BATCH = 40
WANTED = {"retransmission": 0.999}
WANTED_OF_KINDS = 0.97
KINDS = ("rto", "fast", "slow_start", "tlp", "syn", "fin")


@dataclass(slots=True)
class Totals:
    """Over all runs; scores of ours and of tshark's, at the sender."""

    runs: int = 0
    hosts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ours: dict[str, Score] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def add(self, weighed: Weighed) -> None:
        self.hosts += 1
        for name, score in weighed.scores.items():
            self.ours.setdefault(name, Score()).add(score)


class Tracer:
    """The process that reads the tracepoints, or nobody."""

    def __init__(self, file: Path) -> None:
        self.file, self.at = file, 0
        file.touch()
        script = Path(__file__).with_name("accuracy_trace.py")
        self.process = subprocess.Popen(
            ["unshare", "-m", sys.executable, str(script), str(file)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        told = self._line()
        self.epoch_ns = int(told) if told else None
        if not told:
            print(f"without the kernel's tracepoints, so without kinds: {self._why()}", file=sys.stderr)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def _why(self) -> str:
        return (self.process.communicate()[1].strip().splitlines() or ["no reason told"])[-1]

    def take(self) -> dict[Flow, list[Sent]]:
        """What was traced since the last time."""
        if self.epoch_ns is None:
            return {}
        pipe: IO[str] | None = self.process.stdin
        assert pipe is not None
        pipe.write("\n")
        pipe.flush()
        self._line()
        with open(self.file) as file:
            file.seek(self.at)
            found, lost = read_trace(file, self.epoch_ns)
            self.at = file.tell() if file.seekable() else 0
        if lost:
            print(f"{lost} events of the kernel's were lost", file=sys.stderr)
        self.file.write_bytes(b"")
        self.at = 0
        return found

    def close(self) -> None:
        if self.process.poll() is None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait()


class Silent:
    """Nobody hears of single runs."""

    def started(self, case: Case) -> None: ...
    def ended(self, result: Result) -> None: ...


def cases_of(seed: int, numbers: list[int], folder: Path) -> list[Case]:
    found = []
    for number in numbers:
        path = folder / f"{seed}-{number:04}.yaml"
        text = scenario_text(seed, number)
        path.write_text(text)
        found += load(text, str(path))
    return found


def frames_of(result: Result, host: str) -> Frames | None:
    """The capture at the host; None: it has not got everything."""
    capture = result.evidence.captures.get(host)
    if capture is None or not capture.complete():
        return None
    with open(capture.file, "rb") as file:
        return [(frame.time_ns, frame.data) for frame in Reader(file)]


def look(result: Result, trace: dict[Flow, list[Sent]], traced: bool, totals: Totals) -> bool:
    """Weighs one run; True when there is something to keep."""
    totals.runs += 1
    totals.outcomes[result.verdict.outcome] += 1
    name = Path(result.case.file).stem
    addresses = {s.host: s.local[0] for s in result.evidence.sockets if s.remote[1]}
    kept = False
    for host, own in addresses.items():
        frames, report = frames_of(result, host), result.evidence.captures[host].report
        if frames is None or report is None:
            totals.left_out.append(f"{name} {host}: its capture is not whole")
            continue
        true = truths(frames, own, addresses.values(), trace)
        wrong = disagreements(true, result.evidence.counters.get(host, {}), traced)
        if wrong:
            totals.left_out.append(f"{name} {host}: {'; '.join(wrong)}")
            kept = True
            continue
        weighed = weigh(true, said(report.findings, own))
        totals.add(weighed)
        totals.misses += [f"{name} {host} {miss}" for miss in weighed.misses]
        kept = kept or bool(weighed.misses)
    if result.verdict.outcome in ("fail", "void"):
        totals.left_out.append(
            f"{name}: {result.verdict.outcome}: {result.verdict.reason or result.verdict.failures}"
        )
    return kept


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def table(scores: dict[str, Score]) -> list[str]:
    lines = [f"{'':16} {'there':>7} {'right':>7} {'wrong':>6} {'missed':>6} {'precision':>9} {'recall':>7}"]
    for name in ("retransmission", *KINDS, *sorted(scores.keys() - {"retransmission", *KINDS})):
        score = scores.get(name, Score())
        lines.append(
            f"{name:16} {score.right + score.missed:7} {score.right:7} {score.wrong:6} {score.missed:6}"
            f" {figure(score.precision):>9} {figure(score.recall):>7}"
        )
    return lines


def enough(scores: dict[str, Score]) -> bool:
    for name in ("retransmission", *KINDS):
        score, wanted = scores.get(name, Score()), WANTED.get(name, WANTED_OF_KINDS)
        if min(x for x in (score.precision, score.recall, 1.0) if x is not None) < wanted:
            return False
    return True


def play(args: argparse.Namespace, scratch: Path, totals: Totals) -> None:
    numbers = args.only or list(range(args.runs))
    tracer = Tracer(scratch / "trace")
    try:
        for start in range(0, len(numbers), BATCH):
            folder = scratch / f"{start:04}"
            folder.mkdir()
            cases = cases_of(args.seed, numbers[start : start + BATCH], folder)
            results = run_cases(cases, Options(jobs=args.jobs, out=folder / "out"), Silent())
            trace = tracer.take()
            for result in results:
                differs = look(result, trace, tracer.epoch_ns is not None, totals)
                if args.keep and (differs or args.keep_all) and result.out_dir:
                    keep(result, args.keep)
            shutil.rmtree(folder)
            print(f"{totals.runs} runs, {len(totals.misses)} differences", file=sys.stderr, flush=True)
    finally:
        tracer.close()


def keep(result: Result, folder: Path) -> None:
    source = Path(result.case.file)
    place = folder / source.stem
    shutil.copytree(str(result.out_dir), place, dirs_exist_ok=True)
    shutil.copy(source, place)


def numbers_of(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=numbers_of, help="these numbers of the seed's scenarios")
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="scenarios and captures where something differs"
    )
    parser.add_argument("--keep-all", action="store_true", help="and all others")
    parser.add_argument("--show", type=int, default=40, metavar="N", help="so many differences")
    args = parser.parse_args()
    enter()
    totals = Totals()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="accuracy-")))
        play(args, scratch, totals)
    print(f"{totals.runs} runs of seed {args.seed}, {totals.hosts} senders: {dict(totals.outcomes)}")
    print("\n".join(table(totals.ours)))
    for title, lines in (("left out", totals.left_out), ("differs", totals.misses)):
        for line in lines[: args.show]:
            print(f"{title}: {line}")
        if len(lines) > args.show:
            print(f"{title}: and {len(lines) - args.show} more")
    return 0 if enough(totals.ours) else 1


if __name__ == "__main__":
    sys.exit(main())
