"""`of: <fault>`: which findings concern a segment that a fault has named."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence

from tcpharness.analysis.finding import Finding
from tcpharness.evidence import Evidence
from tcpharness.fault.ledger import Entry
from tcpharness.packet.segment import FIN, SYN, Segment, decode, seq_diff
from tcpharness.verdict.watched import Frames


class Binding:
    """The segments of each fault: as they came in, and as they went out where they were altered."""

    def __init__(self, evidence: Evidence, frames: Mapping[str, Frames]) -> None:
        self._evidence = evidence
        self._frames = frames
        self._segments: dict[str, list[Segment]] = {}

    def concerns(self, finding: Finding, fault: str) -> bool:
        seen = self._frame_of(finding)
        return any(touches(finding, segment, seen) for segment in self.segments(fault))

    def _frame_of(self, finding: Finding) -> list[Segment]:
        """The finding's own frame, at each vantage that has one of that number and time."""
        at, time_ns = finding.frame - 1, finding.time_ns
        captures = [frames for frames in self._frames.values() if 0 <= at < len(frames)]
        return [decode(frames[at][1]) for frames in captures if frames[at][0] == time_ns]

    def segments(self, fault: str) -> list[Segment]:
        if fault not in self._segments:
            self._segments[fault] = [s for s in self._of(fault) if s.is_tcp]
        return self._segments[fault]

    def _of(self, fault: str) -> Iterator[Segment]:
        entries = list(entries_of(fault, self._evidence))
        altered: set[int] = set()
        for entry in entries:
            # Only its head is noted; the payload's length is in the IP header.
            yield decode(entry.head, wire_len=entry.len_bytes)
            came_in = entry.came_in[1] if entry.came_in else None
            altered |= {digest for _, digest in entry.went_out if digest != came_in}
        if altered:  # what became of them was captured where they arrived
            for frames in self._frames.values():
                yield from (decode(frame) for _, frame in frames if zlib.crc32(frame) in altered)


def entries_of(fault: str, evidence: Evidence) -> Iterator[Entry]:
    for link in evidence.links.values():
        yield from (e for e in link.entries if names(e, fault))


def names(entry: Entry, fault: str) -> bool:
    return fault == entry.fault or fault in entry.faults


def touches(finding: Finding, segment: Segment, seen: Sequence[Segment] = ()) -> bool:
    """The same direction of the same flow, and bytes in common; SYN and FIN count as one (RFC 9293 3.4).

    `seen` is the finding's own frame. A pure ACK or a reset takes no room in the stream, and shares its
    place with every other one until data comes: there the finding has to be about that very segment.
    """
    flow = finding.flow
    if flow is None or finding.seq is None:
        return False
    if (flow.src, flow.sport, flow.dst, flow.dport) != (
        segment.src, segment.sport, segment.dst, segment.dport,
    ):  # fmt: skip
        return False
    apart = seq_diff(finding.seq, segment.seq)
    span = segment.payload_len + bool(segment.flags & SYN) + bool(segment.flags & FIN)
    if span == 0:
        same = not seen or any(header(s) == header(segment) for s in seen)
        return apart == 0 and finding.len == 0 and same
    return -max(finding.len, 1) < apart < span


def header(s: Segment) -> tuple[object, ...]:
    """What tells a segment from its neighbours, behind a router too (which changes TTL and MAC addresses)."""
    return s.seq, s.ack, s.flags, s.win, s.urg, s.id, s.tsval, s.tsecr, s.payload_len
