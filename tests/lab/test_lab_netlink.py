"""Route netlink: attributes to bytes and back, batches, and the kernel's own words."""

from __future__ import annotations

import errno

import pytest

from tcpharness.lab import links
from tcpharness.lab.links import End
from tcpharness.lab.netlink import Refused, RouteSocket, attribute, attributes, number, text
from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Spawner


def test_attributes_are_padded_to_four_bytes() -> None:
    assert attribute(3, b"abcde") == b"\x09\x00\x03\x00abcde\0\0\0"
    assert text(3, "abc") == b"\x08\x00\x03\x00abc\0"
    assert number(4, 1500) == b"\x08\x00\x04\x00\xdc\x05\0\0"


def test_attributes_come_back_by_type() -> None:
    nested = attribute(0x8000 | 8, number(13, 50))
    found = attributes(text(3, "eth0") + nested)
    assert found == {3: b"eth0\0", 8: number(13, 50)}
    assert attributes(found[8]) == {13: b"\x32\0\0\0"}


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x02\0\x01\0", b"\xff\xff\x01\0ab"])
def test_broken_attributes_end_the_reading(data: bytes) -> None:
    assert len(attributes(data)) <= 1


@pytest.mark.netns
def test_the_first_refusal_of_a_batch_is_raised(spawner: Spawner) -> None:
    with NetNs() as namespace, RouteSocket(namespace) as netlink:
        with pytest.raises(Refused) as refused:
            netlink.do([links.up(1, "lo"), links.up(77, "nothing"), links.up(78, "nothing either")])
        assert (refused.value.about, refused.value.errno) == ("nothing", errno.ENODEV)
        assert str(refused.value).startswith("No such device")
        netlink.do([links.up(1, "lo")])  # and the socket is as good as new


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
