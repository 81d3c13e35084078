"""Does a fault mean this frame? One small question per key of `when`; all must say yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tcpharness.fault.flow import Direction, Flow, Place
from tcpharness.fault.frame import Seen, option
from tcpharness.packet.segment import flags_value
from tcpharness.scenario.model import Fault, Match


@dataclass(slots=True)
class Moment:
    """All that a match may ask about."""

    seen: Seen
    flow: Flow
    mine: Direction
    other: Direction
    where: Place
    sender: str  # host
    receiver: str
    elapsed_ns: int  # since the first frame
    fired: dict[str, int]  # over all flows
    flow_name: str | None  # the connect endpoint it belongs to


Question = Callable[[Match, Moment], bool]


def carries(start: int | None, moment: Moment) -> bool:
    """This segment holds the payload byte at that stream position."""
    return start is not None and moment.where.start <= start < moment.where.start + moment.seen.payload_len


def is_data(match: Match, m: Moment) -> bool:
    if m.where.number == match.data:
        return True
    assert match.data is not None
    return carries(m.mine.starts.get(match.data), m)


def flags_are(match: Match, m: Moment) -> bool:
    return m.seen.flags == flags_value(match.flags or "")


def flags_have(match: Match, m: Moment) -> bool:
    wanted = flags_value(match.flags_has or "")
    return m.seen.flags & wanted == wanted


def fields_fit(match: Match, m: Moment) -> bool:
    return all(field_of(name, m.seen) == value for name, value in match.fields.given().items())


QUESTIONS: tuple[tuple[str, Question], ...] = (
    ("sender", lambda match, m: m.sender == match.sender),
    ("receiver", lambda match, m: m.receiver == match.receiver),
    ("flow", lambda match, m: m.flow_name == match.flow),
    ("flags", flags_are),
    ("flags_has", flags_have),
    ("payload_len", lambda match, m: bool(match.payload_len and match.payload_len.holds(m.seen.payload_len))),
    ("data", is_data),
    ("byte", lambda match, m: carries((match.byte or 0) - 1, m)),
    ("contains", lambda match, m: (match.contains or b"") in m.seen.body),
    ("retransmitted", lambda match, m: m.where.again == match.retransmitted),
    ("after", lambda match, m: m.fired.get(match.after or "", 0) > 0),
    ("time_ns", lambda match, m: m.elapsed_ns >= (match.time_ns or 0)),
    ("state", lambda match, m: m.flow.state == match.state),
)


def questions_of(fault: Fault) -> tuple[Question, ...]:
    """Only those that the scenario asks."""
    asked = tuple(q for name, q in QUESTIONS if getattr(fault.when, name) is not None)
    return (*asked, fields_fit) if fault.when.fields.given() else asked


def means(fault: Fault, questions: tuple[Question, ...], m: Moment) -> bool:
    """True when the fault is to be done to this frame now; counts for `nth`."""
    times = fault.when.times
    if times is not None and m.flow.fired.get(fault.name, 0) >= times:
        return False
    if not all(question(fault.when, m) for question in questions):
        return False
    if fault.when.nth is None:
        return True
    key = (fault.name, m.sender)
    m.flow.counts[key] = m.flow.counts.get(key, 0) + 1
    return m.flow.counts[key] >= fault.when.nth


# --- header fields -----------------------------------------------------------------------------


def field_of(name: str, seen: Seen) -> int | str | bool | None:
    """A header field or option by its one spelling; None when the segment has none of it."""
    return FIELDS[name](seen)


def number(options: bytes, kind: int, start: int, end: int) -> int | None:
    value = option(options, kind)
    return int.from_bytes(value[start:end], "big") if value is not None and len(value) >= end else None


def two(seen: Seen, at: int) -> int:
    return seen.data[at] << 8 | seen.data[at + 1]


FIELDS: dict[str, Callable[[Seen], int | str | bool | None]] = {
    "sport": lambda s: s.sport, "dport": lambda s: s.dport, "seq": lambda s: s.seq, "ack": lambda s: s.ack,
    "win": lambda s: s.win, "urg": lambda s: two(s, s.tcp + 18), "cksum": lambda s: two(s, s.tcp + 16),
    "offset": lambda s: s.data[s.tcp + 12] >> 4, "reserved": lambda s: s.data[s.tcp + 12] >> 1 & 7,
    "mss": lambda s: number(s.options, 2, 0, 2), "wscale": lambda s: number(s.options, 3, 0, 1),
    "sack_ok": lambda s: option(s.options, 4) is not None,
    "tsval": lambda s: number(s.options, 8, 0, 4), "tsecr": lambda s: number(s.options, 8, 4, 8),
    "ttl": lambda s: s.data[s.ip + (8 if s.version == 4 else 7)],
    "tos": lambda s: s.data[s.ip + 1] if s.version == 4 else (s.data[s.ip] & 15) << 4 | s.data[s.ip + 1] >> 4,
    "id": lambda s: two(s, s.ip + 4) if s.version == 4 else None,
    "df": lambda s: bool(s.data[s.ip + 6] & 0x40) if s.version == 4 else None,
    "ip_cksum": lambda s: two(s, s.ip + 10) if s.version == 4 else None,
    "ip_len": lambda s: two(s, s.ip + (2 if s.version == 4 else 4)),
    "flags": lambda s: None,
}  # fmt: skip
