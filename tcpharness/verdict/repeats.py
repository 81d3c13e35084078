"""Cases that are played again and again: how many different runs each gave."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, field

from tcpharness.scenario.model import Case
from tcpharness.verdict.result import Result
from tcpharness.verdict.transcript import digest


@dataclass(slots=True)
class Repeated:
    """One case: how its runs ended, and their transcripts by digest, in order of appearance."""

    case: Case
    outcomes: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)  # digest -> runs
    first: list[list[str]] = field(default_factory=list)  # the first two transcripts that differ

    def take(self, result: Result) -> None:
        """A skipped run has nothing to compare."""
        self.outcomes[result.verdict.outcome] += 1
        if result.verdict.outcome == "skip":
            return
        name = digest(result.transcript)
        self.runs[name] += 1
        if self.runs[name] == 1 and len(self.first) < 2:
            self.first.append(result.transcript)

    @property
    def distinct(self) -> int:
        return len(self.runs)

    @property
    def holds(self) -> bool:
        """Every run passed, and all were alike, unless the kernel's timers decide by declaration."""
        passed = set(self.outcomes) <= {"pass", "skip"}
        return passed and (self.distinct <= 1 or self.case.kernel_timing)

    def difference(self) -> list[str]:
        """The lines by which the first two that differ do: `- ` and `+ `."""
        if len(self.first) < 2:
            return []
        one, two = self.first
        lines = difflib.unified_diff(one, two, n=0, lineterm="")
        return [
            f"{line[0]} {line[1:]}" for line in lines if line[:3] not in ("---", "+++") and line[0] in "+-"
        ]


class Repeats:
    """All cases, in the order in which they were first heard of."""

    def __init__(self) -> None:
        self.cases: dict[str, Repeated] = {}

    def take(self, result: Result) -> None:
        case = result.case
        self.cases.setdefault(case.id, Repeated(case)).take(result)

    @property
    def holds(self) -> bool:
        return all(each.holds for each in self.cases.values())
