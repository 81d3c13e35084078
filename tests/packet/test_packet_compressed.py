"""zstd, where something on this machine packs and unpacks it; gzip is tested with the readers."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from typing import Any

import pytest

from tcpharness.packet import compressed
from tcpharness.packet.compressed import Unpacking
from tcpharness.packet.pcap import Reader, Writer
from tcpharness.packet.source import NotReadable, Source


def packer() -> Any:
    for name in ("compression.zstd", "zstandard"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


zstd = packer()
needs_zstd = pytest.mark.skipif(zstd is None, reason="neither compression.zstd nor zstandard is here")


def capture() -> bytes:
    file = BytesIO()
    writer = Writer(file)
    for number in range(200):
        writer.write(number, bytes(range(number)))
    return file.getvalue()


def read(data: bytes) -> tuple[int, list[str]]:
    reader = Reader(BytesIO(data))
    return len(list(reader)), reader.problems


@needs_zstd
def test_frame_after_frame() -> None:
    data = capture()
    assert read(zstd.compress(data[:9000]) + zstd.compress(data[9000:])) == (200, [])


@needs_zstd
def test_one_that_is_cut_or_damaged_is_read_up_to_there() -> None:
    packed = b"".join(zstd.compress(piece) for piece in (capture()[:9000], capture()[9000:]))
    count, problems = read(packed[:-3])
    assert count >= 100
    assert problems == [f"truncated at byte {len(packed) - 3}: zstd ends in the middle"]
    count, (problem,) = read(packed + b"\xff" * 20)
    assert count == 200
    assert problem.startswith("zstd is damaged after byte ")


def test_without_either_the_problem_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(compressed, "import_module", absent)
    assert read(compressed.ZSTD + b"x" * 20) == (
        0,
        ["compressed by zstd, which this Python cannot undo: `pip install zstandard`, or `zstd -d` the file"],
    )


class Doubling:
    """Stands for a decompressor of one frame: each byte comes twice, and `.` ends the frame."""

    def __init__(self) -> None:
        self.eof, self.unused_data = False, b""

    def decompress(self, data: bytes) -> bytes:
        if b"!" in data:
            raise ValueError("no such block")
        mine, end, self.unused_data = data.partition(b".")
        self.eof = bool(end)
        return bytes(byte for each in mine for byte in (each, each))


def unpacked(data: bytes) -> tuple[bytes, str]:
    reader = Unpacking(Source(BytesIO(data)), Doubling, ValueError)
    found = b""
    try:
        while piece := reader.read(10):
            found += piece
    except NotReadable as problem:
        return found, str(problem)
    return found, ""


@pytest.mark.parametrize(
    ("data", "found", "problem"),
    [
        (b"", b"", ""),
        (b"ab.", b"aabb", ""),
        (b"ab.c..d.", b"aabbccdd", ""),
        (b"a" * 3000 + b".", b"a" * 6000, ""),
        (b"ab.c", b"aabbcc", "truncated at byte 4: zstd ends in the middle"),
        (b"a" * 2000 + b"!", b"a" * 2048, "zstd is damaged after byte 1024: no such block"),
    ],
)
def test_pieces_and_frames(data: bytes, found: bytes, problem: str) -> None:
    assert unpacked(data) == (found, problem)
