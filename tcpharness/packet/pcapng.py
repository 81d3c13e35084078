"""pcapng: sections, interfaces with clocks of their own, packets in three kinds of block, statistics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from struct import error as StructError
from typing import Protocol

from tcpharness.packet.source import Frame, NotReadable, Source

SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
SECTION, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, STATISTICS, PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
TSRESOL, TSOFFSET = 9, 14  # options of an interface
DROP_COUNT = 4  # option of a packet
IFDROP, OSDROP = 5, 7  # options of a statistics block
MOST_BLOCK_LEN = 32 << 20


class Drops(Protocol):
    drops: int


@dataclass(slots=True)
class Interface:
    linktype: int
    snaplen: int
    units_per_second: int = 1_000_000
    offset_s: int = 0
    dropped: int = 0

    def time_ns(self, high: int, low: int) -> int:
        return (high << 32 | low) * 1_000_000_000 // self.units_per_second + self.offset_s * 1_000_000_000


@dataclass(slots=True)
class Section:
    order: str
    interfaces: list[Interface] = field(default_factory=list)

    def unpack(self, shape: str, body: bytes, at: int = 0) -> tuple[int, ...]:
        return Struct(self.order + shape).unpack_from(body, at)

    def interface(self, number: int, at: int) -> Interface:
        if number >= len(self.interfaces):
            raise NotReadable(f"byte {at}: a packet of interface {number}, of which there is no description")
        return self.interfaces[number]


def read_pcapng(source: Source, total: Drops) -> Iterator[Frame]:
    """The frames of all sections; the first block's type has been taken already."""
    section = _section(source)
    dropped = 0
    while head := source.take(8):
        at = source.at - len(head)
        if len(head) < 8:
            raise NotReadable(f"truncated at byte {source.at}: inside a block header")
        if head[:4] == SECTION_HEADER:
            dropped += sum(i.dropped for i in section.interfaces)
            section = _section(source, head[4:])
            continue
        kind, length = section.unpack("II", head)
        body = _body(source, length, at)
        try:
            frame = _block(section, kind, body, at)
        except StructError:
            raise NotReadable(f"byte {at}: a block of type {kind} is shorter than its own fields") from None
        if frame is not None:
            yield frame
        total.drops = dropped + sum(i.dropped for i in section.interfaces)


def _section(source: Source, length: bytes = b"") -> Section:
    head = (length or source.take(4)) + source.take(4)
    at = source.at - 12
    order = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}.get(head[4:8])
    if order is None:
        raise NotReadable(f"byte {max(at, 0)}: a pcapng section without its byte-order mark")
    total = Struct(order + "I").unpack(head[:4])[0]
    if total < 28 or total > MOST_BLOCK_LEN:
        raise NotReadable(f"byte {at}: a section header of {total} bytes is not believable")
    if len(source.take(total - 12)) < total - 12:
        raise NotReadable(f"truncated at byte {source.at}: inside the section header")
    return Section(order)


def _body(source: Source, length: int, at: int) -> bytes:
    if length < 12 or length > MOST_BLOCK_LEN:
        raise NotReadable(f"byte {at}: a block of {length} bytes is not believable")
    padded = (length + 3) & ~3
    rest = source.take(padded - 8)
    if len(rest) < padded - 8:
        raise NotReadable(
            f"truncated at byte {source.at}: a block of {length} bytes ends after {len(rest) + 8}"
        )
    return rest[:-4]


def _block(section: Section, kind: int, body: bytes, at: int) -> Frame | None:
    """What the block holds; name resolution, secrets, and whatever we do not know are passed over."""
    if kind == PACKET:
        return _packet(section, body, at)
    if kind == INTERFACE:
        section.interfaces.append(_interface(section, body))
    elif kind == STATISTICS:
        _statistics(section, body, at)
    elif kind == SIMPLE_PACKET:
        return _simple(section, body, at)
    elif kind == OBSOLETE_PACKET:
        return _obsolete(section, body, at)
    return None


def _interface(section: Section, body: bytes) -> Interface:
    linktype, _, snaplen = section.unpack("HHI", body)
    interface = Interface(linktype, snaplen)
    for code, value in options(section, body[8:]):
        if code == TSRESOL and value:
            # The high bit says whether the rest is a power of two or of ten.
            power = value[0] & 0x7F
            interface.units_per_second = 1 << power if value[0] & 0x80 else 10**power
        elif code == TSOFFSET and len(value) == 8:
            interface.offset_s = section.unpack("q", value)[0]
    return interface


def _packet(section: Section, body: bytes, at: int) -> Frame:
    number, high, low, cap_len, wire_len = section.unpack("IIIII", body)
    interface = section.interface(number, at)
    data = body[20 : 20 + cap_len]
    if len(data) < cap_len:
        raise NotReadable(f"byte {at}: a packet says {cap_len} bytes, its block has {len(data)}")
    rest = body[20 + ((cap_len + 3) & ~3) :]
    for code, value in options(section, rest) if rest else ():
        if code == DROP_COUNT and len(value) == 8:
            interface.dropped += section.unpack("Q", value)[0]
    return Frame(interface.time_ns(high, low), data, max(wire_len, cap_len), interface.linktype, number)


def _simple(section: Section, body: bytes, at: int) -> Frame:
    """No time and no captured length: the interface's snaplen tells how much is there."""
    interface = section.interface(0, at)
    wire_len = section.unpack("I", body)[0]
    data = body[4 : 4 + min(wire_len, interface.snaplen or wire_len)]
    return Frame(0, data, wire_len, interface.linktype)


def _obsolete(section: Section, body: bytes, at: int) -> Frame:
    number, drops, high, low, cap_len, wire_len = section.unpack("HHIIII", body)
    interface = section.interface(number, at)
    interface.dropped += drops if drops != 0xFFFF else 0
    return Frame(
        interface.time_ns(high, low),
        body[20 : 20 + cap_len],
        max(wire_len, cap_len),
        interface.linktype,
        number,
    )


def _statistics(section: Section, body: bytes, at: int) -> None:
    """Totals since the capture began: they replace what was counted before."""
    interface = section.interface(section.unpack("I", body)[0], at)
    counts = [
        section.unpack("Q", value)[0]
        for code, value in options(section, body[12:])
        if code in (IFDROP, OSDROP) and len(value) == 8
    ]
    if counts:
        interface.dropped = max(interface.dropped, sum(counts))


def options(section: Section, data: bytes) -> Iterator[tuple[int, bytes]]:
    """(code, value) up to the end mark; what runs past the block is left out."""
    at = 0
    while at + 4 <= len(data):
        code, length = section.unpack("HH", data, at)
        if code == 0 or at + 4 + length > len(data):
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + ((length + 3) & ~3)
