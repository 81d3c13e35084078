"""The keys of `expect.sockets` and `expect.ports`: what `ss -i` and `ss -ltnp` would show."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario import quantity as q
from tcpharness.scenario.compound import ByKind, Fields, Key, ListOf, Made, MapOf, Table
from tcpharness.scenario.fault_keys import COUNT
from tcpharness.scenario.model import Count, HostPorts, Place, PortExpect, SocketExpect
from tcpharness.scenario.network_keys import HOST
from tcpharness.scenario.shape import (
    TEXT,
    Named,
    Scope,
    Shape,
    Unknown,
    choice,
    integer,
    pattern,
    quantity,
    reference,
)
from tcpharness.scenario.socket_fields import FIELDS, STATES, TIMERS, Unit
from tcpharness.scenario.yaml_tree import Node

SIZE_COUNT = quantity(q.size_count, q.SIZE, r"^[0-9. ]*((B|kB|KiB|MB|MiB|GiB)[0-9. ]*)*$")
TIME_COUNT = quantity(q.time_count, q.TIME, r"^[0-9. ]*((ns|us|ms|s|m)[0-9. ]*)*$")
RATE_COUNT = quantity(q.rate_count, q.RATE, r"^[0-9. ]*((bit|kbit|mbit|gbit)[0-9. ]*)*$")
BY_UNIT: dict[Unit, Shape] = {"count": COUNT, "size": SIZE_COUNT, "time": TIME_COUNT, "rate": RATE_COUNT}
AT_LEAST_ONE = Count(1, None, "1..")
CHOOSING = ("at", "after", "state", "endpoint", "port", "program", "congestion", "timer", "count")


def _socket(fields: Fields) -> Any:
    if "at" in fields and "after" in fields:
        return fields.wrong("after", "one moment is enough; expected at, or after")
    values = {name: value for name, value in fields.values.items() if name not in CHOOSING}
    if not values and "count" not in fields and "state" not in fields:
        wish = "expected count, state, or one of the socket's values, such as total_retrans"
        return fields.scope.wrong(fields.at, f"it asks for nothing; {wish}")
    given = fields.only(*(name for name in CHOOSING if name != "count"))
    return SocketExpect(
        at=fields.at,
        moment=given.pop("at", None),
        count=fields.get("count", AT_LEAST_ONE),
        values=tuple(values.items()),
        **given,
    )


SOCKET_KEYS: dict[str, Key] = {
    "at": Key(
        choice("end", "any"),
        "end: when all has come to rest. any: at one moment or another (default: the last known of each).",
    ),
    "after": Key(reference("fault"), "The first look at each socket after this fault had fired."),
    "state": Key(choice(*STATES), "Only in this state; without at and after: the last look at each in it."),
    "endpoint": Key(reference("endpoint"), "Only this endpoint's sockets."),
    "port": Key(integer(1, 65535, "a port"), "Only those with this port, at either end."),
    "program": Key(TEXT, "Only those that a process of this name holds."),
    "congestion": Key(pattern(r"[a-z0-9_]{1,15}", "a congestion control's name"), "Only those with it."),
    "timer": Key(choice(*TIMERS), "The timer that runs."),
    "count": Key(COUNT, 'How many sockets satisfy all this (default: "1..").'),
    **{each.name: Key(BY_UNIT[each.unit], each.about) for each in FIELDS},
}
SOCKET = Table("expected socket", SOCKET_KEYS, _socket)


def _of_host(
    found: tuple[SocketExpect, ...], at: Place, scope: Scope
) -> tuple[tuple[str, SocketExpect], ...]:
    return tuple((scope.name, each) for each in found)


SOCKETS = Made(
    MapOf(
        HOST,
        Made(ListOf(SOCKET, "a socket's values, or a list of such mappings", least=1, single=True), _of_host),
        "a mapping of hosts",
    ),
    lambda found, at, scope: tuple(each for of_host in found.values() for each in of_host),
)


# --- ports


def _port(node: Node, scope: Scope) -> str:
    if not node.value.isdigit() or not 1 <= int(node.value) <= 65535:
        raise Unknown(f"{node.describe()} is no port; expected a number from 1 to 65535")
    return node.value


def _behind(owner: str, at: Place, scope: Scope) -> PortExpect:
    return PortExpect(int(scope.name) if scope.name.isdigit() else 0, owner, at)


def _ports_of_host(found: dict[str, PortExpect], at: Place, scope: Scope) -> HostPorts:
    return HostPorts(scope.name, at, tuple(found.values()))


PORTS = Made(
    MapOf(
        HOST,
        Made(
            MapOf(
                Named("a port", _port, {"pattern": "^[0-9]+$"}),
                Made(ByKind(scalar=TEXT), _behind),
                "a mapping of ports to endpoints or programs; {} demands that nothing listens",
                name="ports",
            ),
            _ports_of_host,
        ),
        "a mapping of hosts",
    ),
    lambda found, at, scope: tuple(found.values()),
)
