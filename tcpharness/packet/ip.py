"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers, extension headers, and one level of tunnel.

Two lengths meet here: what the header says and what was captured. `end` is where the captured part
of the packet ends, `next_len` what the header says that follows it; link padding is beyond `end`.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from tcpharness.packet import rare_links

IPV4 = Struct("!BBHHHBBH")  # version+IHL, tos, total length, id, flags+offset, ttl, proto, checksum
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION)
TCP, UDP, IN_IPV4, IN_IPV6, GRE = 6, 17, 4, 41, 47
VXLAN_PORT, LINUX_VXLAN_PORT, GENEVE_PORT, L2TP_PORT = 4789, 8472, 6081, 1701
KINDS = {
    1: "icmp", 2: "igmp", TCP: "tcp", UDP: "udp", IN_IPV4: "ipip", IN_IPV6: "ipip", GRE: "gre", 50: "esp",
    51: "ah", 58: "icmpv6", 89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp", 59: "no next header",
}  # fmt: skip
JUMBO = 0xC2  # RFC 2675 2: the option that holds the length when the length field is 0


@dataclass(slots=True)
class IpHeader:
    """One IP header, and where what it carries lies in the frame."""

    version: int
    at: int
    src: bytes = b""
    dst: bytes = b""
    ttl: int = 0
    tos: int = 0
    id: int = 0
    df: bool = False
    mf: bool = False
    frag_offset: int = 0
    proto: int = -1
    ip_len: int = 0
    cksum: int = 0
    options: bytes = b""
    next_at: int = 0
    next_len: int = 0
    end: int = 0
    malformed: str | None = None
    fatal: bool = False  # nothing behind this header can be read
    tunnel: str = ""

    @property
    def kind(self) -> str:
        if self.proto < 0:
            return "short ip"
        if self.frag_offset:
            return "fragment"
        return KINDS.get(self.proto, f"ip protocol {self.proto}")

    def broken(self, why: str, *, fatal: bool = True) -> IpHeader:
        self.malformed, self.fatal = self.malformed or why, self.fatal or fatal
        return self


def read_ip(data: bytes, at: int, wire_len: int) -> IpHeader:
    """The packet at `at`, or the inner one when it is a tunnel (IPIP, GRE, VXLAN, Geneve) with TCP in it."""
    outer = read_one(data, at, wire_len)
    if outer.proto == TCP or outer.fatal or outer.frag_offset:
        return outer
    inside = _inside(data, outer)
    if inside is None:
        return outer
    name, inner_at = inside
    # The inner packet may be longer than what was captured, never longer than the outer one says.
    inner = read_one(data, inner_at, max(wire_len, outer.next_at + outer.next_len))
    inner.tunnel = name
    return inner if inner.proto == TCP else outer


def read_one(data: bytes, at: int, wire_len: int) -> IpHeader:
    if at >= len(data):
        return _cut(IpHeader(0, at, end=len(data)), wire_len > at)
    version = data[at] >> 4
    if version == 4:
        return read_ipv4(data, at, wire_len)
    if version == 6:
        return read_ipv6(data, at, wire_len)
    return IpHeader(0, at, end=len(data)).broken(f"IP version {version}")


def read_ipv4(data: bytes, at: int, wire_len: int) -> IpHeader:
    header = IpHeader(4, at, end=len(data))
    if len(data) - at < 20:
        return _cut(header, wire_len > len(data))
    (first, header.tos, header.ip_len, header.id, flags, header.ttl, header.proto,
     header.cksum) = IPV4.unpack_from(data, at)  # fmt: skip
    header.src, header.dst = data[at + 12 : at + 16], data[at + 16 : at + 20]
    header.df, header.mf = bool(flags & 0x4000), bool(flags & 0x2000)
    header.frag_offset = (flags & 0x1FFF) * 8
    header_len = (first & 15) * 4
    if header_len < 20:
        return header.broken(f"IPv4 header length {first & 15} is below 5")
    if at + header_len > len(data):
        return _cut(header, wire_len > len(data))
    header.options = data[at + 20 : at + header_len]
    # Total length 0: too large for the field, left to segmentation offload; it goes to the frame's end.
    length = header.ip_len or wire_len - at
    if length < header_len:
        return header.broken(f"IPv4 total length {length} is below the header's own {header_len}")
    header.next_at, header.next_len = at + header_len, length - header_len
    return _bounded(header, data, at + length, wire_len)


def _cut(header: IpHeader, snapped: bool) -> IpHeader:
    """A frame that ends inside its IP header: the capture's doing, or the sender's."""
    header.proto, header.fatal = -1, True
    return header if snapped else header.broken("the frame ends inside its IP header")


def _bounded(header: IpHeader, data: bytes, stop: int, wire_len: int) -> IpHeader:
    header.end = min(len(data), stop)
    if stop > wire_len:
        there = wire_len - header.at
        header.broken(f"the IP length says {stop - header.at} bytes, the frame has {there}", fatal=False)
    return header


