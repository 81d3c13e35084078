"""The keys of `hosts` and `links`, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_interface, ip_network
from typing import Any

from tcpharness.scenario import quantity as q
from tcpharness.scenario.compound import ByKind, Fields, Key, ListOf, Made, MapOf, Table
from tcpharness.scenario.impair_keys import DIRECTION, IMPAIRMENT_KEYS, impairments_of
from tcpharness.scenario.model import Firewall, Host, Link, Place, Route
from tcpharness.scenario.outline import link_name
from tcpharness.scenario.problem import NAME_PATTERN, listed, quoted, unknown
from tcpharness.scenario.shape import (
    SWITCH,
    WRONG,
    Json,
    Named,
    Scalar,
    Scope,
    Shape,
    Unknown,
    choice,
    integer,
    pattern,
    quantity,
    reference,
)
from tcpharness.scenario.shape import TIME as TIME
from tcpharness.scenario.yaml_tree import Node

NAME = pattern(NAME_PATTERN, "a name of letters, digits, - and _ that begins with a letter")
HOST = reference("host")
# "any" is every vantage, "default" a route.
RESERVED = ("any", "default")
PORT = integer(1, 65535, "a port")
PORTS = ListOf(PORT, "a list of ports", single=True)
SIZE = quantity(q.size_bytes, q.SIZE, r"^(0|[0-9]+(\.[0-9]+)? ?(B|kB|KiB|MB|MiB|GiB))$")


# --- sysctl


class Sysctls(Shape):
    """Settings, dotted or nested or both, as (name -> value, name -> place)."""

    expected = 'a mapping such as {net.ipv4.tcp_sack: 0} or {net: {ipv4: {tcp_rmem: "4096 8192 8192"}}}'

    def read(self, node: Node, scope: Scope) -> Any:
        if node.kind != "mapping":
            return self.mismatch(node, scope)
        values: dict[str, str] = {}
        places: dict[str, Place] = {}
        right = True
        for name, key, value in _leaves(node, ""):
            right = self._check(name, key, value, places, scope) and right
            values[name] = " ".join(value.value.split())
            places[name] = scope.place(key)
        return (values, places) if right else WRONG

    def _check(self, name: str, key: Node, value: Node, places: dict[str, Place], scope: Scope) -> bool:
        before = len(scope.problems)
        if not is_network_setting(name):
            scope.wrong(
                key, f"{quoted(name)} is no network setting; expected a name such as net.ipv4.tcp_sack"
            )
        if name in places:
            scope.wrong(key, f"{quoted(name)} is set twice; first on line {places[name].line}")
        if value.kind != "scalar" or value.is_null() or value.scalar() == "boolean":
            expected = 'expected a number, a word, or several in text such as "4096 8192 8192"'
            scope.wrong(value, f"{value.describe()} is no setting's value; {expected}")
        return len(scope.problems) == before

    def schema(self, defs: Json) -> Json:
        value: Json = {"type": ["string", "integer"]}
        defs["sysctl"] = {
            "type": "object",
            "additionalProperties": {"anyOf": [value, {"$ref": "#/$defs/sysctl"}]},
        }
        return {"$ref": "#/$defs/sysctl"}


def is_network_setting(name: str) -> bool:
    parts = name.split(".")
    allowed = all(part and all(c.isalnum() or c in "_-/" for c in part) for part in parts)
    return parts[0] == "net" and len(parts) > 2 and allowed


def _leaves(node: Node, prefix: str) -> Iterator[tuple[str, Node, Node]]:
    for key, value in node.pairs:
        name = f"{prefix}{key.value}"
        if value.kind == "mapping":
            yield from _leaves(value, f"{name}.")
        else:
            yield name, key, value


# --- routes


def _address(parse: Callable[[str], Any], text: str, scope: Scope) -> str:
    """The text as an address or network of the case's family; ValueError says what is wrong."""
    parsed = parse(text)
    if parsed.version != scope.family:
        raise Family(f"is IPv{parsed.version}, and this case has ip: {scope.family}")
    return str(parsed)


class Family(ValueError):
    """An address of the other IP version."""


def _route_to(node: Node, scope: Scope) -> str:
    hosts = scope.outline.hosts or []
    if node.value == "default" or node.value in hosts:
        return node.value
    return _address_or_unknown(
        ip_network, node.value, ["default", *hosts, "a network such as 192.0.2.0/24"], scope
    )


def _route_via(node: Node, scope: Scope) -> str:
    from ipaddress import ip_address

    hosts = scope.outline.hosts or []
    if node.value in hosts:
        return node.value
    return _address_or_unknown(ip_address, node.value, [*hosts, "an address"], scope)


def _address_or_unknown(parse: Callable[[str], Any], text: str, expected: Sequence[str], scope: Scope) -> str:
    try:
        return _address(parse, text, scope)
    except Family as error:
        raise Unknown(f"{quoted(text)} {error}") from None
    except ValueError:
        raise Unknown(unknown("host or address", text, expected)) from None


