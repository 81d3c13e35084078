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
from tcpharness.packet.pcapng import SECTION_HEADER, read_pcapng
from tcpharness.packet.source import Frame, NotReadable, Source

MICRO, NANO, MICRO_PADDED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
SCALES = {MICRO: 1000, NANO: 1, MICRO_PADDED: 1000}
# No link has longer frames; a longer record is a lie, and believing it would cost its length in memory.
MOST_FRAME_LEN = 16 << 20
FILE_HEADER_LEN, RECORD_HEADER_LEN = 24, 16


class Reader:
    """Iterates over the frames of a capture file; afterwards `problems` and `drops` are complete."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.problems: list[str] = []
        self.drops = 0  # frames that the capture says were lost, as pcapng's statistics have it
        self.format = ""

    def __iter__(self) -> Iterator[Frame]:
        source = Source(self.file)
        try:
            source = plain(source)
            yield from self._frames(source)
        except NotReadable as problem:
            self.problems.append(str(problem))
        except OSError as error:
            self.problems.append(f"reading stopped at byte {source.at}: {error.strerror or error}")

    def _frames(self, source: Source) -> Iterator[Frame]:
        magic = source.take(4)
        if not magic:
            raise NotReadable("the file is empty")
        if magic == SECTION_HEADER:
            self.format = "pcapng"
            yield from read_pcapng(source, self)
            return
        for order in "<>":
            number = Struct(order + "I").unpack(magic.ljust(4, b"\0"))[0]
            if number in SCALES and len(magic) == 4:
                self.format = "pcap"
                yield from read_pcap(source, order, number)
                return
        raise NotReadable(f"not a capture: it begins with {magic.hex()}; expected pcap or pcapng")


def read_pcap(source: Source, order: str, magic: int) -> Iterator[Frame]:
    header = source.take(FILE_HEADER_LEN - 4)
    if len(header) < FILE_HEADER_LEN - 4:
        raise NotReadable(f"truncated at byte {source.at}: the pcap header takes 24")
    # The upper bits of the link type field may hold an FCS length.
    linktype = Struct(order + "I").unpack_from(header, 16)[0] & 0xFFFF
    scale = SCALES[magic]
    record = Struct(order + ("IIII8x" if magic == MICRO_PADDED else "IIII"))
    take, unpack, size = source.take, record.unpack, record.size
    while head := take(size):
        if len(head) < size:
            raise NotReadable(f"truncated at byte {source.at}: inside a record header")
        seconds, fraction, cap_len, wire_len = unpack(head)
        if cap_len > MOST_FRAME_LEN:
            raise NotReadable(f"byte {source.at - size}: a record of {cap_len} bytes is not believable")
        data = take(cap_len)
        if len(data) < cap_len:
            raise NotReadable(
                f"truncated at byte {source.at}: a record of {cap_len} bytes ends after {len(data)}"
            )
        yield Frame(seconds * 1_000_000_000 + fraction * scale, data, max(wire_len, cap_len), linktype)


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
