"""Link layers that are seldom met: PPP, Cisco HDLC, ARCNET, 802.11, IP over InfiniBand; LLC and MPLS labels.

A reader gives the ethertype (0: nothing that we read) and where the packet begins.
"""

from __future__ import annotations

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
MPLS = (0x8847, 0x8848)
PPP_MPLS = 0x0281
PPP_PROTOCOLS = {0x0021: ETHERTYPE_IPV4, 0x0057: ETHERTYPE_IPV6, PPP_MPLS: MPLS[0]}
ARCNET_IP, ARCNET_IP_1051 = 0xD4, 0xF0  # RFC 1201 and RFC 1051
GRH_LEN = 40


def ppp(data: bytes) -> tuple[int, int]:
    """RFC 1661 2, RFC 1662 3.1: address and control may be left out, as may a protocol's first byte."""
    if data[:1] in (b"\x0f", b"\x8f"):  # Cisco HDLC's address
        return hdlc(data)
    at = 2 if data[:1] == b"\xff" else 0
    if data[at : at + 1] and data[at] & 1:
        return PPP_PROTOCOLS.get(data[at], 0), at + 1
    return PPP_PROTOCOLS.get(int.from_bytes(data[at : at + 2], "big"), 0), at + 2


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


READERS = {9: ppp, 50: ppp, 104: hdlc, 105: wireless, 127: radiotap, 129: arcnet, 242: infiniband}
