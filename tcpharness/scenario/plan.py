"""From a case to what must be built: interfaces, addresses, neighbours, routes and settings, all decided.

Pure: the lab only carries it out. The same case and number give the same plan.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_interface, ip_network
from itertools import islice
from typing import Literal

from tcpharness.scenario import fast
from tcpharness.scenario.event import Cut
from tcpharness.scenario.impairment import Impairment
from tcpharness.scenario.model import DEFAULT_MTU, Case, Endpoint, Firewall, Host, Link, Place, Route
from tcpharness.scenario.quiet import defaults, forwarding
from tcpharness.scenario.script_check import FIRST_ADDRESS


@dataclass(frozen=True, slots=True)
class Interface:
    """One end of a link: eth0, eth1, ... of its host, in the order of the links."""

    host: str
    name: str
    link: str
    mac: str  # "02:00:00:00:01:00"
    address: str  # of the case's family, without the prefix length
    prefix_len: int
    mtu: int
    neighbours: tuple[tuple[str, str], ...]  # (address, mac) of every other interface of the link


@dataclass(frozen=True, slots=True)
class RoutePlan:
    dst: str  # CIDR; "0.0.0.0/0" or "::/0" for the default
    via: str | None  # None: on link
    dev: str
    metrics: dict[str, int | str]
    at: Place | None  # None: derived


@dataclass(frozen=True, slots=True)
class HostPlan:
    name: str
    interfaces: tuple[Interface, ...]
    # The quiet defaults, then the scenario's own. at None: a default of ours, which a kernel
    # that lacks the setting may refuse without harm.
    sysctl: tuple[tuple[str, str, Place | None], ...]
    routes: tuple[RoutePlan, ...]
    offload: bool
    firewall: Firewall | None
    at: Place


@dataclass(frozen=True, slots=True)
class LinkPlan:
    name: str
    kind: Literal["pair", "bridge", "middlebox"]  # middlebox: it has faults or impairments
    ends: tuple[Interface, ...]
    mtu: int
    delay_ns: int
    impairments: tuple[tuple[str, Impairment], ...] = ()  # of the directions that have any, by sending host


@dataclass(frozen=True, slots=True)
class Plan:
    case: Case
    number: int  # of the lab in this run; gives it addresses of its own
    hosts: tuple[HostPlan, ...]
    links: tuple[LinkPlan, ...]
    names: dict[str, str]  # host -> the address by which the others reach it
    vantages: tuple[tuple[str, str, str], ...]  # (vantage, host, interface) to capture at
    scripted: dict[str, tuple[str, ...]] = field(default_factory=dict)  # script -> its addresses, no kernel's


LOOPBACK = {4: "127.0.0.1", 6: "::1"}
DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
FIRST_INTERFACE = "eth0"
LINKS_PER_LAB = 16  # of 65536 IPv4 networks; labs further apart than 4096 share addresses


def make_plan(case: Case, number: int) -> Plan:
    """All decisions of a case. `number` (from 0) gives the lab addresses that no other lab of the run has."""
    ends = [_ends(case, link, index, number) for index, link in enumerate(case.links)]
    scripted = _scripted(case, ends)
    ends = [_with_scripts(case, of_link, scripted) for of_link in ends]
    of_host: dict[str, list[Interface]] = {host.name: [] for host in case.hosts}
    for link_ends in ends:
        for end in link_ends:
            of_host[end.host].append(end)
    network = _Network(case, of_host, scripted)
    return Plan(
        case=case,
        number=number,
        hosts=tuple(_host_plan(case, host, network) for host in case.hosts),
        links=tuple(_link_plan(case, link, end) for link, end in zip(case.links, ends, strict=True)),
        names={name: own[0].address if own else LOOPBACK[case.ip] for name, own in of_host.items()},
        vantages=tuple(_vantages(case, of_host)),
        scripted=scripted,
    )


# --- interfaces and addresses


def _ends(case: Case, link: Link, index: int, number: int) -> tuple[Interface, ...]:
    """The link's interfaces: ethN of each host, N counting the host's links so far."""
    before = case.links[:index]
    addresses = [_address(case, link, n, index, number) for n in range(len(link.hosts))]
    # Locally administered: lab, link and end are all in it.
    macs = [
        f"02:{number >> 8 & 255:02x}:{number & 255:02x}:{index >> 8 & 255:02x}:{index & 255:02x}:{n:02x}"
        for n in range(len(link.hosts))
    ]
    known = [(address.partition("/")[0], mac) for address, mac in zip(addresses, macs, strict=True)]
    return tuple(
        Interface(
            host=host,
            name=f"eth{sum(host in other.hosts for other in before)}",
            link=link.name,
            mac=macs[n],
            address=known[n][0],
            prefix_len=int(addresses[n].partition("/")[2]),
            mtu=link.mtu or DEFAULT_MTU,
            neighbours=(*known[:n], *known[n + 1 :]),
        )
        for n, host in enumerate(link.hosts)
    )


def _address(case: Case, link: Link, end: int, index: int, number: int) -> str:
    if link.addresses:
        return link.addresses[link.hosts[end]]
    network = (number * LINKS_PER_LAB + index) & 0xFFFF
    if case.ip == 6:
        # In the one spelling (RFC 5952) that captures and sockets show as well.
        return str(ip_interface(f"fd00:7c:{network:x}::{end + 1:x}/64"))
    return f"10.{network >> 8}.{network & 255}.{end + 1}/24"


def _scripted(case: Case, ends: list[tuple[Interface, ...]]) -> dict[str, tuple[str, ...]]:
    """Addresses for the scripts, in the network of their host's first link, that nobody has."""
    taken = {end.address for of_link in ends for end in of_link}
    found: dict[str, tuple[str, ...]] = {}
    for endpoint in case.endpoints:
        if endpoint.kind == "script":
            home = _home(endpoint, ends)
            network = ip_network(f"{home.address}/{home.prefix_len}", strict=False)
            free = (str(network[n]) for n in range(FIRST_ADDRESS, network.num_addresses - 1))
            found[endpoint.name] = tuple(islice((a for a in free if a not in taken), endpoint.addresses))
            taken.update(found[endpoint.name])
    return found


