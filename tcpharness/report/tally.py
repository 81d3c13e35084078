"""Findings counted by detector and kind: what a long capture comes to, on one screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tcpharness.analysis.finding import LEVELS, Finding


@dataclass(slots=True)
class Tally:
    """One detector's findings of one kind and level; `first` is the one with the lowest frame."""

    first: Finding
    start_ns: int  # when its capture began
    count: int = 0
    files: int = 1  # in how many of them

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.first.name, self.first.kind, self.first.level)


def tallies(findings: Iterable[Finding], start_ns: int) -> list[Tally]:
    """Gravest first, then those that came most often."""
    found: dict[tuple[str, str, str], Tally] = {}
    for finding in findings:
        key = (finding.name, finding.kind, finding.level)
        tally = found.get(key)
        if tally is None:
            tally = found[key] = Tally(finding, start_ns)
        tally.count += 1
    return sorted(found.values(), key=weight)


def merged(of_files: Iterable[list[Tally]]) -> list[Tally]:
    """Those of several files in one."""
    found: dict[tuple[str, str, str], Tally] = {}
    for tally in (t for file in of_files for t in file):
        whole = found.setdefault(tally.key, Tally(tally.first, tally.start_ns, files=0))
        whole.count += tally.count
        whole.files += tally.files
    return sorted(found.values(), key=weight)


def weight(tally: Tally) -> tuple[int, int, str, str]:
    return (-LEVELS.index(tally.first.level), -tally.count, tally.first.name, tally.first.kind)
