"""Our detectors against the kernel that did it: random scenarios, segment by segment.

    bench/accuracy [--runs 100] [--seed 1] [--keep DIR] [--only N[,N...]]
    bench/accuracy --again DIR          once more over captures that were kept, with the detectors as they are

Each run is an ordinary scenario (kept, with its captures and what was true of them, where something differs,
under --keep; all of them with --keep-all). What was sent again is known from the sender's own capture and
from TcpRetransSegs, which have to agree; why, from the tracepoint tcp_retransmit_skb with the kernel's stack
and tcp_cong_state_set, where tracefs lets us.
Exit status: 0; 1 when recall or precision at the sender is below what is wanted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).parent))
import accuracy_tshark
from accuracy_far import (
    AGAIN,
    LATE,
    FarTruth,
    arrivals,
    far_truths,
    needed_frames,
    weigh_far,
    weigh_need,
    weigh_timeouts,
)
from accuracy_scenarios import scenario_text
from accuracy_trace import Flow, Sent, read_trace
from accuracy_truth import (
    Frames,
    Score,
    Truth,
    Weighed,
    counted,
    disagreements,
    said,
    truths,
    weigh,
    weigh_numbers,
)

from tcpharness.analysis.capture import analyze
from tcpharness.lab.door import enter
from tcpharness.packet.pcap import Reader
from tcpharness.run import Options, run_cases
from tcpharness.scenario.load import load
from tcpharness.scenario.model import Case
from tcpharness.verdict.result import Result

BATCH = 40
WANTED = {"retransmission": 0.999}
WANTED_OF_KINDS = 0.97
TRUE = "true.json"
KINDS = ("rto", "fast", "slow_start", "tlp", "syn", "fin")
NEEDS = ("needed: no", "needed: yes")
FAR = ("retransmission", "out_of_order", "duplicate_frame")


@dataclass(slots=True)
class Totals:
    """Over all runs; scores of ours and of tshark's, at the sender."""

    runs: int = 0
    hosts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ours: dict[str, Score] = field(default_factory=dict)
    tshark: dict[str, Score] = field(default_factory=dict)
    far: dict[str, Score] = field(default_factory=dict)  # at the receiver
    far_tshark: dict[str, Score] = field(default_factory=dict)
    far_unseen: int = 0
    untraced: int = 0
    left_open: Counter[str] = field(default_factory=Counter)
    counted: Counter[str] = field(default_factory=Counter)
    left_out: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)
    far_misses: list[str] = field(default_factory=list)

    def add(self, weighed: Weighed) -> None:
        self.hosts += 1
        add(self.ours, weighed.scores)
        self.left_open += weighed.left_open


def add(scores: dict[str, Score], more: Mapping[str, Score]) -> None:
    for name, score in more.items():
        scores.setdefault(name, Score()).add(score)


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


@dataclass(slots=True)
class Sender:
    """A host that has sent something, with what is true of it."""

    name: str  # of its run, and its own
    capture: Path
    own: str  # address
    true: list[Truth]
    frames: int  # in the capture
    counted: dict[str, int]
    far: Far | None = None


@dataclass(slots=True)
class Far:
    """The receiver's side of it."""

    capture: Path
    frames: int
    true: list[FarTruth]


def senders_of(result: Result, trace: dict[Flow, list[Sent]], totals: Totals) -> tuple[list[Sender], bool]:
    """Those of whom all is known; True when something has to be kept, to be looked into."""
    name = Path(result.case.file).stem
    addresses = {s.host: s.local[0] for s in result.evidence.sockets if s.remote[1]}
    captured = {host: frames_of(result, host) for host in addresses}
    found, strange = [], False
    for host, own in addresses.items():
        frames = captured[host]
        if frames is None:
            totals.left_out.append(f"{name} {host}: its capture is not whole")
            continue
        true = truths(frames, own, addresses.values(), trace)
        counters = result.evidence.counters.get(host, {})
        wrong = disagreements(true, counters)
        if wrong:
            totals.left_out.append(f"{name} {host}: {'; '.join(wrong)}")
            strange = True
        else:
            file = Path(result.evidence.captures[host].file)
            sender = Sender(f"{name} {host}", file, own, true, len(frames), counted(counters))
            look_far(sender, result, host, captured)
            found.append(sender)
    return found, strange


