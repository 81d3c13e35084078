"""Bytes that come in pieces, taken in order, and what a capture yields."""

from __future__ import annotations

from typing import NamedTuple, Protocol

CHUNK = 1 << 18


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class NotReadable(Exception):
    """Why reading ends here, in one line, with the byte."""


class Frame(NamedTuple):
    """One captured frame as the file holds it."""

    time_ns: int  # since the epoch
    data: bytes
    wire_len: int
    linktype: int = 1
    interface: int = 0


class Source:
    """`take(n)` gives the next n bytes, fewer only at the end, whatever pieces the file gives."""

    __slots__ = ("at", "buffer", "file", "start")

    def __init__(self, file: Readable, buffer: bytes = b"") -> None:
        self.file = file
        self.buffer = buffer
        self.start = 0  # of what is not taken yet, in the buffer
        self.at = 0  # bytes taken so far

    def take(self, count: int) -> bytes:
        start = self.start
        stop = start + count
        if stop > len(self.buffer):
            self._fill(count)
            start, stop = 0, count
        piece = self.buffer[start:stop]
        self.start = start + len(piece)
        self.at += len(piece)
        return piece

    def peek(self, count: int) -> bytes:
        """What `take(count)` would give."""
        if self.start + count > len(self.buffer):
            self._fill(count)
        return self.buffer[self.start : self.start + count]

    def _fill(self, count: int) -> None:
        pieces = [self.buffer[self.start :]]
        have = len(pieces[0])
        while have < count:
            piece = self.file.read(max(CHUNK, count - have))
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
        self.buffer = b"".join(pieces)
        self.start = 0
