"""What a detector gives: made by the thousand, and so a plain class that is compiled along with the core."""

from __future__ import annotations

from collections.abc import Callable

from tcpharness.analysis.finding import Finding, Level


class Hit:
    """What a detector says about a segment. What is left out is taken from the segment and the catalogue."""

    __slots__ = (
        "count", "detail", "end_ns", "frame", "keep", "kind", "len", "level", "of_other", "replaces", "seq",
        "text", "time_ns",
    )  # fmt: skip

    def __init__(
        self,
        text: str,
        kind: str = "",
        detail: dict[str, int | str | float] | None = None,
        level: Level | None = None,
        frame: int | None = None,
        time_ns: int | None = None,
        end_ns: int | None = None,
        count: int = 1,
        seq: int | None = None,
        len: int | None = None,
        of_other: bool = False,  # it is about the other side's segment
        # gets the finding, so that later evidence can be added to it
        keep: Callable[[Finding], None] | None = None,
        replaces: tuple[tuple[Finding, Finding | None], ...] = (),  # earlier findings, better known now
    ) -> None:
        self.text, self.kind, self.level = text, kind, level
        self.detail = {} if detail is None else detail
        self.frame, self.time_ns, self.end_ns, self.count = frame, time_ns, end_ns, count
        self.seq, self.len, self.of_other = seq, len, of_other
        self.keep, self.replaces = keep, replaces
