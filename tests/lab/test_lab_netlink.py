"""Route netlink: requests to bytes, batches, and the kernel's own words."""

from __future__ import annotations

import errno

import pytest

from tcpharness.lab import links, routes
from tcpharness.lab.links import End
from tcpharness.lab.netlink import Refused, RouteSocket, encoded
from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Spawner
from tcpharness.scenario.plan import RoutePlan


def test_a_request_in_bytes() -> None:
    """As include/uapi/linux/netlink.h and rtnetlink.h draw it; attributes are padded to four bytes."""
    message = encoded(links.bridge(1500, "about"), 0x5, 7)
    header = f"{len(message):02x}000000 1000 0506 07000000 00000000"
    fields = "00 00 0000 e7030000 81000000 81100000"
    name, mtu = "0b00 0300 627269646765 00 00", "0800 0400 dc050000"
    assert message.startswith(bytes.fromhex(header + fields + name + mtu))
    assert len(message) % 4 == 0


@pytest.mark.netns
def test_the_first_refusal_of_a_batch_is_raised(spawner: Spawner) -> None:
    with NetNs() as namespace, RouteSocket(namespace) as netlink:
        with pytest.raises(Refused) as refused:
            netlink.do([links.up(1, "lo"), links.up(77, "nothing"), links.up(78, "nothing either")])
        assert (refused.value.about, refused.value.errno) == ("nothing", errno.ENODEV)
        assert str(refused.value).startswith("No such device")
        netlink.do([links.up(1, "lo")])  # and the socket is as good as new


@pytest.mark.netns
def test_the_kernels_own_words_are_kept(spawner: Spawner) -> None:
    nowhere = RoutePlan("192.0.2.0/24", "198.51.100.1", "lo", {}, None)
    with NetNs() as namespace, RouteSocket(namespace) as netlink:
        netlink.do([links.up(1, "lo")])
        with pytest.raises(Refused, match=r"^Network is unreachable: Nexthop has invalid gateway$"):
            netlink.do([routes.route(nowhere, 1)])


@pytest.mark.netns
def test_a_batch_that_is_refused_as_a_whole_is_read_to_its_end(spawner: Spawner) -> None:
    with NetNs() as namespace, RouteSocket(namespace) as netlink:
        ends = [End(namespace.fd, f"eth{n}", 1000 + n, f"02:00:00:00:00:0{n}") for n in range(2)]
        nowhere = [links.veth_pair(ends[0], ends[1], 10, n, master=77) for n in range(100)]
        with pytest.raises(Refused) as refused:
            netlink.do(nowhere)
        assert refused.value.about == 0
        netlink.do([links.up(1, "lo")])


@pytest.mark.netns
def test_many_requests_go_in_several_batches(spawner: Spawner) -> None:
    with NetNs() as one, NetNs() as other, RouteSocket(one) as netlink:
        ends = [End(ns.fd, "eth0", 1000, f"02:00:00:00:00:0{n}") for n, ns in enumerate((one, other))]
        netlink.do([links.veth_pair(ends[0], ends[1], 1500, "pair"), links.up(1000, "up")])
        netlink.do([links.address(1000, "10.0.0.1", 16, "address")])
        netlink.do(
            [
                links.neighbour(1000, f"10.0.{n >> 8}.{n & 255}", "02:00:00:00:00:01", n)
                for n in range(2, 2000)
            ]
        )
