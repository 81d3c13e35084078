"""Seeded changes of real captures: of their records and headers first, of plain bytes now and then.

A file is taken apart into pieces (records, blocks) with the field that holds each piece's length, changed
where it hurts, and put together again; lengths are told truly most of the time, so that what is behind
the readers is reached too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from struct import pack_into, unpack_from

INTERESTING = (0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 19, 20, 21, 39, 40, 41, 60, 63, 64, 127, 128, 255)
WIDE = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
LINKTYPES = (0, 1, 12, 14, 101, 105, 108, 113, 228, 229, 276, 65535)
# Offsets in an Ethernet frame of TCP over IPv4: what the analysis looks at.
ETHERTYPE, IP, IP_LEN, IP_ID, IP_BITS, PROTO = 12, 14, 16, 18, 20, 23
ADDRESSES, SEQ, ACK, OFFSET, FLAGS, WINDOW, OPTIONS = 26, 38, 42, 46, 47, 48, 54
RECORD = 16


@dataclass(slots=True)
class Parts:
    """A file taken apart: `pieces` put together behind `head` are the file."""

    head: bytearray
    pieces: list[bytearray]
    order: str
    record: int  # bytes before the frame in a piece; 0: the pieces are blocks


def take_apart(data: bytes) -> Parts | None:
    if data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\xa1\xb2\x3c\x4d"):
        order = ">" if data[:1] == b"\xa1" else "<"
        return Parts(bytearray(data[:24]), list(records(data, order)), order, RECORD)
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        order = "<" if data[8:9] == b"\x4d" else ">"
        return Parts(bytearray(), list(blocks(data, order)), order, 0)
    return None


def records(data: bytes, order: str) -> list[bytearray]:
    found, at = [], 24
    while at + RECORD <= len(data):
        size = RECORD + int(unpack_from(order + "I", data, at + 8)[0])
        found.append(bytearray(data[at : at + size]))
        at += size
    return found


def blocks(data: bytes, order: str) -> list[bytearray]:
    found, at = [], 0
    while at + 12 <= len(data):
        size = max(12, int(unpack_from(order + "I", data, at + 4)[0]))
        found.append(bytearray(data[at : at + size]))
        at += size
    return found


class Mutator:
    """`make()` gives the next input; the same seed gives the same ones."""

    def __init__(self, corpus: list[bytes], random: Random) -> None:
        self.random = random
        self.files = corpus
        self.parts = [take_apart(data) for data in corpus]

    def make(self) -> bytes:
        below = self.random.random
        number = int(below() * len(self.files))
        parts = self.parts[number]
        if parts is None or below() < 0.05:
            return bytes(self.plain(bytearray(self.files[number])))
        pieces = list(parts.pieces)
        head = bytearray(parts.head)
        for _ in range(1 + int(below() * below() * 6)):
            if not pieces:
                break
            at = int(below() * len(pieces))
            change = CHANGES[int(below() * len(CHANGES))]
            change(self, parts, head, pieces, at)
        data = bytes(head) + b"".join(pieces)
        if below() < 0.03:
            data = bytes(self.plain(bytearray(data)))
        return data

    def mutate(self, data: bytes) -> bytes:
        """One of the changes to an input of somebody else's (atheris)."""
        parts = take_apart(data)
        if parts is None or not parts.pieces:
            return bytes(self.plain(bytearray(data)))
        head, pieces = parts.head, list(parts.pieces)
        change = CHANGES[int(self.random.random() * len(CHANGES))]
        change(self, parts, head, pieces, int(self.random.random() * len(pieces)))
        return bytes(head) + b"".join(pieces)

    def plain(self, data: bytearray) -> bytearray:
        """Bytes as bytes: flipped, cut, put in, cut off."""
        below = self.random.random
        for _ in range(1 + int(below() * 4)):
            at = int(below() * (len(data) + 1))
            kind = int(below() * 5)
            if kind == 0:
                del data[at:]
            elif kind == 1:
                del data[at : at + 1 + int(below() * 8)]
            elif kind == 2:
                data[at:at] = self.random.randbytes(1 + int(below() * 8))
            elif at < len(data):
                data[at] = data[at] ^ 1 << int(below() * 8) if kind == 3 else self.byte()
        return data

    def byte(self) -> int:
        below = self.random.random
        return INTERESTING[int(below() * len(INTERESTING))] if below() < 0.5 else int(below() * 256)

    def wide(self) -> int:
        below = self.random.random
        return WIDE[int(below() * len(WIDE))] if below() < 0.5 else int(below() * (1 << 32))


Change = Callable[[Mutator, Parts, bytearray, list[bytearray], int], None]


