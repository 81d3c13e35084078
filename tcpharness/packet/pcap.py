# cython: wraparound=False
"""Capture files: pcap and pcapng, plain or compressed, read as a stream.

Captures from real machines end in the middle of a record and lie about lengths. A reader therefore
never raises: what was readable is yielded, and `problems` then says in one line what was wrong and
at which byte (of the uncompressed file).

https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/ and .../draft-ietf-opsawg-pcapng/
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from struct import Struct, pack
from typing import BinaryIO

from tcpharness.packet.compressed import plain
from tcpharness.packet.formats import HEAD_LEN, not_a_capture
from tcpharness.packet.pcapng import (
    MOST_BLOCK_LEN,
    PACKET,
    SECTION_HEADER,
    Section,
    check_closing,
    note_drops,
    read_block,
    read_section,
)
from tcpharness.packet.source import Frame, NotReadable, Source
from tcpharness.packet.sums import is_compiled

MICRO, NANO, MICRO_PADDED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
SCALES = {MICRO: 1000, NANO: 1, MICRO_PADDED: 1000}
MAGICS = (SECTION_HEADER, *(pack(order + "I", magic) for order in "<>" for magic in SCALES))
# No link has longer frames; a longer record is a lie, and believing it would cost its length in memory.
MOST_FRAME_LEN = 16 << 20
FILE_HEADER_LEN, RECORD_HEADER_LEN = 24, 16
RECORD = Struct("<IIII")
COMPILED = is_compiled()


class Reader:
    """The frames of a capture file: iterate, or `advance` and look. Then `problems` and `drops` are complete.

    After `advance`, the frame is data[data_at : data_at + cap_len], a piece of a larger buffer.
    """

    __slots__ = (
        "big", "cap_len", "data", "data_at", "drops", "ended", "file", "format", "interface", "linktype",
        "padded", "problems", "scale", "section", "source", "time_ns", "wire_len",
    )  # fmt: skip

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.problems: list[str] = []
        self.drops = 0  # frames that the capture says were lost, as pcapng's statistics have it
        self.format = ""
        self.ended = False
        self.source = Source(file)
        self.section: Section | None = None  # of pcapng
        self.big, self.scale, self.padded = False, 1, 0
        self.data = b""
        self.data_at = self.cap_len = self.wire_len = self.time_ns = self.interface = 0
        self.linktype = 1

    def __iter__(self) -> Iterator[Frame]:
        while self.advance():
            data = self.data[self.data_at : self.data_at + self.cap_len]
            yield Frame(self.time_ns, data, self.wire_len, self.linktype, self.interface)

    def advance(self) -> bool:
        """To the next frame; False at the end, or where the file can't be read any further."""
        if self.ended:
            return False
        try:
            if self.next_frame():
                return True
        except (NotReadable, OSError) as problem:
            self.stop(problem)
        self.ended = True
        return False

    def next_frame(self) -> bool:
        """Like `advance`, but raises what then has to be given to `stop`: a guard a frame costs too much."""
        if self.section is not None:
            return self.next_block()
        if not self.format:
            self.begin()
            return self.next_frame()
        return self.next_record()

    def stop(self, problem: NotReadable | OSError) -> None:
        """Reading ends here; `problems` says why."""
        self.ended = True
        if isinstance(problem, OSError):
            self.problems.append(f"reading stopped at byte {self.source.at}: {problem.strerror or problem}")
        else:
            self.problems.append(str(problem))

    def begin(self) -> None:
        """By the first four bytes."""
        self.source = source = plain(self.source)
        magic = source.take(4)
        if not magic:
            raise NotReadable("the file is empty")
        if magic == SECTION_HEADER:
            self.format = "pcapng"
            self.section = read_section(source)
            return
        for order in "<>":
            number = int.from_bytes(magic, "little" if order == "<" else "big")
            if number in SCALES:
                self.format = "pcap"
                self.begin_pcap(order, number)
                return
        if any(known.startswith(magic) for known in MAGICS):
            raise NotReadable(f"truncated at byte {source.at}: too short to say which kind of capture it is")
        raise NotReadable(not_a_capture(magic + source.peek(HEAD_LEN - 4)))

    def begin_pcap(self, order: str, magic: int) -> None:
        header = self.source.take(FILE_HEADER_LEN - 4)
        if len(header) < FILE_HEADER_LEN - 4:
            raise NotReadable(f"truncated at byte {self.source.at}: the pcap header takes 24")
        # The upper bits of the link type field may hold an FCS length.
        self.linktype = Struct(order + "I").unpack_from(header, 16)[0] & 0xFFFF
        self.big, self.scale = order == ">", SCALES[magic]
        self.padded = 8 if magic == MICRO_PADDED else 0

    def next_record(self) -> bool:
        """Seconds, fraction, captured length, length on the wire, then the frame."""
        source = self.source
        size = RECORD_HEADER_LEN + self.padded
        if source.start + size > len(source.buffer) and not source.have(size):
            if not source.left():
                return False
            raise NotReadable(f"truncated at byte {source.base + len(source.buffer)}: inside a record header")
        data, at = source.buffer, source.start
        if self.big:
            seconds, fraction = four_big(data, at), four_big(data, at + 4)
            cap_len, wire_len = four_big(data, at + 8), four_big(data, at + 12)
        elif not COMPILED:
            seconds, fraction, cap_len, wire_len = RECORD.unpack_from(data, at)
        else:
            octets = data  # in C the bytes themselves: the header is there, as was just seen
            # Halves first: in C a byte times 2 ** 24 would overflow.
            low, high = octets[at + 1] << 8 | octets[at], octets[at + 3] << 8 | octets[at + 2]
            seconds = high << 16 | low
            low, high = octets[at + 5] << 8 | octets[at + 4], octets[at + 7] << 8 | octets[at + 6]
            fraction = high << 16 | low
            low, high = octets[at + 9] << 8 | octets[at + 8], octets[at + 11] << 8 | octets[at + 10]
            cap_len = high << 16 | low
            low, high = octets[at + 13] << 8 | octets[at + 12], octets[at + 15] << 8 | octets[at + 14]
            wire_len = high << 16 | low
        if cap_len > MOST_FRAME_LEN:
            raise NotReadable(f"byte {source.at}: a record of {cap_len} bytes is not believable")
        if source.start + size + cap_len > len(source.buffer) and not source.have(size + cap_len):
            raise NotReadable(
                f"truncated at byte {source.base + len(source.buffer)}: "
                f"a record of {cap_len} bytes ends after {source.left() - size}"
            )
        self.data, self.data_at, self.cap_len = source.buffer, source.start + size, cap_len
        self.time_ns = seconds * 1_000_000_000 + fraction * self.scale
        self.wire_len = wire_len if wire_len > cap_len else cap_len
        source.start += size + cap_len
        return True

    def next_block(self) -> bool:
        """Enhanced packets here; every other block in pcapng.py."""
        source, section = self.source, self.section
        assert section is not None
        while source.have(8):
            data, at = source.buffer, source.start
            big = section.big
            kind = four_big(data, at) if big else four_little(data, at)
            length = four_big(data, at + 4) if big else four_little(data, at + 4)
            if kind == PACKET and 32 <= length <= MOST_BLOCK_LEN and source.have((length + 3) & ~3):
                self.packet_block(section, big, length)
                return True
            frame = read_block(source, section, kind, length)
            self.drops = section.dropped
            if frame is not None:
                self.data, self.data_at, self.cap_len = frame.data, 0, len(frame.data)
                self.time_ns, self.wire_len = frame.time_ns, frame.wire_len
                self.linktype, self.interface = frame.linktype, frame.interface
                return True
        if source.left():
            raise NotReadable(f"truncated at byte {source.base + len(source.buffer)}: inside a block header")
        return False

    def packet_block(self, section: Section, big: bool, length: int) -> None:
        source = self.source
        data, at = source.buffer, source.start
        if big:
            number, high, low = four_big(data, at + 8), four_big(data, at + 12), four_big(data, at + 16)
            cap_len, wire_len = four_big(data, at + 20), four_big(data, at + 24)
        else:
            number, high = four_little(data, at + 8), four_little(data, at + 12)
            low = four_little(data, at + 16)
            cap_len, wire_len = four_little(data, at + 20), four_little(data, at + 24)
        end = at + ((length + 3) & ~3)
        check_closing(length, four_big(data, end - 4) if big else four_little(data, end - 4), source.at)
        interface = section.interface(number, source.at)
        if 32 + cap_len > length:
            raise NotReadable(
                f"byte {source.at}: a packet says {cap_len} bytes, its block has {max(length - 32, 0)}"
            )
        if length - cap_len >= 40:  # options
            note_drops(section, interface, data[at + 28 + ((cap_len + 3) & ~3) : at + length - 4])
            self.drops = section.dropped
        self.data, self.data_at, self.cap_len = data, at + 28, cap_len
        if high < interface.most_high:
            self.time_ns = (high << 32 | low) * interface.unit_ns
        else:
            self.time_ns = interface.time_ns(high, low)
        self.wire_len = wire_len if wire_len > cap_len else cap_len
        self.linktype, self.interface = interface.linktype, number
        source.skip(end - at)


