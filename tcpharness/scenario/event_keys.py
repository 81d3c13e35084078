"""What events do to the lab: the actions that change a link, a host or a capture instead of a frame."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario.compound import Fields, Key, Made, MapOf, Table, Verb
from tcpharness.scenario.event import (
    AddressChange,
    CaptureStart,
    Cut,
    FirewallChange,
    RouteChange,
    SysctlChange,
)
from tcpharness.scenario.model import Firewall, Place, Route
from tcpharness.scenario.network_keys import HOST, PORTS, ROUTE, Sysctls, split_ports
from tcpharness.scenario.outline import ENDPOINT_STATES
from tcpharness.scenario.problem import listed, one_of
from tcpharness.scenario.shape import SWITCH, TIME, Scope, choice, pattern, reference
from tcpharness.scenario.until import never_so

LINK = reference("link")


def _cut(down: bool) -> Made:
    return Made(LINK, lambda link, at, scope: {"change": Cut(link, down)})


def _firewall(fields: Fields) -> Any:
    ports = split_ports(fields)
    if isinstance(ports, dict):
        if not any(ports.values()) and "policy" not in fields:
            return fields.scope.wrong(
                fields.at, f"a change of nothing; {one_of(['open', 'closed', 'filtered', 'policy'])}"
            )
        rules = Firewall(policy=fields.get("policy", "accept"), at=fields.at, **ports)
        change = FirewallChange(fields.get("on"), rules, "policy" in fields, fields.get("established", False))
        return {"change": change}
    return ports


FIREWALL = Table(
    "firewall change",
    {
        "on": Key(HOST, "The host.", required=True),
        "open": Key(PORTS, "Ports that are let through from now on."),
        "closed": Key(PORTS, "Ports answered by a reset."),
        "filtered": Key(PORTS, "Ports whose packets vanish without an answer."),
        "policy": Key(choice("accept", "drop", "reject"), "What happens at ports that are in no list."),
        "established": Key(
            SWITCH, "on: to every segment at these ports; off: only to new connections (default)."
        ),
    },
    _firewall,
)


def _route(fields: Fields) -> Any:
    host, via = fields.get("on"), fields.get("via")
    if fields.get("unreachable") and len(fields.nodes) > 3:
        return fields.wrong("unreachable", "an unreachable route has nothing else; expected on and to alone")
    near = {name for link in fields.scope.outline.links_of(host) for name in link.hosts} - {host}
    if via in (fields.scope.outline.hosts or []) and via not in near:
        return fields.wrong("via", f"{via} is not on a link with {host}; expected {listed(sorted(near))}")
    metrics = fields.only(*(key for key in ROUTE.keys if key not in ("to", "via")))
    route = Route(fields.get("to"), via, metrics, fields.at)
    return {"change": RouteChange(host, route, fields.get("unreachable", False))}


ROUTE_CHANGE = Table(
    "route change",
    {
        "on": Key(HOST, "The host whose route it is.", required=True),
        **ROUTE.keys,
        "unreachable": Key(SWITCH, "on: there is no way there any more."),
    },
    _route,
)


def _sysctl(found: dict[str, Any], at: Place, scope: Scope) -> Any:
    if len(found) != 1:
        return scope.wrong(at, f"{len(found)} hosts; expected one in each sysctl")
    ((host, (values, _)),) = found.items()
    if not values:
        return scope.wrong(at, "no setting at all; expected one such as net.ipv4.tcp_sack: 0")
    return {"change": SysctlChange(host, values)}


def _address(fields: Fields) -> Any:
    host, interface = fields.get("on"), fields.get("interface", "eth0")
    links = len(fields.scope.outline.links_of(host))
    if int(interface[3:]) >= links:
        return fields.wrong("interface" if "interface" in fields else "on", f"{host} has no {interface}")
    return {"change": AddressChange(host, interface, fields.get("gone", True))}


ADDRESS = Table(
    "address change",
    {
        "on": Key(HOST, "The host that loses its address.", required=True),
        "interface": Key(pattern(r"eth[0-9]{1,2}", "an interface such as eth0"), "Where (default: eth0)."),
        "gone": Key(SWITCH, "off: it gets it back (default: on)."),
    },
    _address,
)

LAB_VERBS: dict[str, Verb] = {
    "down": Verb(_cut(True), "The link carries nothing any more (default: the fault's link).", bare=True),
    "up": Verb(_cut(False), "It does again.", bare=True),
    "firewall": Verb(FIREWALL, "A host's firewall changes."),
    "route": Verb(ROUTE_CHANGE, "A host's route changes."),
    "sysctl": Verb(
        Made(MapOf(HOST, Sysctls(), "a mapping of a host to settings"), _sysctl), "Settings of a host change."
    ),
    "address": Verb(ADDRESS, "A host loses an address, or gets it back."),
    "capture": Verb(
        Made(reference("vantage"), lambda vantage, at, scope: {"change": CaptureStart(vantage)}),
        "The capture at this vantage begins only now.",
    ),
}

# Keys of `when` that ask about no frame.
EVENT_KEYS = ("time", "after", "endpoint", "wait", *ENDPOINT_STATES)
CONDITION_KEYS: dict[str, Key] = {
    "endpoint": Key(reference("endpoint"), "Only once this endpoint is so; with one of the next five."),
    **{state: Key(choice("true", "on"), f"The endpoint is {state}.") for state in ENDPOINT_STATES},
    "wait": Key(TIME, "Of an event: this long after all else is so."),
}


def condition(fields: Fields) -> Any:
    """The endpoint's state that `when` waits for; None: it waits for none."""
    states = [state for state in ENDPOINT_STATES if state in fields]
    if "endpoint" in fields and len(states) != 1:
        which = listed(states) if states else "no state"
        return fields.wrong(
            "endpoint", f"{which} of {fields.get('endpoint')}; {one_of(ENDPOINT_STATES)}: true"
        )
    if states and "endpoint" not in fields:
        return fields.wrong(states[0], f"{states[0]} of whom; expected endpoint: as well")
    if states and (never := never_so(fields.get("endpoint"), states[0], fields.scope)):
        return fields.wrong(states[0], never)
    return states[0] if states else None
