"""gzip and zstd, recognised by their first bytes and undone as a stream."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tcpharness.packet.source import NotReadable, Readable, Source

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
PIECE = 1 << 10


def plain(source: Source) -> Source:
    """The source itself, or one of what is inside it."""
    if source.peek(2) == GZIP:
        return Source(Inflating(source))
    if source.peek(4) == ZSTD:
        return Source(zstd_reader(source))
    return source


class Inflating:
    """gzip, member after member (RFC 1952); a damaged or short one ends in a problem that names the byte."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.inflate = zlib.decompressobj(wbits=31)
        self.waiting = b""  # to be inflated
        self.damaged = b""  # to be inflated after it: the damage is in it
        self.begun = False

    def read(self, size: int, /) -> bytes:
        while True:
            data = self.waiting or self._next()
            if not data:
                if self.begun:
                    raise NotReadable(f"truncated at byte {self.source.at}: gzip ends in the middle")
                return b""
            self.waiting = b""
            if not self.begun:
                data = data.lstrip(b"\0")  # padding up to the end of a block, as tapes have it
                if not data:
                    continue
            self.begun = True
            piece = self._inflated(data, size)
            if self.inflate.eof:
                self.begun = False
                self.inflate = zlib.decompressobj(wbits=31)
            if piece:
                return piece

    def _inflated(self, data: bytes, size: int) -> bytes:
        """What the data hold up to the byte that is damaged, where there is one."""
        before = self.inflate.copy()
        try:
            piece = self.inflate.decompress(data, size)
        except zlib.error as error:
            half = len(data) // 2
            if not half:
                place = self.source.at - len(self.damaged) - 1
                raise NotReadable(f"gzip is damaged at byte {place}: {_reason(error)}") from None
            # Most of it is readable: in halves, the place is found in a few steps.
            self.inflate = before
            self.damaged = data[half:] + self.damaged
            return self._inflated(data[:half], size)
        rest = self.inflate.unused_data if self.inflate.eof else self.inflate.unconsumed_tail
        self.waiting = rest + self.damaged
        self.damaged = b""
        return piece

    def _next(self) -> bytes:
        # Whatever has come: a file that is still being written, or a pipe, must not be waited out.
        piece = self.source.peek(1) and self.source.take(self.source.left())
        return piece or b""


def _reason(error: zlib.error) -> str:
    """zlib's words without its numbers."""
    return str(error).partition(": ")[2] or str(error)


def zstd_reader(source: Source) -> Readable:
    """zstd by the standard library (3.14) or the zstandard package; without either, a problem."""
    for name in ("compression.zstd", "zstandard"):
        try:
            module: Any = import_module(name)
        except ImportError:
            continue
        if name == "zstandard":
            return Unpacking(source, ByPackage(module), module.ZstdError)
        return Unpacking(source, module.ZstdDecompressor, module.ZstdError)
    raise NotReadable(
        "compressed by zstd, which this Python cannot undo: `pip install zstandard`, or `zstd -d` the file"
    )


class ByPackage:
    """The zstandard package's decompressors of one frame, which are like those of the standard library."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self) -> Any:
        return self.module.ZstdDecompressor().decompressobj()


class Unpacking:
    """zstd, frame after frame (RFC 8878 3); a damaged or short one ends in a problem that names the byte.

    Fed by little pieces, because what one unpacks to is bounded only by its length.
    """

    def __init__(self, source: Source, begin: Callable[[], Any], error: type[Exception]) -> None:
        self.source, self.begin, self.error = source, begin, error
        self.frame: Any = None  # the decompressor of the frame that has begun
        self.waiting = b""

    def read(self, size: int, /) -> bytes:
        """Whatever the next pieces hold, of any length; b"" at the end."""
        while True:
            data = self.waiting or self.source.take(PIECE)
            if not data:
                if self.frame is not None:
                    raise NotReadable(f"truncated at byte {self.source.at}: zstd ends in the middle")
                return b""
            try:
                self.frame = self.frame or self.begin()
                found: bytes = self.frame.decompress(data)
            except (self.error, EOFError) as error:
                place = self.source.at - len(data)
                raise NotReadable(f"zstd is damaged after byte {place}: {error}") from None
            self.waiting = b""
            if self.frame.eof:
                self.waiting = self.frame.unused_data
                self.frame = None
            if found:
                return found
