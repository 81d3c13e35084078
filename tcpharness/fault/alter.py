"""`corrupt` and `set`: bytes in, bytes out.

Checksums follow a `set` by the difference that it made (RFC 1624), so that a checksum which was
wrong before stays wrong, by as much. Only `corrupt` with `checksum: fix` computes one anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from tcpharness.packet.checksum import fold, ones_complement_sum, pseudo_header_sum
from tcpharness.packet.segment import (
    CKSUM,
    EOL,
    FLAGS,
    MSS,
    NOP,
    OFFSET_RESERVED,
    OPTIONS,
    SACK,
    SACK_OK,
    TIMESTAMP,
    WSCALE,
    flags_value,
    read_options,
)
from tcpharness.packet.spec import SegmentSpec
from tcpharness.scenario.model import Action

IP_AT = 14  # after the Ethernet header
MAX_HEADER = 60  # RFC 9293 3.1: the data offset has four bits
WRONG = 0x0101  # flipped in a checksum; never turns one zero of one's complement into the other

BYTE, SHORT, LONG = Struct("!B"), Struct("!H"), Struct("!I")
NUMBERS = Struct("!II")

# name -> (offset in the TCP header, width). RFC 9293 3.1
TCP_FIELDS = {
    "sport": (0, SHORT), "dport": (2, SHORT), "seq": (4, LONG), "ack": (8, LONG),
    "win": (14, SHORT), "cksum": (CKSUM, SHORT), "urg": (18, SHORT),
}  # fmt: skip
# name -> (offset in the IP header, width). RFC 791 3.1, RFC 8200 3
IP_FIELDS = {
    4: {"tos": (1, BYTE), "ip_len": (2, SHORT), "id": (4, SHORT), "ttl": (8, BYTE), "ip_cksum": (10, SHORT)},
    6: {"ip_len": (4, SHORT), "ttl": (7, BYTE)},
}
OPTION_FIELDS = ("mss", "wscale", "sack_ok", "tsval", "tsecr")
STRIPPED = {"mss": MSS, "wscale": WSCALE, "sack_ok": SACK_OK, "sack": SACK, "timestamps": TIMESTAMP}


class Layout(NamedTuple):
    """Where the parts of a frame are. `end` is that of the IP packet: padding may follow."""

    version: int
    tcp_at: int
    payload_at: int
    end: int


def corrupt(frame: bytes, layout: Layout, action: Action) -> bytes:
    """A checksum that is wrong, or one payload bit flipped (bit 0 is the least significant)."""
    data = bytearray(frame)
    if action.what == "tcp":
        _flip(data, layout.tcp_at + CKSUM)
    elif action.what == "ip":
        _flip(data, IP_AT + 10)
    else:
        data[layout.payload_at + (action.byte or 1) - 1] ^= 1 << action.bit
        if action.fix:
            fix_tcp_checksum(data, layout)
    return bytes(data)


def _flip(data: bytearray, at: int) -> None:
    SHORT.pack_into(data, at, SHORT.unpack_from(data, at)[0] ^ WRONG)


def fix_tcp_checksum(data: bytearray, layout: Layout) -> None:
    """Computes it over what is there (RFC 9293 3.1)."""
    at = layout.tcp_at + CKSUM
    SHORT.pack_into(data, at, 0)
    segment = bytes(data[layout.tcp_at : layout.end])
    total = _pseudo_sum(data, layout) + ones_complement_sum(segment)
    SHORT.pack_into(data, at, 0xFFFF - fold(total))


def tcp_checksum_holds(data: bytes | bytearray, layout: Layout) -> bool:
    """True when the segment's checksum is right."""
    segment = bytes(data[layout.tcp_at : layout.end])
    return fold(_pseudo_sum(data, layout) + ones_complement_sum(segment)) == 0xFFFF


def spoil_tcp_checksum(data: bytearray, layout: Layout) -> None:
    _flip(data, layout.tcp_at + CKSUM)


def fix_ip_checksum(data: bytearray, layout: Layout) -> None:
    """RFC 791 3.1; IPv6 has none."""
    if layout.version == 4:
        SHORT.pack_into(data, IP_AT + 10, 0)
        header_len = (data[IP_AT] & 15) * 4
        SHORT.pack_into(
            data, IP_AT + 10, 0xFFFF - ones_complement_sum(bytes(data[IP_AT : IP_AT + header_len]))
        )


