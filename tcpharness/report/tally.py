"""Findings counted by detector, kind and level: what a long capture comes to, on one screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tcpharness.analysis.finding import LEVELS, Finding, Level

Key = tuple[str, str, Level]  # name, kind, level


@dataclass(slots=True)
class Tally:
    """One detector's findings of one kind and level; `first`: the one with the lowest frame, if kept."""

    key: Key
    count: int
    first: Finding | None
    start_ns: int  # when its capture began
    files: int = 1  # in how many of them


def counted(findings: Iterable[Finding]) -> Counter[Key]:
    return Counter((f.name, f.kind, f.level) for f in findings)


def tallies(counts: Counter[Key], findings: Iterable[Finding], start_ns: int) -> list[Tally]:
    """Gravest first, then those that came most often. `findings` may hold only some of those counted."""
    first: dict[Key, Finding] = {}
    for finding in findings:
        first.setdefault((finding.name, finding.kind, finding.level), finding)
    found = [Tally(key, count, first.get(key), start_ns) for key, count in counts.items() if count]
    return sorted(found, key=weight)


def merged(of_files: Iterable[list[Tally]]) -> list[Tally]:
    """Those of several files in one."""
    found: dict[Key, Tally] = {}
    for tally in (t for file in of_files for t in file):
        whole = found.setdefault(tally.key, Tally(tally.key, 0, tally.first, tally.start_ns, files=0))
        whole.count += tally.count
        whole.files += tally.files
    return sorted(found.values(), key=weight)


def weight(tally: Tally) -> tuple[int, int, str, str]:
    name, kind, level = tally.key
    return (-LEVELS.index(level), -tally.count, name, kind)
