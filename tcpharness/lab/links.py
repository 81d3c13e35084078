"""Interfaces, addresses and neighbours as requests to the kernel.

Every interface is made without ARP and multicast: neighbours are given, and a host that joins no
group reports none. With that, a lab which does nothing carries no frame.
"""

from __future__ import annotations

import socket
from dataclasses import replace

from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE
from pyroute2.netlink.rtnl import RTM_DELADDR, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH
from pyroute2.netlink.rtnl.ifaddrmsg import IFA_F_NODAD
from pyroute2.netlink.rtnl.ifinfmsg import IFF_MULTICAST, IFF_NOARP, IFF_UP
from pyroute2.netlink.rtnl.ndmsg import NTF_MASTER, NUD_NOARP, NUD_PERMANENT

from tcpharness.lab.netlink import Attribute, Request, nested

LOOPBACK_INDEX = 1
# ethN has this index + N. Some kernels put tunnel devices into every namespace, from index 2 on.
FIRST_INDEX = 1000
BRIDGE_INDEX = 999
NEW = NLM_F_CREATE | NLM_F_EXCL


class End:
    """One end of a veth pair: where it lives, and what it is there."""

    def __init__(self, netns: int, name: str, index: int, mac: str) -> None:
        self.netns = netns
        self.name = name
        self.index = index
        self.mac = mac

    def fields(self) -> dict[str, int]:
        """Silent by itself, and not up yet: the kernel refuses that while a pair is being tied."""
        return {"index": self.index, "flags": IFF_NOARP, "change": IFF_NOARP | IFF_MULTICAST}

    def attributes(self, mtu: int) -> list[Attribute]:
        return [
            ("IFLA_IFNAME", self.name),
            ("IFLA_ADDRESS", self.mac),
            ("IFLA_MTU", mtu),
            ("IFLA_NUM_TX_QUEUES", 1),
            ("IFLA_NUM_RX_QUEUES", 1),
        ]


def veth_pair(here: End, there: End, mtu: int, about: object, *, master: int | None = None) -> Request:
    """A pair, both ends down. `here` is in the namespace that the request is made in."""
    peer = there.fields() | nested(*there.attributes(mtu), ("IFLA_NET_NS_FD", there.netns))
    attributes = [*here.attributes(mtu), _kind("veth", ("VETH_INFO_PEER", peer))]
    if master is not None:
        attributes.append(("IFLA_MASTER", master))
    return Request(RTM_NEWLINK, NEW, here.fields(), attributes, about)


def bridge(mtu: int, about: object) -> Request:
    """A bridge that says nothing itself: no spanning tree, no multicast snooping."""
    quiet = _kind("bridge", ("IFLA_BR_STP_STATE", 0), ("IFLA_BR_MCAST_SNOOPING", 0))
    change = IFF_UP | IFF_NOARP | IFF_MULTICAST
    fields = {"index": BRIDGE_INDEX, "flags": IFF_UP | IFF_NOARP, "change": change}
    return Request(RTM_NEWLINK, NEW, fields, [("IFLA_IFNAME", "bridge"), ("IFLA_MTU", mtu), quiet], about)


def bridge_port(index: int, mac: str, about: object) -> list[Request]:
    """A port that knows its one host from the start: nothing is learned, so no first frame is flooded."""
    quiet = nested(("IFLA_BRPORT_LEARNING", 0), ("IFLA_BRPORT_UNICAST_FLOOD", 0))
    port = nested(("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", quiet))
    # Static is NOARP to a bridge; PERMANENT would mean an address of its own.
    known = {"family": socket.AF_BRIDGE, "ifindex": index, "state": NUD_NOARP, "flags": NTF_MASTER}
    return [
        Request(RTM_NEWLINK, 0, {"index": index}, [("IFLA_LINKINFO", port)], about),
        Request(RTM_NEWNEIGH, NEW, known, [("NDA_LLADDR", mac)], about),
    ]


def up(index: int, about: object) -> Request:
    return Request(RTM_NEWLINK, 0, {"index": index, "flags": IFF_UP, "change": IFF_UP}, [], about)


def address(index: int, ip: str, prefix_len: int, about: object) -> Request:
    family = family_of(ip)
    attributes: list[Attribute] = [("IFA_LOCAL", ip), ("IFA_ADDRESS", ip)]
    if family == socket.AF_INET6:
        attributes.append(("IFA_FLAGS", IFA_F_NODAD))
    fields = {"family": family, "prefixlen": prefix_len, "index": index}
    return Request(RTM_NEWADDR, NEW, fields, attributes, about)


def no_address(index: int, ip: str, prefix_len: int, about: object) -> Request:
    """That address is taken away again."""
    return replace(address(index, ip, prefix_len, about), kind=RTM_DELADDR, flags=0)


def neighbour(index: int, ip: str, mac: str, about: object) -> Request:
    fields = {"family": family_of(ip), "ifindex": index, "state": NUD_PERMANENT}
    known: list[Attribute] = [("NDA_DST", ip), ("NDA_LLADDR", mac)]
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, fields, known, about)


def family_of(ip: str) -> int:
    """The address family of an address in text."""
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def _kind(name: str, *data: Attribute) -> Attribute:
    return ("IFLA_LINKINFO", nested(("IFLA_INFO_KIND", name), ("IFLA_INFO_DATA", nested(*data))))
