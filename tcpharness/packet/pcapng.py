"""pcapng: sections, interfaces with clocks of their own, packets in three kinds of block, statistics."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError

from tcpharness.packet.source import Frame, NotReadable, Source

SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
SECTION, INTERFACE, OBSOLETE_PACKET, SIMPLE_PACKET, STATISTICS, PACKET = 0x0A0D0D0A, 1, 2, 3, 5, 6
TSRESOL, TSOFFSET = 9, 14  # options of an interface
DROP_COUNT = 4  # option of a packet
IFDROP, OSDROP = 5, 7  # options of a statistics block
MOST_BLOCK_LEN = 32 << 20
MOST_INTERFACES = 1 << 16
MOST_OFFSET_S = 1 << 32  # seconds; beyond, the offset is no time
LAST_NS = (1 << 62) - 1  # in the year 2116; the difference of two times fits 64 bits as well
MOST_DROPS = 1 << 48  # a capture that says more lies


class Interface:
    """What a section says of one.

    Below `most_high`, the upper half of a time, multiplying by `unit_ns` gives nanoseconds; it is 0 where the
    clock is anything but plain: units that are no whole number of nanoseconds, an offset, far-away times.
    """

    __slots__ = ("dropped", "linktype", "most_high", "offset_ns", "snaplen", "unit_ns", "units_per_second")

    def __init__(self, linktype: int, snaplen: int) -> None:
        self.linktype, self.snaplen = linktype, snaplen
        self.dropped = 0
        self.clock(1_000_000, 0)

    def clock(self, units_per_second: int, offset_s: int) -> None:
        self.units_per_second = units_per_second
        self.unit_ns = 0 if 1_000_000_000 % units_per_second else 1_000_000_000 // units_per_second
        self.offset_ns = offset_s * 1_000_000_000
        self.most_high = 0 if offset_s or not self.unit_ns else LAST_NS // self.unit_ns >> 32

    def time_ns(self, high: int, low: int) -> int:
        """Nanoseconds since the epoch; one that no machine has is a lie, and given as the last of them."""
        units = low + (high << 32)
        time_ns = units * 1_000_000_000 // self.units_per_second + self.offset_ns
        return max(min(time_ns, LAST_NS), -LAST_NS)


class Section:
    """Byte order and interfaces; `dropped` are the frames that it, and sections before it, say were lost."""

    __slots__ = ("big", "dropped", "interfaces", "order")

    def __init__(self, big: bool, dropped: int = 0) -> None:
        self.big = big
        self.order = ">" if big else "<"
        self.dropped = dropped
        self.interfaces: list[Interface] = []

    def unpack(self, shape: str, body: bytes, at: int = 0) -> tuple[int, ...]:
        return Struct(self.order + shape).unpack_from(body, at)

    def interface(self, number: int, at: int) -> Interface:
        if number >= len(self.interfaces):
            raise NotReadable(f"byte {at}: a packet of interface {number}, of which there is no description")
        return self.interfaces[number]

    def drops(self, interface: Interface, total: int) -> None:
        """The interface has lost so many by now."""
        total = min(total, MOST_DROPS)
        self.dropped += total - interface.dropped
        interface.dropped = total


def read_block(source: Source, section: Section, kind: int, length: int) -> Frame | None:
    """The block at `source`, of which the first twelve bytes are there; what it holds, when it is a frame."""
    at = source.at
    if source.peek(4) == SECTION_HEADER:
        source.skip(4)
        again = read_section(source, section.dropped)
        section.big, section.order = again.big, again.order
        section.interfaces = []
        return None
    source.skip(8)
    body = _body(source, section.order, length, at)
    try:
        return _block(section, kind, body, at)
    except StructError:
        raise NotReadable(f"byte {at}: a block of type {kind} is shorter than its own fields") from None


def read_section(source: Source, dropped: int = 0) -> Section:
    """A section header, whose type has been taken already."""
    at = source.at - 4
    head = source.take(8)
    order = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}.get(head[4:8])
    if order is None:
        raise NotReadable(f"byte {at}: a pcapng section without its byte-order mark")
    total = Struct(order + "I").unpack(head[:4])[0]
    if total < 28 or total > MOST_BLOCK_LEN:
        raise NotReadable(f"byte {at}: a section header of {total} bytes is not believable")
    rest = source.take(total - 12)
    if len(rest) < total - 12:
        raise NotReadable(f"truncated at byte {source.at}: inside the section header")
    check_closing(total, Struct(order + "I").unpack(rest[-4:])[0], at)
    return Section(order == ">", dropped)


def check_closing(length: int, closing: int, at: int) -> None:
    """A block says its length at both ends, so that a file can be read backwards; raises where it differs."""
    if length != closing:
        raise NotReadable(f"byte {at}: a block of {length} bytes closes as one of {closing}")


def _body(source: Source, order: str, length: int, at: int) -> bytes:
    if length < 12 or length > MOST_BLOCK_LEN:
        raise NotReadable(f"byte {at}: a block of {length} bytes is not believable")
    padded = (length + 3) & ~3
    rest = source.take(padded - 8)
    if len(rest) < padded - 8:
        raise NotReadable(
            f"truncated at byte {source.at}: a block of {length} bytes ends after {len(rest) + 8}"
        )
    check_closing(length, Struct(order + "I").unpack(rest[-4:])[0], at)
    return rest[:-4]


def _block(section: Section, kind: int, body: bytes, at: int) -> Frame | None:
    """What the block holds; name resolution, secrets, and whatever we do not know are passed over."""
    if kind == PACKET:  # the reader takes all that are long enough to be one
        raise NotReadable(f"byte {at}: a block of type {PACKET} is shorter than its own fields")
    if kind == INTERFACE:
        if len(section.interfaces) == MOST_INTERFACES:
            raise NotReadable(f"byte {at}: more than {MOST_INTERFACES} interfaces are not believable")
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
    units, offset_s = 1_000_000, 0
    for code, value in options(section, body[8:]):
        if code == TSRESOL and value:
            # The high bit says whether the rest is a power of two or of ten.
            power = value[0] & 0x7F
            units = 1 << power if value[0] & 0x80 else 10**power
        elif code == TSOFFSET and len(value) == 8:
            offset_s = section.unpack("q", value)[0]
    interface.clock(units, offset_s if abs(offset_s) < MOST_OFFSET_S else 0)
    return interface


def note_drops(section: Section, interface: Interface, rest: bytes) -> None:
    """The options of a packet: what was dropped since the one before."""
    for code, value in options(section, rest):
        if code == DROP_COUNT and len(value) == 8:
            section.drops(interface, interface.dropped + section.unpack("Q", value)[0])


def _simple(section: Section, body: bytes, at: int) -> Frame:
    """No time and no captured length: the interface's snaplen tells how much is there."""
    interface = section.interface(0, at)
    wire_len = section.unpack("I", body)[0]
    data = body[4 : 4 + min(wire_len, interface.snaplen or wire_len)]
    return Frame(0, data, wire_len, interface.linktype)


def _obsolete(section: Section, body: bytes, at: int) -> Frame:
    number, drops, high, low, cap_len, wire_len = section.unpack("HHIIII", body)
    interface = section.interface(number, at)
    if drops != 0xFFFF:  # not known
        section.drops(interface, interface.dropped + drops)
    if 20 + cap_len > len(body):
        raise NotReadable(f"byte {at}: a packet says {cap_len} bytes, its block has {len(body) - 20}")
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
        section.drops(interface, max(interface.dropped, sum(counts)))


def options(section: Section, data: bytes) -> Iterator[tuple[int, bytes]]:
    """(code, value) up to the end mark; what runs past the block is left out."""
    at = 0
    while at + 4 <= len(data):
        code, length = section.unpack("HH", data, at)
        if code == 0 or at + 4 + length > len(data):
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + ((length + 3) & ~3)
