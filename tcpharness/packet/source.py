"""Bytes that come in pieces, taken in order, and what a capture yields."""

from __future__ import annotations

from typing import NamedTuple, Protocol

CHUNK = 1 << 16  # read in place of the one before: larger ones cost fresh pages each


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
    """A window on a file: `buffer[start:]` is what has been read and not taken yet.

    `take(n)` gives the next n bytes, fewer only at the end, whatever pieces the file gives. The hot reader
    looks into the buffer itself: `have(n)`, then `skip(n)`.
    """

    __slots__ = ("base", "buffer", "file", "start")

    def __init__(self, file: Readable, buffer: bytes = b"") -> None:
        self.file = file
        self.buffer = buffer
        self.start = 0
        self.base = 0  # bytes of the file that are before the buffer

    @property
    def at(self) -> int:
        """Bytes taken so far."""
        return self.base + self.start

    def have(self, count: int) -> bool:
        """True when the next `count` bytes lie in the buffer from `start` on; False: the file ends before."""
        if self.start + count <= len(self.buffer):
            return True
        return self.fill(count)

    def skip(self, count: int) -> None:
        self.start += count

    def take(self, count: int) -> bytes:
        self.have(count)
        piece = self.buffer[self.start : self.start + count]
        self.start += len(piece)
        return piece

    def peek(self, count: int) -> bytes:
        """What `take(count)` would give."""
        self.have(count)
        return self.buffer[self.start : self.start + count]

    def left(self) -> int:
        """Bytes in the buffer that were not taken."""
        return len(self.buffer) - self.start

    def fill(self, count: int) -> bool:
        pieces = [self.buffer[self.start :]]
        have = len(pieces[0])
        while have < count:
            piece = self.file.read(max(CHUNK, count - have))
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
        self.base += self.start
        self.buffer = b"".join(pieces)
        self.start = 0
        return have >= count