def four_little(data: bytes, at: int) -> int:
    # Halves first: in C a byte times 2 ** 24 would overflow.
    low, high = data[at + 1] << 8 | data[at], data[at + 3] << 8 | data[at + 2]
    return high << 16 | low


def four_big(data: bytes, at: int) -> int:
    high, low = data[at] << 8 | data[at + 1], data[at + 2] << 8 | data[at + 3]
    return high << 16 | low


def read(data: bytes | BinaryIO) -> Iterator[Frame]:
    """The frames of a capture in memory, or of an open file; problems are passed over in silence."""
    return iter(Reader(BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data))


class Writer:
    """Writes a pcap file, little-endian, nanoseconds by default."""

    def __init__(
        self, file: BinaryIO, linktype: int = 1, *, nano: bool = True, snaplen: int = 262144
    ) -> None:
        self.file = file
        self.scale = 1 if nano else 1000
        self.snaplen = snaplen
        file.write(pack("<IHHiIII", NANO if nano else MICRO, 2, 4, 0, 0, snaplen, linktype))

    def write(self, time_ns: int, data: bytes, wire_len: int | None = None) -> None:
        """One frame; `wire_len` when it was snapped already."""
        length = len(data) if wire_len is None else wire_len
        held = data[: self.snaplen]
        seconds, rest = divmod(time_ns, 1_000_000_000)
        self.file.write(pack("<IIII", seconds, rest // self.scale, len(held), length) + held)
