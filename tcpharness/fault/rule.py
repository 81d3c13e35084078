"""`when`: which frames a fault means.

A fault becomes a rule: the keys that its `when` gives, each made into one question about a frame.
Questions that cost more come later, and `nth` last, because it counts what satisfies all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tcpharness.fault import alter
from tcpharness.fault.alter import Layout, has_room
from tcpharness.fault.cut import can_be_cut
from tcpharness.fault.facts import FlowFacts
from tcpharness.fault.flow import Direction
from tcpharness.packet.segment import Segment, decode, flags_value
from tcpharness.scenario.model import Action, Fault, Match

# Keys that only a TCP segment can satisfy, and actions that only one can undergo.
TCP_KEYS = ("flow", "flags", "flags_has", "data", "byte", "contains", "retransmitted", "payload_len", "state")
TCP_FIELDS = {*alter.TCP_FIELDS, *alter.OPTION_FIELDS, "flags", "offset", "reserved"}
TCP_ACTIONS = ("corrupt", "set", "inject")


class Seen:
    """One frame under question, and what its flow says of it. Filled anew for each frame."""

    __slots__ = (
        "data", "decoded", "digest", "direction", "fired", "flags", "is_repeated", "now_ns", "out",
        "payload_at", "payload_len", "port", "since_ns", "start",
    )  # fmt: skip

    data: bytes
    now_ns: int
    since_ns: int  # the traffic's start
    port: int
    out: int | None  # for those that act; None: no port has its destination
    direction: Direction
    fired: frozenset[str]  # faults, before this frame
    digest: int | None  # of what the host sent, when that was something else
    flags: int
    payload_at: int
    payload_len: int
    start: int  # position of its first payload byte in the stream
    is_repeated: bool  # it carries something that was sent before
    decoded: Segment | None

    @property
    def end(self) -> int:
        return self.payload_at + self.payload_len

    @property
    def layout(self) -> Layout:
        return self.layout_of(self.data)

    def layout_of(self, frame: bytes) -> Layout:
        """Of what this frame has been made into: options may have been added, the payload is the same."""
        version, grown = (4 if len(self.direction.src) == 4 else 6), len(frame) - len(self.data)
        return Layout(version, self.direction.tcp_at, self.payload_at + grown, self.end + grown)

    @property
    def segment(self) -> Segment:
        """All of it, when somebody asks for a field that is not kept here."""
        if self.decoded is None:
            self.decoded = decode(self.data)
        return self.decoded


Question = Callable[[Seen], bool]


class Rule:
    """A fault, ready to be asked. `fits` is asked once per direction, `means` for each frame."""

    def __init__(self, index: int, fault: Fault, facts: FlowFacts | None) -> None:
        self.index = index
        self.fault = fault
        self.name = fault.name
        self.wants_tcp = _wants_tcp(fault)
        self._facts = facts
        self._questions = tuple(_questions(fault))

    def fits(self, direction: Direction, hosts: Sequence[str]) -> bool:
        """What no later frame of this direction can change."""
        when = self.fault.when
        if self.wants_tcp and not direction.is_tcp:
            return False
        if when.sender is not None and hosts[direction.port or 0] != when.sender:
            return False
        if when.receiver is not None and (direction.out is None or hosts[direction.out] != when.receiver):
            return False
        if not all(_can(action, direction) for action in self.fault.do):
            return False
        return self._facts is None or self._facts.fit(direction)

    def is_spent(self, fired: int) -> bool:
        """It has fired this often for a flow, and will not again."""
        times = self.fault.when.times
        return times is not None and fired >= times

    def means(self, seen: Seen) -> bool:
        """True when this is the frame. Counts it for `nth`."""
        for question in self._questions:
            if not question(seen):
                return False
        nth = self.fault.when.nth
        if nth is None:
            return True
        count = seen.direction.seen[self.index] = seen.direction.seen.get(self.index, 0) + 1
        if count >= nth:
            seen.direction.disarm(self)
        return count == nth

    def fire(self, direction: Direction) -> None:
        """Counts it for `times`."""
        fired = direction.flow.fired
        fired[self.index] = fired.get(self.index, 0) + 1
        if self.is_spent(fired[self.index]):
            for each in (direction, direction.reverse):
                if each is not None:
                    each.disarm(self)


def make_rules(faults: Sequence[Fault], flows: Mapping[str, FlowFacts]) -> tuple[Rule, ...]:
    """Raises KeyError when a fault names a flow without facts."""
    return tuple(
        Rule(index, fault, None if fault.when.flow is None else flows[fault.when.flow])
        for index, fault in enumerate(faults)
    )


def _wants_tcp(fault: Fault) -> bool:
    return (
        any(getattr(fault.when, key) is not None for key in TCP_KEYS)
        or not TCP_FIELDS.isdisjoint(fault.when.fields.given())
        or any(action.do in TCP_ACTIONS for action in fault.do)
    )


IPV4_ONLY = frozenset(("id", "df", "ip_cksum"))


def _can(action: Action, direction: Direction) -> bool:
    """False when there is nothing to do it to: an IPv6 header has no checksum and no id (RFC 8200 3)."""
    if len(direction.src) != 16:
        return True
    if action.do == "set":
        return bool(action.strip) or not action.fields.given().keys() <= IPV4_ONLY
    return not (action.do == "corrupt" and action.what == "ip")


# --- the questions, each from what `when` says


def _after(name: str) -> Question:
    return lambda seen: name in seen.fired


def _time(time_ns: int) -> Question:
    return lambda seen: seen.since_ns >= time_ns


def _state(state: str) -> Question:
    return lambda seen: seen.direction.flow.state == state


def _flags(text: str) -> Question:
    flags = flags_value(text)
    return lambda seen: seen.flags == flags


def _flags_has(text: str) -> Question:
    flags = flags_value(text)
    return lambda seen: seen.flags & flags == flags


def _data(number: int) -> Question:
    return lambda seen: _carries(seen, seen.direction.marks.get(number, -1))


def _byte(number: int) -> Question:
    return lambda seen: _carries(seen, number - 1)


def _carries(seen: Seen, position: int) -> bool:
    return seen.start <= position < seen.start + seen.payload_len


def _retransmitted(wanted: bool) -> Question:
    return lambda seen: seen.is_repeated == wanted


def _contains(text: bytes) -> Question:
    return lambda seen: seen.data.find(text, seen.payload_at, seen.end) >= 0


# In the order of what an answer costs. A frame that is no TCP segment never meets those that need one.
ASKED: tuple[tuple[str, Callable[..., Question]], ...] = (
    ("after", _after),
    ("time_ns", _time),
    ("state", _state),
    ("flags", _flags),
    ("flags_has", _flags_has),
    ("retransmitted", _retransmitted),
    ("data", _data),
    ("byte", _byte),
    ("payload_len", lambda count: lambda seen: count.holds(seen.payload_len)),
    ("contains", _contains),
)


def _questions(fault: Fault) -> Iterator[Question]:
    when = fault.when
    for key, ask in ASKED:
        value = getattr(when, key)
        if value is not None:
            yield ask(value)
    if when.endpoint is not None:
        yield _after(f"{when.endpoint} {when.endpoint_state}")
    yield from _fields(when)
    for action in fault.do:
        # Without that byte there is nothing to corrupt, and the fault means a later frame.
        if action.do == "corrupt" and action.what == "payload":
            yield _is_as_long(action.byte or 1)
        if action.do == "set":
            yield _has_room(action)
        if action.do in ("split", "fragment"):
            yield _can_be_cut(action)


def _fields(when: Match) -> Iterator[Question]:
    """Header fields: a segment that cannot be read as such has none of the values."""
    given = tuple((name, value) for name, value in when.fields.given().items() if name != "flags")
    if given:
        yield lambda seen: all(getattr(seen.segment, name) == value for name, value in given)


def _has_room(action: Action) -> Question:
    return lambda seen: has_room(seen.data, seen.layout, action)


def _can_be_cut(action: Action) -> Question:
    return lambda seen: can_be_cut(seen.data, seen.layout, action)


def _is_as_long(byte: int) -> Question:
    return lambda seen: seen.payload_len >= byte
