"""The Internet checksum (RFC 1071) and what a captured one means.

A field that is not the right sum need not be damage: a sender whose device computes checksums
leaves the folded, not complemented sum of the pseudo-header in the field (CHECKSUM_PARTIAL), and
that is what a capture on the sender, on loopback or on a veth shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from tcpharness.packet.address import address_bytes

if TYPE_CHECKING:
    from tcpharness.packet.segment import Segment

PROTO_TCP, ROUTING = 6, 43
SOURCE_ROUTES = (131, 137)  # RFC 791 3.1: loose, strict
Word = Literal["correct", "incorrect", "offload", "unverified"]


class Verdict(NamedTuple):
    """What a checksum field is. `right` is the value it should hold, None when it can't be known.

    `how` of an offload: "partial" (pseudo-header sum), "lso" (the same without the length),
    "zeroed"; of unverified: why.
    """

    word: Word
    right: int | None = None
    how: str = ""


def ones_complement_sum(data: bytes) -> int:
    """The folded 16-bit one's-complement sum, an odd last byte padded with zero on the right.

    2**16 is 1 modulo 65535, so a number's remainder is the folded sum of its 16-bit digits; only
    the two zeros of one's complement need telling apart.
    """
    number = int.from_bytes(data, "big") << (8 * (len(data) & 1))
    return number % 0xFFFF or (0xFFFF if number else 0)


def fold(value: int) -> int:
    """A sum of 16-bit numbers, its carries added in again."""
    return value % 0xFFFF or (0xFFFF if value else 0)


def pseudo_header_sum(src: bytes, dst: bytes, length: int, proto: int = PROTO_TCP) -> int:
    """RFC 9293 3.1 and RFC 8200 8.1: both addresses, the protocol, the TCP length; folded."""
    return fold(ones_complement_sum(src + dst) + proto + (length >> 16) + (length & 0xFFFF))


def tcp_checksum(src: str, dst: str, tcp_bytes: bytes) -> int:
    """The right value of the field; what the field holds now is ignored."""
    pseudo = pseudo_header_sum(address_bytes(src), address_bytes(dst), len(tcp_bytes))
    held = int.from_bytes(tcp_bytes[16:18], "big")
    return 0xFFFF - fold(pseudo + ones_complement_sum(tcp_bytes) + 0xFFFF - held)


def ip_checksum(header: bytes) -> int:
    """The right header checksum of an IPv4 header, options included (RFC 791 3.1)."""
    held = int.from_bytes(header[10:12], "big")
    return 0xFFFF - fold(ones_complement_sum(header) + 0xFFFF - held)


def verdict(segment: Segment) -> Verdict:
    """What the TCP checksum field is."""
    if not segment.is_tcp or segment.mf or segment.frag_offset:
        return Verdict("unverified", how="not a whole TCP segment")
    pseudo = pseudo_header_sum(segment.src_bytes, final_destination(segment), segment.tcp_len)
    if not segment.whole:
        return _snapped(segment, pseudo)
    total = fold(pseudo + ones_complement_sum(segment.tcp_bytes))
    if total == 0xFFFF:
        return Verdict("correct", segment.cksum)
    # RFC 1624: 0xffff is the other zero; receivers take it.
    right = 0xFFFF - fold(total + 0xFFFF - segment.cksum)
    how = _offload(segment, pseudo)
    return Verdict("offload" if how else "incorrect", right, how)


def final_destination(segment: Segment) -> bytes:
    """Where the packet is going in the end: with a source route that is not used up, its last address.

    RFC 1122 4.2.3.8 for IPv4's two options, RFC 8200 8.1 for the routing header.
    """
    data, at = segment.data, segment.ip_at + 20
    if segment.version == 4:
        stop = segment.ip_at + segment.ip_header_len
        while at + 2 < stop and data[at]:
            kind, length = data[at], data[at + 1] if data[at] != 1 else 1
            if kind in SOURCE_ROUTES and 7 <= length <= stop - at and data[at + 2] <= length:
                return data[at + length - 4 : at + length]
            at += max(length, 1)
    elif data[segment.ip_at + 6] == ROUTING:
        at = segment.ip_at + 40
        size = data[at + 1] * 8  # of the addresses, 16 bytes each
        if data[at + 2] in (0, 2) and data[at + 3] and size >= 16:
            return data[at + 8 + size - 16 : at + 8 + size]
    return segment.dst_bytes


def _offload(segment: Segment, pseudo: int) -> str:
    if segment.cksum == pseudo:
        return "partial"
    if segment.cksum == pseudo_header_sum(segment.src_bytes, segment.dst_bytes, 0):
        return "lso"
    return "zeroed" if segment.cksum == 0 else ""


def _snapped(segment: Segment, pseudo: int) -> Verdict:
    """Not all is there; an offload's sum can be recognised all the same (by chance 1 in 65536)."""
    if segment.cksum == pseudo:
        return Verdict("offload", None, "partial")
    return Verdict("unverified", how="not all of the segment was captured")


def ip_verdict(segment: Segment) -> Verdict:
    """What the IPv4 header checksum is; IPv6 has none."""
    if segment.version != 4 or not segment.ip_header:
        return Verdict("unverified", how="no IPv4 header")
    if ones_complement_sum(segment.ip_header) == 0xFFFF:
        return Verdict("correct", segment.ip_cksum)
    how = "zeroed" if segment.ip_cksum == 0 else ""
    return Verdict("offload" if how else "incorrect", ip_checksum(segment.ip_header), how)
