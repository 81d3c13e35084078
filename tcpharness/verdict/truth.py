"""What any monitor should have said of a case: its own expectations about findings, read as the truth.

`expect.findings` has two sides, so it tells both: what is listed was there, and no other condition of
level warning or above was. Conditions below that are nobody's business unless they are listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.scenario.model import Case, FindingExpect, VantageExpect
from tcpharness.scenario.place import Place
from tcpharness.verdict.findings import LOUD, descends

# One packet, two words: the second ones are more exact, and whoever says the first then is not wrong.
SAME_PACKET = {
    "reset": (
        "connection_refused",
        "keep_alive_answered_by_rst",
        "port_scan",
        "reset_out_of_window",
        "rst_idle_timeout",
        "rst_with_data",
        "timed_out",
    ),
    "retransmission": ("corrupted_then_retransmitted", "overlap_conflict", "syn_in_established"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A condition, and how often it was there. `low` 0: it may have been; `high` 0: it was not."""

    name: str
    low: int
    high: int | None
    at: Place

    @property
    def is_allowed(self) -> bool:
        return self.high != 0


@dataclass(frozen=True, slots=True)
class Stand:
    """Vantages that are judged as one: what was there to be seen, at one of them at least."""

    vantages: tuple[str, ...]
    wishes: tuple[Wish, ...]
    is_silent: bool = True  # what is not wished for was not there

    def explains(self, name: str) -> bool:
        """A report of this name can be about something that was there."""
        allowed = [wish.name for wish in self.wishes if wish.is_allowed]
        related = SAME_PACKET.get(name, ())
        return any(descends(name, w) or descends(w, name) or w in related for w in allowed)

    def forbids(self, name: str) -> bool:
        """It was not there: said so, or not listed though grave enough to have to be."""
        if any(descends(name, w.name) for w in self.wishes if not w.is_allowed):
            return not self.explains(name)
        loud = name in BY_NAME and BY_NAME[name].level in LOUD
        return self.is_silent and loud and not self.explains(name)


def stands(case: Case, vantages: Sequence[str], watches_hosts: bool = False) -> list[Stand]:
    """Where a monitor is judged, of the vantages that hold everything.

    One that reads packets: at each vantage by itself. One that watches hosts knows what these did, not
    what passes by: it is judged once in a case, and its silence only where every vantage is watched.
    """
    named = {watched.vantage for watched in case.expect.findings}
    found = [Stand(places_of(w, vantages, named), wishes_of(w)) for w in case.expect.findings]
    found = [stand for stand in found if stand.vantages]
    if not watches_hosts or not found:
        return found
    seen = {vantage for stand in found for vantage in stand.vantages}
    wishes = merged((w for stand in found for w in stand.wishes), together=False)
    return [Stand(tuple(vantages), wishes, is_silent=seen >= set(vantages))]


def places_of(watched: VantageExpect, vantages: Sequence[str], named: set[str]) -> tuple[str, ...]:
    if watched.vantage == "any":
        return tuple(v for v in vantages if v not in named)
    return tuple(v for v in vantages if v == watched.vantage)


def wishes_of(watched: VantageExpect) -> tuple[Wish, ...]:
    """By name; of alternatives each may have been."""
    listed = [Wish(e.name, e.count.low, e.count.high, e.at) for e in watched.findings]
    return merged([*listed, *alternatives(watched)], together=True)


def alternatives(watched: VantageExpect) -> Iterator[Wish]:
    lines: Iterable[FindingExpect] = (line for option in watched.one_of for line in option)
    for line in lines:
        if line.count.high != 0:
            yield Wish(line.name, 0, line.count.high, line.at)


def merged(wishes: Iterable[Wish], *, together: bool) -> tuple[Wish, ...]:
    """One for each name: lines of one place add up; several places may have seen the same thing."""
    found: dict[str, Wish] = {}
    for wish in wishes:
        known = found.get(wish.name)
        if known is None:
            found[wish.name] = wish
            continue
        low = known.low + wish.low if together else max(known.low, wish.low)
        high = None if known.high is None or wish.high is None else known.high + wish.high
        found[wish.name] = Wish(wish.name, low, high, known.at)
    return tuple(found.values())


def concerns_findings(at: Place, case: Case) -> bool:
    """A failure at this place is about findings: the analysis' own, or a monitor's."""
    lines = (
        place
        for w in case.expect.findings
        for place in (w.at, *(e.at for e in w.findings), *(e.at for o in w.one_of for e in o))
    )
    return at in set(lines)
