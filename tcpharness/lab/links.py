"""Interfaces, addresses and neighbours as requests to the kernel.

Every interface is made without ARP and multicast: neighbours are given, and a host that joins no
group reports none. With that, a lab which does nothing carries no frame.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import replace

from tcpharness.lab.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTM_DELADDR,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    Request,
    attribute,
    number,
    text,
)

# include/uapi/linux/if_link.h, if_addr.h, neighbour.h, veth.h
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER = 1, 3, 4, 10
IFLA_LINKINFO, IFLA_NET_NS_FD, IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 18, 28, 31, 32
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
VETH_INFO_PEER = 1
IFLA_BR_STP_STATE, IFLA_BR_MCAST_SNOOPING = 5, 23
IFLA_BRPORT_LEARNING, IFLA_BRPORT_UNICAST_FLOOD = 8, 9
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD = 0x02
NDA_DST, NDA_LLADDR = 1, 2
NUD_NOARP, NUD_PERMANENT, NTF_MASTER = 0x40, 0x80, 0x04
IFF_UP, IFF_NOARP, IFF_MULTICAST = 0x1, 0x80, 0x1000

IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
IFADDR = struct.Struct("=BBBBi")  # family, prefix length, flags, scope, index
NDMSG = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type

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

    def info(self) -> bytes:
        """Silent by itself, and not up yet: the kernel refuses that while a pair is being tied."""
        return IFINFO.pack(0, 0, self.index, IFF_NOARP, IFF_NOARP | IFF_MULTICAST)

    def attributes(self, mtu: int) -> bytes:
        return (
            text(IFLA_IFNAME, self.name)
            + attribute(IFLA_ADDRESS, mac_bytes(self.mac))
            + number(IFLA_MTU, mtu)
            + number(IFLA_NUM_TX_QUEUES, 1)
            + number(IFLA_NUM_RX_QUEUES, 1)
        )


def veth_pair(here: End, there: End, mtu: int, about: object, *, master: int | None = None) -> Request:
    """A pair, both ends down. `here` is in the namespace that the request is made in."""
    peer = there.info() + there.attributes(mtu) + number(IFLA_NET_NS_FD, there.netns)
    kind = text(IFLA_INFO_KIND, "veth") + attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer))
    body = here.info() + here.attributes(mtu) + attribute(IFLA_LINKINFO, kind)
    if master is not None:
        body += number(IFLA_MASTER, master)
    return Request(RTM_NEWLINK, NEW, body, about)


def bridge(mtu: int, about: object) -> Request:
    """A bridge that says nothing itself: no spanning tree, no multicast snooping."""
    data = number(IFLA_BR_STP_STATE, 0) + attribute(IFLA_BR_MCAST_SNOOPING, b"\0")
    kind = text(IFLA_INFO_KIND, "bridge") + attribute(IFLA_INFO_DATA, data)
    body = IFINFO.pack(0, 0, BRIDGE_INDEX, IFF_UP | IFF_NOARP, IFF_UP | IFF_NOARP | IFF_MULTICAST)
    body += text(IFLA_IFNAME, "bridge") + number(IFLA_MTU, mtu) + attribute(IFLA_LINKINFO, kind)
    return Request(RTM_NEWLINK, NEW, body, about)


def bridge_port(index: int, mac: str, about: object) -> list[Request]:
    """A port that knows its one host from the start: nothing is learned, so no first frame is flooded."""
    data = attribute(IFLA_BRPORT_LEARNING, b"\0") + attribute(IFLA_BRPORT_UNICAST_FLOOD, b"\0")
    kind = text(IFLA_INFO_SLAVE_KIND, "bridge") + attribute(IFLA_INFO_SLAVE_DATA, data)
    quiet = IFINFO.pack(0, 0, index, 0, 0) + attribute(IFLA_LINKINFO, kind)
    # Static is NOARP to a bridge; PERMANENT would mean an address of its own.
    known = NDMSG.pack(socket.AF_BRIDGE, index, NUD_NOARP, NTF_MASTER, 0)
    return [
        Request(RTM_NEWLINK, 0, quiet, about),
        Request(RTM_NEWNEIGH, NEW, known + attribute(NDA_LLADDR, mac_bytes(mac)), about),
    ]


def up(index: int, about: object) -> Request:
    return Request(RTM_NEWLINK, 0, IFINFO.pack(0, 0, index, IFF_UP, IFF_UP), about)


def address(index: int, ip: str, prefix_len: int, about: object) -> Request:
    family, packed = packed_ip(ip)
    body = IFADDR.pack(family, prefix_len, 0, 0, index) + attribute(IFA_LOCAL, packed)
    body += attribute(IFA_ADDRESS, packed)
    if family == socket.AF_INET6:
        body += number(IFA_FLAGS, IFA_F_NODAD)
    return Request(RTM_NEWADDR, NEW, body, about)


def no_address(index: int, ip: str, prefix_len: int, about: object) -> Request:
    """That address is taken away again."""
    return replace(address(index, ip, prefix_len, about), kind=RTM_DELADDR, flags=0)


def neighbour(index: int, ip: str, mac: str, about: object) -> Request:
    family, packed = packed_ip(ip)
    body = NDMSG.pack(family, index, NUD_PERMANENT, 0, 0)
    body += attribute(NDA_DST, packed) + attribute(NDA_LLADDR, mac_bytes(mac))
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, about)


def packed_ip(ip: str) -> tuple[int, bytes]:
    """(address family, network byte order) of an address in text."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return family, socket.inet_pton(family, ip)


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
