"""What a middlebox sent has arrived in that order, and in time.

Frames that nothing delays leave in the order of the ledger, by one queue and one CPU (quiet.py: frames
are steered to one), so that they are captured in it. And everything has left before the end markers
are sent, one of which takes the same way: what is captured behind that one came too late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tcpharness.evidence import LinkOutcome
from tcpharness.verdict.watched import Frames, Watched, digest, line

UNDELAYED = ("forward", "alter", "duplicate", "inject")


def untimely(
    ends: Sequence[Watched], ledger: LinkOutcome, names: dict[str, str], *, lanes: bool = False
) -> Iterator[str]:
    """In words, each frame that overtook another, or came late. `lanes`: each sender's frames take a time
    of their own, and keep their order only among themselves."""
    for watched in ends:
        if watched.all is not None:
            yield from late(watched, ledger, names)
            yield from overtaken(watched, ledger, names, lanes=lanes)


def late(watched: Watched, ledger: LinkOutcome, names: dict[str, str]) -> Iterator[str]:
    frames = watched.all or ()
    marked = next((n for n, (_, f) in enumerate(frames) if f[:12] == watched.far_marker), len(frames))
    host = watched.end.host
    went_out = {d for e in ledger.entries for h, d in e.went_out if h == host}
    for time_ns, frame in watched.received(frames[marked:]):
        if digest(frame) in went_out:
            yield f"{line(time_ns, frame, names)}: arrived at {host} after the end of the middlebox's work"


def overtaken(
    watched: Watched, ledger: LinkOutcome, names: dict[str, str], *, lanes: bool = False
) -> Iterator[str]:
    """Of frames that have no double: whether each came after all those that went before it."""
    host = watched.end.host
    went = [d for e in ledger.entries if e.fate in UNDELAYED for h, d in e.went_out if h == host]
    received: Frames = watched.received(watched.all)
    came = [digest(frame) for _, frame in received]
    single = {d for d, n in Counter(went).items() if n == 1} & {d for d, n in Counter(came).items() if n == 1}
    place = {d: n for n, d in enumerate(went)}
    last: dict[bytes, int] = {}
    for (time_ns, frame), d in zip(received, came, strict=True):
        if d in single:
            lane = frame[6:12] if lanes else b""
            if place[d] < last.get(lane, -1):
                what = "although the middlebox had sent it before others"
                yield f"{line(time_ns, frame, names)}: arrived at {host} after others, {what}"
            last[lane] = max(last.get(lane, -1), place[d])