def _home(endpoint: Endpoint, ends: list[tuple[Interface, ...]]) -> Interface:
    """The interface at which a script lives: its host's first."""
    return next(end for of_link in ends for end in of_link if end.host == endpoint.on)


def _with_scripts(
    case: Case, ends: tuple[Interface, ...], scripted: dict[str, tuple[str, ...]]
) -> tuple[Interface, ...]:
    """The others on the link know a script's addresses, under its host's MAC; its own host does not."""
    homes = {end.host: end.mac for end in ends if end.name == FIRST_INTERFACE}
    known = [
        (homes[endpoint.on], address)
        for endpoint in case.endpoints
        if endpoint.on in homes
        for address in scripted.get(endpoint.name, ())
    ]
    return tuple(
        replace(end, neighbours=(*end.neighbours, *((ip, mac) for mac, ip in known if mac != end.mac)))
        for end in ends
    )


def _link_plan(case: Case, link: Link, ends: tuple[Interface, ...]) -> LinkPlan:
    kind: Literal["pair", "bridge", "middlebox"] = "pair" if len(ends) == 2 else "bridge"
    acted_on = {fault.link for fault in case.faults} | cut_links(case)
    if link.delay_ns or link.impairments or link.name in acted_on:
        kind = "middlebox"
    return LinkPlan(link.name, kind, ends, link.mtu or DEFAULT_MTU, link.delay_ns, link.impairments)


def cut_links(case: Case) -> set[str]:
    """The links that events take down, or up again."""
    changes = (change for fault in case.faults for change in fault.changes)
    return {change.link for change in changes if isinstance(change, Cut)}


def changed_routes(plan: Plan, host: str, route: Route) -> list[RoutePlan]:
    """What an event's route comes to at a host."""
    network = _Network(plan.case, {h.name: list(h.interfaces) for h in plan.hosts}, plan.scripted)
    return list(network._given(host, route))


