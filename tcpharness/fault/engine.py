"""when -> do, in virtual time: for every frame that reaches the middlebox, what is to be sent, and when.

The engine has no clock, no socket and no chance of its own. `frame` and `due` return what to send;
`next_deadline` says when it next cares. Everything is entered in the ledger. Entries hold crc32
digests of whole frames, so that captures can be held against it.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tcpharness.fault.craft import aim
from tcpharness.fault.edit import change, corrupt
from tcpharness.fault.flow import Direction, Flow, Place, advance, place
from tcpharness.fault.frame import Seen, see
from tcpharness.fault.ledger import Entry, Fate
from tcpharness.fault.match import Moment, means, questions_of
from tcpharness.packet.segment import ACK, SYN
from tcpharness.scenario.model import Action, Fault

HEAD = 96  # bytes of a frame kept in the ledger
HOLD_NS = 1_000_000_000  # a held frame goes on after this at the latest


@dataclass(frozen=True, slots=True, order=True)
class Send:
    """One frame to one host's port."""

    at_ns: int
    order: int
    host: str = field(compare=False)
    data: bytes = field(compare=False)


@dataclass(slots=True)
class Held:
    """A frame that waits for later ones of its direction."""

    left: int
    until_ns: int
    host: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault was done to a frame; `kills` names endpoints and signals."""

    fault: str
    kills: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Outgoing:
    """What becomes of one frame, action by action."""

    data: bytes
    copies: int = 1
    delay_ns: int = 0
    held: int = 0
    fate: Fate = "forward"
    before: list[tuple[str, bytes]] = field(default_factory=list)  # injected: (host, frame)


class Engine:
    """The decisions of one middlebox."""

    def __init__(
        self,
        faults: Sequence[Fault],
        *,
        macs: Mapping[str, bytes],  # host -> the MAC address of its interface on this link
        delay_ns: int = 0,
        templates: Mapping[tuple[str, int], bytes] | None = None,  # (fault, index of the action) -> frame
        flow_names: Mapping[tuple[bytes, int], str]
        | None = None,  # (client's address, server's port) -> endpoint
    ) -> None:
        self.entries: list[Entry] = []
        self.fired: dict[str, int] = {fault.name: 0 for fault in faults}
        self.events: list[Fired] = []  # taken by the caller
        self._faults = [(fault, questions_of(fault)) for fault in faults]
        self._macs = dict(macs)
        self._delay_ns = delay_ns
        self._templates = templates or {}
        self._flow_names = flow_names or {}
        self._flows: dict[tuple[bytes, int, bytes, int], Flow] = {}
        self._later: list[Send] = []
        self._held: dict[tuple[int, str], list[Held]] = {}  # (flow, sender) -> frames
        self._start_ns: int | None = None
        self._order = 0

    # --- asked and told by the loop

    def frame(self, now_ns: int, sender: str, receiver: str, data: bytes) -> list[Send]:
        """A frame has come from one host for another. What goes out now; the rest is due later."""
        seen = see(data) if self._faults else None
        if seen is None:
            return self._plain(now_ns, sender, receiver, data)
        if self._start_ns is None:
            self._start_ns = now_ns
        flow = self._flow(seen, sender, receiver)
        mine, other = flow.of(seen)
        where = place(mine, seen)
        moment = Moment(
            seen, flow, mine, other, where, sender, receiver, now_ns - self._start_ns, self.fired,
            self._flow_names.get((flow.key[0], flow.key[3])),
        )  # fmt: skip
        fault = next((f for f, questions in self._faults if means(f, questions, moment)), None)
        advance(flow, seen, where)
        waiting = tuple(self._held.get((id(flow), sender), ()))
        if fault is None:
            sends = self._plain(now_ns, sender, receiver, data)
        else:
            sends = self._do(now_ns, fault, moment)
        return sends + self._pass_held(now_ns, (id(flow), sender), waiting)

    def next_deadline(self) -> int | None:
        """When `due` has something to give; None: nothing waits."""
        moments = [held.until_ns for many in self._held.values() for held in many]
        if self._later:
            moments.append(self._later[0].at_ns)
        return min(moments, default=None)

    def due(self, now_ns: int) -> list[Send]:
        """What is to go out by now."""
        ready = []
        while self._later and self._later[0].at_ns <= now_ns:
            ready.append(heapq.heappop(self._later))
        for key, many in list(self._held.items()):
            ready += [self._send(now_ns, h.host, h.data) for h in many if h.until_ns <= now_ns]
            self._held[key] = [h for h in many if h.until_ns > now_ns]
        return ready

    def idle(self) -> bool:
        return self.next_deadline() is None

    def release(self, now_ns: int) -> list[Send]:
        """Everything that still waits, at once."""
        waiting = [
            *sorted(self._later),
            *(self._send(now_ns, h.host, h.data) for many in self._held.values() for h in many),
        ]
        self._later.clear()
        self._held.clear()
        return waiting

    def consume(self, now_ns: int, sender: str, data: bytes) -> None:
        """A frame after the end: noted, and gone."""
        self._enter(now_ns, "consume", None, (sender, zlib.crc32(data)), (), data)

    # --- the parts

    def _send(self, at_ns: int, host: str, data: bytes) -> Send:
        self._order += 1
        return Send(at_ns, self._order, host, data)

    def _plain(self, now_ns: int, sender: str, receiver: str, data: bytes) -> list[Send]:
        digest = zlib.crc32(data)
        self.entries.append(
            Entry(len(self.entries) + 1, now_ns, "forward", None, (sender, digest), ((receiver, digest),), data[:HEAD], len(data))
        )  # fmt: skip
        return self._put(now_ns, self._delay_ns, receiver, data)

    def _put(self, now_ns: int, delay_ns: int, host: str, data: bytes) -> list[Send]:
        send = self._send(now_ns + delay_ns, host, data)
        if delay_ns == 0:
            return [send]
        heapq.heappush(self._later, send)
        return []

    def _flow(self, seen: Seen, sender: str, receiver: str) -> Flow:
        key = (seen.src, seen.sport, seen.dst, seen.dport)
        flow = self._flows.get(key) or self._flows.get((seen.dst, seen.dport, seen.src, seen.sport))
        fresh_syn = seen.flags & (SYN | ACK) == SYN
        if flow is None or (fresh_syn and flow.state == "closed"):
            flow = Flow(Direction(sender), Direction(receiver), key)
            if not fresh_syn:
                flow.state = "syn_received" if seen.flags & SYN else "established"
            self._flows[key] = flow
        return flow

    def _pass_held(self, now_ns: int, key: tuple[int, str], waiting: Sequence[Held]) -> list[Send]:
        """A later segment of the direction has passed: those that waited have one less to wait for."""
        if not waiting:
            return []
        for held in waiting:
            held.left -= 1
        self._held[key] = [held for held in self._held[key] if held.left > 0]
        return [
            send
            for held in waiting
            if held.left <= 0
            for send in self._put(now_ns, self._delay_ns, held.host, held.data)
        ]

    def _do(self, now_ns: int, fault: Fault, moment: Moment) -> list[Send]:
        out = Outgoing(moment.seen.data)
        for index, action in enumerate(fault.do):
            ACTIONS[action.do](self, out, action, moment, (fault.name, index))
        moment.flow.fired[fault.name] = moment.flow.fired.get(fault.name, 0) + 1
        self.fired[fault.name] += 1
        kills = tuple((a.endpoint or "", a.signal) for a in fault.do if a.do == "kill")
        self.events.append(Fired(fault.name, kills))
        return self._carry_out(now_ns, fault, moment, out)

    def _carry_out(self, now_ns: int, fault: Fault, moment: Moment, out: Outgoing) -> list[Send]:
        sends: list[Send] = []
        for host, data in out.before:
            self._enter(now_ns, "inject", fault.name, None, ((host, zlib.crc32(data)),), data)
            sends += self._put(now_ns, self._delay_ns, host, data)
        digest = zlib.crc32(out.data)
        went_out = ((moment.receiver, digest),) * out.copies
        came_in = (moment.sender, zlib.crc32(moment.seen.data))
        self._enter(now_ns, out.fate, fault.name, came_in, went_out, moment.seen.data)
        if out.held and out.copies:
            held = Held(out.held, now_ns + HOLD_NS, moment.receiver, out.data)
            self._held.setdefault((id(moment.flow), moment.sender), []).append(held)
            return sends
        for _ in range(out.copies):
            sends += self._put(now_ns, self._delay_ns + out.delay_ns, moment.receiver, out.data)
        return sends

    def _enter(
        self, now_ns: int, fate: Fate, fault: str | None, came_in: tuple[str, int] | None,
        went_out: tuple[tuple[str, int], ...], data: bytes,
    ) -> None:  # fmt: skip
        self.entries.append(
            Entry(len(self.entries) + 1, now_ns, fate, fault, came_in, went_out, data[:HEAD], len(data))
        )  # fmt: skip

    def crafted(self, action: Action, moment: Moment, key: tuple[str, int]) -> tuple[str, bytes]:
        """An injected segment, and the host it goes to."""
        sender = action.sender or (moment.sender if action.receiver != moment.sender else moment.receiver)
        receiver = action.receiver or (moment.receiver if sender == moment.sender else moment.sender)
        mine, other = (moment.mine, moment.other) if sender == moment.sender else (moment.other, moment.mine)
        macs = (self._macs[sender], self._macs[receiver])
        return receiver, aim(self._templates[key], action, mine, other, macs)


Do = Callable[[Engine, Outgoing, Action, Moment, tuple[str, int]], None]


def do_drop(engine: Engine, out: Outgoing, action: Action, moment: Moment, key: tuple[str, int]) -> None:
    out.copies, out.fate = 0, "drop"


def do_delay(engine: Engine, out: Outgoing, action: Action, moment: Moment, key: tuple[str, int]) -> None:
    out.delay_ns, out.fate = out.delay_ns + action.delay_ns, "delay"


def do_duplicate(engine: Engine, out: Outgoing, action: Action, moment: Moment, key: tuple[str, int]) -> None:
    out.copies, out.fate = out.copies + action.copies, "duplicate"


def do_hold(engine: Engine, out: Outgoing, action: Action, moment: Moment, key: tuple[str, int]) -> None:
    out.held, out.fate = action.segments, "hold"


def do_corrupt(engine: Engine, out: Outgoing, action: Action, moment: Moment, key: tuple[str, int]) -> None:
    out.data = corrupt(out.data, action.what or "tcp", action.byte or 1, action.bit, action.fix)
    out.fate = "alter"


def do_set(engine: Engine, out: Outgoing, action: Action, moment: Moment, key: tuple[str, int]) -> None:
    out.data = change(out.data, action.fields, action.strip, action.fix)
    out.fate = "alter"


def do_inject(engine: Engine, out: Outgoing, action: Action, moment: Moment, key: tuple[str, int]) -> None:
    out.before.append(engine.crafted(action, moment, key))


def do_nothing(engine: Engine, out: Outgoing, action: Action, moment: Moment, key: tuple[str, int]) -> None:
    """`kill` is for the lab; the event carries it."""


ACTIONS: dict[str, Do] = {
    "drop": do_drop, "delay": do_delay, "duplicate": do_duplicate, "hold": do_hold, "corrupt": do_corrupt,
    "set": do_set, "inject": do_inject, "kill": do_nothing,
}  # fmt: skip