ROUTE_METRICS: dict[str, Key] = {
    "rto_min": Key(TIME, "Shortest retransmission timeout towards there; not for a SYN."),
    "mtu": Key(integer(68, 65535), "Largest packet towards there, in bytes."),
    "advmss": Key(integer(1, 65535), "MSS advertised to there."),
    "window": Key(integer(0, 1 << 30), "Largest window advertised to there, in bytes."),
    "initcwnd": Key(integer(1, 65535), "Initial congestion window, in segments."),
    "initrwnd": Key(integer(1, 65535), "Initial receive window, in segments."),
    "rtt": Key(TIME, "Initial estimate of the round trip time."),
    "rttvar": Key(TIME, "Initial estimate of its variance."),
    "ssthresh": Key(integer(1, 1 << 30), "Slow start threshold, in segments."),
    "cwnd": Key(integer(1, 65535), "Clamp of the congestion window, in segments."),
    "quickack": Key(integer(0, 1), "1: no delayed ACKs towards there."),
    "hoplimit": Key(integer(1, 255), "TTL or hop limit of what is sent there."),
    "reordering": Key(integer(1, 127), "Initial reordering estimate, in segments."),
    "features": Key(choice("ecn"), "ecn: ECN is asked for towards there."),
    "cc_algo": Key(pattern(r"[a-z0-9_]{1,15}", "the name of a congestion control"), "Congestion control."),
}


def _route(fields: Fields) -> Any:
    host, via = fields.scope.name, fields.get("via")
    if via is None and fields.get("to") == "default":
        return fields.wrong("to", "a default route needs via; expected a host or an address to go through")
    known = fields.scope.outline.hosts or []
    if via in known and not any(via in link.hosts for link in fields.scope.outline.links_of(host)):
        near = {name for link in fields.scope.outline.links_of(host) for name in link.hosts} - {host}
        return fields.wrong("via", f"{via} is not on a link with {host}; expected {listed(sorted(near))}")
    return Route(fields.get("to"), via, fields.only(*ROUTE_METRICS), fields.at)


ROUTE = Table(
    "route",
    {
        "to": Key(
            Named("default, a network or a host", _route_to, {"type": "string"}),
            "Where to: `default`, a network such as 192.0.2.0/24, or a host.",
            required=True,
        ),
        "via": Key(
            Named("a host or an address", _route_via, {"type": "string"}),
            "The next hop: a host on one of this host's links, or an address. Absent: found by itself.",
        ),
        **ROUTE_METRICS,
    },
    _route,
)


# --- hosts


def split_ports(fields: Fields) -> Any:
    """List -> ports, each of which is in one list only."""
    ports = {key: fields.get(key, ()) for key in ("open", "closed", "filtered")}
    seen: dict[int, str] = {}
    for key, numbers in ports.items():
        for number in numbers:
            if number in seen:
                return fields.wrong(key, f"port {number} is {seen[number]} already; expected it in one list")
            seen[number] = key
    return ports


def _firewall(fields: Fields) -> Any:
    ports = split_ports(fields)
    if ports is WRONG:
        return WRONG
    return Firewall(policy=fields.get("policy", "accept"), at=fields.at, **ports)


FIREWALL = Table(
    "firewall",
    {
        "policy": Key(
            choice("accept", "drop", "reject"), "What happens to TCP for ports not listed (default: accept)."
        ),
        "open": Key(PORTS, "Ports that are let through."),
        "closed": Key(PORTS, "Ports answered by a reset."),
        "filtered": Key(PORTS, "Ports whose packets vanish without an answer."),
    },
    _firewall,
)


def _host(fields: Fields) -> Host:
    sysctl, sysctl_at = fields.get("sysctl", ({}, {}))
    return Host(
        name=fields.name,
        sysctl=sysctl,
        sysctl_at=sysctl_at,
        offload=fields.get("offload", False),
        forward=fields.get("forward"),
        routes=fields.get("routes", ()),
        firewall=fields.get("firewall"),
        at=fields.at,
    )


HOST_TABLE = Table(
    "host",
    {
        "sysctl": Key(Sysctls(), "Network settings of this host, dotted or nested."),
        "offload": Key(SWITCH, "on: segmentation and checksum offload as on a real device (default: off)."),
        "forward": Key(SWITCH, "IP forwarding (default: on for a host with several links)."),
        "routes": Key(ListOf(ROUTE, "a list of routes"), "Routes and their metrics; the others are derived."),
        "firewall": Key(FIREWALL, "An nftables input filter."),
    },
    _host,
    nullable=True,
)


def _bare_host(name: str, at: Place, scope: Scope) -> Host:
    return Host(name, {}, {}, False, None, (), None, at)


def _check_hosts(hosts: Sequence[Host], scope: Scope) -> None:
    seen: dict[str, Place] = {}
    for host in hosts:
        if host.name in seen:
            scope.wrong(host.at, f"duplicate host {quoted(host.name)}; first at {seen[host.name]}")
        if host.name in RESERVED:
            scope.wrong(host.at, f"{quoted(host.name)} means something else; expected another name")
        seen[host.name] = host.at


