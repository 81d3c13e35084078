"""What became of a sender's segments, by the ledger, and what the capture at the receiver can know of it.

The ledger joins both captures: the nth frame of some content that left the sender is the nth entry of
that content, and what it says went out is found, in that order, among the frames that arrived.

At the receiver a segment was *sent again* where the sender's kernel had sent it before, and it ends at or
below what had arrived already; a repeat of what never came, with nothing behind it, looks like new data
there, and nobody could tell. It came *late* where it was sent once and something that was sent later had
overtaken it, its own repeat maybe; and it is a *copy* where the path had doubled it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from accuracy_truth import FAMILY, Frames, Score, Truth, kind_said

from tcpharness.analysis.finding import Finding
from tcpharness.evidence import LinkOutcome
from tcpharness.packet.segment import Segment, decode, seq_diff

AGAIN, LATE, COPY, UNSEEN = "again", "late", "copy", "unseen"
CALLED = {AGAIN: FAMILY, LATE: ("out_of_order",), COPY: ("duplicate_frame",)}
NAMES = {AGAIN: "retransmission", LATE: "out_of_order", COPY: "duplicate_frame"}


@dataclass(frozen=True, slots=True)
class Come:
    """A frame at the receiver: which of the sender's it is, and which copy of that (0: the first)."""

    frame: int
    origin: int
    copy: int


@dataclass(frozen=True, slots=True)
class FarTruth:
    """A segment at the receiver that is not simply the next one."""

    frame: int
    sort: str  # again, late, copy; unseen: sent again, and nothing there can tell
    kind: str = ""  # of what was sent again


def arrivals(
    sent: Frames, came: Frames, sender: str, receiver: str, links: Iterable[LinkOutcome]
) -> list[Come]:
    """The frames at the receiver that the sender has sent, in order of arrival."""
    numbers = by_content(sent)
    places = by_content(came)
    found = []
    for link in links:
        for entry in link.entries:
            if entry.came_in is None or entry.came_in[0] != sender or not numbers[entry.came_in[1]]:
                continue
            origin = numbers[entry.came_in[1]].pop(0)
            for copy, (host, digest) in enumerate(entry.went_out):
                if host == receiver and places[digest]:
                    found.append(Come(places[digest].pop(0), origin, copy))
    return sorted(found, key=lambda come: come.frame)


def by_content(frames: Frames) -> defaultdict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for number, (_, frame) in enumerate(frames, 1):
        found[crc32(frame)].append(number)
    return found


@dataclass(slots=True)
class Stream:
    """The highest number of a direction that has arrived."""

    top: int | None = None

    def is_behind(self, segment: Segment) -> bool:
        """True when it ends at or below that; what is not is taken in."""
        behind = self.top is not None and seq_diff(segment.next_seq, self.top) <= 0
        if not behind:
            self.top = segment.next_seq
        return behind


def far_truths(come: Iterable[Come], came: Frames, true: Mapping[int, Truth]) -> list[FarTruth]:
    """`true`: what its sender's kernel has sent again, by the sender's frames."""
    streams: defaultdict[tuple[int, int, int], Stream] = defaultdict(Stream)
    found = []
    for each in come:
        segment = decode(came[each.frame - 1][1], frame=each.frame)
        if not segment.is_tcp or segment.next_seq == segment.seq:
            continue
        behind = streams[segment.sport, segment.dport, segment.version].is_behind(segment)
        again = true.get(each.origin)
        if each.copy:
            found.append(FarTruth(each.frame, COPY))
        elif again is not None:
            found.append(FarTruth(each.frame, AGAIN if behind else UNSEEN, again.kind))
        elif behind:
            found.append(FarTruth(each.frame, LATE))
    return found


@dataclass(slots=True)
class FarWeighed:
    """How right we were at the receiver."""

    scores: dict[str, Score] = field(default_factory=dict)
    unseen: int = 0
    misses: list[str] = field(default_factory=list)

    def of(self, name: str) -> Score:
        return self.scores.setdefault(name, Score())


def weigh_far(true: list[FarTruth], findings: Iterable[Finding], sender: str) -> FarWeighed:
    """By frame: detectors, then kinds of what was rightly found to be sent again."""
    weighed = FarWeighed(unseen=sum(t.sort == UNSEEN for t in true))
    said = {f.frame: f for f in findings if f.flow is not None and f.flow.src == sender and is_about(f)}
    unseen = {t.frame for t in true if t.sort == UNSEEN}
    for sort, names in CALLED.items():
        wanted = {t.frame for t in true if t.sort == sort}
        called = {frame for frame, f in said.items() if f.name in names} - (
            unseen if sort == AGAIN else set()
        )
        weigh_sort(weighed, sort, wanted, called, said)
    for each in true:
        finding = said.get(each.frame)
        if each.sort == AGAIN and each.kind and finding is not None and finding.name in FAMILY:
            weigh_kind(weighed, each, finding)
    return weighed


