"""How good a monitor is: what it said of many cases, against what was there.

What is counted is a condition at a place of a case: there and reported (a hit), there and not reported (a
miss), reported and not there (a false alarm). How often it was reported does not make more hits of it:
reports beyond the most that can have been there are duplicates. Only conditions that the monitor has a
word for are judged; a word for the parent is one for the child, where it has none for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tcpharness.analysis.finding import Finding
from tcpharness.record.finding import MonitorFinding
from tcpharness.record.mapping import ancestors_of
from tcpharness.verdict.findings import LOUD, descends
from tcpharness.verdict.interval import clopper_pearson
from tcpharness.verdict.truth import Stand, Wish

Kind = Literal["hit", "miss", "false alarm", "not covered"]
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Mark:
    """One condition at one place of a case, as one monitor took it."""

    kind: Kind
    condition: str
    case: str
    vantages: tuple[str, ...]
    at: str  # where the scenario says so: file:line:column
    wanted: int  # at the least
    reported: int
    duplicates: int = 0
    delay_ns: int | None = None  # from the packet to the report
    packets: tuple[str, ...] = ()  # around the one that it is about
    capture: str = ""  # these are from


@dataclass(frozen=True, slots=True)
class Seen:
    """What was said and found at a stand."""

    case: str
    at: str
    stand: Stand
    reports: Sequence[MonitorFinding]
    truth: Sequence[Finding]  # our own: for times and packets, and for what is there as a note


def marks_of(seen: Seen, words: frozenset[str]) -> Iterator[Mark]:
    """All of one monitor, which has these words, at one stand."""
    for wish in seen.stand.wishes:
        if wish.low > 0:
            yield judged(wish, seen, words)
    # A scenario need not list what is there as a mere note, so its silence says nothing of that.
    quiet = {finding.name for finding in seen.truth if finding.level not in LOUD}
    wrong: dict[str, int] = {}
    for report in seen.reports:
        if report.name in words - quiet and seen.stand.forbids(report.name):
            wrong[report.name] = wrong.get(report.name, 0) + report.count
    for name, count in wrong.items():
        at = next((str(w.at) for w in seen.stand.wishes if w.name == name), seen.at)
        yield Mark("false alarm", name, seen.case, seen.stand.vantages, at, 0, count)


def judged(wish: Wish, seen: Seen, words: frozenset[str]) -> Mark:
    place = (wish.name, seen.case, seen.stand.vantages, str(wish.at), wish.low)
    if word_for(wish.name, words) is None:
        return Mark("not covered", *place, 0)
    fitting = [report for report in seen.reports if means(report.name, wish.name, words)]
    count = sum(report.count for report in fitting)
    if not count:
        return Mark("miss", *place, 0)
    more = 0 if wish.high is None else max(0, count - wish.high)
    return Mark("hit", *place, count, more, delay_of(wish.name, fitting, seen.truth))


def word_for(condition: str, words: frozenset[str]) -> str | None:
    """The most exact that there is; None when there is none."""
    return next((name for name in (condition, *ancestors_of(condition)) if name in words), None)


def means(name: str, condition: str, words: frozenset[str]) -> bool:
    """The condition, a child of it, or the nearest parent where nothing nearer can be said."""
    return name in words and (descends(name, condition) or name == word_for(condition, words))


def delay_of(condition: str, reports: Iterable[MonitorFinding], truth: Iterable[Finding]) -> int | None:
    """From the first packet of the condition to the first report since then, nanoseconds.

    An earlier report was about something else. Monitors round their times, by a millisecond at most.
    """
    begun = first_of(condition, truth)
    if begun is None:
        return None
    delays = [r.time_ns - begun.time_ns for r in reports if r.time_ns is not None]
    since = [max(0, delay) for delay in delays if delay > -MS]
    return min(since, default=None)


def first_of(condition: str, truth: Iterable[Finding]) -> Finding | None:
    """The first packet that our own analysis calls so."""
    fitting = [f for f in truth if f.frame and descends(f.name, condition)]
    return min(fitting, key=lambda f: f.time_ns, default=None)


# --- sums


@dataclass(slots=True)
class Tally:
    """The marks of a condition, or of all, in numbers."""

    hits: int = 0
    misses: int = 0
    false_alarms: int = 0
    not_covered: int = 0
    duplicates: int = 0
    short: int = 0  # hits that were reported less often than they were there
    delays_ns: list[int] = field(default_factory=list)

    def add(self, mark: Mark) -> None:
        self.hits += mark.kind == "hit"
        self.misses += mark.kind == "miss"
        self.false_alarms += mark.kind == "false alarm"
        self.not_covered += mark.kind == "not covered"
        self.duplicates += mark.duplicates
        self.short += mark.kind == "hit" and mark.reported < mark.wanted
        if mark.delay_ns is not None:
            self.delays_ns.append(mark.delay_ns)

    @property
    def wanted(self) -> int:
        """Conditions that were there, for which it has a word."""
        return self.hits + self.misses

    @property
    def said(self) -> int:
        return self.hits + self.false_alarms

    @property
    def recall(self) -> float | None:
        return self.hits / self.wanted if self.wanted else None

    @property
    def precision(self) -> float | None:
        return self.hits / self.said if self.said else None

    @property
    def recall_range(self) -> tuple[float, float]:
        return clopper_pearson(self.hits, self.wanted)

    @property
    def precision_range(self) -> tuple[float, float]:
        return clopper_pearson(self.hits, self.said)

    def delay_ns(self, share: float) -> int | None:
        """The delay that this share of the hits stays within: nearest rank; None where none says when."""
        if not self.delays_ns:
            return None
        rank = max(1, -int(-share * len(self.delays_ns) // 1))
        return sorted(self.delays_ns)[rank - 1]


@dataclass(slots=True)
class Score:
    """One monitor's."""

    monitor: str
    version: str = ""
    words: frozenset[str] = frozenset()
    cases: int = 0  # that it was judged by
    marks: list[Mark] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # where it could not do its work, and why
    lacking: str | None = None  # what this machine hasn't got for it
    unmapped: dict[str, int] = field(default_factory=dict)  # its own names that mean nothing to us

    def in_all(self) -> Tally:
        return tally(self.marks)

    def of(self, condition: str) -> Tally:
        return tally(mark for mark in self.marks if mark.condition == condition)