def _pseudo_sum(data: bytes | bytearray, layout: Layout) -> int:
    at, width = (IP_AT + 12, 4) if layout.version == 4 else (IP_AT + 8, 16)
    src, dst = bytes(data[at : at + width]), bytes(data[at + width : at + 2 * width])
    return pseudo_header_sum(src, dst, layout.end - layout.tcp_at)


# --- set


def set_fields(frame: bytes, layout: Layout, action: Action) -> bytes:
    """The frame with these fields and without those options; checksums follow unless `fix` is False."""
    spec = action.fields
    data, changed = _with_options(frame, layout, spec, action.strip)
    put_fields(data, changed, spec)
    if action.fix:
        _follow(frame, layout, data, changed)
    # What is given as a checksum is what is wanted, whatever else has changed.
    put_fields(data, changed, SegmentSpec(cksum=spec.cksum, ip_cksum=spec.ip_cksum))
    return bytes(data)


def put_fields(data: bytearray, layout: Layout, spec: SegmentSpec) -> None:
    """Writes header fields where they are, checksums as given. Options are not touched."""
    for name, value in spec.given().items():
        if name in TCP_FIELDS:
            offset, width = TCP_FIELDS[name]
            width.pack_into(data, layout.tcp_at + offset, int(value))
        elif name in IP_FIELDS[layout.version]:
            offset, width = IP_FIELDS[layout.version][name]
            width.pack_into(data, IP_AT + offset, int(value))
        elif name == "flags":
            _put_flags(data, layout.tcp_at, flags_value(str(value)))
        elif name not in OPTION_FIELDS:
            _put_bits(data, layout, name, int(value))


def _put_flags(data: bytearray, tcp_at: int, flags: int) -> None:
    data[tcp_at + FLAGS] = flags & 0xFF
    data[tcp_at + OFFSET_RESERVED] = data[tcp_at + OFFSET_RESERVED] & 0xFE | flags >> 8


def _put_bits(data: bytearray, layout: Layout, name: str, value: int) -> None:
    """Fields that share a byte with others."""
    at = layout.tcp_at + OFFSET_RESERVED
    if name == "offset":
        data[at] = value << 4 | data[at] & 0x0F
    elif name == "reserved":
        # The lowest of the four bits of RFC 9293 is a flag by now (AE, RFC 9768).
        data[at] = data[at] & 0xF1 | (value & 7) << 1
    elif name == "df" and layout.version == 4:
        data[IP_AT + 6] = data[IP_AT + 6] & 0xBF | value << 6
    elif name == "tos" and layout.version == 6:
        first = SHORT.unpack_from(data, IP_AT)[0]
        SHORT.pack_into(data, IP_AT, first & 0xF00F | value << 4)


def _follow(frame: bytes, before: Layout, data: bytearray, after: Layout) -> None:
    """Both checksums, by what has changed in the headers and their lengths (RFC 1624 section 3, eqn. 3)."""
    was = _pseudo_sum(frame, before) + _header_sum(frame, before)
    now = _pseudo_sum(data, after) + _header_sum(data, after)
    _shift(data, after.tcp_at + CKSUM, now - was)
    if before.version == 4:
        at, header_len = IP_AT, (frame[IP_AT] & 15) * 4
        now = ones_complement_sum(bytes(data[at : at + header_len])) - _held(data, at + 10)
        was = ones_complement_sum(frame[at : at + header_len]) - _held(frame, at + 10)
        _shift(data, at + 10, now - was)


def _header_sum(data: bytes | bytearray, layout: Layout) -> int:
    """Of the TCP header without its checksum."""
    header = bytes(data[layout.tcp_at : layout.payload_at])
    return ones_complement_sum(header) - _held(data, layout.tcp_at + CKSUM)


def _held(data: bytes | bytearray, at: int) -> int:
    return int(SHORT.unpack_from(data, at)[0])


