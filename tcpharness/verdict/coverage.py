"""Two tellings of the same byte streams, cut differently: is every byte in both as often?

With offload on a host hands down several segments in one frame, or takes up several as one, so that
frames can't be compared one by one. What can is how often each stretch of a stream was told: both
sides are cut wherever either is, and the pieces are counted. Segments without payload are never cut
or joined, and are compared by what they say.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from zlib import crc32

from tcpharness.packet.segment import decode, seq_diff
from tcpharness.verdict.watched import Frames, Reconciliation, Watched, digest, line, mac_of

Flow = tuple[bytes, bytes, int, int]  # addresses, ports
Piece = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """One segment, or several in one; `payload` may be cut short by the capture."""

    flow: Flow
    seq: int
    length: int
    payload: bytes
    said: tuple[int, int, int]  # ack, flags, win
    time_ns: int
    frame: bytes


def stretch_of(time_ns: int, frame: bytes) -> Stretch:
    s = decode(frame)
    flow = (s.src_bytes, s.dst_bytes, s.sport, s.dport)
    return Stretch(flow, s.seq, s.payload_len, s.payload, (s.ack, s.flags, s.win), time_ns, frame)


def uncovered(here: Sequence[Stretch], there: Sequence[Stretch]) -> tuple[list[Stretch], list[Stretch]]:
    """Those on each side of which a part, or all, is not on the other side (as often)."""
    by_flow: dict[Flow, tuple[list[Stretch], list[Stretch]]] = defaultdict(lambda: ([], []))
    for side, stretches in enumerate((here, there)):
        for stretch in stretches:
            by_flow[stretch.flow][side].append(stretch)
    left: tuple[list[Stretch], list[Stretch]] = ([], [])
    for one, other in by_flow.values():
        for side, found in enumerate(_of_flow(one, other)):
            left[side].extend(found)
    return left


def _of_flow(one: list[Stretch], other: list[Stretch]) -> tuple[list[Stretch], list[Stretch]]:
    base = (one or other)[0].seq
    cuts = sorted({edge for s in (*one, *other) for edge in _edges(s, base)})
    # libpcap keeps no more than an MTU of a frame where a host's own offloads are off.
    kept = all(len(s.payload) == s.length for s in (*one, *other))
    pieces = [[(s, list(_pieces(s, base, cuts, kept))) for s in side] for side in (one, other)]
    first, second = (Counter(p for _, parts in side for p in parts) for side in pieces)
    return _lacking(pieces[0], first - second), _lacking(pieces[1], second - first)


def _lacking(side: Iterable[tuple[Stretch, list[Piece]]], surplus: Counter[Piece]) -> list[Stretch]:
    """The later ones of equals: they are what is too much."""
    found: list[Stretch] = []
    for stretch, parts in reversed(list(side)):
        hit = [part for part in parts if surplus[part] > 0]
        surplus.subtract(hit)
        if hit:
            found.append(stretch)
    return found[::-1]


def _edges(s: Stretch, base: int) -> tuple[int, int]:
    start = seq_diff(s.seq, base)
    return start, start + s.length


def _pieces(s: Stretch, base: int, cuts: list[int], kept: bool) -> Iterable[Piece]:
    start, end = _edges(s, base)
    if start == end:
        yield (start, s.said)
        return
    at = bisect_left(cuts, start)
    while cuts[at] < end:
        low, high = cuts[at], cuts[at + 1]
        yield (low, high, crc32(s.payload[low - start : high - start]) if kept else None)
        at += 1


# --- captures against each other


def streams_against_each_other(ends: list[Watched], names: dict[str, str], result: Reconciliation) -> None:
    """What left one host is what arrived at the other, however it was cut."""
    for here, there in permutations([w for w in ends if w.all is not None], 2):
        sent = [f for f in here.sent(here.all) if f[1][:6] == mac_of(there.end)]
        came = [f for f in there.received(there.all) if f[1][6:12] == mac_of(here.end)]
        result.compared += len(sent) + len(came)
        lost, new = uncovered(_without_equals(sent, came), _without_equals(came, sent))
        source, target = here.end.host, there.end.host
        for watched, left, what in (
            (here, lost, f"left {source} and not all of it reached {target}"),
            (there, new, f"arrived at {target} and not all of it left {source}"),
        ):
            sure = set(watched.sure or ())
            for stretch in left:
                if (stretch.time_ns, stretch.frame) in sure:
                    shown = line(stretch.time_ns, stretch.frame, names)
                    result.discrepancies.append(f"{shown}: {what}")


def _without_equals(frames: Frames, others: Frames) -> list[Stretch]:
    """Those that the other side has not got frame by frame."""
    left = Counter(digest(frame) for _, frame in others)
    found: list[Stretch] = []
    for time_ns, frame in frames:
        key = digest(frame)
        if left[key] > 0:
            left[key] -= 1
        else:
            found.append(stretch_of(time_ns, frame))
    return found
