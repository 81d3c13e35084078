"""Labs as plans say: silent, connected, with their settings in force, or an error that says why not."""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from built_lab import BRIDGE, MIDDLEBOX, PAIR, ROUTER, BuildLab, plan_of

from tcpharness.lab.build import Lab, LabError
from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Spawner

pytestmark = pytest.mark.netns
ETH_P_ALL = 3
IPS = pytest.mark.parametrize("ip", [4, 6])
LINK = "links: [[client, server]]"
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def conversation(lab: Lab, ip: int, start: str = "client", to: str = "server", port: int = 105) -> bytes:
    """What `to` has received when `start` has connected, said hello and closed."""
    with ExitStack() as stack:
        listener = stack.enter_context(lab.hosts[to].socket(FAMILY[ip], socket.SOCK_STREAM))
        listener.bind(("", port))
        listener.listen()
        sender = stack.enter_context(lab.hosts[start].socket(FAMILY[ip], socket.SOCK_STREAM))
        sender.settimeout(5)
        listener.settimeout(5)
        sender.connect((lab.plan.names[to], port))
        receiver = stack.enter_context(listener.accept()[0])
        sender.sendall(b"hello")
        sender.close()
        receiver.settimeout(5)
        return receiver.recv(100)


@IPS
@pytest.mark.parametrize("network", [PAIR, BRIDGE, ROUTER])
def test_hosts_reach_each_other(build_lab: BuildLab, network: str, ip: int) -> None:
    assert conversation(build_lab(network, ip=ip), ip) == b"hello"


@IPS
@pytest.mark.parametrize("to", ["client", "server"])
def test_a_host_reaches_itself(build_lab: BuildLab, ip: int, to: str) -> None:
    assert conversation(build_lab(PAIR, ip=ip), ip, start=to, to=to) == b"hello"


@IPS
def test_the_first_segment_is_never_lost(build_lab: BuildLab, ip: int) -> None:
    """A link that is not quite up swallows a SYN, and a conversation then takes a second."""
    for _ in range(20):
        lab = build_lab(PAIR, ip=ip)
        began = time.monotonic()
        assert conversation(lab, ip) == b"hello"
        assert time.monotonic() - began < 0.9


# --- silence


def namespaces(lab: Lab) -> dict[str, NetNs]:
    return {**lab.hosts, **{name: box for name, (box, _) in lab.middleboxes.items()}}


def frames_seen(labs: list[Lab], work: Callable[[], None], within_s: float) -> list[tuple[Lab, str, bytes]]:
    """Every frame that packet sockets in all namespaces of the labs see, on any interface, from `work` on."""
    with ExitStack() as stack:
        sockets = {
            stack.enter_context(ns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))): (
                lab,
                name,
            )
            for lab in labs
            for name, ns in namespaces(lab).items()
        }
        work()
        seen = []
        deadline = time.monotonic() + within_s
        while ready := select.select(list(sockets), [], [], max(0.0, deadline - time.monotonic()))[0]:
            seen += [(*sockets[sock], sock.recv(2000)) for sock in ready]
        return seen


def interface_counters(ns: NetNs) -> dict[str, tuple[int, int]]:
    """(received, sent) frames by interface, since it was made."""
    with ns.entered():
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
    fields = {line.partition(":")[0].strip(): line.partition(":")[2].split() for line in lines}
    return {name: (int(values[1]), int(values[9])) for name, values in fields.items()}


def test_a_lab_that_does_nothing_carries_no_frame(build_lab: BuildLab) -> None:
    labs = [build_lab(network, ip=ip) for network in (PAIR, BRIDGE, ROUTER, MIDDLEBOX) for ip in (4, 6)]
    # What hosts say by themselves, they say in the first second: DAD, router solicitations, MLD reports.
    assert frames_seen(labs, lambda: None, within_s=1.2) == []
    for lab in labs:
        for ns in namespaces(lab).values():
            assert set(interface_counters(ns).values()) == {(0, 0)}


def test_silence_is_really_listened_for(build_lab: BuildLab) -> None:
    lab = build_lab(PAIR)

    def speak() -> None:
        with lab.hosts["client"].socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.sendto(bytes(12) + b"\x88\xb6x", ("eth0", 0))

    assert {name for _, name, _ in frames_seen([lab], speak, within_s=0.1)} == {"client", "server"}


def test_a_bridge_shows_no_host_the_others_frames(build_lab: BuildLab) -> None:
    lab = build_lab(BRIDGE)
    assert conversation(lab, 4) == b"hello"
    assert interface_counters(lab.hosts["third"])["eth0"] == (0, 0)
    assert interface_counters(lab.hosts["client"])["eth0"][1] >= 4


def test_a_middlebox_passes_nothing_by_itself(build_lab: BuildLab) -> None:
    lab = build_lab(MIDDLEBOX)
    where, ports = lab.middleboxes["client-server"]
    assert ports == {"client": "port0", "server": "port1"}
    with lab.hosts["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", (lab.plan.names["server"], 9))
    counters = interface_counters(where)
    assert (counters["port0"], counters["port1"]) == ((1, 0), (0, 0))


# --- settings


