"""IPv6 extension headers (RFC 8200 4) in tcpdump's words."""

from __future__ import annotations

from collections.abc import Callable

from tcpharness.packet.address import address_text
from tcpharness.packet.ip import AUTHENTICATION, DESTINATION, EXTENSIONS, FRAGMENT, HOP_BY_HOP, ROUTING
from tcpharness.packet.segment import Segment

PAD1, ROUTER_ALERT, JUMBO = 0, 5, 0xC2


def extensions_text(segment: Segment) -> str:
    """All extension headers between the IPv6 header and TCP, each with a space behind it."""
    data, at = segment.data, segment.ip_at + 40
    kind, words = data[segment.ip_at + 6], ""
    while kind in EXTENSIONS and at + 8 <= segment.end:
        length = (
            8
            if kind == FRAGMENT
            else (data[at + 1] + 2) * 4
            if kind == AUTHENTICATION
            else (data[at + 1] + 1) * 8
        )
        rest = segment.ip_at + 40 + segment.ip_len - at - 8
        words += WORDS[kind](data[at : at + length], rest)
        kind, at = data[at], at + length
    return words


def has_fragment_header(segment: Segment) -> bool:
    return segment.version == 6 and " frag (" in f" {extensions_text(segment)}"


def options_text(header: bytes) -> str:
    words, at = "", 2
    while at < len(header):
        kind = header[at]
        size = header[at + 1] if at + 1 < len(header) else 0
        value = header[at + 2 : at + 2 + size]
        words += "(pad1)" if kind == PAD1 else option_text(kind, value)
        at += 1 if kind == PAD1 else 2 + size
    return words


def option_text(kind: int, value: bytes) -> str:
    if kind == 1:
        return "(padn)"
    number = int.from_bytes(value, "big")
    if kind == ROUTER_ALERT:
        return f"(rtalert: 0x{number:04x}) "
    return f"(jumbo: {number}) " if kind == JUMBO else f"(opt_type 0x{kind:02x}: len={len(value)})"


def routing_text(header: bytes, rest: int) -> str:
    kind, left = header[2], header[3]
    words = f"RT6 (len={header[1]}, type={kind}{' [Deprecated]' if kind == 0 else ''}, segleft={left}"
    if kind == 4:  # RFC 8754 2
        return (
            words + f", last-entry={header[4]}, flags=0x{header[5]:x}, tag={header[6] << 8 | header[7]:x}) "
        )
    words += f", rsv=0x{int.from_bytes(header[4:8], 'big'):x}" if kind == 0 else ""
    hops = (header[at : at + 16] for at in range(8, len(header) - 15, 16))
    return words + "".join(f", [{n}]{address_text(hop)}" for n, hop in enumerate(hops)) + ") "


def fragment_text(header: bytes, rest: int) -> str:
    field = header[2] << 8 | header[3]
    return f"frag (0x{header[4:8].hex()}:{field & 0xFFF8}|{rest}) "


def authentication_text(header: bytes, rest: int) -> str:
    spi, number = (int.from_bytes(header[at : at + 4], "big") for at in (4, 8))
    size = f"length={header[1]}({len(header)}-bytes)"
    return f"AH({size},spi=0x{spi:08x},seq=0x{number:x},icv=0x{header[12:].hex()}): "


WORDS: dict[int, Callable[[bytes, int], str]] = {
    HOP_BY_HOP: lambda header, rest: f"HBH {options_text(header)} ",
    DESTINATION: lambda header, rest: f"DSTOPT {options_text(header)} ",
    ROUTING: routing_text,
    FRAGMENT: fragment_text,
    AUTHENTICATION: authentication_text,
}