def _shift(data: bytearray, at: int, difference: int) -> None:
    if difference % 0xFFFF:
        SHORT.pack_into(data, at, 0xFFFF - fold(0xFFFF - _held(data, at) + difference % 0xFFFF))


# --- options


def _with_options(
    frame: bytes, layout: Layout, spec: SegmentSpec, strip: tuple[str, ...]
) -> tuple[bytearray, Layout]:
    """Options taken out leave NOPs; those given are changed in place, or added."""
    wanted = {name: value for name, value in spec.given().items() if name in OPTION_FIELDS}
    if not wanted and not strip:
        return bytearray(frame), layout
    old = frame[layout.tcp_at + OPTIONS : layout.payload_at]
    gone = {STRIPPED[name] for name in strip}
    if wanted.get("sack_ok") is False:
        gone.add(SACK_OK)
    # New ones come first: what follows an end-of-options mark is not read.
    options = b"".join(_added(old, gone, wanted)) + b"".join(_kept(old, gone, wanted))
    return _resized(frame, layout, options)


def has_room(frame: bytes, layout: Layout, action: Action) -> bool:
    """False when the options that are to be added do not fit into the header."""
    _, changed = _with_options(frame, layout, action.fields, action.strip)
    return changed.payload_at - changed.tcp_at <= MAX_HEADER


def _kept(old: bytes, gone: set[int], wanted: dict[str, int | str | bool]) -> Iterator[bytes]:
    """The options as they are, NOPs for those that are gone, new values where one is wanted."""
    at = 0
    for kind, value in read_options(old)[0]:
        size = 1 if kind in (EOL, NOP) else 2 + len(value)
        if kind in gone:
            yield bytes([NOP]) * size
        elif kind == MSS and "mss" in wanted:
            yield _option(MSS, SHORT.pack(int(wanted["mss"])))
        elif kind == WSCALE and "wscale" in wanted:
            yield _option(WSCALE, bytes([int(wanted["wscale"])]))
        elif kind == TIMESTAMP and len(value) == 8:
            tsval, tsecr = NUMBERS.unpack(value)
            numbers = int(wanted.get("tsval", tsval)), int(wanted.get("tsecr", tsecr))
            yield _option(TIMESTAMP, NUMBERS.pack(*numbers))
        else:
            yield old[at : at + size]
        at += size
    yield old[at:]


def _added(old: bytes, gone: set[int], wanted: dict[str, int | str | bool]) -> Iterator[bytes]:
    """The options that are wanted and not there, with NOPs to whole words."""
    there = {kind for kind, _ in read_options(old)[0]} - gone
    if "mss" in wanted and MSS not in there:
        yield _option(MSS, SHORT.pack(int(wanted["mss"])))
    if wanted.get("sack_ok") and SACK_OK not in there:
        yield bytes([NOP, NOP]) + _option(SACK_OK, b"")
    if "wscale" in wanted and WSCALE not in there:
        yield bytes([NOP]) + _option(WSCALE, bytes([int(wanted["wscale"])]))
    if wanted.keys() & {"tsval", "tsecr"} and TIMESTAMP not in there:
        numbers = int(wanted.get("tsval", 0)), int(wanted.get("tsecr", 0))
        yield bytes([NOP, NOP]) + _option(TIMESTAMP, NUMBERS.pack(*numbers))


def _option(kind: int, value: bytes) -> bytes:
    return bytes([kind, 2 + len(value)]) + value


def _resized(frame: bytes, layout: Layout, options: bytes) -> tuple[bytearray, Layout]:
    """The frame with these options, its data offset and IP length corrected."""
    start, grown = layout.tcp_at + OPTIONS, len(options) - (layout.payload_at - layout.tcp_at - OPTIONS)
    data = bytearray(frame[:start] + options + frame[layout.payload_at :])
    at = layout.tcp_at + OFFSET_RESERVED
    data[at] = (OPTIONS + len(options)) // 4 << 4 & 0xF0 | data[at] & 0x0F
    offset, width = IP_FIELDS[layout.version]["ip_len"]
    width.pack_into(data, IP_AT + offset, _held(data, IP_AT + offset) + grown)
    return data, layout._replace(payload_at=layout.payload_at + grown, end=layout.end + grown)
