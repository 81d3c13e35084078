"""What the middlebox knows of each flow: as much as faults need, from the frames as their senders sent them.

A flow is two directions, keyed by the bytes that addresses and ports are in the frame itself
(contiguous in both families), so that finding a direction is one slice and one lookup.

Positions are those of the byte stream, from 0, unwrapped (RFC 9293 3.4 does not bound a stream).
The SYN is at -1, the FIN after the last byte. What happens to a frame here does not matter: a
segment that a fault drops has been sent all the same.

The state is the one that the frame itself brings about: a SYN is `syn_sent`, its SYN-ACK
`syn_received`, the ACK of that `established`, the first FIN `closing`, the ACK of the second one
and any RST `closed`.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tcpharness.packet.segment import ACK, FIN, FLAGS, OPTIONS, RST, SYN, decode_options, read_options
from tcpharness.scenario.model import State

if TYPE_CHECKING:
    from tcpharness.fault.rule import Rule

SEQ_MASK = 0xFFFFFFFF
SEQ_HALF = 0x80000000

PLAIN_IPV4 = b"\x08\x00\x45"  # ethertype, version 4, no IP options
IPV6_TYPE = b"\x86\xdd"
# From the IP header's start + 2: total length, fragment word, protocol; from TCP: seq, words, flags.
IPV4_TCP = Struct("!HxxHxB14xI4xBB")
IPV6_TCP = Struct("!H38xI4xBB")  # from the payload length
IPV4_TCP_AT, IPV6_TCP_AT = 34, 54
SHORTEST_IPV4, SHORTEST_IPV6 = 54, 74
# seq, ack, offset and reserved, flags, window
TCP_LIVE = Struct("!IIBBH")
ENDED = ("closed", "closing")


class Flow:
    """What both directions share."""

    __slots__ = ("fired", "opener", "state")

    def __init__(self) -> None:
        self.state: State = "established"  # of a flow whose handshake was not seen
        self.opener: Direction | None = None  # the direction of the first SYN
        self.fired: dict[int, int] = {}  # rule's index -> how often


class Direction:
    """One direction of a flow, or of what is no TCP: then there is no reverse, and nothing is tracked."""

    __slots__ = (
        "acked_fin", "armed", "busy", "fin_seq", "flow", "held", "isn", "key", "last", "marks", "mss", "nxt",
        "out", "port", "position", "reverse", "sack_ok", "seen", "segments", "tcp_at", "timestamps", "wscale",
    )  # fmt: skip

    def __init__(self, key: bytes, tcp_at: int, flow: Flow, port: int | None, out: int | None) -> None:
        self.key = key
        self.flow = flow
        self.tcp_at = tcp_at  # in the frames of this direction
        self.port = port  # that its frames come in from
        self.out = out  # and go out to; None: not known
        self.reverse: Direction | None = None
        self.armed: list[Rule] = []  # may still fire
        self.held = 0  # frames that wait for later ones to pass
        self.busy = True  # every frame is looked at; False: only the numbers below are kept
        self.isn: int | None = None
        self.nxt: int | None = None  # SND.NXT as on the wire; None: nothing was sent yet
        self.position = 0  # of `nxt` in the stream
        self.segments = 0  # that carried new payload
        self.marks: dict[int, int] = {}  # n -> where the nth of them begins to be new
        self.seen: dict[int, int] = {}  # rule's index -> frames that satisfied all but `nth`
        self.last = b""  # the last frame with an ACK (or the SYN): the rest is read off it when it is needed
        self.fin_seq: int | None = None  # after the FIN
        self.acked_fin = False  # the other side's FIN has been acknowledged
        self.mss: int | None = None
        self.wscale: int | None = None
        self.sack_ok = False
        self.timestamps = False

    @property
    def src(self) -> bytes:
        return self.key[: (len(self.key) - 4) // 2]

    @property
    def dst(self) -> bytes:
        return self.key[(len(self.key) - 4) // 2 : -4]

    @property
    def ports(self) -> tuple[int, int]:
        return int.from_bytes(self.key[-4:-2], "big"), int.from_bytes(self.key[-2:], "big")

    @property
    def is_tcp(self) -> bool:
        return self.tcp_at > 0

    # --- live numbers, read off the last frame

    @property
    def ack(self) -> int | None:
        """The last acknowledgment sent: RCV.NXT of this direction's sender."""
        if not self.last or not self.last[self.tcp_at + FLAGS] & ACK:
            return None
        return int(TCP_LIVE.unpack_from(self.last, self.tcp_at + 4)[1])

    @property
    def win(self) -> int:
        """The last window field sent, not scaled."""
        return int(TCP_LIVE.unpack_from(self.last, self.tcp_at + 4)[4]) if self.last else 0

    @property
    def window(self) -> int:
        """The last window in bytes (RFC 7323 2.3: scaled only when both sides have offered it)."""
        both = self.wscale is not None and self.reverse is not None and self.reverse.wscale is not None
        scales = both and not self.last[self.tcp_at + FLAGS] & SYN if self.last else False
        return self.win << min(self.wscale or 0, 14) if scales else self.win

    @property
    def tsval(self) -> int | None:
        """The last timestamp sent."""
        end = self.tcp_at + (self.last[self.tcp_at + 12] >> 4) * 4 if self.last else 0
        return decode_options(read_options(self.last[self.tcp_at + OPTIONS : end])[0]).tsval if end else None

    # --- what is told

    def disarm(self, rule: Rule) -> None:
        """This rule will not fire here again."""
        if rule in self.armed:
            self.armed.remove(rule)
        self.settle()

    def settle(self) -> None:
        """Nothing to watch for: the next plain segment takes the short way."""
        self.busy = bool(self.armed or self.held) or self.flow.state != "established"

    def open(self, seq: int, options: bytes) -> None:
        """The sender's first SYN: its numbers and what it offers. A later one changes nothing here."""
        if self.isn is not None:
            return
        offered = decode_options(read_options(options)[0])
        self.mss, self.wscale, self.sack_ok = offered.mss, offered.wscale, offered.sack_ok
        self.timestamps = offered.tsval is not None
        self.isn, self.nxt, self.position = seq, seq, -1


