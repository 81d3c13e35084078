"""The ledger: every frame that reached a middlebox, and what was done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fate = Literal["forward", "drop", "delay", "duplicate", "hold", "alter", "inject", "consume"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One frame and its fate.

    `came_in` and `went_out` are (host, digest of the frame) pairs: a frame comes in from a host's
    interface and goes out towards a host's interface; the digest is zlib.crc32 of the whole frame
    from the Ethernet header on. A dropped frame has no `went_out`, an injected one no `came_in`.
    """

    number: int  # from 1, in order of arrival
    time_ns: int  # CLOCK_REALTIME of the decision, comparable with capture times
    fate: Fate
    fault: str | None  # the fault's name; None: nothing named this frame
    came_in: tuple[str, int] | None
    went_out: tuple[tuple[str, int], ...]
    head: bytes  # the first 96 bytes of the frame that came in (of what went out when injected)
    len_bytes: int
