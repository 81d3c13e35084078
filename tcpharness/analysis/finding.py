"""What a detector reports, and what a capture comes to. Plain data, shared by every later room."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["info", "note", "warning", "error"]
LEVELS: tuple[Level, ...] = ("info", "note", "warning", "error")


@dataclass(frozen=True, slots=True)
class FlowKey:
    """One direction of a connection; addresses as text."""

    src: str
    sport: int
    dst: str
    dport: int

    def reversed(self) -> FlowKey:
        return FlowKey(self.dst, self.dport, self.src, self.sport)

    def __str__(self) -> str:
        return f"{self.src}.{self.sport} > {self.dst}.{self.dport}"


@dataclass(slots=True)
class Finding:
    """One report of one detector, about the frame `frame` (from 1; 0: about the capture as a whole)."""

    name: str
    level: Level
    time_ns: int
    frame: int
    flow: FlowKey | None  # the direction of the segment it is about
    text: str  # the evidence, in one line, for people
    kind: str = ""  # retransmission: rto, fast, tlp, ...
    seq: int | None = None  # absolute, as on the wire
    len: int = 0  # payload bytes concerned (SYN and FIN count none)
    count: int = 1  # episodes: how many
    end_ns: int | None = None  # episodes: when it ended
    detail: dict[str, int | str | float] = field(default_factory=dict)


@dataclass(slots=True)
class FlowSummary:
    """A connection as a whole; `key` is the direction of its first SYN, or of its first frame."""

    key: FlowKey
    first_ns: int
    last_ns: int
    frames: tuple[int, int]
    bytes: tuple[int, int]  # payload seen once, by direction
    state: str
    retransmitted: tuple[int, int] = (0, 0)
    rtt_ns: int | None = None


@dataclass(slots=True)
class CaptureReport:
    """The analysis of one capture."""

    findings: list[Finding]
    flows: list[FlowSummary]
    frames: int
    not_tcp: dict[str, int]  # kind -> frames
    problems: list[str]  # "truncated at byte 1234: ..." and the like
    counts: Counter[tuple[str, str, Level]] = field(default_factory=Counter)  # name, kind, level; kept or not
    flow_count: int = 0
    start_ns: int = 0  # when the first flow begins