def reverse_key(key: bytes) -> bytes:
    """Addresses swapped, ports swapped."""
    half = (len(key) - 4) // 2
    return key[half : 2 * half] + key[:half] + key[-2:] + key[-4:-2]


def starts_anew(direction: Direction, seq: int) -> bool:
    """A SYN with this number is another connection between the same ports (RFC 9293 3.6.1)."""
    if direction.isn == seq:
        return False
    return direction.flow.state != "established" and (
        direction.isn is not None or direction.flow.state in ENDED
    )


def advance(direction: Direction, flags: int, ack: int) -> None:
    """The flow's state, after the numbers of its direction. What the table lacks changes nothing."""
    flow, reverse = direction.flow, direction.reverse
    assert reverse is not None
    if flags & RST:
        flow.state = "closed"
    elif flags & SYN:
        if not flags & ACK and flow.opener is None:
            flow.opener, flow.state = direction, "syn_sent"
        elif flow.state == "syn_sent" and flow.opener is not direction:
            flow.state = "syn_received"  # a SYN-ACK, or the second SYN of a simultaneous open
    elif flow.state == "syn_received" and flags & ACK and reverse.isn not in (None, ack):
        flow.state = "established"
    if flags & FIN and flow.state != "closed":
        flow.state = "closing"
        direction.fin_seq = direction.nxt
    if flow.state == "closing" and flags & ACK:
        direction.acked_fin = direction.acked_fin or ack == reverse.fin_seq
        if direction.acked_fin and reverse.acked_fin:
            flow.state = "closed"
