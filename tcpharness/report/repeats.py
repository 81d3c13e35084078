"""What repeating comes to: on a terminal while it goes on, as lines in the end, and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from tcpharness.report.terminal import Terminal
from tcpharness.verdict.repeats import Repeated, Repeats
from tcpharness.verdict.result import Result

SHOWN = 12  # lines of a difference


class RepeatTerminal(Terminal):
    """Says what did not pass, and counts the rest."""

    def __init__(self, out: TextIO, total: int, *, live: bool, width: int = 80) -> None:
        super().__init__(out, total, live=live, width=width)
        self.repeats = Repeats()

    def ended(self, result: Result) -> None:
        self.repeats.take(result)
        super().ended(result)

    def tell(self, result: Result) -> None:
        if result.verdict.outcome in ("fail", "void"):
            super().tell(result)


def repeats_text(repeats: Repeats) -> str:
    """A line for each case that gave more than one transcript, what differs beneath, and the sum."""
    cases = list(repeats.cases.values())
    lines = [line for case in cases if case.distinct > 1 for line in _several(case)]
    one = sum(case.distinct == 1 for case in cases)
    allowed = sum(case.distinct > 1 and case.case.kernel_timing for case in cases)
    several = sum(case.distinct > 1 for case in cases) - allowed
    runs = sum(case.outcomes.total() for case in cases)
    return "\n".join(
        [
            *lines,
            f"{runs} runs of {len(cases)} cases: {one} gave one transcript, {allowed} several by"
            f" `timing: kernel`, {several} several without it",
        ]
    )


def _several(repeated: Repeated) -> Iterator[str]:
    runs = ", ".join(str(count) for _, count in repeated.runs.most_common(8))
    word = "kernel" if repeated.case.kernel_timing else "differs"
    yield f"{word}  {repeated.case.id}  {repeated.distinct} transcripts ({runs} runs)"
    if repeated.case.kernel_timing:
        return
    difference = repeated.difference()
    yield from (f"  {line}" for line in difference[:SHOWN])
    if len(difference) > SHOWN:
        yield f"  and {len(difference) - SHOWN} more lines"
    yield f"  {repeated.case.at}: if the kernel's timers decide this, say so with `timing: kernel`"


def repeats_as_json(repeats: Repeats) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "kernel_timing": each.case.kernel_timing,
            "outcomes": dict(each.outcomes),
            "distinct": each.distinct,
            "runs": dict(each.runs),
            "difference": each.difference(),
            "holds": each.holds,
        }
        for name, each in repeats.cases.items()
    ]