def is_about(finding: Finding) -> bool:
    return any(finding.name in names for names in CALLED.values())


def weigh_sort(
    weighed: FarWeighed, sort: str, wanted: set[int], called: set[int], said: Mapping[int, Finding]
) -> None:
    weighed.of(NAMES[sort]).add(Score(len(wanted & called), len(called - wanted), len(wanted - called)))
    for frame in sorted(wanted - called):
        other = f", called {said[frame].name}: {said[frame].text}" if frame in said else ", not found"
        weighed.misses.append(f"frame {frame}: {sort}{other}")
    for frame in sorted(called - wanted):
        weighed.misses.append(f"frame {frame}: not {sort}, called {said[frame].name}: {said[frame].text}")


def weigh_kind(weighed: FarWeighed, true: FarTruth, finding: Finding) -> None:
    called = kind_said(finding)
    if true.kind in (called, finding.detail.get("or")):
        weighed.of(true.kind).right += 1
        return
    weighed.of(true.kind).missed += 1
    weighed.of(called).wrong += 1


# --- was it needed


def needed_frames(sent: Frames, come: Iterable[Come], true: Iterable[Truth]) -> dict[int, bool]:
    """Of each segment that was sent again: whether any of it never came by what was sent before."""
    came = sorted({each.origin for each in come})
    segments = {origin: decode(sent[origin - 1][1], frame=origin) for origin in came}
    found = {}
    for each in true:
        segment = decode(sent[each.frame - 1][1], frame=each.frame)
        before = [segments[origin] for origin in came if origin < each.frame]
        found[each.frame] = not is_covered(segment, before)
    return found


def is_covered(segment: Segment, others: Collection[Segment]) -> bool:
    """True when these have all its numbers between them."""
    at = segment.seq
    for other in sorted(
        (o for o in others if same_flow(o, segment)), key=lambda o: seq_diff(o.seq, segment.seq)
    ):
        if seq_diff(other.seq, at) > 0:
            return False
        if seq_diff(other.next_seq, at) > 0:
            at = other.next_seq
        if seq_diff(at, segment.next_seq) >= 0:
            return True
    return False


def same_flow(one: Segment, other: Segment) -> bool:
    return (one.sport, one.dport, one.src_bytes) == (other.sport, other.dport, other.src_bytes)


def weigh_need(true: Iterable[Truth], said: Mapping[int, Finding], misses: list[str]) -> dict[str, Score]:
    """What a finding says of the need; `unknown` is a miss of either, and never wrong: told in `misses`."""
    scores = {"needed: no": Score(), "needed: yes": Score()}
    for each in true:
        finding = said.get(each.frame)
        if each.needed is None or finding is None:
            continue
        word = "yes" if each.needed else "no"
        told = finding.detail.get("needed")
        if told == word:
            scores[f"needed: {word}"].right += 1
            continue
        scores[f"needed: {word}"].missed += 1
        if told in ("yes", "no"):
            scores[f"needed: {told}"].wrong += 1
            by = finding.detail.get("needed_by", "the ACK before it")
            misses.append(f"frame {each.frame}: needed {word}, called {told} by {by}")
    return scores


def weigh_timeouts(true: list[Truth], findings: Iterable[Finding], own: str, misses: list[str]) -> Score:
    """`spurious_timeout` against timeouts of which nothing was lost; of several in a row the first counts.

    F-RTO (RFC 5682) says that ACKs were still coming, and does not claim that the repeat was needless.
    """
    before = [None, *true]
    first = [t for t, last in zip(true, before, strict=False) if t.kind == "rto" and not in_a_row(last, t)]
    needless = {t.frame for t in first if t.needed is False}
    told = {
        frame: f
        for f in findings
        if f.name == "spurious_timeout" and f.flow is not None and f.flow.src == own
        if isinstance(frame := f.detail["timeout_frame"], int)
    }
    needed = {t.frame for t in true if t.needed is not False}  # a probe that we took for a timeout is open
    wrong = {frame for frame in told.keys() & needed if told[frame].kind != "f_rto"}
    misses += [
        f"frame {n}: a timeout that was needed, called spurious by {told[n].kind}" for n in sorted(wrong)
    ]
    return Score(len(needless & told.keys()), len(wrong), len(needless - told.keys()))


def in_a_row(last: Truth | None, this: Truth) -> bool:
    return last is not None and last.kind == "rto" and last.flow == this.flow and last.end == this.end
