"""What the captures at a host hold of its own TCP: counted as its kernel counts, from the frames alone.

Direction by direction, in the order of the captures. A segment has been sent again when it occupies
sequence numbers and ends at or before the highest that its side has sent (RFC 9293 3.4: SND.NXT),
which is the kernel's own test. Linux sends keep-alives and window probes without payload, so those
are sent once, each. A SYN with another number begins another connection between the same ports.

What can't be counted without knowing the sender's mind (fragments, broken headers, a simultaneous
open, data on a SYN) is counted as odd: with oddities a comparison is shown, not relied on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tcpharness.packet.address import address_bytes
from tcpharness.packet.checksum import ip_verdict, verdict
from tcpharness.packet.segment import ACK, RST, SYN, Segment, read_frame, seq_diff

ETHERNET = 1
TCP = 6
KEPT = 8  # frames kept of each sort, to be shown
Key = tuple[int, int, int, int, int, int]


@dataclass(slots=True)
class Tally:
    """Segments of one host, as its captures show them."""

    sent: int = 0
    sent_again: int = 0
    syn_again: int = 0  # of those: SYNs without ACK
    syn_ack_again: int = 0  # and SYN-ACKs
    resets_sent: int = 0
    closed: int = 0  # windows that went from open to zero, in segments that are no resets
    closed_by_reset: int = 0
    received: int = 0
    received_bad: int = 0  # of those: with a TCP checksum that is none
    resets: int = 0  # sent, or on their way to it, odd ones too
    odd_sent: int = 0
    odd_received: int = 0
    shown: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)  # the first few of each sort

    def show(self, sort: str, time_ns: int, frame: bytes) -> None:
        kept = self.shown.setdefault(sort, [])
        if len(kept) < KEPT:
            kept.append((time_ns, frame))


@dataclass(slots=True)
class _Direction:
    """One direction of a connection: the first number, the highest that was sent, the last window."""

    isn: int
    top: int
    asked: bool = False  # it began with a SYN of its own
    is_open: bool = True  # the window that it offers


class Tallier:
    """Counts for one host: `own` are its addresses, `known` everybody's in the lab."""

    def __init__(self, own: Collection[str], known: Collection[str]) -> None:
        self.tally = Tally()
        self._own = {address_bytes(a) for a in own}
        self._known = {address_bytes(a) for a in known} - self._own
        self._directions: dict[Key, _Direction] = {}
        self._segment = Segment()

    def count(self, frames: Iterable[tuple[int, bytes]], macs: Collection[bytes]) -> Tally:
        """All frames of the host's interfaces, in the order of their times; `macs` are the interfaces'."""
        s = self._segment
        for time_ns, frame in frames:
            s.wire_len = len(frame)
            read_frame(s, frame, 0, len(frame), ETHERNET)
            if not s.is_tcp and s.proto != TCP:
                continue
            if frame[6:12] in macs:
                self._leaving(s, time_ns, frame)
            elif frame[:6] in macs:
                self._arriving(s, time_ns, frame)
        return self.tally

    # --- what it sent

    def _leaving(self, s: Segment, time_ns: int, frame: bytes) -> None:
        if s.src_bytes not in self._own:
            return  # passed on by a router
        tally = self.tally
        self._reset(s, time_ns, frame)
        direction = self._direction(s)
        both_asked = direction.asked and s.flags & (SYN | ACK) == SYN | ACK
        if is_odd(s) or both_asked or (s.flags & SYN and s.payload_len):
            tally.odd_sent += 1
            return
        tally.sent += 1
        if s.flags & RST:
            tally.resets_sent += 1
            tally.show("resets_sent", time_ns, frame)
        end = s.next_seq
        if end != s.seq:  # a reset that answers an ACK takes its number, whatever was sent (RFC 9293 3.5.2)
            if seq_diff(end, direction.top) > 0:
                direction.top = end
            else:
                self._again(s, time_ns, frame)
        self._window(s, direction, time_ns)

    def _direction(self, s: Segment) -> _Direction:
        key = (s.src_high, s.src_low, s.dst_high, s.dst_low, s.sport, s.dport)
        direction = self._directions.get(key)
        if direction is None or (s.flags & SYN and s.seq != direction.isn):
            asked = s.flags & (SYN | ACK) == SYN
            direction = self._directions[key] = _Direction(s.seq, s.seq, asked)
        return direction

    def _again(self, s: Segment, time_ns: int, frame: bytes) -> None:
        self.tally.sent_again += 1
        if s.flags & SYN:
            if s.flags & ACK:
                self.tally.syn_ack_again += 1
            else:
                self.tally.syn_again += 1
        self.tally.show("sent_again", time_ns, frame)

    def _window(self, s: Segment, direction: _Direction, time_ns: int) -> None:
        """A reset that no socket sent has no window to speak of, so those are counted apart."""
        if s.flags & RST:
            self.tally.closed_by_reset += direction.is_open and not s.win
            return
        if direction.is_open and not s.win:
            self.tally.closed += 1
            self.tally.show("closed", time_ns, s.data)
        direction.is_open = s.win > 0

    def _reset(self, s: Segment, time_ns: int, frame: bytes) -> None:
        if s.flags & RST:
            self.tally.resets += 1
            self.tally.show("resets", time_ns, frame)

    # --- what reached it

    def _arriving(self, s: Segment, time_ns: int, frame: bytes) -> None:
        if s.dst_bytes not in self._own:
            return  # a router's to pass on
        self._reset(s, time_ns, frame)
        if is_odd(s) or s.src_bytes not in self._known or ip_verdict(s).word == "incorrect":
            self.tally.odd_received += 1
            return
        self.tally.received += 1
        if verdict(s).word != "correct":
            self.tally.received_bad += 1
            self.tally.show("received_bad", time_ns, frame)


def is_odd(s: Segment) -> bool:
    """No plain TCP segment: what a kernel makes of it is not for us to say."""
    return not s.is_tcp or s.malformed is not None or s.mf or s.frag_offset > 0 or bool(s.ip_options)
