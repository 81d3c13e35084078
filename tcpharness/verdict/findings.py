"""What each watched vantage found, against what the scenario lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import Finding
from tcpharness.evidence import Evidence
from tcpharness.fault.ledger import Entry
from tcpharness.packet.notation import Isn, format_segment
from tcpharness.packet.segment import SYN, Segment, decode, seq_diff
from tcpharness.scenario.model import Case, FindingExpect, VantageExpect
from tcpharness.scenario.plan import Plan
from tcpharness.verdict.reconcile import Frames, names_of
from tcpharness.verdict.result import Failure

AROUND = 5  # packets shown before and after
LOUD = ("warning", "error")


def judge_findings(
    case: Case, plan: Plan, evidence: Evidence, frames: Mapping[str, Frames]
) -> Iterator[Failure]:
    for watched in case.expect.findings:
        if watched.vantage == "any":
            continue
        capture = evidence.captures.get(watched.vantage)
        found = capture.report.findings if capture and capture.report else []
        scene = Scene(case, evidence, found, Packets(frames.get(watched.vantage, ()), names_of(plan)))
        yield from judge_vantage(watched, scene)
    yield from judge_anywhere(case, plan, evidence, frames)


def judge_anywhere(
    case: Case, plan: Plan, evidence: Evidence, frames: Mapping[str, Frames]
) -> Iterator[Failure]:
    """`any`: what is listed there is found at one vantage or another; all captures are watched."""
    for watched in case.expect.findings:
        if watched.vantage == "any":
            found = [f for c in evidence.captures.values() if c.report for f in c.report.findings]
            yield from judge_vantage(watched, Scene(case, evidence, found, Packets((), names_of(plan))))


@dataclass(slots=True)
class Packets:
    """A vantage's frames, for showing."""

    frames: Frames
    names: dict[str, str]

    def around(self, frame: int) -> tuple[str, ...]:
        """The packets around a frame (from 1), sequence numbers relative, the frame itself marked."""
        segments = [
            decode(data, time_ns=time_ns, frame=i + 1) for i, (time_ns, data) in enumerate(self.frames)
        ]
        isns: dict[tuple[str, int], int] = {}
        for s in segments:
            if s.is_tcp and (s.flags & SYN or (s.src, s.sport) not in isns):
                isns[s.src, s.sport] = s.seq
        low, high = max(0, frame - 1 - AROUND), frame + AROUND
        return tuple(self._line(s, isns, segments[0].time_ns, s.frame == frame) for s in segments[low:high])

    def _line(self, s: Segment, isns: dict[tuple[str, int], int], start_ns: int, marked: bool) -> str:
        isn = Isn(isns.get((s.src, s.sport), 0), isns.get((s.dst, s.dport), 0))
        return ("> " if marked else "  ") + format_segment(s, names=self.names, start_ns=start_ns, isn=isn)


@dataclass(slots=True)
class Scene:
    case: Case
    evidence: Evidence
    found: list[Finding]
    packets: Packets


def judge_vantage(watched: VantageExpect, scene: Scene) -> Iterator[Failure]:
    explained: set[int] = set()
    for expected in watched.findings:
        yield from judge_line(expected, watched.vantage, scene, explained)
    if watched.one_of:
        yield from judge_alternatives(watched, scene, explained)
    for finding in scene.found:
        if finding.level in LOUD and id(finding) not in explained:
            name = f"{finding.name} ({finding.kind})" if finding.kind else finding.name
            packets = scene.packets.around(finding.frame)
            text = f"frame {finding.frame}: {name}: {finding.text}"
            yield Failure(
                watched.at, f"nothing else of level warning or error at {watched.vantage}", text, packets
            )


