"""One side of a scripted conversation: its numbers, and its segments as bytes.

It keeps what RFC 9293 3.3.1 calls SND.NXT, IRS and RCV.NXT, to fill in what a line leaves out, and
nothing else: a script may send what no TCP would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.icmp import icmp_error
from tcpharness.packet.line import Line
from tcpharness.packet.notation import Extra, Isn, made_payload
from tcpharness.packet.segment import ACK, SEQ_SPACE, SYN, TIMESTAMP, Segment, seq_diff, seq_le

LARGEST_WIN = 65535
ETHERNET_LEN = 14


class Side(NamedTuple):
    address: str
    port: int


@dataclass(slots=True)
class Numbers:
    """Of one conversation. `isn` is the script's own initial sequence number."""

    own: Side
    remote: Side
    isn: int
    nxt: int | None = None  # SND.NXT; None: nothing was sent
    peer_isn: int | None = None  # IRS
    peer_nxt: int | None = None  # RCV.NXT
    win: int = LARGEST_WIN  # as sent last
    tsval: int = 0  # as the other side sent it last
    last: bytes = field(default=b"", repr=False)  # the packet that came last, from its IP header on

    @property
    def outgoing(self) -> Isn:
        """What the numbers of our segments are relative to."""
        return Isn(self.isn, self.peer_isn or 0)

    def incoming(self, segment: Segment) -> Isn:
        """Those of a segment that came. A SYN says itself where its side begins."""
        return Isn(segment.seq if segment.flags & SYN else self.peer_isn or 0, self.isn)

    def see(self, segment: Segment) -> None:
        """A segment was taken."""
        self.last = segment.data[segment.ip_at : segment.end]
        if segment.flags & SYN and segment.seq != self.peer_isn:
            self.peer_isn, self.peer_nxt = segment.seq, segment.seq
        for kind, value in segment.options:
            if kind == TIMESTAMP and len(value) == 8:
                self.tsval = int.from_bytes(value[:4], "big")
        nxt = self.peer_nxt
        if nxt is not None and seq_le(segment.seq, nxt) and seq_diff(segment.next_seq, nxt) > 0:
            self.peer_nxt = segment.next_seq

    def write(self, line: Line) -> bytes:
        """The frame that a line means now; the Ethernet addresses are the sender's business.

        ValueError: it acknowledges, or answers, what has not come.
        """
        if line.icmp is not None:
            if not self.last:
                raise ValueError("an ICMP error about a segment, and none has come")
            packet = icmp_error(line.icmp, self.own.address, self.remote.address, self.last, line.mtu)
            ethertype = b"\x86\xdd" if ":" in self.own.address else b"\x08\x00"
            return bytes(ETHERNET_LEN - 2) + ethertype + packet
        frame = self._frame(line)
        end = (frame.seq + len(frame.payload) + line.occupies) % SEQ_SPACE
        if self.nxt is None or seq_diff(end, self.nxt) > 0:
            self.nxt = end
        self.win = frame.win
        return encode(frame)

    def _frame(self, line: Line) -> Frame:
        following = self.isn if self.nxt is None else self.nxt
        seq = following if line.seq is None else line.seq.absolute(self.isn)
        payload = line.payload
        if payload is None:
            payload = made_payload((seq - self.isn) % SEQ_SPACE, line.length or 0)
        frame = Frame(
            src=self.own.address, sport=self.own.port, dst=self.remote.address, dport=self.remote.port,
            seq=seq, ack=self._ack(line), flags=line.flags, payload=payload,
            win=self.win if line.win is None else line.win, urg=line.urg or 0,
            options=b"".join(o.encode(self.outgoing, self.tsval) for o in line.options or ()),
        )  # fmt: skip
        extra = Extra(frame)
        for word in line.extra:
            extra.take(word)
        return frame

    def _ack(self, line: Line) -> int:
        if line.ack is None and not line.flags & ACK:
            return 0
        number = line.ack
        if number is not None and number.on_wire:
            return number.value
        if self.peer_isn is None or self.peer_nxt is None:
            raise ValueError("an ACK of a connection that the other side has not opened")
        return self.peer_nxt if number is None else number.absolute(self.peer_isn)