def next_hop(plan: Plan, host: str, address: str) -> str | None:
    """The MAC that a packet from `host` to an address is sent to; None: there is no way there."""
    planned = next(each for each in plan.hosts if each.name == host)
    known = {ip: mac for interface in planned.interfaces for ip, mac in interface.neighbours}
    if address in known:
        return known[address]
    fitting = [route for route in planned.routes if ip_address(address) in ip_network(route.dst)]
    via = max(fitting, key=lambda route: ip_network(route.dst).prefixlen).via if fitting else None
    return known.get(via) if via else None


# --- hosts


def _host_plan(case: Case, host: Host, network: _Network) -> HostPlan:
    return HostPlan(
        name=host.name,
        interfaces=tuple(network.of_host[host.name]),
        sysctl=tuple(_settings(case, host, network.forwards(host.name))),
        routes=tuple(network.routes(host)),
        offload=host.offload,
        firewall=host.firewall,
        at=host.at,
    )


def _settings(case: Case, host: Host, router: bool) -> Iterator[tuple[str, str, Place | None]]:
    """The quiet defaults, forwarding, then the scenario's own; each name once."""
    values: dict[str, tuple[str, Place | None]] = {name: (value, None) for name, value in defaults(case.ip)}
    # A router that cannot forward is no lab: then the kernel's refusal is an error.
    values[forwarding(case.ip)] = ("1", host.at) if router else ("0", None)
    if case.fast:
        values |= {name: (value, None) for name, value in fast.SETTINGS.items()}
    for name, value in host.sysctl.items():
        values.pop(name, None)
        values[name] = (value, host.sysctl_at[name])
    for name, (value, at) in values.items():
        yield name, value, at


# --- routes


@dataclass(frozen=True, slots=True)
class _Hop:
    """The first step of a path: out of `dev`, to `via`."""

    dev: str
    via: str


