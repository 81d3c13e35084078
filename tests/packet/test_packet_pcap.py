"""Capture files: both kinds, both byte orders, cut anywhere, compressed."""

from __future__ import annotations

import gzip
from io import BytesIO
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.packet.pcap import Reader, Writer, read
from tcpharness.packet.pcapng import LAST_NS, MOST_DROPS

FRAMES = [(1_700_000_000_123_456_789, b"first frame"), (1_700_000_001_000_000_000, b"x" * 300)]


def written(*, nano: bool = True, snaplen: int = 262144) -> bytes:
    file = BytesIO()
    writer = Writer(file, nano=nano, snaplen=snaplen)
    for time_ns, data in FRAMES:
        writer.write(time_ns, data)
    return file.getvalue()


def pcap(order: str, magic: int, scale: int) -> bytes:
    data = pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    for time_ns, frame in FRAMES:
        seconds, rest = divmod(time_ns, 10**9)
        data += pack(order + "IIII", seconds, rest // scale, len(frame), len(frame)) + frame
    return data


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    return pack(order + "II", kind, len(body) + 12) + body + pack(order + "I", len(body) + 12)


def option(order: str, code: int, value: bytes) -> bytes:
    return pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, *options: bytes, linktype: int = 1) -> bytes:
    return block(order, 1, pack(order + "HHI", linktype, 0, 0) + b"".join(options))


def enhanced(order: str, number: int, ticks: int, frame: bytes, *options: bytes) -> bytes:
    padded = frame + b"\0" * (-len(frame) % 4)
    head = pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(order, 6, head + padded + b"".join(options))


def pcapng(order: str) -> bytes:
    """Nanoseconds, microseconds, and 2**-20 s with an offset; every kind of packet block; statistics."""
    nano = option(order, 9, bytes((9,)))
    binary = option(order, 9, bytes((0x80 | 20,))) + option(order, 14, pack(order + "q", 100))
    return (
        section(order)
        + interface(order, nano)
        + interface(order)
        + interface(order, binary, linktype=101)
        + block(order, 4, b"\0" * 8)  # names: passed over
        + enhanced(order, 0, FRAMES[0][0], b"abc", option(order, 4, pack(order + "Q", 2)))
        + enhanced(order, 1, 5_000_001, b"defg")
        + enhanced(order, 2, 1 << 20, b"hi")
        + block(order, 3, pack(order + "I", 5) + b"simpl")
        + block(order, 2, pack(order + "HHIIII", 1, 3, 0, 7, 2, 2) + b"ol")
        + block(
            order,
            5,
            pack(order + "III", 0, 0, 0) + option(order, 7, pack(order + "Q", 9)) + option(order, 0, b""),
        )
    )


