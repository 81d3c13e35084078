"""Link layers that are seldom met, from PPP and 802.11 to Token Ring; LLC and MPLS labels.

A reader gives the ethertype (0: nothing that we read) and where the packet begins. The layouts are those
of https://www.tcpdump.org/linktypes.html.
"""

from __future__ import annotations

from collections.abc import Callable

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
MPLS = (0x8847, 0x8848)
PPP_MPLS = 0x0281
PPP_PROTOCOLS = {0x0021: ETHERTYPE_IPV4, 0x0057: ETHERTYPE_IPV6, PPP_MPLS: MPLS[0]}
ARCNET_IP, ARCNET_IP_1051 = 0xD4, 0xF0  # RFC 1201 and RFC 1051
GRH_LEN = 40
ROUTED = 0x80  # the bit of a Token Ring source address that says: routing information follows
NLPIDS = {0xCC: ETHERTYPE_IPV4, 0x8E: ETHERTYPE_IPV6}  # RFC 2427 4
# The address families of BSD systems; that of IPv6 differs between them.
BSD_FAMILIES = {2: ETHERTYPE_IPV4, 24: ETHERTYPE_IPV6, 28: ETHERTYPE_IPV6, 30: ETHERTYPE_IPV6}
LINUX_FAMILIES = {2: ETHERTYPE_IPV4, 10: ETHERTYPE_IPV6}
NFLOG_PAYLOAD = 9


def ppp(data: bytes) -> tuple[int, int]:
    """RFC 1661 2, RFC 1662 3.1: address and control may be left out, as may a protocol's first byte."""
    if data[:1] in (b"\x0f", b"\x8f"):  # Cisco HDLC's address
        return hdlc(data)
    at = 2 if data[:1] == b"\xff" else 0
    if data[at : at + 1] and data[at] & 1:
        return PPP_PROTOCOLS.get(data[at], 0), at + 1
    return PPP_PROTOCOLS.get(int.from_bytes(data[at : at + 2], "big"), 0), at + 2


def directed_ppp(data: bytes) -> tuple[int, int]:
    """A byte that tells who sent it."""
    ethertype, at = ppp(data[1:])
    return ethertype, at + 1


def hdlc(data: bytes) -> tuple[int, int]:
    """Address, control, ethertype."""
    return int.from_bytes(data[2:4], "big"), 4


def arcnet(data: bytes) -> tuple[int, int]:
    """As Linux captures it: source, destination, offset (2), type; RFC 1201 adds a flag and a number (2)."""
    kind = data[4] if len(data) > 4 else 0
    if kind == ARCNET_IP:
        return ETHERTYPE_IPV4, 8
    return (ETHERTYPE_IPV4 if kind == ARCNET_IP_1051 else 0), 5


def infiniband(data: bytes) -> tuple[int, int]:
    """The global routing header, then RFC 4391's type and two reserved bytes."""
    return int.from_bytes(data[GRH_LEN : GRH_LEN + 2], "big"), GRH_LEN + 4


def under_labels(data: bytes, at: int) -> tuple[int, int]:
    """RFC 3032 2.1: 4 bytes a label, the last one marked; what follows tells itself by its IP version."""
    while at + 4 < len(data):
        at += 4
        if data[at - 2] & 1:
            return {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}.get(data[at] >> 4, 0), at
    return 0, at


def snap(data: bytes, at: int) -> tuple[int, int]:
    """IEEE 802.2 with a subnetwork header (RFC 1042): an ethertype behind six bytes."""
    if data[at : at + 6] in (b"\xaa\xaa\x03\0\0\0", b"\xaa\xaa\x03\0\0\xf8"):
        return int.from_bytes(data[at + 6 : at + 8], "big"), at + 8
    return 0, at


def wireless(data: bytes, at: int = 0) -> tuple[int, int]:
    """IEEE 802.11 data frames that are not encrypted."""
    if len(data) < at + 24:
        return 0, at
    first, bits = data[at], data[at + 1]
    if first & 0x0C != 0x08 or first & 0x40 or bits & 0x40:  # not data, without data, encrypted
        return 0, at
    quality = first & 0x80
    length = 24 + (6 if bits & 3 == 3 else 0) + (2 if quality else 0) + (4 if quality and bits & 0x80 else 0)
    return snap(data, at + length)


