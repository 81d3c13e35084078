"""What the analysis knows of each segment, written down while it works: the evidence for a difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tcpharness.analysis.capture import Options, analyze
from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.detector import Detector, Hit
from tcpharness.analysis.finding import Finding
from tcpharness.analysis.signs import Order, Sign
from tcpharness.analysis.state import Side
from tcpharness.capture_file import opened
from tcpharness.packet.segment import ACK, SYN, Segment, seq_diff

Way = tuple[str, int, str, int]  # source and destination, address and port


@dataclass(frozen=True, slots=True)
class Facts:
    """One segment against the state before it."""

    way: Way
    time_ns: int
    flags: int
    length: int
    win: int
    order: Order
    usable: bool  # False: a receiver drops it unseen
    cksum: str
    cksum_field: int  # as the segment has it
    first: bool  # of its flow
    started: bool  # something of this direction was seen before
    heard: bool  # something of the other direction was
    known: bool  # both SYNs were captured
    ahead: int  # sequence number, from the highest one that was sent
    advance: int  # of the acknowledgement number
    outstanding: int  # bytes of the other side beyond it
    unseen: bool  # it acknowledges more than was captured
    same_win: bool
    edge_moved: int
    new_sack: bool
    dsack: bool
    answers: str
    room: int | None  # from its end to the other side's right edge
    other_closed: bool  # the other side's window
    waiting: bool  # a probe or keep-alive of the other side is unanswered
    acceptable: bool
    partly_new: bool
    closed: str
    truncated: bool
    spoke: bool  # another segment of this direction was captured before
    follows_told: bool  # before it lies a gap that an ACK has told already
    acks_told: bool  # it acknowledges beyond a gap that was told already
    follows_damaged: bool  # before it lies a segment that came with a bad checksum
    behind_untaken: bool  # a segment that no receiver takes lies beyond it
    crossed: bool  # the SYN-ACK of a side that had sent a SYN itself (simultaneous open)
    acks_damaged: bool  # it acknowledges a segment that came with a bad checksum
    continued: bool  # between ports that had a connection before, and not begun by a SYN
    replayed: bool  # its SYN's number began another connection before


@dataclass(frozen=True, slots=True)
class Account:
    """All that is said of one capture: facts and findings by frame, episodes by direction."""

    facts: dict[int, Facts]
    findings: dict[int, list[Finding]]
    episodes: dict[Way, list[Finding]]
    problems: list[str]

    def names(self, frame: int) -> set[str]:
        """Of the findings about the frame, those that last over it included."""
        facts = self.facts[frame]
        lasting = {
            each.name
            for each in self.episodes.get(facts.way, ())
            if each.time_ns <= facts.time_ns <= (each.end_ns or 0)
            and (each.name != "ack_of_unseen" or facts.unseen)
        }
        return {finding.name for finding in self.findings.get(frame, ())} | lasting


@dataclass(slots=True)
class Passed:
    """What was captured of one direction, nothing concluded from ACKs."""

    end: int  # of the highest segment
    in_order: int  # the end of what came without a gap
    opens: bool  # by a SYN without ACK
    damaged: list[int] = field(default_factory=list)  # ends of segments that no receiver should take

    def take(self, segment: Segment, usable: bool) -> None:
        if seq_diff(segment.next_seq, self.end) > 0:
            self.end = segment.next_seq
        if seq_diff(segment.seq, self.in_order) <= 0 < seq_diff(segment.next_seq, self.in_order):
            self.in_order = segment.next_seq
        if not usable and segment.payload_len:
            self.damaged.append(segment.next_seq)


@dataclass(slots=True)
class Watch:
    """A detector of every segment, without a finding."""

    facts: dict[int, Facts] = field(default_factory=dict)
    passed: dict[Way, Passed] = field(default_factory=dict)
    first: dict[frozenset[tuple[str, int]], int] = field(
        default_factory=dict
    )  # of each pair of ports, the frame
    syns: dict[tuple[Way, int], int] = field(default_factory=dict)  # the frame where its flow began

    def note(self, segment: Segment, this: Side, other: Side) -> Hit | None:
        here, there = (segment.src, segment.sport), (segment.dst, segment.dport)
        if segment.flags & SYN:
            self.syns.setdefault(((*here, *there), segment.seq), this.flow.first_frame)
        before = self.passed.get((*here, *there))
        back = self.passed.get((*there, *here))
        began = this.flow.first_frame
        continued = self.first.setdefault(frozenset((here, there)), segment.frame) < began
        self.facts[segment.frame] = replace(
            facts_of(segment, this, other),
            continued=continued and not this.flow.first_flags & SYN,
            replayed=self.replayed((*here, *there), this) or self.replayed((*there, *here), other),
            spoke=before is not None,
            follows_told=before is not None and seq_diff(segment.seq, before.end) > 0,
            follows_damaged=before is not None and segment.seq in before.damaged,
            behind_untaken=before is not None
            and seq_diff(segment.seq, before.end) < 0 <= seq_diff(segment.seq, this.max_end),
            crossed=before is not None and before.opens and segment.flags & (SYN | ACK) == SYN | ACK,
            acks_told=back is not None and seq_diff(segment.ack, back.in_order) > 0,
            acks_damaged=back is not None and any(seq_diff(segment.ack, end) >= 0 for end in back.damaged),
        )
        if before is None or (segment.flags & SYN and this.usable):
            before = self.passed[(*here, *there)] = Passed(
                segment.seq, segment.seq, segment.flags & (SYN | ACK) == SYN
            )
        before.take(segment, bool(this.usable))
        return None

    def replayed(self, way: Way, side: Side) -> bool:
        began: int = side.flow.first_frame
        return self.syns.get((way, side.isn), began) < began


def account(path: Path) -> Account:
    watch = Watch()
    watched = [*BY_NAME.values(), Detector(watch.note, Sign.SEGMENT, "info")]
    with opened(path, "", quiet=True) as file:
        report = analyze(file, options=Options(detectors=watched, keep_flows=False))  # type: ignore[arg-type]
    return Account(watch.facts, by_frame(report.findings), episodes(report.findings), report.problems)


def by_frame(findings: list[Finding]) -> dict[int, list[Finding]]:
    found: dict[int, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.frame, []).append(finding)
        if "ack_frame" in finding.detail:  # it is about two frames
            found.setdefault(int(finding.detail["ack_frame"]), []).append(finding)
    return found


def episodes(findings: list[Finding]) -> dict[Way, list[Finding]]:
    found: dict[Way, list[Finding]] = {}
    for finding in findings:
        if finding.end_ns is not None and finding.flow is not None:
            flow = finding.flow
            found.setdefault((flow.src, flow.sport, flow.dst, flow.dport), []).append(finding)
    return found


def facts_of(segment: Segment, this: Side, other: Side) -> Facts:
    return Facts(
        way=(segment.src, segment.sport, segment.dst, segment.dport),
        time_ns=segment.time_ns,
        flags=segment.flags,
        length=segment.payload_len,
        win=segment.win,
        order=Order(this.order),
        usable=bool(this.usable),
        cksum=this.cksum,
        cksum_field=segment.cksum,
        first=not this.flow.frames,
        started=bool(this.started),
        heard=bool(other.frames),
        known=bool(this.options_known),
        ahead=seq_diff(segment.seq, this.max_end) if this.started else 0,
        advance=this.advance,
        outstanding=seq_diff(other.max_end, segment.ack) if other.started else 0,
        unseen=bool(other.started and seq_diff(segment.ack, other.max_end) > 0),
        same_win=segment.win == this.win_raw,
        edge_moved=this.edge_moved,
        new_sack=bool(this.new_sack),
        dsack=bool(this.is_dsack),
        answers=this.answers,
        room=seq_diff(other.right_edge, segment.next_seq) if other.win_known else None,
        other_closed=other.zero_since_ns >= 0,
        waiting=other.probe_ns >= 0 or other.keep_alive_ns >= 0,
        acceptable=bool(this.acceptable_ack),
        partly_new=seq_diff(segment.next_seq, this.max_end) > 0 if this.started else True,
        closed=this.flow.closed,
        truncated=segment.cap_len < segment.wire_len,
        spoke=False,
        follows_told=False,
        acks_told=False,
        follows_damaged=False,
        behind_untaken=False,
        crossed=False,
        acks_damaged=False,
        continued=False,
        replayed=False,
    )


def captures(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        if folder.is_file():
            yield folder
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in (".pcap", ".pcapng", ".cap", ".gz"):
                yield path