def look_far(sender: Sender, result: Result, host: str, captured: Mapping[str, Frames | None]) -> None:
    """What has come of it to the other side, where that capture is whole as well."""
    sent = captured[host]
    for other, came in captured.items():
        if other == host or came is None or sent is None:
            continue
        come = arrivals(sent, came, host, other, result.evidence.links.values())
        needed = needed_frames(sent, come, sender.true)
        sender.true = [replace(each, needed=needed[each.frame]) for each in sender.true]
        true = far_truths(come, came, {each.frame: each for each in sender.true})
        sender.far = Far(Path(result.evidence.captures[other].file), len(came), true)


def weigh_sender(sender: Sender, totals: Totals) -> bool:
    """True when something differs."""
    with open(sender.capture, "rb") as file:
        findings = analyze(file).findings
    ours = said(findings, sender.own)
    weighed = weigh(sender.true, ours)
    totals.untraced += sum(not true.traced for true in sender.true)
    weigh_numbers(weighed, findings, sender.own, sender.counted)
    add(weighed.scores, weigh_need(sender.true, ours, weighed.misses))
    weighed.of("spurious_timeout").add(weigh_timeouts(sender.true, findings, sender.own, weighed.misses))
    totals.counted += Counter(sender.counted)
    totals.add(weighed)
    totals.misses += [f"{sender.name} {miss}" for miss in weighed.misses]
    return weigh_receiver(sender, totals) or bool(weighed.misses)


def weigh_receiver(sender: Sender, totals: Totals) -> bool:
    if sender.far is None:
        return False
    with open(sender.far.capture, "rb") as file:
        weighed = weigh_far(sender.far.true, analyze(file).findings, sender.own)
    add(totals.far, weighed.scores)
    totals.far_unseen += weighed.unseen
    totals.far_misses += [f"{sender.name} at its receiver, {miss}" for miss in weighed.misses]
    return bool(weighed.misses)


def look(result: Result, trace: dict[Flow, list[Sent]], totals: Totals) -> tuple[list[Sender], bool]:
    """Weighs one run; True when there is something to keep."""
    totals.runs += 1
    verdict = result.verdict
    totals.outcomes[verdict.outcome] += 1
    senders, strange = senders_of(result, trace, totals)
    differ = [weigh_sender(sender, totals) for sender in senders]
    if verdict.outcome in ("fail", "void"):
        why = verdict.reason or "; ".join(str(failure) for failure in verdict.failures)
        totals.left_out.append(f"{Path(result.case.file).stem}: {verdict.outcome}: {why}")
    return senders, strange or any(differ)


def beside(senders: list[Sender], scratch: Path, totals: Totals) -> None:
    """tshark over the same captures; those of clients and of servers apart, for both hold the same flows."""
    if not accuracy_tshark.is_there():
        return
    told: dict[Path, dict[int, tuple[str, set[str]]]] = {}
    captures = {s.capture: s.frames for s in senders}
    captures |= {s.far.capture: s.far.frames for s in senders if s.far is not None}
    for host in ("client", "server"):
        of_host = [(path, frames) for path, frames in captures.items() if path.stem == host]
        if of_host:
            paths = [path for path, _ in of_host]
            told |= dict(zip(paths, accuracy_tshark.flagged(of_host, scratch), strict=True))
    for sender in senders:
        add(totals.tshark, accuracy_tshark.score(sender.true, told[sender.capture], sender.own))
        if sender.far is not None:
            again, late = ({t.frame for t in sender.far.true if t.sort == sort} for sort in (AGAIN, LATE))
            said_there = told[sender.far.capture]
            add(totals.far_tshark, accuracy_tshark.score_far(again, late, said_there, sender.own))


def figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def table(scores: dict[str, Score], names: Iterable[str]) -> list[str]:
    lines = [f"{'':16} {'there':>7} {'right':>7} {'wrong':>6} {'missed':>6} {'precision':>9} {'recall':>7}"]
    for name in (*names, *sorted(scores.keys() - set(names))):
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
            of_batch = []
            for result in results:
                senders, differs = look(result, trace, totals)
                if args.keep and (differs or args.keep_all) and result.out_dir:
                    keep(result, senders, args.keep)
                of_batch += senders
            beside(of_batch, scratch, totals)
            shutil.rmtree(folder)
            print(f"{totals.runs} runs, {len(totals.misses)} differences", file=sys.stderr, flush=True)
    finally:
        tracer.close()


def keep(result: Result, senders: list[Sender], folder: Path) -> None:
    source = Path(result.case.file)
    place = folder / source.stem
    shutil.copytree(str(result.out_dir), place, dirs_exist_ok=True)
    shutil.copy(source, place)
    told = [asdict(sender) for sender in senders]
    (place / TRUE).write_text(json.dumps(told, default=lambda path: path.name) + "\n")


def again(folder: Path, scratch: Path, totals: Totals) -> None:
    """What was kept, by the detectors as they are now."""
    senders: list[Sender] = []
    for path in sorted(folder.rglob(TRUE)):
        totals.runs += 1
        for told in json.loads(path.read_text()):
            true = [Truth(**{**each, "flow": tuple(each["flow"])}) for each in told["true"]]
            capture, far = path.parent / told["capture"], far_of(told.get("far"), path.parent)
            senders.append(Sender(**{**told, "capture": capture, "true": true, "far": far}))
            weigh_sender(senders[-1], totals)
    for start in range(0, len(senders), 2 * BATCH):
        beside(senders[start : start + 2 * BATCH], scratch, totals)


def far_of(told: dict[str, Any] | None, folder: Path) -> Far | None:
    if told is None:
        return None
    true = [FarTruth(**each) for each in told["true"]]
    return Far(folder / told["capture"], told["frames"], true)


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
    parser.add_argument("--again", type=Path, metavar="DIR", help="nothing is run: what was kept there")
    parser.add_argument("--keep-all", action="store_true", help="and all others")
    parser.add_argument("--show", type=int, default=40, metavar="N", help="so many differences")
    args = parser.parse_args()
    totals = Totals()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="accuracy-")))
        if args.again:
            again(args.again, scratch, totals)
            return tell(args, totals)
        enter()
        play(args, scratch, totals)
    return tell(args, totals)


def tell(args: argparse.Namespace, totals: Totals) -> int:
    print(f"{totals.runs} runs of seed {args.seed}, {totals.hosts} senders: {dict(totals.outcomes)}")
    print("\n".join(table(totals.ours, ("retransmission", *KINDS, *NEEDS))))
    print("the kernels counted", ", ".join(f"{name} {number}" for name, number in totals.counted.items()))
    print(f"called rto or tlp, for a segment alone in flight: the kernel's {dict(totals.left_open)}")
    if totals.untraced:
        print(f"{totals.untraced} segments were not traced: their kind is not known, unless it is syn or fin")
    if totals.tshark:
        print(f"tshark {accuracy_tshark.version()}:")
        print("\n".join(table(totals.tshark, ("retransmission", "or out of order", "fast"))))
    print(f"at the receiver ({totals.far_unseen} more were sent again and came as if they were new):")
    print("\n".join(table(totals.far, (*FAR, *KINDS))))
    if totals.far_tshark:
        print(f"tshark {accuracy_tshark.version()} at the receiver:")
        print("\n".join(table(totals.far_tshark, FAR[:2])))
    everything = (("left out", totals.left_out), ("differs", totals.misses), ("differs", totals.far_misses))
    for title, lines in everything:
        for line in lines[: args.show]:
            print(f"{title}: {line}")
        if len(lines) > args.show:
            print(f"{title}: and {len(lines) - args.show} more")
    return 0 if enough(totals.ours) else 1


if __name__ == "__main__":
    sys.exit(main())