def drop(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    del pieces[at]


def repeat(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    pieces.insert(int(m.random.random() * (len(pieces) + 1)), pieces[at])


def move(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    pieces.insert(int(m.random.random() * len(pieces)), pieces.pop(at))


def snap(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """Less of the frame was captured, and the record says so, or lies."""
    piece = bytearray(pieces[at])
    keep = parts.record + int(m.random.random() * max(1, len(piece) - parts.record))
    pieces[at] = piece[:keep]
    if parts.record and m.random.random() < 0.9:
        pack_into(parts.order + "I", pieces[at], 8, keep - RECORD)


def lie(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """A field of the record or block: time, lengths, type, interface."""
    pieces[at] = piece = bytearray(pieces[at])
    fields = max(1, min(len(piece), 32) // 4)
    where = int(m.random.random() * fields) * 4
    if where + 4 <= len(piece):
        old = int(unpack_from(parts.order + "I", piece, where)[0])
        near = old + int(m.random.random() * 9) - 4
        new = near & 0xFFFFFFFF if m.random.random() < 0.6 else m.wide()
        pack_into(parts.order + "I", piece, where, new)


def wait(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """Later, or earlier, by anything from a second on."""
    if parts.record:
        pieces[at] = piece = bytearray(pieces[at])
        step = (-3, -1, 1, 2, 40, 300, 90000)[int(m.random.random() * 7)]
        second = int(unpack_from(parts.order + "I", piece, 0)[0]) + step
        pack_into(parts.order + "I", piece, 0, second & 0xFFFFFFFF)


def header(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """A byte of the headers."""
    pieces[at] = piece = bytearray(pieces[at])
    where = (parts.record or 28) + int(m.random.random() * 80)
    if where < len(piece):
        piece[where] = m.byte()


def number(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """A sequence or acknowledgment number: near, or anywhere."""
    pieces[at] = piece = bytearray(pieces[at])
    where = parts.record + (SEQ if m.random.random() < 0.5 else ACK)
    if where + 4 <= len(piece):
        steps = (-1460, -101, -100, -1, 1, 100, 1460, 65536, 1 << 30, 1 << 31, m.wide())
        step = steps[int(m.random.random() * len(steps))]
        pack_into(">I", piece, where, int(unpack_from(">I", piece, where)[0]) + step & 0xFFFFFFFF)


def flags(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    pieces[at] = piece = bytearray(pieces[at])
    if len(piece) > parts.record + FLAGS:
        bit = 1 << int(m.random.random() * 8)
        common = (0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, piece[parts.record + FLAGS] ^ bit)
        piece[parts.record + FLAGS] = common[int(m.random.random() * 8)]


def window(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    pieces[at] = piece = bytearray(pieces[at])
    if len(piece) >= parts.record + WINDOW + 2:
        pack_into(">H", piece, parts.record + WINDOW, m.wide() & 0xFFFF)


def options(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    pieces[at] = piece = bytearray(pieces[at])
    where = parts.record + OPTIONS + int(m.random.random() * 40)
    if where < len(piece):
        piece[where] = (0, 1, 2, 3, 4, 5, 8, 10, 18, 26, 30, 34, m.byte())[int(m.random.random() * 13)]


def pieces_of_ip(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """The fragment field: more to come, and how far in."""
    pieces[at] = piece = bytearray(pieces[at])
    if len(piece) >= parts.record + IP_BITS + 2:
        bits = (0x2000, 0, 1, 5, 0x2001, 0x2005, 0x2010, 0x3FFF, 0x1FFF)[int(m.random.random() * 9)]
        pack_into(">H", piece, parts.record + IP_BITS, bits)


def answer(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """The same segment the other way."""
    pieces[at] = piece = bytearray(pieces[at])
    where = parts.record + ADDRESSES
    if len(piece) >= where + 12:
        piece[where : where + 8] = piece[where + 4 : where + 8] + piece[where : where + 4]
        piece[where + 8 : where + 12] = piece[where + 10 : where + 12] + piece[where + 8 : where + 10]


def splice(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """A piece of another file, most often as a segment of this file's connection."""
    other = m.parts[int(m.random.random() * len(m.parts))]
    if other is None or not other.pieces or other.record != parts.record or other.order != parts.order:
        return
    piece = bytearray(other.pieces[int(m.random.random() * len(other.pieces))])
    where = parts.record + ADDRESSES
    if m.random.random() < 0.8 and min(len(piece), len(pieces[at])) >= where + 12:
        piece[where : where + 12] = pieces[at][where : where + 12]
    pieces.insert(at, piece)


def link(m: Mutator, parts: Parts, head: bytearray, pieces: list[bytearray], at: int) -> None:
    """The file's link type, or a byte of its header."""
    if len(head) == 24:
        if m.random.random() < 0.5:
            pack_into(parts.order + "I", head, 20, LINKTYPES[int(m.random.random() * len(LINKTYPES))])
        else:
            head[int(m.random.random() * 24)] = m.byte()


CHANGES: tuple[Change, ...] = (
    drop, repeat, move, snap, lie, wait, header, header, number, number, flags, flags, window, options,
    pieces_of_ip, answer, splice, link,
)  # fmt: skip