def read_ipv6(data: bytes, at: int, wire_len: int) -> IpHeader:
    header = IpHeader(6, at, end=len(data))
    if len(data) - at < 40:
        return _cut(header, wire_len > len(data))
    header.tos = (data[at] << 4 | data[at + 1] >> 4) & 0xFF
    header.ip_len = data[at + 4] << 8 | data[at + 5]
    header.proto, header.ttl = data[at + 6], data[at + 7]
    header.src, header.dst = data[at + 8 : at + 24], data[at + 24 : at + 40]
    header.next_at, header.df = at + 40, True  # RFC 8200 5: routers never fragment
    length = header.ip_len or _jumbo(data, header) or wire_len - at - 40
    header.next_len = length
    _bounded(header, data, at + 40 + length, wire_len)
    return _extensions(data, header) if header.proto in EXTENSIONS else header


def _jumbo(data: bytes, header: IpHeader) -> int:
    """RFC 2675: the jumbo payload option, where Linux puts it: first in a hop-by-hop header."""
    at = header.next_at
    if header.proto == HOP_BY_HOP and data[at + 2 : at + 4] == bytes((JUMBO, 4)):
        return int.from_bytes(data[at + 4 : at + 8], "big")
    return 0


def _extensions(data: bytes, header: IpHeader) -> IpHeader:
    """RFC 8200 4: walk the chain up to the first header that is no extension."""
    stop = header.next_at + header.next_len
    while header.proto in EXTENSIONS:
        at = header.next_at
        if at + 8 > header.end:
            header.broken("the IPv6 extension headers run past the packet", fatal=False)
            header.proto, header.fatal = -1, True
            return header
        kind, header.proto = header.proto, data[at]
        if kind == FRAGMENT:
            field = data[at + 2] << 8 | data[at + 3]
            header.frag_offset, header.mf = field & 0xFFF8, bool(field & 1)
            header.id = int.from_bytes(data[at + 4 : at + 8], "big")
            header.df = False
            header.next_at += 8
        else:
            header.next_at += (data[at + 1] + 2) * 4 if kind == AUTHENTICATION else (data[at + 1] + 1) * 8
        header.next_len = stop - header.next_at
        if header.next_len < 0:
            return header.broken("an IPv6 extension header is longer than the packet")
        if header.frag_offset:
            return header
    return header


def _inside(data: bytes, outer: IpHeader) -> tuple[str, int] | None:
    """The tunnel's name and where the inner IP header begins; None when it is no tunnel we look into."""
    at = outer.next_at
    if outer.proto in (IN_IPV4, IN_IPV6):
        return "ipip", at
    if outer.proto == GRE:
        return _inside_gre(data, at)
    if outer.proto == UDP and at + 16 <= outer.end:
        port = data[at + 2] << 8 | data[at + 3]
        # RFC 7348 5: the I flag is set. Linux' own port is another protocol's as well, so there it must be.
        if port == VXLAN_PORT or (port == LINUX_VXLAN_PORT and data[at + 8 : at + 12] == b"\x08\0\0\0"):
            return _ethernet_inside("vxlan", data, at + 16)
        if port == GENEVE_PORT:
            return _inside_geneve(data, at + 8)
        if port == L2TP_PORT:
            return _inside_l2tp(data, at + 8)
    return None


def _inside_geneve(data: bytes, at: int) -> tuple[str, int] | None:
    """RFC 8926 3.4: options in words of four bytes; what follows is Ethernet, or IP itself."""
    inner, proto = at + 8 + (data[at] & 0x3F) * 4, data[at + 2 : at + 4]
    if proto in (b"\x08\x00", b"\x86\xdd"):
        return "geneve", inner
    return _ethernet_inside("geneve", data, inner) if proto == b"\x65\x58" else None


def _ethernet_inside(name: str, data: bytes, at: int) -> tuple[str, int] | None:
    """Past the Ethernet header and at most two VLAN tags."""
    at += 12
    for _ in range(2):
        if data[at : at + 2] in (b"\x81\x00", b"\x88\xa8"):
            at += 4
    return (name, at + 2) if data[at : at + 2] in (b"\x08\x00", b"\x86\xdd") else None


def _inside_l2tp(data: bytes, at: int) -> tuple[str, int] | None:
    """RFC 2661 3.1: length, numbers and offset are there when their bits are; control messages have none."""
    if at + 8 > len(data) or data[at] & 0x80:
        return None
    bits = data[at]
    at += 6 + 2 * bool(bits & 0x40) + 4 * bool(bits & 0x08)
    if bits & 0x02:
        at += 2 + int.from_bytes(data[at : at + 2], "big")
    return _ppp_inside("l2tp", data, at)


def _ppp_inside(name: str, data: bytes, at: int) -> tuple[str, int] | None:
    ethertype, inner = rare_links.ppp(data[at : at + 4])
    return (name, at + inner) if ethertype in (0x0800, 0x86DD) else None


def _inside_gre(data: bytes, at: int) -> tuple[str, int] | None:
    """RFC 2784 and 2890: checksum, key and sequence number are there when their bits are."""
    if at + 4 > len(data):
        return None
    bits, proto = data[at], data[at + 2 : at + 4]
    inner = at + 4 + 4 * (bool(bits & 0x80) + bool(bits & 0x20) + bool(bits & 0x10))
    if proto == b"\x88\x0b":  # RFC 2637 4.1: PPP, and maybe an acknowledgement number before it
        return _ppp_inside("pptp", data, inner + 4 * bool(data[at + 1] & 0x80))
    if proto in (b"\x08\x00", b"\x86\xdd"):
        return "gre", inner
    return _ethernet_inside("gre", data, inner) if proto == b"\x65\x58" else None
