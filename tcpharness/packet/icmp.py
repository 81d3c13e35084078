"""ICMP errors about a packet: RFC 792 and RFC 1191 for IPv4, RFC 4443 and RFC 8201 for IPv6."""

from __future__ import annotations

from struct import pack, unpack_from
from typing import NamedTuple

from tcpharness.packet.address import address_bytes
from tcpharness.packet.checksum import fold, ip_checksum, ones_complement_sum, pseudo_header_sum
from tcpharness.packet.ip import TCP, IpHeader, read_one

# name -> (type, code) of ICMP, of ICMPv6
KINDS: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "net_unreachable": ((3, 0), (1, 0)),
    "host_unreachable": ((3, 1), (1, 3)),
    "port_unreachable": ((3, 3), (1, 4)),
    "frag_needed": ((3, 4), (2, 0)),  # IPv6: packet too big
    "admin_prohibited": ((3, 13), (1, 1)),
    "ttl_exceeded": ((11, 0), (3, 0)),
}
QUOTED_LEN = 576 - 28  # of the packet that it is about (RFC 1812 4.3.2.3)
QUOTED6_LEN = 1280 - 48  # RFC 4443 2.4 (c)
PROTO_ICMP, PROTO_ICMPV6 = 1, 58


def icmp_error(kind: str, src: str, dst: str, about: bytes, mtu: int = 0, ttl: int = 64) -> bytes:
    """The IP packet. `about` is the packet that it quotes, from its IP header on."""
    if ":" in src:
        return _icmpv6(kind, src, dst, about, mtu, ttl)
    number, code = KINDS[kind][0]
    # RFC 1191 4: the MTU of the next hop, in what is unused otherwise.
    plain = pack("!BBHHH", number, code, 0, 0, mtu) + about[:QUOTED_LEN]
    body = plain[:2] + pack("!H", 0xFFFF - ones_complement_sum(plain)) + plain[4:]
    head = pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(body), 0, 0, ttl, PROTO_ICMP, 0)
    head += address_bytes(src) + address_bytes(dst)
    return head[:10] + pack("!H", ip_checksum(head)) + head[12:] + body


def _icmpv6(kind: str, src: str, dst: str, about: bytes, mtu: int, ttl: int) -> bytes:
    number, code = KINDS[kind][1]
    plain = pack("!BBHI", number, code, 0, mtu) + about[:QUOTED6_LEN]
    pseudo = pseudo_header_sum(address_bytes(src), address_bytes(dst), len(plain), PROTO_ICMPV6)
    cksum = 0xFFFF - fold(pseudo + ones_complement_sum(plain))
    body = plain[:2] + pack("!H", cksum) + plain[4:]
    return (
        pack("!IHBB", 6 << 28, len(body), PROTO_ICMPV6, ttl) + address_bytes(src) + address_bytes(dst) + body
    )


# --- reading --------------------------------------------------------------------------------------

NAMES = {(version, *pair[version == 6]): kind for kind, pair in KINDS.items() for version in (4, 6)}
# (IP version, type) -> family; other types are no errors about a packet.
FAMILIES = {
    (4, 3): "unreachable", (4, 11): "ttl_exceeded", (4, 12): "parameter_problem", (4, 4): "source_quench",
    (6, 1): "unreachable", (6, 2): "frag_needed", (6, 3): "ttl_exceeded", (6, 4): "parameter_problem",
}  # fmt: skip


class IcmpError(NamedTuple):
    """An error about a TCP segment, and the numbers of the segment that it quotes (RFC 5927 4.1)."""

    kind: str  # as in KINDS; else "unreachable_CODE", "ttl_exceeded_CODE", ...
    family: str
    type: int
    code: int
    mtu: int  # of the next hop; 0: not said
    about: IpHeader  # of the quoted packet
    sport: int
    dport: int
    seq: int


def read_error(data: bytes, at: int, end: int, version: int) -> IcmpError | None:
    """The ICMP message in data[at:end]; None when it is no error about TCP, or too short to say whose."""
    if end - at < 8 + 20 + 8:
        return None
    number, code = data[at], data[at + 1]
    family = FAMILIES.get((version, number))
    if family is None:
        return None
    # What it quotes is cut; its own length says how long it was.
    about = read_one(data[:end], at + 8, 1 << 17)
    if about.fatal or about.proto != TCP or about.frag_offset or end - about.next_at < 8:
        return None
    mtu = 0
    if (version, number, code) in ((4, 3, 4), (6, 2, 0)):
        family = "frag_needed"
        mtu = int.from_bytes(data[at + 4 : at + 8], "big") & (0xFFFF if version == 4 else 0xFFFFFFFF)
    sport, dport, seq = unpack_from("!HHI", data, about.next_at)
    kind = NAMES.get((version, number, code), f"{family}_{code}")
    return IcmpError(kind, family, number, code, mtu, about, sport, dport, seq)
