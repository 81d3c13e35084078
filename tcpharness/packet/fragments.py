"""TCP segments that came in IP fragments, put together again (RFC 791 3.2, RFC 8200 4.5, RFC 5722).

The law of this file is that of Linux, whose receivers our captures are about:
- A fragment that brings nothing new is a copy and ignored. One that overlaps others in part, a second and
  different end, or more bytes than an IP packet can have: the whole datagram is dropped, and said to be.
- What is not complete within 30 s (IPv6: 60 s) of the capture's time is given up.
- Memory is bounded: 4 MiB of payload and 1024 datagrams; beyond, those begun longest ago are given up.

Snapped fragments count as what they were on the wire; the segment then has the bytes up to the first
that were not captured. Looked into are fragments of TCP itself: of the inner packet when it is in a
tunnel, never of the tunnel's own packets, and not behind IPv6 destination options.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from struct import pack
from typing import NamedTuple

from tcpharness.packet.checksum import ip_checksum
from tcpharness.packet.segment import Segment, decode

SECOND = 1_000_000_000
TIMEOUT_NS = {4: 30 * SECOND, 6: 60 * SECOND}  # Linux' ipfrag_time and ip6frag_time; RFC 8200 4.5: 60 s
MOST_BYTES, MOST_DATAGRAMS = 4 << 20, 1024
MOST_LEN = 0xFFFF  # of an IPv4 packet with its header, of an IPv6 packet without
TCP, RAW_IP = 6, 101

Key = tuple[bytes, bytes, int, str]  # who to whom, identification, tunnel


class Piece(NamedTuple):
    """Payload from `at` up to `end`, as it was on the wire, and what was captured of it."""

    at: int
    end: int
    captured: bytes


AT = attrgetter("at")


class Datagram:
    """Fragments of one packet, in order, none of which overlap. `conflict` says why it was dropped."""

    __slots__ = (
        "conflict",
        "first",
        "frame",
        "held",
        "pieces",
        "seen",
        "since_ns",
        "time_ns",
        "total",
        "version",
    )

    def __init__(self, segment: Segment) -> None:
        self.since_ns = segment.time_ns
        self.version = segment.version
        self.pieces: list[Piece] = []
        self.seen = self.held = 0  # bytes on the wire, captured
        self.total = -1  # bytes of payload, known with the last fragment
        self.first: Segment | None = None  # the one with the TCP header
        self.conflict = ""
        self.frame, self.time_ns = segment.frame, segment.time_ns  # which a finding is about

    def add(self, segment: Segment) -> None:
        # What a router cuts ends on eight bytes.
        length = segment.tcp_len & ~7 if segment.mf else segment.tcp_len
        if length <= 0 or self.conflict:
            return
        captured = segment.data[segment.tcp_at : min(segment.end, segment.tcp_at + length)]
        piece = Piece(segment.frag_offset, segment.frag_offset + length, captured)
        place = bisect_left(self.pieces, piece.at, key=AT)
        if self.has(piece, place):
            return
        self.conflict = self.refused(piece, place, segment)
        if self.conflict:
            self.frame, self.time_ns = segment.frame, segment.time_ns
            self.pieces, self.held = [], 0
            return
        self.pieces.insert(place, piece)
        self.seen += length
        self.held += len(captured)
        if not segment.mf:
            self.total = piece.end
        if piece.at == 0:
            self.first = copy_of(segment)
            self.frame, self.time_ns = segment.frame, segment.time_ns

    def has(self, piece: Piece, place: int) -> bool:
        around = self.pieces[max(place - 1, 0) : place + 1]
        return any(other.at <= piece.at and piece.end <= other.end for other in around)

    def refused(self, piece: Piece, place: int, segment: Segment) -> str:
        """Why a fragment can't be; empty when it can."""
        header_len = segment.ip_header_len if self.version == 4 else 0
        furthest = self.pieces[-1].end if self.pieces else 0
        if piece.end + header_len > MOST_LEN:
            return f"a fragment up to byte {piece.end} is more than an IP packet can hold"
        if any(
            other.at < piece.end and piece.at < other.end
            for other in self.pieces[max(place - 1, 0) : place + 1]
        ):
            return f"bytes {piece.at} to {piece.end} overlap another fragment in part"
        if self.total >= 0 and (piece.end > self.total or not segment.mf):
            return f"a fragment up to byte {piece.end} of a packet that ended at {self.total}"
        if not segment.mf and furthest > piece.end:
            return f"the last fragment ends at byte {piece.end}, another one at {furthest}"
        return ""

    def complete(self) -> bool:
        return self.seen == self.total

    def payload(self) -> bytes:
        """From the beginning to the first byte that was not captured."""
        found = []
        end = 0
        for piece in self.pieces:
            if piece.at != end:
                break
            found.append(piece.captured)
            end += len(piece.captured)
        return b"".join(found)

    def over(self, now_ns: int) -> bool:
        """A clock that was set back makes nothing old."""
        return now_ns - self.since_ns > TIMEOUT_NS[self.version]