def radiotap(data: bytes) -> tuple[int, int]:
    """A header of its own length first, little-endian."""
    return wireless(data, int.from_bytes(data[2:4], "little"))


def avs(data: bytes) -> tuple[int, int]:
    """A header of its own length, big-endian; Prism's, of 144 bytes, came before it under the same number."""
    length = int.from_bytes(data[4:8], "big") if data[:3] == b"\x80\x21\x10" else 144
    return wireless(data, min(length, len(data)))


def token_ring(data: bytes) -> tuple[int, int]:
    """Access and frame control, two addresses, maybe routing information of a length of its own; LLC."""
    if len(data) < 16:
        return 0, 14
    return snap(data, 14 + (data[14] & 31 if data[8] & ROUTED else 0))


def frame_relay(data: bytes) -> tuple[int, int]:
    """Q.922's address of 2 to 4 bytes, whose last one is odd; RFC 2427's control, padding and protocol."""
    at = next((i + 1 for i in range(1, min(4, len(data))) if data[i] & 1), 4)
    if data[at : at + 1] != b"\x03":  # Cisco's way: an ethertype
        return int.from_bytes(data[at : at + 2], "big"), at + 2
    at += 2 if data[at + 1 : at + 2] == b"\0" else 1
    kind = data[at] if at < len(data) else 0
    if kind == 0x80 and data[at + 1 : at + 4] == b"\0\0\0":
        return int.from_bytes(data[at + 4 : at + 6], "big"), at + 6
    return NLPIDS.get(kind, 0), at + 1


def firewall_log(data: bytes) -> tuple[int, int]:
    """pflog: its length without padding, the address family."""
    return (BSD_FAMILIES.get(data[1], 0), (data[0] + 3) & ~3) if len(data) > 1 else (0, 2)


def enc(data: bytes) -> tuple[int, int]:
    """OpenBSD's view into IPsec: family in the byte order of the machine, SPI, flags."""
    family = int.from_bytes(data[:4], "little")
    return BSD_FAMILIES.get(family if family < 256 else family >> 24, 0), 12


def netfilter_log(data: bytes) -> tuple[int, int]:
    """nflog: a family, then attributes of a length and a type each; one of them is the packet."""
    at = 4
    while at + 4 <= len(data):
        length, kind = (int.from_bytes(data[i : i + 2], "little") for i in (at, at + 2))
        if kind == NFLOG_PAYLOAD:
            return LINUX_FAMILIES.get(data[0], 0), at + 4
        at += max((length + 3) & ~3, 4)
    return 0, 4


def per_packet(data: bytes) -> tuple[int, int]:
    """PPI: its length and the linktype of what follows, little-endian."""
    length, linktype = int.from_bytes(data[2:4], "little"), int.from_bytes(data[4:8], "little")
    reader = READERS.get(linktype)
    if reader is None or linktype == PPI or length > len(data):
        return 0, min(length, len(data))
    ethertype, at = reader(data[length:])
    return ethertype, length + at


PPI = 192
READERS: dict[int, Callable[[bytes], tuple[int, int]]] = {
    6: token_ring,
    9: ppp,
    10: lambda data: snap(data, 13),  # FDDI
    50: ppp,
    100: lambda data: snap(data, 0),  # RFC 2684
    104: hdlc,
    105: wireless,
    107: frame_relay,
    109: enc,
    117: firewall_log,
    119: avs,
    122: lambda data: snap(data, 16),  # IP over Fibre Channel, RFC 2625
    123: lambda data: snap(data, 4),  # SunATM
    127: radiotap,
    129: arcnet,
    138: lambda data: (int.from_bytes(data[16:18], "big"), 18),  # IP over FireWire
    163: avs,
    PPI: per_packet,
    204: directed_ppp,
    239: netfilter_log,
    242: infiniband,
}
