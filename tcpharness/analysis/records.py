"""What a side keeps by the thousand: segments it has sent, the holes in them, the blocks that SACK reports.

Plain ints in slots objects. None of them holds what holds it: compiled, they are made without the collector
(setup.py) and used again.
"""

from __future__ import annotations

from tcpharness.analysis.finding import Finding
from tcpharness.packet.segment import Segment, seq_diff


class Sent:
    """Bytes that were sent in one segment, and when; kept until a while after they were acknowledged."""

    __slots__ = (
        "acked_ns", "count", "data", "end", "finding", "first_ns", "first_sum", "first_tsval", "flags", "id",
        "last_ns", "sacked", "seq", "sum", "tsval",
    )  # fmt: skip

    def take(self, segment: Segment, end: int) -> None:
        """All of it, for it is made by `__new__` alone: once a segment with data."""
        self.seq, self.end = segment.seq, end
        self.first_ns = self.last_ns = segment.time_ns
        self.count = 1
        self.acked_ns = 0
        self.sacked = False
        self.id = segment.id
        self.tsval = self.first_tsval = segment.tsval
        # With the ack, the window and the timestamp in it, a checksum stands for the whole segment.
        self.sum = self.first_sum = segment.cksum
        self.flags = segment.flags
        self.data: bytes | None = None  # the captured payload, while it may be compared
        self.finding: Finding | None = None

    def keep(self, finding: Finding) -> None:
        self.finding = finding

    def sent_again(self, segment: Segment) -> None:
        self.last_ns = segment.time_ns
        self.count += 1
        self.id, self.tsval, self.sum = segment.id, segment.tsval, segment.cksum
        self.acked_ns = 0


class Hole:
    """Bytes that this capture has not seen, though later ones, whose `id`, `tsval` and `tsecr` are kept.

    When the other side has `told` of them by an ACK, `tsval` is what it echoed, and nothing else is known.
    """

    __slots__ = ("end", "frame", "id", "seq", "since_ns", "told", "tsecr", "tsval")

    def __init__(self, seq: int, end: int, segment: Segment | None = None) -> None:
        self.seq, self.end = seq, end
        self.since_ns = segment.time_ns if segment else 0
        self.frame = segment.frame if segment else 0
        self.id = segment.id if segment else 0
        self.tsval = segment.tsval if segment else -1
        self.tsecr = segment.tsecr if segment else -1
        self.told = False

    def tell(self) -> Hole:
        """It comes from an ACK of the other side."""
        self.told, self.id, self.tsval, self.tsecr = True, 0, self.tsecr, -1
        return self

    def part(self, seq: int, end: int) -> Hole:
        hole = Hole(seq, end)
        hole.since_ns, hole.frame, hole.id = self.since_ns, self.frame, self.id
        hole.tsval, hole.tsecr, hole.told = self.tsval, self.tsecr, self.told
        return hole

    def older(self, segment: Segment) -> int:
        """1 when the segment was sent before the later one, -1 when after, by what it echoes; 0: not told.

        RFC 7323 4.3: an echo never goes back, so within one tick of the sender's own clock the newer echo
        was sent later: the ACK that asked for a repeat is what it echoes.
        """
        if segment.tsecr < 0 or self.tsecr < 0 or segment.tsecr == self.tsecr:
            return 0
        return 1 if seq_diff(segment.tsecr, self.tsecr) < 0 else -1


class Block:
    """Bytes above a hole that the receiver has reported (RFC 2018)."""

    __slots__ = ("left", "right")

    def __init__(self, left: int, right: int) -> None:
        self.left, self.right = left, right


class Damaged:
    """A segment with payload whose checksum was wrong: kept to recognise its good copy."""

    __slots__ = ("end", "finding", "frame", "seq", "time_ns")

    def __init__(self, seq: int, end: int, frame: int, time_ns: int, finding: Finding | None = None) -> None:
        self.seq, self.end, self.frame, self.time_ns = seq, end, frame, time_ns
        self.finding = finding