class Fragments:
    """`take` every fragment of TCP; it gives the segment that the last one completes."""

    def __init__(self) -> None:
        self.waiting: dict[Key, Datagram] = {}  # in the order of their beginning
        self.held = 0
        self.given_up: list[Datagram] = []  # to be told of and forgotten

    def take(self, segment: Segment) -> Segment | None:
        key = (segment.src_bytes, segment.dst_bytes, segment.id, segment.tunnel)
        self.expire(segment.time_ns, key)
        datagram = self.waiting.get(key)
        if datagram is None:
            datagram = self.waiting[key] = Datagram(segment)
        held, conflict = datagram.held, datagram.conflict
        datagram.add(segment)
        self.held += datagram.held - held
        if datagram.conflict and not conflict:
            self.given_up.append(datagram)  # it stays, so that what else comes of it is dropped
        elif datagram.complete():
            del self.waiting[key]
            self.held -= datagram.held
            return whole(datagram, segment)
        while self.held > MOST_BYTES or len(self.waiting) > MOST_DATAGRAMS:
            self.give_up(next(iter(self.waiting)))
        return None

    def expire(self, now_ns: int, key: Key) -> None:
        """Gives up what has waited for too long: the oldest ones, and the one that is asked for."""
        if key in self.waiting and self.waiting[key].over(now_ns):
            self.give_up(key)
        while self.waiting:
            oldest = next(iter(self.waiting))
            if not self.waiting[oldest].over(now_ns):
                return
            self.give_up(oldest)

    def end(self) -> None:
        """The capture ends, and so does the wait."""
        while self.waiting:
            self.give_up(next(iter(self.waiting)))

    def give_up(self, key: Key) -> None:
        datagram = self.waiting.pop(key)
        self.held -= datagram.held
        if datagram.first is not None and not datagram.conflict:
            self.given_up.append(datagram)


def copy_of(segment: Segment) -> Segment:
    """The first fragment has to be kept, and whoever reads a capture fills one segment again and again."""
    data = segment.data[segment.ip_at : segment.end]
    kept = decode(data, RAW_IP, time_ns=segment.time_ns, frame=segment.frame, wire_len=len(data))
    kept.tunnel, kept.vlans = segment.tunnel, segment.vlans
    return kept


def whole(datagram: Datagram, last: Segment) -> Segment | None:
    """The segment, as if it had come in one packet when its last fragment did."""
    first = datagram.first
    if first is None:
        return None  # never: without the first fragment no datagram is complete
    packet = header_of(first, datagram.total) + datagram.payload()
    wire_len = first.ip_header_len + datagram.total
    found = decode(packet, RAW_IP, time_ns=last.time_ns, frame=last.frame, wire_len=wire_len)
    found.tunnel, found.vlans = first.tunnel, first.vlans
    found.pieces, found.bare = len(datagram.pieces), False
    return found


def header_of(first: Segment, total: int) -> bytes:
    """The first fragment's IP header with the whole packet's length; DF, which forbids fragments, stays."""
    head = first.data[first.ip_at : first.ip_at + first.ip_header_len]
    if first.version == 6:
        return head[:4] + pack("!HB", total, TCP) + head[7:]
    head = head[:2] + pack("!H", len(head) + total) + head[4:6] + bytes((head[6] & 0x40, 0)) + head[8:]
    cksum = ip_checksum(head) if first.ip_cksum else 0  # zero: left to the device
    return head[:10] + pack("!H", cksum) + head[12:]
