"""The ledger: every frame that reached a middlebox, and what was done with it.

Nearly every frame is passed on and that is all there is to say of it. Those go into one bytearray,
a fixed-size record each, which costs a fraction of a microsecond and needs no object; what a fault
has touched is kept beside it, whole. `entries()` makes both into one list.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Literal, NamedTuple
from zlib import crc32

from tcpharness.scenario.impairment import Act

Fate = Literal["forward", "drop", "delay", "duplicate", "hold", "alter", "inject", "consume"]

HEAD_LEN = 96
RECORD = Struct(f"<qIIBB{HEAD_LEN}s")  # time_ns, digest, len_bytes, port in, port out, head
NOTED = 255  # instead of a port out: what became of this frame is in the notes


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame and its fate.

    `came_in` and `went_out` are (host, digest of the frame) pairs: a frame comes in from a host's
    interface and goes out towards a host's interface; the digest is zlib.crc32 of the whole frame
    from the Ethernet header on. A dropped frame has no `went_out`, an injected one no `came_in`.

    A host with offloads on sends what no wire carries: several segments in one frame, or one without
    its checksum. The middlebox turns it into the frames of a wire. Their entries have the digest of
    what the host sent as `came_in`, several entries the same; `head` and `len_bytes` are the wire's.
    """

    number: int  # from 1, in order of arrival
    time_ns: int  # CLOCK_REALTIME of the decision, comparable with capture times
    fate: Fate
    fault: str | None  # the fault's name; None: nothing named this frame
    came_in: tuple[str, int] | None
    went_out: tuple[tuple[str, int], ...]
    head: bytes  # the first 96 bytes of the frame that came in (of what went out when injected)
    len_bytes: int
    faults: tuple[str, ...] = ()  # all that fired on this frame, in order; `fault` is the first
    acts: tuple[Act, ...] = ()  # what the link's impairments did to it, besides letting it wait


class Note(NamedTuple):
    """What the record of a frame does not say. Ports by number, as in Entry otherwise."""

    fate: Fate
    faults: tuple[str, ...]
    came_in: tuple[int, int] | None
    went_out: tuple[tuple[int, int], ...]
    acts: tuple[Act, ...] = ()


class Ledger:
    """The book as it is written. Times are those of the caller's clock."""

    def __init__(self) -> None:
        self._records = bytearray()
        self._notes: list[Note] = []

    def __len__(self) -> int:
        return len(self._records) // RECORD.size

    def passed(self, time_ns: int, port: int, out: int, digest: int, frame: bytes) -> None:
        """A frame that went on as it came."""
        self._records += RECORD.pack(time_ns, digest, len(frame), port, out, frame[:HEAD_LEN])

    def note(self, time_ns: int, frame: bytes, note: Note) -> None:
        """A frame with a fate of its own; `frame` as it came in, or as it was injected."""
        self._records += RECORD.pack(time_ns, 0, len(frame), 0, NOTED, frame[:HEAD_LEN])
        self._notes.append(note)

    def dump(self) -> bytes:
        """For another process of ours, which gives it to `entries`."""
        return pickle.dumps((bytes(self._records), [tuple(note) for note in self._notes]))

    def entries(self, hosts: Sequence[str], epoch_ns: int = 0) -> list[Entry]:
        """All entries so far; `epoch_ns` is added to every time, `hosts` are the ports' names."""
        return list(_entries(bytes(self._records), iter(self._notes), hosts, epoch_ns))


def load(dump: bytes, hosts: Sequence[str], epoch_ns: int = 0) -> list[Entry]:
    """The entries of a dumped ledger. Only for what a process of ours has dumped."""
    records, notes = pickle.loads(dump)
    return list(_entries(records, (Note(*note) for note in notes), hosts, epoch_ns))


def digest_of(frame: bytes) -> int:
    return crc32(frame)


def _entries(records: bytes, notes: Iterator[Note], hosts: Sequence[str], epoch_ns: int) -> Iterator[Entry]:
    for number, record in enumerate(RECORD.iter_unpack(records), 1):
        time_ns, digest, len_bytes, port, out, head = record
        time_ns, head = time_ns + epoch_ns, head[:len_bytes]
        if out != NOTED:
            came_in, went_out = (hosts[port], digest), ((hosts[out], digest),)
            yield Entry(number, time_ns, "forward", None, came_in, went_out, head, len_bytes)
            continue
        note = next(notes)
        yield Entry(
            number=number,
            time_ns=time_ns,
            fate=note.fate,
            fault=note.faults[0] if note.faults else None,
            came_in=note.came_in and (hosts[note.came_in[0]], note.came_in[1]),
            went_out=tuple((hosts[to], digest) for to, digest in note.went_out),
            head=head,
            len_bytes=len_bytes,
            faults=tuple(note.faults),
            acts=tuple(note.acts),
        )