@dataclass(slots=True)
class Scorecard:
    """All monitors over all cases."""

    scores: list[Score]
    cases: int = 0  # that were played and judged by
    left_out: list[str] = field(default_factory=list)  # cases that prove nothing, and why
    silent: int = 0  # cases that say nothing of findings
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)

    def ranked(self) -> list[Score]:
        """The best first, then by name. What one has no word for counts here as missed: it was not told."""
        return sorted(self.scores, key=lambda s: (-balance(s.in_all()), s.monitor))

    def conditions(self) -> list[str]:
        return sorted({mark.condition for score in self.scores for mark in score.marks})


def tally(marks: Iterable[Mark]) -> Tally:
    found = Tally()
    for mark in marks:
        found.add(mark)
    return found


def balance(of: Tally) -> float:
    """The harmonic mean of precision and of the share of all that was there; 0 where nothing was."""
    total = 2 * of.hits + of.misses + of.not_covered + of.false_alarms
    return 2 * of.hits / total if total else 0.0


# --- the gate

Limits = dict[str, float]
MEASURES = ("recall", "precision")
UNKNOWN = {"recall": "nothing was there that it has a word for", "precision": "it reported nothing"}


def read_limits(text: str) -> Limits:
    """`recall=0.95,precision=0.9`. Raises ValueError, saying what was expected."""
    limits: Limits = {}
    for part in text.split(","):
        name, sign, value = (word.strip() for word in part.partition("="))
        if name not in MEASURES or not sign:
            raise ValueError(f"{part.strip()!r} is no limit; expected recall=0.95 or precision=0.9")
        if name in limits:
            raise ValueError(f"{name} is given twice")
        try:
            limit = float(value)
        except ValueError:
            limit = -1.0
        if not 0 <= limit <= 1:
            raise ValueError(f"{name}={value}: expected a number from 0 to 1")
        limits[name] = limit
    return limits


def shortfalls(card: Scorecard, limits: Limits) -> list[str]:
    """Why a gate must stay shut. A monitor that could not look, or had nothing to see, does not pass."""
    return [f"{score.monitor}: {why}" for score in card.scores for why in shortfalls_of(score, limits)]


def shortfalls_of(score: Score, limits: Limits) -> Iterator[str]:
    if score.lacking is not None:
        yield f"it did not run: {score.lacking}"
        return
    if score.errors:
        yield f"it could not do its work at {len(score.errors)} places: {score.errors[0]}"
    found = score.in_all()
    for name, limit in limits.items():
        value = found.recall if name == "recall" else found.precision
        if value is None:
            yield f"{name} is not known: {UNKNOWN[name]}"
        elif value < limit:
            yield f"{name} is {value:.3f}, below {limit:g}"
