"""The kernel's canary: each condition moves the host's own counters, whatever its scenario has set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from built_lab import PAIR, BuildLab

from tcpharness.analysis.canary import KERNEL_NAMES
from tcpharness.lab import counters
from tcpharness.lab.kernel_canary import Failed, KernelCanary
from tcpharness.lab.netns import NetNs
from tcpharness.lab.socket_table import Row, SocketTable
from tcpharness.packet.canary import is_kernels

pytestmark = pytest.mark.netns

ANY_STATE = 0xFFF
COUNTERS = sorted(name for name in KERNEL_NAMES if name.startswith("Tcp"))


def set_up(client: str) -> str:
    return f"hosts: {{client: {{{client}}}, server: }}\nlinks: [[client, server]]"


HOSTS = {
    "as it comes": PAIR,
    "time: fast": f"{PAIR}\ntime: fast",
    "cookies always": set_up("sysctl: {net.ipv4.tcp_syncookies: 2}"),
    "no SACK, small buffers": set_up(
        "sysctl: {net.ipv4.tcp_sack: 0, net.ipv4.tcp_rmem: 4096 8192 8192, net.ipv4.tcp_wmem: 4096 8192 8192}"
    ),
    "a firewall that drops": set_up("firewall: {policy: drop}"),
}


def during(host: NetNs, ip: int, look: Callable[[], None] = lambda: None) -> dict[str, int]:
    """What the canary moves, and a look at the host while it is there."""

    async def play() -> None:
        canary = KernelCanary(host, 7, ip)
        try:
            await canary.play()
            look()
        finally:
            canary.close()

    before = counters.read(host)
    asyncio.run(play())
    return counters.difference(before, counters.read(host))


@pytest.mark.parametrize("ip", [4, 6])
@pytest.mark.parametrize("network", HOSTS.values(), ids=HOSTS)
def test_every_condition_comes_about(network: str, ip: int, build_lab: BuildLab) -> None:
    moved = during(build_lab(network, ip=ip).hosts["client"], ip)
    assert [name for name in COUNTERS if not moved[name]] == []


@pytest.mark.parametrize("ip", [4, 6])
def test_nothing_of_it_is_left(ip: int, build_lab: BuildLab) -> None:
    """Whatever it sent again later would be in the next scenario's tracepoints."""
    host = build_lab(PAIR, ip=ip).hosts["client"]
    there: list[Row] = []
    with SocketTable(host) as table:
        during(host, ip, lambda: there.extend(table.rows(ANY_STATE)))
        assert {row.state for row in there} >= {"SYN_SENT", "ESTABLISHED", "LISTEN"}
        assert all(is_kernels(row.local) for row in there)
        assert table.rows(ANY_STATE) == []


def test_the_other_host_counts_nothing(build_lab: BuildLab) -> None:
    lab = build_lab(PAIR)
    before = counters.read(lab.hosts["server"])
    during(lab.hosts["client"], 4)
    moved = counters.difference(before, counters.read(lab.hosts["server"]))
    assert {name: n for name, n in moved.items() if n and name.startswith("Tcp")} == {}


def test_one_that_cannot_be_had_says_why(build_lab: BuildLab) -> None:
    host = build_lab(PAIR).hosts["client"]
    with pytest.raises(Failed, match=r"its cable can't be laid: .*exists"):
        during(host, 4, lambda: during_another(host))


def during_another(host: NetNs) -> None:
    """In a thread of its own, for there is one loop to a thread."""
    with ThreadPoolExecutor() as threads:
        threads.submit(during, host, 4).result()
