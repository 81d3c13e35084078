"""What an endpoint sends, byte for byte, so that the other side can check each one.

Seeded bytes are keyed by the scenario's seed and the sender's name and computed by position: the
receiver makes any range again and compares it in one go. All connections of one endpoint carry the
same stream, so concurrent ones need no telling apart. Every block carries its number: a range that
was lost, doubled or moved by whole blocks is a mismatch as well.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Sequence

BLOCK_LEN = 4096
NUMBER = struct.Struct("!Q")


class Seeded:
    """An endless stream of bytes, the same for the same seed and sender."""

    def __init__(self, seed: int, sender: str) -> None:
        key = f"{seed}/{sender}".encode()
        self._rest = hashlib.shake_128(key).digest(BLOCK_LEN - NUMBER.size)

    def read(self, offset: int, length: int) -> bytes:
        first, skip = divmod(offset, BLOCK_LEN)
        blocks = (skip + length + BLOCK_LEN - 1) // BLOCK_LEN
        data = self._rest.join([NUMBER.pack(n) for n in range(first, first + blocks)] + [b""])
        return data[skip : skip + length]


class Stream:
    """All that one endpoint sends on a connection: `parts` are sizes (seeded bytes) or literal bytes."""

    def __init__(self, seeded: Seeded, parts: Sequence[int | bytes]) -> None:
        self._seeded = seeded
        self._parts = [part for part in parts if part]
        self._starts: list[int] = []
        self.length = 0
        for part in self._parts:
            self._starts.append(self.length)
            self.length += part if isinstance(part, int) else len(part)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on: `length` of them, fewer at the stream's end."""
        end = min(offset + length, self.length)
        pieces = []
        while offset < end:
            index = bisect_right(self._starts, offset) - 1
            start, part = self._starts[index], self._parts[index]
            if isinstance(part, int):
                pieces.append(self._seeded.read(offset, min(end, start + part) - offset))
            else:
                pieces.append(part[offset - start : end - start])
            offset += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def mismatch(self, offset: int, data: bytearray, length: int) -> int | None:
        """The stream offset of the first wrong byte among the first `length` of `data`, or None.

        `data` arrived at `offset`; a byte beyond the stream's end is wrong too.
        """
        wanted = self.read(offset, length)
        # startswith compares with memcmp and copies nothing; a memoryview's == goes byte by byte.
        if len(wanted) == length and data.startswith(wanted):
            return None
        return offset + first_difference(wanted, bytes(data[:length]))


def first_difference(one: bytes, other: bytes) -> int:
    """The first index at which two byte strings differ (the shorter one's length if none does)."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Verifier:
    """Checks one connection's arriving bytes against the streams that may be on it.

    A listener with several clients does not know whose connection it has accepted: all their
    streams are candidates, and those that do not fit drop out with the first bytes. With `foreign`
    (a program may have connected as well) a connection that fits none from its start on is only
    counted.
    """

    def __init__(self, candidates: Sequence[Stream], *, foreign: bool = False) -> None:
        self._candidates = list(candidates)
        self._foreign = foreign
        self._checking = bool(candidates)
        self._known = not foreign  # whether it is certain that an endpoint of ours is on the other side

    @property
    def expected_bytes(self) -> int | None:
        """How many bytes the other side's steps send; None while that is not known."""
        lengths = {stream.length for stream in self._candidates}
        return lengths.pop() if self._checking and self._known and len(lengths) == 1 else None

    def check(self, offset: int, data: bytearray, length: int) -> int | None:
        """Takes what arrived at `offset`; returns where the first wrong byte of the stream is, once."""
        if not self._checking:
            return None
        wrong = {stream: stream.mismatch(offset, data, length) for stream in self._candidates}
        fitting = [stream for stream, at in wrong.items() if at is None]
        if fitting:
            self._candidates, self._known = fitting, True
            return None
        self._checking = False
        furthest = max(at for at in wrong.values() if at is not None)
        if self._foreign and offset == 0 and furthest == 0:
            return None
        return furthest
