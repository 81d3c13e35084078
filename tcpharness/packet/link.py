"""Link layers: from a frame to the packet in it.

Linktypes are those of the pcap registry: https://www.tcpdump.org/linktypes.html
"""

from __future__ import annotations

from typing import NamedTuple

from tcpharness.packet import rare_links

NULL, ETHERNET, LOOP, SLL, IPV4, IPV6, SLL2 = 0, 1, 108, 113, 228, 229, 276
RAW_IP = 101
RAW = (RAW_IP, 12, 14)
VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_PPPOE = 0x0800, 0x86DD, 0x8864
ETHERTYPES = {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}  # of an IP version
# BSD loopback gives the address family of the machine that captured: AF_INET6 differs by system.
FAMILIES = {2: ETHERTYPE_IPV4, 24: ETHERTYPE_IPV6, 28: ETHERTYPE_IPV6, 30: ETHERTYPE_IPV6, 10: ETHERTYPE_IPV6}
PPP_PROTOCOLS = {0x0021: ETHERTYPE_IPV4, 0x0057: ETHERTYPE_IPV6}
NAMES = {
    0x0806: "arp", 0x8035: "rarp", 0x88CC: "lldp", 0x8863: "pppoe discovery", 0x8864: "pppoe", 0x8847: "mpls",
}  # fmt: skip
# Of links that are not read, those that captures most often have; the rest have their number.
LINK_NAMES = {
    7: "ARCNET", 105: "802.11", 119: "802.11", 127: "802.11 radiotap", 163: "802.11", 178: "Juniper",
    186: "USB", 187: "Bluetooth HCI", 189: "USB", 195: "802.15.4", 201: "Bluetooth HCI", 220: "USB",
    227: "CAN", 230: "802.15.4", 249: "USB", 251: "Bluetooth LE", 253: "netlink", 254: "Bluetooth monitor",
    256: "Bluetooth LE", 272: "nRF sniffer", 283: "802.15.4",
}  # fmt: skip


class Link(NamedTuple):
    """Where the packet begins, and what it is. `kind` names it when it is not IP."""

    ethertype: int
    at: int
    kind: str = ""
    dst_mac: bytes = b""
    src_mac: bytes = b""
    vlans: tuple[int, ...] = ()

    @property
    def is_ip(self) -> bool:
        return self.ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6)


SHORT = Link(0, 0, "short frame")


def read_link(data: bytes, linktype: int) -> Link:
    """The link header of any linktype; one that is not known is named as such."""
    if linktype == ETHERNET:
        return ethernet(data)
    if linktype in rare_links.READERS:
        return rare(linktype, data)
    reader = READERS.get(linktype)
    if reader is None:
        known = f" ({LINK_NAMES[linktype]})" if linktype in LINK_NAMES else ""
        return Link(0, 0, f"linktype {linktype}{known}")
    return reader(data)


def ethernet(data: bytes) -> Link:
    if len(data) < 14:
        return SHORT
    ethertype = data[12] << 8 | data[13]
    if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return Link(ethertype, 14, "", data[0:6], data[6:12])
    found = tagged(data, 12)
    return found._replace(dst_mac=data[0:6], src_mac=data[6:12])


def tagged(data: bytes, at: int) -> Link:
    """From the ethertype at `at` on, through up to four VLAN tags (QinQ) and a PPPoE session."""
    vlans: tuple[int, ...] = ()
    ethertype = int.from_bytes(data[at : at + 2], "big")
    while ethertype in VLAN_TAGS and len(vlans) < 4:
        if len(data) < at + 6:
            return SHORT
        vlans += (int.from_bytes(data[at + 2 : at + 4], "big") & 0xFFF,)
        at += 4
        ethertype = int.from_bytes(data[at : at + 2], "big")
    if ethertype == ETHERTYPE_PPPOE and len(data) >= at + 10:
        inner = PPP_PROTOCOLS.get(int.from_bytes(data[at + 8 : at + 10], "big"), 0)
        if inner:
            return Link(inner, at + 10, "", vlans=vlans)
    return labelled(ethertype, at + 2, data, vlans)


def labelled(ethertype: int, at: int, data: bytes, vlans: tuple[int, ...] = ()) -> Link:
    """The packet itself when it is IP below MPLS labels, or below LLC (then the type is a length)."""
    inner, inner_at = 0, at
    if ethertype in rare_links.MPLS:
        inner, inner_at = rare_links.under_labels(data, at)
    elif ethertype < 1536:
        inner, inner_at = rare_links.snap(data, at)
    if inner in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return Link(inner, inner_at, "", vlans=vlans)
    return Link(ethertype, at, name(ethertype), vlans=vlans)


def rare(linktype: int, data: bytes) -> Link:
    ethertype, at = rare_links.READERS[linktype](data)
    if len(data) < at:
        return SHORT
    if not ethertype and linktype in LINK_NAMES:
        return Link(0, at, LINK_NAMES[linktype])
    return labelled(ethertype, at, data)


def name(ethertype: int) -> str:
    """How a frame that is not IP is counted. Below 1536 the field is a length (IEEE 802.3)."""
    if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return ""
    if ethertype < 1536:
        return "802.3"
    return NAMES.get(ethertype, f"ethertype 0x{ethertype:04x}")


def cooked(data: bytes) -> Link:
    """Linux cooked, version 1: type, ARPHRD, address length, address, protocol."""
    return tagged(data, 14) if len(data) >= 16 else SHORT


def cooked2(data: bytes) -> Link:
    """Linux cooked, version 2: the protocol comes first, the header is 20 bytes."""
    if len(data) < 20:
        return SHORT
    ethertype = data[0] << 8 | data[1]
    if ethertype in VLAN_TAGS:
        # The tag's first two bytes follow the header, and the inner ethertype them.
        return tagged(data[:18] + data[:2] + data[20:], 18) if len(data) >= 24 else SHORT
    return Link(ethertype, 20, name(ethertype))


def raw(data: bytes) -> Link:
    if not data:
        return SHORT
    version = data[0] >> 4
    ethertype = ETHERTYPES.get(version, 0)
    return Link(ethertype, 0, "" if ethertype else f"IP version {version}")


def null(data: bytes) -> Link:
    """BSD loopback: the family in the byte order of the machine that captured."""
    if len(data) < 4:
        return SHORT
    family = int.from_bytes(data[:4], "little")
    if family > 0xFFFF:
        family = int.from_bytes(data[:4], "big")
    ethertype = FAMILIES.get(family, 0)
    # Kinds are counted one by one: of nonsense there must not be four billion of them.
    kind = f"family {family}" if family <= 0xFFFF else "no address family"
    return Link(ethertype, 4, "" if ethertype else kind)


READERS = {
    SLL: cooked, SLL2: cooked2, NULL: null, LOOP: null, IPV4: raw, IPV6: raw, **dict.fromkeys(RAW, raw),
}  # fmt: skip
