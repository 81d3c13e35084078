"""A file that comes in pieces reads as it does in one: frames, findings, and what is wrong at which byte."""

from __future__ import annotations

import gzip
from functools import cache
from io import BytesIO
from random import Random
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.analysis.capture import Options, analyze
from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Reader
from tcpharness.packet.source import CHUNK, Source

# Two timeouts, a reset and a bad checksum; segments of a byte, and ones larger than any piece.
STORY = """
    0.000 > S 0:0(0) win 64240 <mss 1460,sackOK,nop,nop>
    0.010 < S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,nop,nop>
    0.020 > . 1:1(0) ack 1 win 502
    0.021 > . 1:1461(1460) ack 1 win 502
    0.022 > P. 1461:1462(1) ack 1 win 502
    0.032 < . 1:1(0) ack 1 win 502 <nop,nop,sack 1 {1461:1462}>
    0.300 > . 1:1461(1460) ack 1 win 502
    0.310 < P. 1:9001(9000) ack 1462 win 502
    0.700 < P. 1:9001(9000) ack 1462 win 502
    0.800 > P. 1462:1472(10) ack 9001 win 0 [cksum bad]
    0.900 > R. 1462:1462(0) ack 9001 win 0"""
KINDS = ("micro", "nano", "padded", "pcapng")
MAGICS = {"micro": (0xA1B2C3D4, 1000), "nano": (0xA1B23C4D, 1), "padded": (0xA1B2CD34, 1000)}


class Pieces:
    """A file that gives 1 to `most` bytes at a time."""

    def __init__(self, data: bytes, seed: int, most: int = 200) -> None:
        self.file, self.random, self.most = BytesIO(data), Random(seed), most

    def read(self, size: int, /) -> bytes:
        return self.file.read(min(size, self.random.randint(1, self.most)))


def block(order: str, kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    return pack(order + "II", kind, len(body) + 12) + body + pack(order + "I", len(body) + 12)


def pcapng(order: str, frames: list[tuple[int, bytes]]) -> bytes:
    """A section, an interface, a block that is passed over, and the packets."""
    data = block(order, 0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(order, 1, pack(order + "HHI", 1, 0, 0)) + block(order, 4, b"\0" * 500)
    for time_ns, frame in frames:
        high, low = divmod(time_ns // 1000, 1 << 32)
        data += block(order, 6, pack(order + "IIIII", 0, high, low, len(frame), len(frame)) + frame)
    return data


def pcap(kind: str, order: str, frames: list[tuple[int, bytes]]) -> bytes:
    magic, scale = MAGICS[kind]
    data = pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
    for time_ns, frame in frames:
        seconds, rest = divmod(time_ns, 10**9)
        data += pack(order + "IIII", seconds, rest // scale, len(frame), len(frame))
        data += b"\0" * (8 if kind == "padded" else 0) + frame
    return data


@cache
def capture(kind: str, order: str, packed: bool) -> bytes:
    segments = [parse_line(line) for line in STORY.strip().splitlines()]
    frames = [(segment.time_ns, bytes(segment.data)) for segment in segments]
    data = pcapng(order, frames) if kind == "pcapng" else pcap(kind, order, frames)
    # Two members, as tools write them that append to a file.
    return gzip.compress(data[:5000], mtime=0) + gzip.compress(data[5000:], mtime=0) if packed else data


def everything(file: Any) -> tuple[list[Any], list[str], int]:
    reader = Reader(file)
    return list(reader), reader.problems, reader.drops


def findings(file: Any) -> Any:
    return analyze(file, options=Options(keep_flows=True))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_captures_below_hold(kind: str, order: str, packed: bool) -> None:
    data = capture(kind, order, packed)
    frames, problems, _ = everything(BytesIO(data))
    assert (len(frames), problems) == (11, [])
    names = {finding.name for finding in findings(BytesIO(data)).findings}
    assert {"retransmission", "bad_tcp_checksum", "reset"} <= names


@given(st.sampled_from(KINDS), st.sampled_from("<>"), st.booleans(), st.floats(0, 1), st.integers(0, 1 << 32))
def test_the_borders_of_pieces_make_no_difference(
    kind: str, order: str, packed: bool, cut: float, seed: int
) -> None:
    """Whole, and ended anywhere; half of the latter with a byte that is another one."""
    whole = capture(kind, order, packed)
    changed = bytearray(whole)
    at = Random(seed).randrange(len(whole))
    changed[at] ^= 1 << seed % 8
    end = int(cut * len(whole))
    for data in (whole, whole[:end], bytes(changed), bytes(changed[:end])):
        assert everything(Pieces(data, seed)) == everything(BytesIO(data))
        assert findings(Pieces(data, seed)) == findings(BytesIO(data))


@given(
    st.lists(st.tuples(st.sampled_from(["take", "peek", "have", "skip"]), st.integers(0, 700)), max_size=60),
    st.integers(0, 5000),
    st.integers(0, 1 << 32),
    st.sampled_from([1, 7, 200, CHUNK]),
)
def test_a_window_on_a_file_is_the_file(
    asked: list[tuple[str, int]], length: int, seed: int, most: int
) -> None:
    data = Random(seed).randbytes(length)
    source, at = Source(Pieces(data, seed, most)), 0
    for what, count in asked:
        rest = data[at : at + count]
        if what == "have":
            assert source.have(count) == (len(rest) == count)
        elif what == "peek":
            assert source.peek(count) == rest
        elif what == "take":
            assert source.take(count) == rest
            at += len(rest)
        elif source.have(count):
            source.skip(count)
            at += count
        assert source.at == at
        assert source.buffer[source.start :] == data[at : at + source.left()]
