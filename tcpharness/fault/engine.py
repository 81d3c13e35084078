"""Decides what becomes of each frame of one link. Pure: frames and times in, frames out.

The caller gives every frame that a port received to `frame`, sends what comes back, asks
`next_deadline` when it next has to look, and sends what `due` gives then. Time is any clock that
does not go back, in nanoseconds.

Faults are asked in order about the frame as it came in, and those that mean it act one after the
other on what is to go out. Once one has dropped it, nothing is left for the next, which does not
fire. Most frames are named by no fault; `frame` is written for them, and reads accordingly: a plain
segment of a flow where nothing is armed any more only moves that flow's numbers on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple
from zlib import crc32

from tcpharness.fault.act import Work, act, cut
from tcpharness.fault.facts import FlowFacts
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
    TCP_LIVE,
    Direction,
    Flow,
    advance,
    reverse_key,
    starts_anew,
)
from tcpharness.fault.impair import Book, Held, Lane, fate_of
from tcpharness.fault.ledger import Entry, Ledger, Note
from tcpharness.fault.rule import Rule, Seen, make_rules
from tcpharness.packet.canary import is_canary
from tcpharness.packet.segment import ACK, FIN, RST, SYN
from tcpharness.scenario.event import Cut
from tcpharness.scenario.impairment import Impairment
from tcpharness.scenario.model import Fault

HOLD_NS = 1_000_000_000  # a held frame goes on after this, whatever has passed
MARKER = b"\x88\xb5"  # ethertype of the end marker, for local experiments (IEEE 802)

TCP = 6
FRAGMENTED = 0x3FFF  # more fragments, or an offset
HANDSHAKE_OR_END = FIN | SYN | RST

Send = tuple[int, bytes]  # port, frame
NOTHING: tuple[Send, ...] = ()


@dataclass(frozen=True, slots=True)
class Port:
    """One host of the link, as the middlebox sees it."""

    host: str
    mac: bytes
    address: bytes  # packed: what it says when a crafted segment pretends to come from it


class Fired(NamedTuple):
    """A fault has fired, on the frame that the ledger has under `number`."""

    fault: str
    kills: tuple[tuple[str, str], ...]  # (endpoint, signal)
    number: int
    digest: int
    changes: bool = False  # it changes the lab, besides


@dataclass(slots=True)
class _Held:
    direction: Direction
    left: int  # later segments that have to pass
    deadline_ns: int
    sends: list[Send]
    extra_ns: int


@dataclass(slots=True)
class Engine:
    """One link. `templates` has the crafted segment of each injecting action: (fault's name, place in `do`).

    Raises KeyError for a flow without facts or an injecting action without a template.
    """

    faults: Sequence[Fault]
    ports: Sequence[Port]
    delay_ns: int = 0
    flows: Mapping[str, FlowFacts] = field(default_factory=dict)
    templates: Mapping[tuple[str, int], Mapping[int, bytes]] = field(default_factory=dict)  # by IP version
    impairments: Mapping[str, Impairment] = field(
        default_factory=dict
    )  # by sending host; instead of delay_ns
    seed: str = ""  # of the impairments' chance
    epoch_ns: int = 0  # CLOCK_REALTIME when the caller's clock was 0
    ledger: Ledger = field(default_factory=Ledger)
    fired: dict[str, int] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    _told: list[Fired] = field(default_factory=list)
    _before: frozenset[str] = frozenset()  # faults that fired before this frame
    _start_ns: int | None = None
    _directions: dict[bytes, Direction] = field(default_factory=dict)
    _switch: dict[bytes, int] = field(default_factory=dict)
    _queue: list[tuple[int, int, int, bytes]] = field(default_factory=list)  # at, order, port, frame
    _held: list[_Held] = field(default_factory=list)
    _order: int = 0
    _marks: frozenset[int] = frozenset()
    _changing: frozenset[str] = frozenset()  # faults that change the lab
    _only_tcp: bool = True
    _seen: Seen = field(default_factory=Seen)
    _stopped: bool = False
    _cut: bool = False  # the link is down: frames are looked at, and go no further
    _lanes: tuple[Lane, ...] = ()  # by port; empty: no impairments at all

    def __post_init__(self) -> None:
        book = Book()
        if self.impairments:
            # All of them: a flow is known by who has begun it, whoever's frames are impaired.
            plain = Impairment(self.delay_ns)
            given = [self.impairments.get(port.host, plain) for port in self.ports]
            self._lanes = tuple(Lane(each, self.seed, number, book) for number, each in enumerate(given))
        self.hosts = tuple(port.host for port in self.ports)
        self._switch = {port.mac: number for number, port in enumerate(self.ports)}
        self.rules = make_rules(self.faults, self.flows)
        self.fired = {fault.name: 0 for fault in self.faults}
        self._marks = frozenset(fault.when.data for fault in self.faults if fault.when.data is not None)
        self._changing = frozenset(fault.name for fault in self.faults if fault.changes)
        self._only_tcp = all(rule.wants_tcp for rule in self.rules)
        for fault in self.faults:
            for place, action in enumerate(fault.do):
                if action.do == "inject":
                    self.templates[fault.name, place]

    # --- what the caller asks and tells

    @property
    def entries(self) -> list[Entry]:
        return self.ledger.entries(self.hosts, self.epoch_ns)

    @property
    def is_idle(self) -> bool:
        """True when no frame is on its way here."""
        return not self._queue and not self._held and not any(lane.holds for lane in self._lanes)

    def next_deadline(self) -> int | None:
        """When `due` will have something to send; None: not before another frame comes."""
        deadlines = [held.deadline_ns for held in self._held]
        for lane in self._lanes:
            if (deadline := lane.deadline()) is not None:
                deadlines.append(deadline)
        if self._queue:
            deadlines.append(self._queue[0][0])
        return min(deadlines, default=None)

    def due(self, now_ns: int) -> list[Send]:
        """What is to be sent by now, in order."""
        sends: list[Send] = []
        if self._held:
            sends = self._release([held for held in self._held if held.deadline_ns <= now_ns], now_ns)
        for lane in self._lanes:
            self._overtaken(lane.release(now_ns), now_ns)
        while self._queue and self._queue[0][0] <= now_ns:
            _, _, port, frame = heappop(self._queue)
            sends.append((port, frame))
        return sends

    def let_go(self, now_ns: int) -> list[Send]:
        """Held frames need not wait any longer: nothing is going to pass them."""
        for lane in self._lanes:
            self._overtaken(lane.release(), now_ns)
        return self._release(list(self._held), now_ns) + self.due(now_ns)

    def flush(self) -> list[Send]:
        """Everything that is on its way, now: the end."""
        sends = [(port, frame) for _, _, port, frame in sorted(self._queue)]
        for held in self._held:
            held.direction.held = 0
            sends += held.sends
        for lane in self._lanes:
            sends += [send for held in lane.release() for send in held.sends]
        self._queue.clear()
        self._held.clear()
        return sends

    def stop(self) -> None:
        """From here on frames are entered in the ledger as consumed, and go no further."""
        self._stopped = True

    def cut(self, down: bool) -> None:
        """From the next frame on nothing is carried (or again). What is on its way has passed."""
        self._cut = down

    def reach(self, fault: str) -> None:
        """A fault on another link has fired, for those here that come after it."""
        self._before |= {fault}

    @property
    def has_fired(self) -> bool:
        return bool(self._told)

    def take_fired(self) -> list[Fired]:
        """What has fired since this was last asked."""
        told, self._told = self._told, []
        return told

    # --- one frame

    def frame(  # noqa: C901  the hot path: no call that can be spared
        self, now_ns: int, port: int, data: bytes, digest: int | None = None
    ) -> Sequence[Send]:
        """What to send now for a frame that came in from `port`. `digest` as in the ledger: of what was sent
        in its place, when that was not `data`."""
        if not self.rules or self._stopped:
            return self._pass(now_ns, port, data, digest)
        if data[12:15] == PLAIN_IPV4 and len(data) >= SHORTEST_IPV4:
            length, fragment, proto, seq, words, flags = IPV4_TCP.unpack_from(data, 16)
            if proto != TCP or fragment & FRAGMENTED:
                return self._other(now_ns, port, data, digest)
            tcp_at, key = IPV4_TCP_AT, data[26:38]
            length -= 20
        elif data[12:14] == IPV6_TYPE and len(data) >= SHORTEST_IPV6 and data[20] == TCP:
            length, seq, words, flags = IPV6_TCP.unpack_from(data, 18)
            tcp_at, key = IPV6_TCP_AT, data[22:58]
        else:
            return self._other(now_ns, port, data, digest)
        header_len = words >> 2 & 0x3C
        payload_len = length - header_len
        direction = self._directions.get(key)
        if direction is None or direction.nxt is None or flags & HANDSHAKE_OR_END or payload_len < 0:
            return self._turn(now_ns, port, data, digest, tcp_at, length)
        start = direction.position + ((seq - direction.nxt + SEQ_HALF) & SEQ_MASK) - SEQ_HALF
        position = direction.position
        if payload_len and start + payload_len > position:
            direction.segments += 1
            if direction.segments in self._marks:
                direction.marks[direction.segments] = max(start, position)
            direction.position, direction.nxt = start + payload_len, (seq + payload_len) & SEQ_MASK
        if flags & ACK:
            direction.last = data
        if not direction.busy:
            return self._pass(now_ns, port, data, digest)
        if tcp_at + length > len(data) or header_len < 20:
            return self._other(now_ns, port, data, digest)
        if direction.flow.state != "established":
            self._move(direction, flags, data)
        if not direction.armed and not direction.held:
            return self._pass(now_ns, port, data, digest)
        seen = self._see(now_ns, port, data, digest, direction)
        seen.flags = flags | (words & 1) << 8
        seen.payload_at, seen.payload_len = tcp_at + header_len, payload_len
        seen.start = start
        seen.is_repeated = payload_len > 0 and start < position
        return self._judge(seen)

    def _pass(self, now_ns: int, port: int, data: bytes, digest: int | None) -> Sequence[Send]:
        """On its way, as it came."""
        if self._cut and not self._stopped and data[12:14] != MARKER:
            came_in = (port, crc32(data) if digest is None else digest)
            self.ledger.note(now_ns, data, Note("drop", (), came_in, (), ("down",)))
            return NOTHING
        if self._lanes and not self._stopped and data[12:14] != MARKER:
            return self._take(self._lanes[port], now_ns, port, data, digest)
        out = self._switch.get(data[:6])
        if out is None or out == port or digest is not None or self._stopped:
            return self._pass_oddly(now_ns, port, data, digest)
        self.ledger.passed(now_ns, port, out, crc32(data), data)
        if self.delay_ns:
            return self._later(now_ns + self.delay_ns, out, data)
        return ((out, data),)

    def _pass_oddly(self, now_ns: int, port: int, data: bytes, digest: int | None) -> Sequence[Send]:
        """To everybody, to nobody, or in another form than it came."""
        if data[12:14] == MARKER or is_canary(data):
            return NOTHING
        sends = [] if self._stopped else [(to, data) for to in self._ways(port, data)]
        came_in = (port, crc32(data) if digest is None else digest)
        went_out = tuple((to, crc32(frame)) for to, frame in sends)
        self.ledger.note(now_ns, data, Note("forward" if sends else "consume", (), came_in, went_out))
        return self._sent(now_ns, port, sends, 0)

    def _take(self, lane: Lane, now_ns: int, port: int, data: bytes, digest: int | None) -> Sequence[Send]:
        """Through what its direction of the link does to it."""
        ways = self._ways(port, data)
        taken = lane.take(now_ns, data)
        sends = [(at_ns, to, frame) for at_ns, frame in taken.leaves for to in ways]
        if not taken.acts and digest is None and len(ways) == 1:
            self.ledger.passed(now_ns, port, ways[0], crc32(data), data)
        else:
            came_in = (port, crc32(data) if digest is None else digest)
            went_out = tuple((to, crc32(frame)) for _, to, frame in sends)
            fate = fate_of(taken.acts, gone=not sends) if ways else "consume"
            self.ledger.note(now_ns, data, Note(fate, (), came_in, went_out, tuple(taken.acts)))
        if taken.is_reordered:
            lane.hold(now_ns, taken, [(to, frame) for _, to, frame in sends])
            return NOTHING
        for at_ns, to, frame in sends:
            self._later(at_ns, to, frame)
        if taken.leaves:
            self._overtaken(lane.overtaken(taken.stream), taken.leaves[-1][0])
        return self.due(now_ns)

    def _overtaken(self, free: Sequence[Held], at_ns: int) -> None:
        """Reordered frames that go on, behind the one that leaves then."""
        for held in free:
            for to, frame in held.sends:
                self._later(at_ns, to, frame)

    def _ways(self, port: int, data: bytes) -> list[int]:
        """The port of its destination, or all others when nobody here has that address."""
        out = self._switch.get(data[:6])
        if out is not None:
            return [out] if out != port else []
        return [number for number in range(len(self.ports)) if number != port]

    def _later(self, at_ns: int, port: int, data: bytes) -> tuple[Send, ...]:
        self._order += 1
        heappush(self._queue, (at_ns, self._order, port, data))
        return NOTHING

    def _sent(self, now_ns: int, port: int | None, sends: list[Send], extra_ns: int) -> Sequence[Send]:
        """Through the link's own delay; what is to go at once comes back. What a fault has named is left
        neither to chance nor to a full queue, but takes its time."""
        if self._lanes:
            lane = self._lanes[port or 0]
            for to, frame in sends:
                self._later(lane.leave(now_ns, len(frame)) + extra_ns, to, frame)
            return self.due(now_ns)
        wait_ns = self.delay_ns + extra_ns
        if not wait_ns:
            return sends
        for port, frame in sends:
            self._later(now_ns + wait_ns, port, frame)
        return NOTHING

    # --- a frame that may be meant

    def _other(self, now_ns: int, port: int, data: bytes, digest: int | None) -> Sequence[Send]:
        """What is no TCP segment, or none that can be read: a flow of its own, without numbers."""
        if self._only_tcp or data[12:14] == MARKER:
            return self._pass(now_ns, port, data, digest)
        key = _other_key(data)
        direction = self._directions.get(key) or self._meet(key, 0, port, self._switch.get(data[:6]))
        return self._judge(self._see(now_ns, port, data, digest, direction))

    def _turn(
        self, now_ns: int, port: int, data: bytes, digest: int | None, tcp_at: int, length: int
    ) -> Sequence[Send]:
        """A segment that begins or ends something, or is the first that is seen of its direction."""
        seq, _, words, flags, _ = TCP_LIVE.unpack_from(data, tcp_at + 4)
        header_len = words >> 2 & 0x3C
        payload_len = length - header_len
        if payload_len < 0 or header_len < 20 or tcp_at + length > len(data):
            return self._other(now_ns, port, data, digest)
        flags |= (words & 1) << 8
        direction = self._meant(data, tcp_at, port, seq if flags & (SYN | ACK) == SYN else None)
        if flags & SYN:
            direction.open(seq, data[tcp_at + 20 : tcp_at + header_len])
        if direction.nxt is None:
            direction.nxt = seq
        position = direction.position
        start = position + ((seq - direction.nxt + SEQ_HALF) & SEQ_MASK) - SEQ_HALF
        syn, fin = flags >> 1 & 1, flags & 1
        end = start + syn + payload_len + fin
        # A SYN inside a connection (RFC 5961 section 4) says nothing about what has been sent.
        stray = flags & (RST | SYN) and not (flags & SYN and seq == direction.isn)
        if end > position and not stray:
            if payload_len and end - fin > position:
                self._count_new(direction, max(start + syn, position))
            direction.position, direction.nxt = end, (seq + end - start) & SEQ_MASK
        if not direction.last or (flags & ACK and not flags & RST):
            direction.last = data
        self._move(direction, flags, data)
        seen = self._see(now_ns, port, data, digest, direction)
        seen.flags, seen.payload_at, seen.payload_len = flags, tcp_at + header_len, payload_len
        seen.start = start + syn
        seen.is_repeated = end > start and start < position
        return self._judge(seen)

    def _meant(self, data: bytes, tcp_at: int, port: int, syn: int | None) -> Direction:
        """The direction of this segment; of a new flow when there is none, or a SYN begins another."""
        key = data[26:38] if tcp_at == IPV4_TCP_AT else data[22:58]
        direction, out = self._directions.get(key), self._switch.get(data[:6])
        if direction is None or (syn is not None and starts_anew(direction, syn)):
            return self._meet(key, tcp_at, port, out)
        if direction.port is None:
            direction.port, direction.out = port, out
            self._arm(direction)
        return direction

    def _meet(self, key: bytes, tcp_at: int, port: int, out: int | None) -> Direction:
        """A new flow; of its other direction only the name is known."""
        flow = Flow()
        direction = self._directions[key] = Direction(key, tcp_at, flow, port, out)
        if tcp_at:
            back = reverse_key(key)
            reverse = self._directions[back] = Direction(back, tcp_at, flow, None, None)
            direction.reverse, reverse.reverse = reverse, direction
        self._arm(direction)
        return direction

    def _arm(self, direction: Direction) -> None:
        spent = direction.flow.fired
        direction.armed = [
            rule
            for rule in self.rules
            if rule.fits(direction, self.hosts) and not rule.is_spent(spent.get(rule.index, 0))
        ]
        direction.settle()

    def _count_new(self, direction: Direction, position: int) -> None:
        direction.segments += 1
        if direction.segments in self._marks:
            direction.marks[direction.segments] = position

    def _move(self, direction: Direction, flags: int, data: bytes) -> None:
        """The flow's state, after the direction's own numbers."""
        ack = int.from_bytes(data[direction.tcp_at + 8 : direction.tcp_at + 12], "big")
        state = direction.flow.state
        advance(direction, flags, ack)
        if direction.flow.state != state and direction.reverse is not None:
            direction.settle()
            direction.reverse.settle()

    def _see(self, now_ns: int, port: int, data: bytes, digest: int | None, direction: Direction) -> Seen:
        """The frame under question: one object, over and over."""
        if self._start_ns is None:
            self._start_ns = now_ns
        seen = self._seen
        seen.now_ns, seen.since_ns = now_ns, now_ns - self._start_ns
        seen.data, seen.port, seen.direction = data, port, direction
        seen.digest, seen.fired = digest, self._before
        seen.flags = seen.payload_at = seen.payload_len = seen.start = 0
        seen.is_repeated = False
        seen.decoded = None
        return seen

    # --- what the faults do

    def _judge(self, seen: Seen) -> Sequence[Send]:
        direction = seen.direction
        meant = [rule for rule in tuple(direction.armed) if rule.means(seen)]
        if not meant and not direction.held:
            return self._pass(seen.now_ns, seen.port, seen.data, seen.digest)
        seen.out = self._switch.get(seen.data[:6])
        ways = self._ways(seen.port, seen.data)
        work = Work([(out, seen.data) for out in ways])
        is_cut = self._cut
        for rule in meant:
            self._fire(rule, seen, work)
        cut(seen, work)
        return self._carry_out(seen, work, is_cut)

    def _fire(self, rule: Rule, seen: Seen, work: Work) -> None:
        if work.is_dropped:
            return
        work.faults.append((rule.name, act(rule.fault, seen, work, self.ports, self.templates)))
        rule.fire(seen.direction)
        self.fired[rule.name] += 1
        self._before |= {rule.name}
        for change in rule.fault.changes:
            if isinstance(change, Cut) and change.link == rule.fault.link:
                self.cut(change.down)

    def _carry_out(self, seen: Seen, work: Work, is_cut: bool) -> Sequence[Send]:
        """Into the ledger and on the way: injected segments first, then the frame, then whom it released."""
        now_ns, direction = seen.now_ns, seen.direction
        sends: list[Send] = []
        for fault, out, frame in work.injected:
            self.ledger.note(now_ns, frame, Note("inject", (fault,), None, ((out, crc32(frame)),)))
            sends.append((out, frame))
        sends = [
            send
            for out, frame in sends
            for send in self._sent(now_ns, self._switch.get(frame[6:12], seen.port), [(out, frame)], 0)
        ]
        if is_cut:
            work.sends, work.hold = [], 0
            work.note("drop")
        went_out = tuple((out, crc32(frame)) for out, frame in work.sends)
        digest = crc32(seen.data) if seen.digest is None else seen.digest
        came_in = (seen.port, digest)
        fate = work.fate if work.sends or work.is_dropped else "consume"
        names = tuple(name for name, _ in work.faults)
        self.ledger.note(now_ns, seen.data, Note(fate, names, came_in, went_out, ("down",) if is_cut else ()))
        number = len(self.ledger)
        self._told += [
            Fired(name, kills, number, digest, name in self._changing) for name, kills in work.faults
        ]
        if work.hold:
            deadline_ns = now_ns + HOLD_NS
            self._held.append(_Held(direction, work.hold, deadline_ns, work.sends, work.extra_ns))
            direction.held += 1
            direction.settle()
            return sends
        sends += self._sent(now_ns, seen.port, work.sends, work.extra_ns)
        if direction.held and work.sends:
            sends += self._passed(direction, now_ns)
        return sends

    def _passed(self, direction: Direction, now_ns: int) -> list[Send]:
        """One more has gone by those that are held; what that lets go at once."""
        free: list[_Held] = []
        for held in self._held:
            if held.direction is direction:
                held.left -= 1
                if not held.left:
                    free.append(held)
        return self._release(free, now_ns)

    def _release(self, free: list[_Held], now_ns: int) -> list[Send]:
        """Puts them on the way; those without any delay come back, unless only `due` will ask for them."""
        sends: list[Send] = []
        for held in free:
            self._held.remove(held)
            held.direction.held -= 1
            held.direction.settle()
            sends += self._sent(now_ns, held.direction.port, held.sends, held.extra_ns)
        return sends


def _other_key(data: bytes) -> bytes:
    """Ethertype, protocol and addresses; of a length that no TCP flow's key has."""
    if data[12:14] == b"\x08\x00" and len(data) >= 34:
        return data[12:14] + data[23:24] + data[26:34]
    if data[12:14] == IPV6_TYPE and len(data) >= SHORTEST_IPV6 - 20:
        return data[12:14] + data[20:21] + data[22:54]
    return data[:14]