class _Network:
    """The hosts and their interfaces as a graph."""

    def __init__(
        self, case: Case, of_host: dict[str, list[Interface]], scripted: dict[str, tuple[str, ...]]
    ) -> None:
        self.case = case
        self.scripts: dict[str, list[str]] = {}  # host -> the addresses of its scripts
        for endpoint in case.endpoints:
            self.scripts.setdefault(endpoint.on, []).extend(scripted.get(endpoint.name, ()))
        self.of_host = of_host
        self.on_link: dict[str, list[Interface]] = {}
        for interfaces in of_host.values():
            for interface in interfaces:
                self.on_link.setdefault(interface.link, []).append(interface)
        self.wanted = {host.name: host.forward for host in case.hosts}

    def forwards(self, host: str) -> bool:
        wanted = self.wanted[host]
        return len(self.of_host[host]) > 1 if wanted is None else wanted

    def routes(self, host: Host) -> Iterator[RoutePlan]:
        """The derived routes, those that the scenario gives in their place or besides."""
        usual = fast.METRICS if self.case.fast else {}
        routes = {dst: RoutePlan(dst, hop.via, hop.dev, usual, None) for dst, hop in self._derived(host.name)}
        if usual:
            near = [(_net(interface), interface.name) for interface in self.of_host[host.name]]
            routes |= {dst: RoutePlan(dst, None, dev, usual, None) for dst, dev in near}
        for given in host.routes:
            for route in self._given(host.name, given):
                routes[route.dst] = replace(route, metrics={**usual, **route.metrics})
        yield from routes.values()

    def _derived(self, start: str) -> Iterator[tuple[str, _Hop]]:
        """Every network that is not on a link of `start`, with the first hop of a shortest path there."""
        own = {_net(interface) for interface in self.of_host[start]}
        for host, hop in self._first_hops(start).items():
            if self.forwards(host):
                for interface in self.of_host[host]:
                    if _net(interface) not in own:
                        own.add(_net(interface))
                        yield _net(interface), hop

    def _first_hops(self, start: str) -> dict[str, _Hop]:
        """The other hosts in order of distance: breadth first, through hosts that forward."""
        hops: dict[str, _Hop] = {}
        waiting = deque([start])
        while waiting:
            here = waiting.popleft()
            if here != start and not self.forwards(here):
                continue
            for interface in self.of_host[here]:
                for near in self.on_link[interface.link]:
                    if near.host != start and near.host not in hops:
                        hops[near.host] = hops.get(here) or _Hop(interface.name, near.address)
                        waiting.append(near.host)
        return hops

    def _given(self, host: str, route: Route) -> Iterator[RoutePlan]:
        hops = self._first_hops(host)
        for dst, derived in self._destinations(host, route.to, hops):
            via, dev = (derived.via or None, derived.dev) if derived else (None, self._first_dev(host))
            if route.via is not None:
                hop = self._via(host, route.via, hops)
                via, dev = hop.via, hop.dev
            yield RoutePlan(dst, via, dev, route.metrics, route.at)

    def _destinations(self, host: str, to: str, hops: dict[str, _Hop]) -> Iterator[tuple[str, _Hop | None]]:
        """The networks that `to` means, each with the hop that would be taken without `via`."""
        if to == "default":
            yield DEFAULT[self.case.ip], None
        elif to in self.of_host:
            for interface in self.of_host[to]:
                yield str(ip_network(interface.address)), self._hop_to(host, interface, hops)
            for address in self.scripts.get(to, ()):
                yield str(ip_network(address)), self._hop_to(host, self.of_host[to][0], hops)
        else:
            dst = str(ip_network(to))
            own = {_net(interface): _Hop(interface.name, "") for interface in self.of_host[host]}
            yield dst, own.get(dst) or dict(self._derived(host)).get(dst)

    def _hop_to(self, host: str, target: Interface, hops: dict[str, _Hop]) -> _Hop | None:
        for interface in self.of_host[host]:
            if interface.link == target.link:
                return _Hop(interface.name, "")
        return hops.get(target.host)

    def _via(self, host: str, via: str, hops: dict[str, _Hop]) -> _Hop:
        """A host that is near (the loader has checked), or an address as written."""
        if via in hops:
            return hops[via]
        for interface in self.of_host[host]:
            if ip_address(via) in ip_interface(f"{interface.address}/{interface.prefix_len}").network:
                return _Hop(interface.name, via)
        return _Hop(self._first_dev(host), via)

    def _first_dev(self, host: str) -> str:
        return self.of_host[host][0].name if self.of_host[host] else "lo"


def _net(interface: Interface) -> str:
    return str(ip_interface(f"{interface.address}/{interface.prefix_len}").network)


# --- vantages


def _vantages(case: Case, of_host: dict[str, list[Interface]]) -> Iterator[tuple[str, str, str]]:
    """Every interface of a link, and lo where something is to be seen there; less those switched off."""
    off = {capture.vantage for capture in case.captures if capture.off}
    for host, interfaces in of_host.items():
        for interface in interfaces:
            vantage = host if len(interfaces) == 1 else f"{host}.{interface.name}"
            if vantage not in off:
                yield vantage, host, interface.name
        lo = f"{host}.lo" if interfaces else host
        if lo not in off and (not interfaces or _uses_lo(case, host, lo)):
            yield lo, host, "lo"


def _uses_lo(case: Case, host: str, vantage: str) -> bool:
    named = {expect.vantage for expect in case.expect.findings} | set(case.expect.capture)
    named |= {capture.vantage for capture in case.captures}
    return vantage in named or any(_is_local(case, e) for e in case.endpoints if e.on == host)


def _is_local(case: Case, endpoint: Endpoint) -> bool:
    """True when a client's target is on its own host."""
    target = endpoint.target
    if target is None:
        return False
    hosts = {other.name: other.on for other in case.endpoints}
    local = (endpoint.on, LOOPBACK[case.ip], "localhost")
    return (hosts.get(target.endpoint) if target.endpoint else target.host) in local
