"""What was truly sent again, and why; what we said of it; and how often that was right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from accuracy_trace import Flow, Sent, sent_by

from tcpharness.analysis.finding import Finding
from tcpharness.packet.address import address_text
from tcpharness.packet.segment import FIN, SYN, decode
from tcpharness.verdict.tallies import Tallier

FAMILY = ("retransmission", "syn_retransmission", "synack_retransmission", "spurious_retransmission")
# Ours are finer: `recovery` is what follows `fast`, and the kernel counts both as fast retransmissions.
SAME = {"recovery": "fast"}
Frames = list[tuple[int, bytes]]


@dataclass(slots=True)
class Score:
    """Of one detector or kind: how many it found rightly, wrongly, and not at all."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, other: Score) -> None:
        self.right += other.right
        self.wrong += other.wrong
        self.missed += other.missed

    @property
    def precision(self) -> float | None:
        said = self.right + self.wrong
        return self.right / said if said else None

    @property
    def recall(self) -> float | None:
        there = self.right + self.missed
        return self.right / there if there else None


@dataclass(frozen=True, slots=True)
class Truth:
    """A segment that its sender's kernel has sent again."""

    frame: int
    time_ns: int
    flow: Flow
    kind: str  # "": the kernel was not asked
    traced: bool
    end: int = 0  # its last number and one
    needed: bool | None = None  # something of it had not come by what was sent before; None: not known


@dataclass(slots=True)
class Weighed:
    """One host's sending in one run: scores by name, and each difference in words."""

    scores: dict[str, Score] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)
    left_open: Counter[str] = field(default_factory=Counter)  # findings that name two kinds, by the kernel's

    def of(self, name: str) -> Score:
        return self.scores.setdefault(name, Score())


def truths(
    frames: Frames, own: str, everybody: Iterable[str], trace: Mapping[Flow, list[Sent]]
) -> list[Truth]:
    """The segments of the host with the address `own` that end where its sending had been before: the
    kernel's own test, by which TcpRetransSegs counts."""
    found = []
    tallier = Tallier([own], list(everybody))
    for number, (time_ns, frame) in enumerate(frames, 1):
        before = tallier.tally.sent_again
        tallier.count([(time_ns, frame)], {frame[6:12]})
        if tallier.tally.sent_again > before:
            found.append(truth_of(number, time_ns, frame, trace))
    return found


def truth_of(number: int, time_ns: int, frame: bytes, trace: Mapping[Flow, list[Sent]]) -> Truth:
    segment = decode(frame, time_ns=time_ns, frame=number)
    flow = (
        address_text(segment.src_bytes), segment.sport, address_text(segment.dst_bytes), segment.dport
    )  # fmt: skip
    sent = sent_by(trace.get(flow, []), time_ns)
    kind = sent.kind if sent else ""
    if segment.flags & SYN:
        kind = "syn"
    elif segment.flags & FIN and not segment.payload_len:
        kind = "fin"
    return Truth(number, time_ns, flow, kind, sent is not None, segment.next_seq)


def said(findings: Iterable[Finding], own: str) -> dict[int, Finding]:
    """What we said of the segments that this address sent, by frame."""
    return {f.frame: f for f in findings if f.name in FAMILY and f.flow is not None and f.flow.src == own}


def kind_said(finding: Finding) -> str:
    kind = "syn" if finding.name.startswith("syn") else finding.kind
    return SAME.get(kind, kind)


def weigh(true: list[Truth], ours: Mapping[int, Finding]) -> Weighed:
    """Segment by segment."""
    weighed = Weighed()
    weigh_frames(weighed, "retransmission", {t.frame for t in true}, set(ours))
    for each in true:
        finding = ours.get(each.frame)
        weigh_kind(weighed, each, finding)
        if finding is not None and is_open(finding, each):
            weighed.left_open[each.kind] += 1
        elif finding is None:
            weighed.misses.append(f"frame {each.frame}: {each.kind or 'sent again'}, not found")
        elif each.kind and kind_said(finding) != each.kind:
            text = f"{each.kind}, called {kind_said(finding)}: {finding.text}"
            weighed.misses.append(f"frame {each.frame}: {text}")
    for frame in sorted(ours.keys() - {t.frame for t in true}):
        kind = kind_said(ours[frame])
        weighed.of(kind).wrong += 1
        weighed.misses.append(f"frame {frame}: sent once, called {kind}: {ours[frame].text}")
    return weighed