@pytest.mark.parametrize(
    ("order", "magic", "scale"),
    [("<", 0xA1B2C3D4, 1000), (">", 0xA1B2C3D4, 1000), ("<", 0xA1B23C4D, 1), (">", 0xA1B23C4D, 1)],
)
def test_pcap_in_both_byte_orders_and_both_clocks(order: str, magic: int, scale: int) -> None:
    frames = list(read(pcap(order, magic, scale)))
    assert [(f.time_ns, f.data) for f in frames] == [(t // scale * scale, d) for t, d in FRAMES]
    assert {f.linktype for f in frames} == {1}


@pytest.mark.parametrize("nano", [True, False])
def test_what_is_written_is_read(nano: bool) -> None:
    grain = 1 if nano else 1000
    assert [(f.time_ns, f.data) for f in read(written(nano=nano))] == [
        (t // grain * grain, d) for t, d in FRAMES
    ]


def test_a_snaplen_keeps_the_wire_length() -> None:
    assert [(len(f.data), f.wire_len) for f in read(written(snaplen=96))] == [(11, 11), (96, 300)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_all_its_blocks(order: str) -> None:
    reader = Reader(BytesIO(pcapng(order)))
    frames = [(f.time_ns, f.data, f.linktype, f.interface) for f in reader]
    assert frames == [
        (FRAMES[0][0], b"abc", 1, 0),
        (5_000_001_000, b"defg", 1, 1),
        (101_000_000_000, b"hi", 101, 2),
        (0, b"simpl", 1, 0),
        (7_000, b"ol", 1, 1),
    ]
    assert reader.problems == []
    assert reader.drops == 12  # 9 by the statistics of interface 0, 3 by the old packet of interface 1


def test_a_second_section_begins_anew() -> None:
    reader = Reader(BytesIO(pcapng("<") + pcapng(">")))
    assert len(list(reader)) == 10
    assert (reader.problems, reader.drops) == ([], 24)


@pytest.mark.parametrize("data", [written(), pcapng("<")], ids=["pcap", "pcapng"])
def test_cut_anywhere_the_rest_is_read_and_the_byte_is_named(data: bytes) -> None:
    whole = len(list(read(data)))
    for length in range(1, len(data)):
        reader = Reader(BytesIO(data[:length]))
        count = len(list(reader))
        assert count <= whole
        assert len(reader.problems) <= 1
        for problem in reader.problems:
            assert "byte" in problem or "not a capture" in problem
            assert "\n" not in problem


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"PNG\r\n" * 10, "not a capture: it begins with 504e470d (text); expected pcap or pcapng"),
        (written()[:30], "truncated at byte 30: inside a record header"),
        (written()[:24] + b"\xff" * 16, "byte 24: a record of 4294967295 bytes is not believable"),
        (
            section("<") + enhanced("<", 3, 0, b""),
            "a packet of interface 3, of which there is no description",
        ),
        (section("<") + pack("<II", 6, 3), "byte 28: a block of 3 bytes is not believable"),
        (section("<")[:-4] + pack("<I", 32), "byte 0: a block of 28 bytes closes as one of 32"),
        (
            section("<") + interface("<")[:-4] + pack("<I", 24),
            "byte 28: a block of 20 bytes closes as one of 24",
        ),
        (
            section("<") + interface("<") + block("<", 6, b"\0" * 8),
            "a block of type 6 is shorter than its own fields",
        ),
        (
            section("<") + interface("<") + block("<", 2, pack("<HHIIII", 0, 0, 0, 0, 9, 9) + b"x"),
            "byte 48: a packet says 9 bytes, its block has 4",
        ),
        (section("<") + interface("<") * ((1 << 16) + 1), "more than 65536 interfaces are not believable"),
        (b"\x0a\x0d\x0d\x0a" + b"\0" * 40, "without its byte-order mark"),
        (gzip.compress(written())[:60], "gzip ends in the middle"),
        (gzip.compress(b"")[:10] + b"\x07" * 40, "gzip is damaged"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 20, "zstd"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_byte(data: bytes, says: str) -> None:
    reader = Reader(BytesIO(data))
    list(reader)
    assert len(reader.problems) == 1
    assert says in reader.problems[0]


@pytest.mark.parametrize("order", "<>")
def test_a_packet_whose_block_closes_otherwise_ends_what_can_be_read(order: str) -> None:
    good = section(order) + interface(order) + enhanced(order, 0, 1, b"first")
    lying = enhanced(order, 0, 2, b"second")[:-4] + pack(order + "I", 44)
    reader = Reader(BytesIO(good + lying + enhanced(order, 0, 3, b"third")))
    assert [frame.data for frame in reader] == [b"first"]
    assert reader.problems == [f"byte {len(good)}: a block of 40 bytes closes as one of 44"]


@pytest.mark.parametrize("padding", [b"", b"\0" * 700])
def test_gzip_in_several_members(padding: bytes) -> None:
    data = written()
    packed = gzip.compress(data[:100]) + gzip.compress(data[100:]) + padding
    reader = Reader(BytesIO(packed))
    assert [f.data for f in reader] == [d for _, d in FRAMES]
    assert reader.problems == []


def test_what_gzip_holds_before_the_damage_is_read() -> None:
    packed = bytearray(gzip.compress(written()))
    packed[-8] ^= 1  # the sum of what was inflated, which is complete by then
    reader = Reader(BytesIO(bytes(packed)))
    assert [f.data for f in reader] == [d for _, d in FRAMES]
    assert reader.problems == [f"gzip is damaged at byte {len(packed) - 5}: incorrect data check"]


@pytest.mark.parametrize(
    ("options", "ticks", "time_ns"),
    [
        ((9, b"\0"), 1 << 40, LAST_NS),  # seconds
        ((9, b"\0"), 3, 3_000_000_000),
        ((9, b"\x80"), 3, 3_000_000_000),  # a second as a power of two
        ((9, b"\xff"), (1 << 64) - 1, 0),  # 2 ** -127 seconds
        ((9, b"\x7f"), (1 << 64) - 1, 0),  # 10 ** -127 seconds
        ((14, pack("<q", -(1 << 31))), 0, -(1 << 31) * 10**9),
        ((14, pack("<q", (1 << 32) - 1)), (1 << 64) - 1, LAST_NS),
        ((14, pack("<q", -(1 << 63))), 5, 5000),  # no offset that a clock has
    ],
)
def test_clocks_that_no_machine_has_give_a_time_all_the_same(
    options: tuple[int, bytes], ticks: int, time_ns: int
) -> None:
    data = section("<") + interface("<", option("<", *options)) + enhanced("<", 0, ticks, b"x")
    assert [f.time_ns for f in read(data)] == [time_ns]


def test_a_capture_that_says_more_were_lost_than_there_can_be() -> None:
    most = option("<", 4, pack("<Q", (1 << 64) - 1))
    reader = Reader(BytesIO(section("<") + interface("<") + enhanced("<", 0, 1, b"x", most, most)))
    assert len(list(reader)) == 1
    assert reader.drops == MOST_DROPS


class Dripping:
    """A file that gives pieces of its own choosing."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.file, self.sizes = BytesIO(data), sizes

    def read(self, size: int = -1, /) -> bytes:
        return self.file.read(min(size, self.sizes.pop()) if self.sizes else size)


@given(
    st.lists(st.integers(1, 50), max_size=40),
    st.sampled_from((written(), pcapng("<"), gzip.compress(written()))),
)
def test_pieces_of_any_size_make_no_difference(sizes: list[int], data: bytes) -> None:
    assert list(read(Dripping(data, sizes))) == list(read(data))  # type: ignore[arg-type]