def _mapped_hosts(hosts: dict[str, Host], at: Place, scope: Scope) -> Any:
    _check_hosts(tuple(hosts.values()), scope)
    return tuple(hosts.values()) or scope.wrong(at, "no host at all; expected at least one")


HOSTS = ByKind(
    list=ListOf(Made(NAME, _bare_host), "a list of names", least=1, check=_check_hosts),
    mapping=Made(MapOf(NAME, HOST_TABLE, "a mapping of names to hosts"), _mapped_hosts),
)


# --- links


def _interface_address(node: Node, scope: Scope) -> Any:
    try:
        parsed = ip_interface(node.value)
    except ValueError:
        parsed = None
    if parsed is None or "/" not in node.value:
        raise ValueError("does not fit; expected an address with its prefix length, such as 192.0.2.1/24")
    network = parsed.network
    if network.num_addresses > 2 and parsed.ip == network.network_address:
        raise ValueError(f"is the network itself; expected an address in {network}")
    return parsed


ADDRESSES = MapOf(
    HOST,
    ListOf(
        Scalar(
            "an address such as 192.0.2.1/24", _interface_address, {"type": "string", "pattern": "/[0-9]+$"}
        ),
        "one address, or one of each family",
        least=1,
        single=True,
    ),
    "a mapping of hosts to addresses",
)


def _chosen(addresses: dict[str, Any], hosts: Sequence[str], fields: Fields) -> Any:
    """Of the addresses given, those of the case's family: one for each host of the link."""
    chosen: dict[str, str] = {}
    for host in addresses.keys() - set(hosts):
        return fields.wrong("addresses", f"{host} is not on this link; expected {listed(hosts)}")
    for host in hosts:
        fitting = [str(a) for a in addresses.get(host, ()) if a.version == fields.scope.family]
        if len(fitting) != 1:
            number = "no" if not fitting else "more than one"
            return fields.wrong(
                "addresses",
                f"{number} IPv{fields.scope.family} address for {host}; expected one for each host",
            )
        chosen[host] = fitting[0]
    if len({address.partition("/")[0] for address in chosen.values()}) < len(chosen):
        return fields.wrong("addresses", "one address twice; expected one for each host")
    return chosen


def _link(fields: Fields) -> Any:
    hosts = fields.get("join")
    mtu = fields.get("mtu")
    if mtu is not None and fields.scope.family == 6 and mtu < 1280:
        # RFC 8200 section 5; the kernel switches IPv6 off below.
        return fields.wrong("mtu", f"mtu {mtu} is too small for IPv6; expected at least 1280")
    addresses = _chosen(fields.get("addresses"), hosts, fields) if "addresses" in fields else {}
    if addresses is WRONG:
        return WRONG
    name = fields.get("name", link_name(hosts))
    impairments = impairments_of(hosts, fields)
    if impairments is WRONG:
        return WRONG
    return Link(name, hosts, mtu, addresses, fields.get("delay", 0), fields.at, impairments)


def _short_link(hosts: tuple[str, ...], at: Place, scope: Scope) -> Any:
    return Link(link_name(hosts), hosts, None, {}, 0, at)


def _join(hosts: tuple[str, ...], at: Place, scope: Scope) -> Any:
    twice = next((host for n, host in enumerate(hosts) if host in hosts[:n]), None)
    if twice is not None:
        return scope.wrong(at, f"{twice} is joined with itself; expected different hosts")
    if len(hosts) > MOST_JOINED:
        return scope.wrong(at, f"{len(hosts)} hosts on one link; expected at most {MOST_JOINED}")
    return hosts


MOST_JOINED = 250  # what a /24 has addresses for
JOINED = Made(ListOf(HOST, "a list of two or more hosts", least=2), _join)

LINK = Table(
    "link",
    {
        "join": Key(JOINED, "The hosts: two for a veth pair, more for a bridge.", required=True),
        "name": Key(NAME, "How faults call the link (default: its hosts joined by -)."),
        "mtu": Key(integer(68, 65535), "Largest packet, in bytes (default: 1500)."),
        "addresses": Key(ADDRESSES, "Host -> address with prefix length (default: given by the plan)."),
        **IMPAIRMENT_KEYS,
        "from": Key(
            MapOf(HOST, DIRECTION, "a mapping of hosts to impairments"),
            "Host -> impairments of what it sends, instead of those of the link.",
        ),
    },
    _link,
)


def _check_links(links: Sequence[Link], scope: Scope) -> None:
    seen: dict[str, Place] = {}
    for link in links:
        if link.name in seen:
            scope.wrong(
                link.at,
                f"a second link {quoted(link.name)}; expected a name of its own, {{join: ..., name: ...}}",
            )
        seen[link.name] = link.at


LINKS = ListOf(
    ByKind(list=Made(JOINED, _short_link), mapping=LINK),
    "a list of links, such as [[client, server]]",
    check=_check_links,
)