def judge_alternatives(watched: VantageExpect, scene: Scene, explained: set[int]) -> Iterator[Failure]:
    """Exactly one of the alternatives holds; what it lists is explained."""
    trials = []
    for option in watched.one_of:
        mine: set[int] = set()
        failures = [f for e in option for f in judge_line(e, watched.vantage, scene, mine)]
        trials.append((failures, mine))
    holding = [mine for failures, mine in trials if not failures]
    if len(holding) == 1:
        explained |= holding[0]
        return
    wanted = " or ".join(", ".join(f"{e.name}: {e.count}" for e in option) for option in watched.one_of)
    yield Failure(
        watched.at, f"exactly one of: {wanted}", f"{len(holding)} of them hold: {listed(scene.found)}"
    )


def judge_line(expected: FindingExpect, vantage: str, scene: Scene, explained: set[int]) -> Iterator[Failure]:
    """One expectation. What is of that name (or a child's) counts as listed, whatever its kind."""
    family = [f for f in scene.found if descends(f.name, expected.name)]
    fitting = [f for f in family if fits(f, expected, scene)]
    explained.update(id(f) for f in (fitting if expected.kind or expected.of else family))
    number = len(fitting)
    if not expected.count.holds(number):
        near = next(iter(fitting or family or scene.found), None)
        packets = scene.packets.around(near.frame) if near and near.frame else ()
        yield Failure(
            expected.at,
            f"{wish(expected)} at {vantage}",
            f"{number}; there were {listed(family or scene.found)}",
            packets,
        )
    else:
        yield from judge_order(expected, vantage, fitting, scene)


def descends(name: str, ancestor: str) -> bool:
    """A child counts as its parent."""
    step: str | None = name
    while step is not None:
        if step == ancestor:
            return True
        step = BY_NAME[step].parent if step in BY_NAME else None
    return False


def fits(finding: Finding, expected: FindingExpect, scene: Scene) -> bool:
    if expected.kind is not None and finding.kind != expected.kind:
        return False
    if expected.of is None:
        return True
    return any(concerns(finding, entry) for entry in entries_of(expected.of, scene.evidence))


def entries_of(fault: str, evidence: Evidence) -> Iterator[Entry]:
    for link in evidence.links.values():
        yield from (e for e in link.entries if e.fault == fault)


def concerns(finding: Finding, entry: Entry) -> bool:
    """The same direction of the same flow, and the same bytes (or the same SYN or FIN)."""
    segment = decode(entry.head, wire_len=entry.len_bytes)
    flow = finding.flow
    if flow is None or not segment.is_tcp or finding.seq is None:
        return False
    if (flow.src, flow.sport, flow.dst, flow.dport) != (
        segment.src,
        segment.sport,
        segment.dst,
        segment.dport,
    ):
        return False
    apart = seq_diff(finding.seq, segment.seq)
    return -max(finding.len, 1) < apart < max(segment.payload_len, 1)


def judge_order(
    expected: FindingExpect, vantage: str, fitting: Sequence[Finding], scene: Scene
) -> Iterator[Failure]:
    """`before: x`: the first of these is at an earlier frame than the first x; `after` the reverse."""
    for other, word, sign in ((expected.before, "before", 1), (expected.after, "after", -1)):
        if other is None or not fitting:
            continue
        mine = fitting[0].frame
        theirs = next((f.frame for f in scene.found if descends(f.name, other)), None)
        if theirs is None or (theirs - mine) * sign <= 0:
            found = f"{expected.name} at frame {mine}, {other} at {theirs or 'none'}"
            yield Failure(expected.at, f"{expected.name} {word} {other} at {vantage}", found)


def wish(expected: FindingExpect) -> str:
    kind = f" ({expected.kind})" if expected.kind else ""
    of = f" of {expected.of}" if expected.of else ""
    return f"{expected.count} {expected.name}{kind}{of}"


def listed(found: Sequence[Finding]) -> str:
    if not found:
        return "no findings at all"
    counts: dict[str, int] = {}
    for f in found:
        name = f"{f.name} ({f.kind})" if f.kind else f.name
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in counts.items())
