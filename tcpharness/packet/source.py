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

    __slots__ = ("ahead", "ahead_at", "base", "buffer", "file", "start")

    def __init__(self, file: Readable, buffer: bytes = b"") -> None:
        self.file = file
        self.buffer = buffer
        self.start = 0
        self.base = 0  # bytes of the file that are before the buffer
        self.ahead, self.ahead_at = b"", 0  # a piece that was read already, and how much of it is taken

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
        """The next pieces of the file. What lies across two of them is put together by itself, a few bytes;
        the rest stays where it was read."""
        position = self.base + len(self.buffer)  # in the file, of what comes next
        begun = self.buffer[self.start :]
        while True:
            piece, at = self.ahead, self.ahead_at
            if at == len(piece):
                piece, at = self.file.read(max(CHUNK, count - len(begun))), 0
            if not begun:
                self.buffer, self.start, self.base = piece, at, position - at
                self.ahead, self.ahead_at = b"", 0
                if len(piece) - at >= count or not piece:
                    return len(piece) - at >= count
                begun = piece[at:]
                position += len(begun)
                continue
            wanted = min(count - len(begun), len(piece) - at)
            begun += piece[at : at + wanted]
            position += wanted
            self.ahead, self.ahead_at = piece, at + wanted
            if len(begun) >= count or not piece:
                self.buffer, self.start, self.base = begun, 0, position - len(begun)
                return len(begun) >= count
