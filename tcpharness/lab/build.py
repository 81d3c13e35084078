"""Builds what a plan says, and nothing else: the deciding was done there.

A lab is a handful of descriptors. Closing them is its end, and so is the end of the process; the
kernel takes namespaces and interfaces away in its own time, and nobody waits for that.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tcpharness.lab import firewall, links, routes, sysctl
from tcpharness.lab.doctor import find_program
from tcpharness.lab.links import FIRST_INDEX, End
from tcpharness.lab.netlink import Refused, Request, RouteSocket
from tcpharness.lab.netns import NetNs
from tcpharness.lab.offload import Offloads
from tcpharness.lab.spawner import LabProcesses, Spawner
from tcpharness.scenario.model import Place
from tcpharness.scenario.plan import HostPlan, Interface, LinkPlan, Plan, RoutePlan
from tcpharness.scenario.setting_words import SETTINGS

# A namespace that only passes frames on must not answer any.
DEAF = ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6")
ONE_CPU = ("net.core.rps_default_mask", "1")


class LabError(Exception):
    """The kernel, or a tool, refuses what the plan says."""

    def __init__(self, at: Place | None, text: str) -> None:
        super().__init__(f"{at}: {text}" if at else text)
        self.at = at
        self.text = text


class Lab:
    """`with Lab(plan, spawner, workdir) as lab`: built on the way in, gone on the way out.

    Raises LabError, naming the host, the setting and the kernel's reason; nothing is left then.
    """

    def __init__(self, plan: Plan, spawner: Spawner, workdir: Path) -> None:
        self.plan = plan
        self.hosts: dict[str, NetNs] = {}
        self.middleboxes: dict[str, tuple[NetNs, dict[str, str]]] = {}  # link -> (where, host -> its port)
        # (host, interface) -> the other end of its cable: a host's, a bridge's or a middlebox's
        self.far_ends: dict[tuple[str, str], tuple[NetNs, str]] = {}
        self.notes: list[str] = []  # defaults of ours that this kernel lacks
        self.processes: LabProcesses
        self._spawner = spawner
        self._workdir = workdir
        self._netlink: dict[NetNs, RouteSocket] = {}
        self._offloads: dict[NetNs, Offloads] = {}
        self._ends: list[tuple[NetNs, str, bool]] = []  # every interface, and whether its offloads stay on
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as resources:
            self._resources = resources
            self.processes = self._spawner.lab()
            resources.callback(self.processes.close)
            self._build()
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    @property
    def hosts_file(self) -> Path:
        """A file for /etc/hosts by which programs know the hosts' names; written when first asked for."""
        path = self._workdir / "hosts"
        if not path.exists():
            known = {"127.0.0.1": "localhost", "::1": "localhost"}
            scripts = {name: own[0] for name, own in self.plan.scripted.items()}
            named = scripts | self.plan.names
            names = [f"{address}\t{known.pop(address, '')} {name}" for name, address in named.items()]
            path.write_text("\n".join([*names, *(f"{a}\t{name}" for a, name in known.items()), ""]))
        return path

    def environment(self) -> dict[str, Any]:
        """What is in force on each host: settings, routes, offloads and the firewall with its counts; and
        what this kernel has refused of our defaults."""
        return {host.name: self._environment(host) for host in self.plan.hosts}

    # --- building, in this order

    def _build(self) -> None:
        for host in self.plan.hosts:
            self.hosts[host.name] = self._namespace()
            self._set(host, interface=False)
        for link in self.plan.links:
            BUILDERS[link.kind](self, link)
        for host in self.plan.hosts:
            self._set(host, interface=True)
            self._raise(host)
        for namespace, interface, offload in self._ends:
            self._settle(namespace, interface, offload)
        for host in self.plan.hosts:
            self._address(host)
            if host.firewall is not None:
                self._protect(host)

    def _namespace(self) -> NetNs:
        namespace = self._resources.enter_context(NetNs(self._spawner.nursery))
        self._netlink[namespace] = self._resources.enter_context(RouteSocket(namespace))
        sock = self._resources.enter_context(namespace.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._offloads[namespace] = Offloads(sock)
        return namespace

    def _set(self, host: HostPlan, *, interface: bool) -> None:
        """The host's settings, those of an interface or all others."""
        with self.hosts[host.name].entered():
            for name, value, at in host.sysctl:
                if sysctl.needs_interface(name) == interface:
                    self._write(host.name, name, value, at)

    def _write(self, host: str, name: str, value: str, at: Place | None) -> None:
        try:
            sysctl.write(name, value)
        except (OSError, ValueError) as error:
            text = f"host {host}: sysctl {name}: {sysctl.reason(error, value)}"
            if at is not None:
                raise LabError(at, text) from error
            self.notes.append(text)

    # --- links

    def _pair(self, link: LinkPlan) -> None:
        one, other = (self._end(interface) for interface in link.ends)
        for here, there in (link.ends, link.ends[::-1]):
            self.far_ends[here.host, here.name] = (self.hosts[there.host], there.name)
        self._do(self.hosts[link.ends[0].host], [links.veth_pair(one, other, link.mtu, link)])

    def _bridge(self, link: LinkPlan) -> None:
        between = self._deaf_namespace()
        requests = [links.bridge(link.mtu, link)]
        for number, interface in enumerate(link.ends):
            port = self._port(between, number, interface)
            requests.append(
                links.veth_pair(port, self._end(interface), link.mtu, link, master=links.BRIDGE_INDEX)
            )
            requests += links.bridge_port(port.index, interface.mac, link)
            requests.append(links.up(port.index, link))
        self._do(between, requests)

    def _middlebox(self, link: LinkPlan) -> None:
        between = self._deaf_namespace()
        ports = [self._port(between, number, interface) for number, interface in enumerate(link.ends)]
        requests: list[Request] = []
        for port, interface in zip(ports, link.ends, strict=True):
            requests.append(links.veth_pair(port, self._end(interface), link.mtu, link))
            requests.append(links.up(port.index, link))
        self._do(between, requests)
        self.middleboxes[link.name] = (
            between,
            {interface.host: port.name for interface, port in zip(link.ends, ports, strict=True)},
        )

    def _deaf_namespace(self) -> NetNs:
        namespace = self._namespace()
        with namespace.entered():
            for name in DEAF:
                self._write("between", name, "1", None)
            self._write("between", *ONE_CPU, None)
        return namespace

    def _end(self, interface: Interface) -> End:
        return End(
            self.hosts[interface.host].fd,
            interface.name,
            FIRST_INDEX + self._number(interface),
            interface.mac,
        )

    def _number(self, interface: Interface) -> int:
        return self._host(interface.host).interfaces.index(interface)

    def _port(self, between: NetNs, number: int, interface: Interface) -> End:
        name = f"port{number}"
        self._ends.append((between, name, self._host(interface.host).offload))
        self.far_ends[interface.host, interface.name] = (between, name)
        # The host's own address with another first byte: locally administered as well.
        return End(between.fd, name, FIRST_INDEX + number, "06" + interface.mac[2:])

    # --- hosts

    def _raise(self, host: HostPlan) -> None:
        namespace = self.hosts[host.name]
        requests = [links.up(links.LOOPBACK_INDEX, "lo up")]
        requests += [links.up(FIRST_INDEX + n, interface) for n, interface in enumerate(host.interfaces)]
        self._do(namespace, requests)
        self._ends += [(namespace, name, host.offload) for name in ("lo", *(i.name for i in host.interfaces))]

    def _settle(self, namespace: NetNs, interface: str, offload: bool) -> None:
        """Offloads off, unless they are wanted; then the interface really carries what it is given."""
        offloads = self._offloads[namespace]
        if not offload:
            offloads.switch_off(interface)
        offloads.settle_carrier(interface)

    def _address(self, host: HostPlan) -> None:
        requests: list[Request] = []
        indices = {"lo": links.LOOPBACK_INDEX}
        for number, interface in enumerate(host.interfaces):
            index = indices[interface.name] = FIRST_INDEX + number
            requests.append(links.address(index, interface.address, interface.prefix_len, interface))
            if ":" in interface.address:
                requests.append(routes.own_address(interface.address, index))
            requests += [links.neighbour(index, ip, mac, interface) for ip, mac in interface.neighbours]
        for route in host.routes:
            try:
                requests.append(routes.route(route, indices[route.dev]))
            except (ValueError, KeyError) as error:
                raise LabError(route.at, f"host {host.name}: route to {route.dst}: {error}") from error
        self._do(self.hosts[host.name], requests)

    def _protect(self, host: HostPlan) -> None:
        assert host.firewall is not None
        where = f"host {host.name}: firewall"
        nft = find_program("nft")
        if nft is None:
            raise LabError(host.firewall.at, f"{where}: nft is not installed: apt-get install nftables")
        try:
            firewall.install(self.hosts[host.name], host.firewall, nft)
        except (firewall.FirewallRefused, OSError) as error:
            raise LabError(host.firewall.at, f"{where}: {error}") from error

    # --- the kernel's answers

    def _do(self, namespace: NetNs, requests: list[Request]) -> None:
        try:
            self._netlink[namespace].do(requests)
        except Refused as error:
            raise self._explained(error, namespace) from error

    def _explained(self, error: Refused, namespace: NetNs) -> LabError:
        about = error.about
        if isinstance(about, LinkPlan):
            at = next((link.at for link in self.plan.case.links if link.name == about.name), None)
            return LabError(at, f"link {about.name} (mtu {about.mtu}): {error}")
        if isinstance(about, Interface):
            at = next((link.at for link in self.plan.case.links if link.name == about.link), None)
            return LabError(at, f"host {about.host}: {about.name} {about.address}: {error}")
        host = next((name for name, own in self.hosts.items() if own is namespace), "between")
        if isinstance(about, RoutePlan):
            metrics = "".join(f", {name} {value}" for name, value in about.metrics.items())
            return LabError(about.at, f"host {host}: route to {about.dst} dev {about.dev}{metrics}: {error}")
        return LabError(None, f"host {host}: {about}: {error}")

    # --- what is in force

    def _environment(self, host: HostPlan) -> dict[str, Any]:
        namespace = self.hosts[host.name]
        names = {FIRST_INDEX + n: interface.name for n, interface in enumerate(host.interfaces)}
        found: dict[str, Any] = {
            "sysctl": self._settings(host),
            "routes": routes.effective(self._netlink[namespace], names | {links.LOOPBACK_INDEX: "lo"}),
            "offload": {name: self._offloads[namespace].read(name) for name in ("lo", *names.values())},
        }
        nft = find_program("nft")
        refused = [note for note in self.notes if note.startswith(f"host {host.name}: ")]
        if refused:
            found["refused"] = refused
        if host.firewall is not None and nft is not None:
            try:
                found["firewall"] = firewall.rules(firewall.counted(namespace, nft))
            except (firewall.FirewallRefused, OSError) as error:
                found["firewall_error"] = str(error)
        return found

    def _settings(self, host: HostPlan) -> dict[str, str]:
        with self.hosts[host.name].entered():
            asked = [
                e.what for e in self.plan.case.expect.settings if (e.host, e.kind) == (host.name, "sysctl")
            ]
            return sysctl.effective([*SETTINGS, *(name for name, _, _ in host.sysctl), *asked])

    def _host(self, name: str) -> HostPlan:
        return next(host for host in self.plan.hosts if host.name == name)


BUILDERS: dict[str, Callable[[Lab, LinkPlan], None]] = {
    "pair": Lab._pair,
    "bridge": Lab._bridge,
    "middlebox": Lab._middlebox,
}
