"""A link's steady impairments, one direction each. Pure: frames and times in, frames and times out.

Law of this file: chance hangs on what a frame is, not on when it comes. Every draw is a keyed hash of
the seed, the link, the sending host, the flow, the byte of the stream that the frame begins with and how
often that byte has been sent before; of a frame without payload, what it acknowledges instead. So a
second run with the same seed treats the same segments in the same way, however the machine schedules.
What is no TCP is counted as it comes.

Bursts (Gilbert, Elliott) need a memory: a flow's direction has one chain that new bytes move on, and one
for frames without payload. A segment that is sent again comes a round trip later or more, when the channel
is in a burst as likely as at any time.

In order: loss, corruption, duplication, the queue before the rate, the delay with its jitter, reordering.
Jitter keeps the order of frames, as a real path does; `reorder` is there for the rest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from struct import Struct

from tcpharness.fault.flow import (
    IPV4_TCP,
    IPV4_TCP_AT,
    IPV6_TCP,
    IPV6_TCP_AT,
    IPV6_TYPE,
    PLAIN_IPV4,
    SEQ_HALF,
    SEQ_MASK,
    SHORTEST_IPV4,
    SHORTEST_IPV6,
    reverse_key,
)
from tcpharness.fault.ledger import Fate
from tcpharness.packet.segment import ACK, FIN, SYN
from tcpharness.scenario.impairment import CERTAIN, Act, Impairment

WAIT_NS = 100_000_000  # a reordered frame goes on after this, whatever has overtaken it
TCP = 6
FRAGMENTED = 0x3FFF
DRAWS = Struct("<8Q")  # loss, chain, duplicate, corrupt, bit, reorder, jitter, jitter
FRAME = Struct("<16sHqI")  # flow, what it is, place, attempt
CHAIN_STEP = 1  # places among the draws
NO_PAYLOAD, NO_TCP = 0x100, 0x200
SECOND_BITS = 1_000_000_000
PORTS_LEN = 4  # of a TCP header: a bit flipped there would make it another flow's

# Of several acts the ledger names the one that says most about where the frame went.
FATES: tuple[tuple[Act, Fate], ...] = (
    ("loss", "drop"), ("reorder", "hold"), ("duplicate", "duplicate"), ("corrupt", "alter"),
)  # fmt: skip


def fate_of(acts: Sequence[Act], *, gone: bool) -> Fate:
    """The fate that an entry with these acts has; `gone`: nothing of the frame went on."""
    return "drop" if gone else next((fate for act, fate in FATES if act in acts), "forward")


@dataclass(slots=True)
class _Stream:
    """One direction of a flow, as far as its frames are told apart by it."""

    flow: bytes
    base: int  # the first sequence number seen
    nxt: int
    position: int = 0  # of `nxt`, not wrapped
    again: dict[int, int] = field(default_factory=dict)  # where a repeated segment began -> how often
    first_ack: int | None = None  # what its first acknowledgment said
    last: tuple[int, int] = (0, -1)  # flags and acknowledgment of the last frame without payload
    repeats: int = 0  # of that one
    bad: bool = False  # in a burst: the chain of new bytes, and
    bad_bare: bool = False  # that of frames without payload


@dataclass(slots=True)
class Book:
    """The flows of a link, for all of its directions."""

    streams: dict[bytes, _Stream] = field(default_factory=dict)
    flows: dict[tuple[int, int], int] = field(default_factory=dict)  # (sending port, service) -> how many

    def stream(self, key: bytes, port: int, seq: int, syn: bool) -> _Stream:
        """That of a frame: a new one when it is not known, or a SYN begins another connection."""
        known = self.streams.get(key)
        if known is not None and not (syn and seq != known.base):
            return known
        back = self.streams.get(reverse_key(key))
        if back is not None and known is None:
            flow = back.flow
        else:  # the sender's own port is the kernel's choice, and says nothing
            service = int.from_bytes(key[-2:], "big")
            number = self.flows[port, service] = self.flows.get((port, service), 0) + 1
            flow = blake2b(f"{port} {service} {number}".encode(), digest_size=16).digest()
            self.streams.pop(reverse_key(key), None)
        made = self.streams[key] = _Stream(flow, seq, seq)
        return made


@dataclass(frozen=True, slots=True)
class Held:
    """A frame, and its copies, that others may overtake."""

    stream: object
    deadline_ns: int
    sends: tuple[tuple[int, bytes], ...]  # port, frame


@dataclass(slots=True)
class Taken:
    """What a direction has made of a frame: when each of its copies leaves, and what was done to it."""

    acts: list[Act]
    leaves: list[tuple[int, bytes]]  # time, frame
    stream: object = None
    is_reordered: bool = False


class Lane:
    """One direction: from the host at one port to all others."""

    def __init__(self, impairment: Impairment, seed: str, port: int, book: Book) -> None:
        self.impairment = impairment
        self._key = blake2b(f"{seed} {port}".encode(), digest_size=32).digest()
        self._port = port
        self._book = book
        self._others = _Stream(b"", 0, 0)  # what is no TCP
        self._free_ns = 0  # when the rate has sent all that waits
        self._waiting: deque[tuple[int, int]] = deque()  # (when it is sent, its length)
        self._waiting_bytes = 0
        self._last_ns = 0
        self._held: list[tuple[int, Held]] = []  # frames that have yet to pass

    # --- a frame

    def take(self, now_ns: int, frame: bytes) -> Taken:
        """What becomes of it."""
        impairment, taken = self.impairment, Taken([], [])
        draws, taken.stream, is_bad = self._draws(frame)
        loss = impairment.loss
        if loss is not None and _hit(draws[0], loss.bad if is_bad else loss.good):
            taken.acts.append("loss")
            return taken
        if _hit(draws[3], impairment.corrupt):
            taken.acts.append("corrupt")
            frame = _flipped(frame, draws[4])
        copies = 1
        if _hit(draws[2], impairment.duplicate):
            taken.acts.append("duplicate")
            copies = 2
        jitter_ns = self._jitter(draws[6], draws[7]) if impairment.jitter_ns else 0
        for _ in range(copies):
            if self._is_full(now_ns, len(frame)):
                taken.acts.append("queue")
                break
            taken.leaves.append((self.leave(now_ns, len(frame), jitter_ns), frame))
        if taken.leaves and _hit(draws[5], impairment.reorder):
            taken.acts.append("reorder")
            taken.is_reordered = True
        return taken

    def leave(self, now_ns: int, len_bytes: int, jitter_ns: int = 0) -> int:
        """When a frame that comes now has passed; it takes its place in the queue, full or not."""
        impairment = self.impairment
        if impairment.rate_bits:
            self._free_ns = max(now_ns, self._free_ns) + len_bytes * 8 * SECOND_BITS // impairment.rate_bits
            self._waiting.append((self._free_ns, len_bytes))
            self._waiting_bytes += len_bytes
            now_ns = self._free_ns
        self._last_ns = max(self._last_ns, now_ns + max(0, impairment.delay_ns + jitter_ns))
        return self._last_ns

    def _is_full(self, now_ns: int, len_bytes: int) -> bool:
        """Drop-tail: no room for one more."""
        if not self.impairment.rate_bits:
            return False
        while self._waiting and self._waiting[0][0] <= now_ns:
            self._waiting_bytes -= self._waiting.popleft()[1]
        most, most_bytes = self.impairment.queue_frames, self.impairment.queue_bytes
        if most is not None and len(self._waiting) >= most:
            return True
        return most_bytes is not None and self._waiting_bytes + len_bytes > most_bytes

    def _jitter(self, one: int, other: int) -> int:
        """Of one frame, around 0."""
        width_ns = self.impairment.jitter_ns
        if self.impairment.shape == "uniform":
            return one * (2 * width_ns + 1) // (1 << 64) - width_ns
        # Box and Muller: two uniform draws are one normal one.
        radius = math.sqrt(-2 * math.log((one + 1) / (1 << 64)))
        return round(radius * math.cos(2 * math.pi * other / (1 << 64)) * width_ns)

    # --- those that others overtake

    def hold(self, now_ns: int, taken: Taken, sends: Sequence[tuple[int, bytes]]) -> None:
        """Lets `overtaken_by` later frames of its flow go first."""
        held = Held(taken.stream, taken.leaves[-1][0] + WAIT_NS, tuple(sends))
        self._held.append((self.impairment.overtaken_by, held))

    def overtaken(self, stream: object) -> list[Held]:
        """One more frame of a flow is on its way; those that need not wait any longer."""
        if not self._held:
            return []
        free = [held for left, held in self._held if held.stream is stream and left <= 1]
        self._held = [
            (left - (held.stream is stream), held)
            for left, held in self._held
            if held.stream is not stream or left > 1
        ]
        return free

    def release(self, by_ns: int | None = None) -> list[Held]:
        """Those whose time is over; None: all."""
        if not self._held:
            return []
        free = [held for _, held in self._held if by_ns is None or held.deadline_ns <= by_ns]
        self._held = [each for each in self._held if each[1] not in free]
        return free

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def deadline(self) -> int | None:
        return min((held.deadline_ns for _, held in self._held), default=None)

    # --- chance

    def _draws(self, frame: bytes) -> tuple[tuple[int, ...], object, bool]:
        """Its eight draws, its stream, and whether it comes in a burst of losses."""
        found = _read(frame)
        if found is None:
            stream = self._others
            stream.position += 1
            draws = self._hash(stream, NO_TCP, stream.position, 0)
            stream.bad = self._step(stream.bad, draws)
            return draws, stream, stream.bad
        key, seq, ack, flags, length = found
        stream = self._book.stream(key, self._port, seq, flags & (SYN | ACK) == SYN)
        if stream.first_ack is None and flags & ACK:
            stream.first_ack = ack
        if not length:
            return self._bare(stream, flags, ack)
        start = stream.position + ((seq - stream.nxt + SEQ_HALF) & SEQ_MASK) - SEQ_HALF
        is_new = start >= stream.position
        if start + length > stream.position:
            stream.position, stream.nxt = start + length, (seq + length) & SEQ_MASK
        if not is_new:
            stream.again[start] = stream.again.get(start, 0) + 1
            draws = self._hash(stream, 0, start, stream.again[start])
            return draws, stream, self._any_time(draws)
        draws = self._hash(stream, 0, start, 0)
        stream.bad = self._step(stream.bad, draws)
        return draws, stream, stream.bad

    def _bare(self, stream: _Stream, flags: int, ack: int) -> tuple[tuple[int, ...], object, bool]:
        """Of a frame that takes no room in its stream: its place is that of what it acknowledges."""
        place = (ack - (stream.first_ack or 0)) & SEQ_MASK if flags & ACK else 0
        stream.repeats = stream.repeats + 1 if stream.last == (flags, place) else 0
        stream.last = (flags, place)
        draws = self._hash(stream, NO_PAYLOAD | flags, place, stream.repeats)
        stream.bad_bare = self._step(stream.bad_bare, draws)
        return draws, stream, stream.bad_bare

    def _hash(self, stream: _Stream, what: int, place: int, attempt: int) -> tuple[int, ...]:
        packed = FRAME.pack(stream.flow, what, place, attempt)
        return DRAWS.unpack(blake2b(packed, key=self._key, digest_size=DRAWS.size).digest())

    def _step(self, is_bad: bool, draws: tuple[int, ...]) -> bool:
        loss = self.impairment.loss
        if loss is None:
            return False
        moves = _hit(draws[CHAIN_STEP], loss.leave if is_bad else loss.enter)
        return is_bad != moves

    def _any_time(self, draws: tuple[int, ...]) -> bool:
        """In a burst, of a chain that has gone on for long."""
        loss = self.impairment.loss
        if loss is None or not loss.enter:
            return False
        return _hit(draws[CHAIN_STEP], CERTAIN * loss.enter // (loss.enter + loss.leave))


def _hit(draw: int, chance: int) -> bool:
    """`draw` of 64 bits, `chance` in billionths."""
    return draw * CERTAIN < chance << 64


def _read(frame: bytes) -> tuple[bytes, int, int, int, int] | None:
    """(flow's key, sequence number, acknowledgment, flags, room in the stream); None: no TCP segment."""
    if frame[12:15] == PLAIN_IPV4 and len(frame) >= SHORTEST_IPV4:
        length, fragment, proto, seq, words, flags = IPV4_TCP.unpack_from(frame, 16)
        if proto != TCP or fragment & FRAGMENTED:
            return None
        at, key, length = IPV4_TCP_AT, frame[26:38], length - 20
    elif frame[12:14] == IPV6_TYPE and len(frame) >= SHORTEST_IPV6 and frame[20] == TCP:
        length, seq, words, flags = IPV6_TCP.unpack_from(frame, 18)
        at, key = IPV6_TCP_AT, frame[22:58]
    else:
        return None
    room = length - (words >> 2 & 0x3C) + (flags >> 1 & 1) + (flags & FIN)
    ack = int.from_bytes(frame[at + 8 : at + 12], "big") if flags & ACK else 0
    return key, seq, ack, flags, max(room, 0)


def _flipped(frame: bytes, draw: int) -> bytes:
    """With one bit of its payload turned over; of a TCP header behind the ports where there is none."""
    found = _read(frame)
    if found is None:
        first, end = min(14, len(frame) - 1), len(frame)
    else:
        at = IPV4_TCP_AT if frame[12:14] != IPV6_TYPE else IPV6_TCP_AT
        ip_len = int.from_bytes(frame[16:18], "big") + 14 if at == IPV4_TCP_AT else 0
        end = min(len(frame), ip_len or int.from_bytes(frame[18:20], "big") + 54)
        first = at + (frame[at + 12] >> 4) * 4
        if first >= end:
            first = at + PORTS_LEN
    bit = draw % max(8, (end - first) * 8)
    data = bytearray(frame)
    data[first + bit // 8] ^= 1 << bit % 8
    return bytes(data)