def weigh_frames(weighed: Weighed, name: str, true: set[int], called: set[int]) -> None:
    weighed.of(name).add(Score(len(true & called), len(called - true), len(true - called)))


def is_open(finding: Finding, true: Truth) -> bool:
    """It says that it may be of either kind, and it is of one of them."""
    return "or" in finding.detail and true.kind in (kind_said(finding), finding.detail["or"])


def weigh_kind(weighed: Weighed, true: Truth, finding: Finding | None) -> None:
    """What is rightly found, by the kernel's kind; of another kind it is missed there and wrong here."""
    if not true.kind or (finding is not None and is_open(finding, true)):
        return
    called = kind_said(finding) if finding is not None else None
    if called == true.kind:
        weighed.of(true.kind).right += 1
        return
    weighed.of(true.kind).missed += 1
    if called is not None:
        weighed.of(called).wrong += 1


# --- the counters


@dataclass(frozen=True, slots=True)
class ByNumber:
    """A detector that the kernel counts without telling which segment: how many there were at a host."""

    name: str
    counters: tuple[str, ...]  # their sum
    at_least: bool = False  # the kernel does not count all of them


BY_NUMBER = (
    ByNumber("dsack", ("TcpExtTCPDSACKRecv", "TcpExtTCPDSACKOfoRecv")),
    ByNumber("receiver_stall", ("TcpExtTCPToZeroWindowAdv",), at_least=True),
    ByNumber("zero_window_probe", ("TcpExtTCPWinProbe",)),
)
COUNTERS = (
    "TcpRetransSegs", "TcpExtTCPFastRetrans", "TcpExtTCPSlowStartRetrans", "TcpExtTCPTimeouts",
    "TcpExtTCPLossProbes", "TcpExtTCPSynRetrans", "TcpExtTCPSpuriousRTOs", "TcpExtTCPLossUndo",
    "TcpExtTCPFullUndo", "TcpExtTCPPartialUndo", "TcpExtTCPDSACKUndo", "TcpExtTCPDSACKRecv",
    "TcpExtTCPDSACKOfoRecv", "TcpExtTCPDSACKRecvSegs", "TcpExtTCPToZeroWindowAdv", "TcpExtTCPWinProbe",
)  # fmt: skip


def counted(counters: Mapping[str, int]) -> dict[str, int]:
    """Those that know of what is sent again."""
    return {name: counters[name] for name in COUNTERS if name in counters}


def weigh_numbers(
    weighed: Weighed, findings: Iterable[Finding], own: str, counters: Mapping[str, int]
) -> None:
    """By number alone, for the kernel tells no more: what is found above it is wrong, below it missed."""
    mine = [f for f in findings if f.flow is not None and f.flow.src == own]
    for each in BY_NUMBER:
        found = sum(f.count for f in mine if f.name == each.name)
        number = sum(counters.get(name, 0) for name in each.counters)
        beyond = 0 if each.at_least else max(0, found - number)
        score = Score(min(found, number), beyond, max(0, number - found))
        weighed.of(each.name).add(score)
        if score.wrong or score.missed:
            weighed.misses.append(f"{found} {each.name}, {' + '.join(each.counters)} {number}")


def disagreements(true: list[Truth], counters: Mapping[str, int]) -> list[str]:
    """Where our own truth is not the kernel's: nothing may be concluded from such a run."""
    if not counters:
        return ["no counters"]
    number = counters.get("TcpRetransSegs", 0)
    return [] if len(true) == number else [f"{len(true)} segments sent again, TcpRetransSegs {number}"]