def test_settings_and_routes_are_in_force(build_lab: BuildLab) -> None:
    lab = build_lab(
        "hosts: {client: {sysctl: {net.ipv4.tcp_sack: 0, net.ipv4.conf.eth0.log_martians: 1}, "
        "routes: [{to: server, rto_min: 50ms, initcwnd: 3, quickack: 1, cc_algo: reno, features: ecn}]}, "
        "server: }\nlinks: [{join: [client, server], mtu: 1400}]"
    )
    client, server = (lab.environment()[name] for name in ("client", "server"))
    assert client["sysctl"]["net.ipv4.tcp_sack"] == "0"
    assert client["sysctl"]["net.ipv4.conf.eth0.log_martians"] == "1"
    assert server["sysctl"]["net.ipv4.tcp_early_retrans"] == "0"
    address = lab.plan.names["server"]
    metrics = "initcwnd 3 features ecn rto_min 50ms quickack 1 cc_algo reno"
    assert f"{address}/32 dev eth0 {metrics}" in client["routes"]
    with lab.hosts["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        assert mtu_of(lab.hosts["client"], sock) == 1400


def mtu_of(ns: NetNs, sock: socket.socket) -> int:
    answer = fcntl.ioctl(sock, 0x8921, struct.pack("16sI20x", b"eth0", 0))  # SIOCGIFMTU
    return int(struct.unpack("16sI20x", answer)[1])


@IPS
def test_a_route_on_the_link_replaces_the_kernels(build_lab: BuildLab, ip: int) -> None:
    net = plan_of(PAIR, ip=ip).hosts[0].interfaces[0].address.rpartition("1")[0]
    to = f"{net}0/24" if ip == 4 else f"{net}/64"
    lab = build_lab(
        f'hosts: {{client: {{routes: [{{to: "{to}", rto_min: 20ms}}]}}, server: }}\n{LINK}',
        ip=ip,
    )
    routes = lab.environment()["client"]["routes"]
    assert [line for line in routes if "eth0" in line] == [f"{to} dev eth0 rto_min 20ms"]
    assert conversation(lab, ip) == b"hello"


@pytest.mark.parametrize(("offload", "on"), [("false", False), ("true", True)])
def test_offloads_are_off_unless_wanted(build_lab: BuildLab, offload: str, on: bool) -> None:
    lab = build_lab(f"hosts: {{client: {{offload: {offload}}}, server: }}\nlinks: [[client, server]]")
    client, server = (lab.environment()[name]["offload"]["eth0"] for name in ("client", "server"))
    assert client["tcp-segmentation-offload"] is on
    assert client["tx-checksumming"] is on
    assert not any(server.values())


def test_names_for_programs(build_lab: BuildLab) -> None:
    lab = build_lab(PAIR)
    lines = [line.split() for line in lab.hosts_file.read_text().splitlines()]
    assert [lab.plan.names["server"], "server"] in lines
    assert ["127.0.0.1", "localhost"] in lines


# --- refusals

REFUSED = {
    "no such setting": (
        "sysctl: {net.ipv4.no_such_thing: 1}",
        "sysctl net.ipv4.no_such_thing: this kernel has no such setting",
    ),
    "a refused value": (
        "sysctl: {net.ipv4.tcp_sack: nonsense}",
        "sysctl net.ipv4.tcp_sack: the kernel refuses the value 'nonsense' (Invalid argument)",
    ),
    "not of a namespace": (
        "sysctl: {net.core.rmem_max: 1000000}",
        "sysctl net.core.rmem_max: ",
    ),
    "a bad metric": (
        "routes: [{to: server, cc_algo: nonsense}]",
        "route to 10.0.0.2/32 dev eth0, cc_algo nonsense: Invalid argument",
    ),
    "below the kernel's unit": (
        "routes: [{to: server, rto_min: 10us}]",
        "route to 10.0.0.2/32: rto_min of 10000 ns: the kernel counts it in milliseconds",
    ),
    "a gateway out of reach": (
        "routes: [{to: 192.0.2.0/24, via: 198.51.100.1}]",
        "route to 192.0.2.0/24 dev eth0: Network is unreachable: Nexthop has invalid gateway",
    ),
}


def refused(client: str) -> str:
    return f"hosts: {{client: {{{client}}}, server: }}\n{LINK}"


@pytest.mark.parametrize(("client", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_names_host_setting_and_reason(build_lab: BuildLab, client: str, reason: str) -> None:
    with pytest.raises(LabError) as raised:
        build_lab(refused(client))
    assert raised.value.text.startswith(f"host client: {reason}")
    assert str(raised.value).startswith("x.yaml:3:")


def test_an_mtu_that_no_interface_can_have(spawner: Spawner, tmp_path: Path) -> None:
    plan = plan_of(PAIR)
    link = replace(plan.links[0], mtu=20)
    with (
        pytest.raises(LabError, match=r"^x.yaml:4:9: link client-server \(mtu 20\): Invalid argument"),
        Lab(replace(plan, links=(link,)), spawner, tmp_path),
    ):
        pass


def test_a_default_that_the_kernel_lacks_is_only_noted(spawner: Spawner, tmp_path: Path) -> None:
    plan = plan_of(PAIR)
    client = replace(plan.hosts[0], sysctl=(*plan.hosts[0].sysctl, ("net.ipv4.of_another_kernel", "1", None)))
    with Lab(replace(plan, hosts=(client, *plan.hosts[1:])), spawner, tmp_path) as lab:
        note = "host client: sysctl net.ipv4.of_another_kernel: this kernel has no such setting"
        assert note in lab.notes
        assert "net.ipv4.of_another_kernel" not in lab.environment()["client"]["sysctl"]


def test_nothing_is_left_open(spawner: Spawner, tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    with Lab(plan_of(ROUTER), spawner, tmp_path):
        assert open_files() > before
    assert open_files() == before
    with pytest.raises(LabError), Lab(plan_of(refused(REFUSED["a bad metric"][0])), spawner, tmp_path):
        pass
    assert open_files() == before
