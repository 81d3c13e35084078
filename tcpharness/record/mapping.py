"""Records to findings, by a description: names, conditions, times, flows, counts, levels.

A record gives one finding for each name of `names` that it fits; of a detector and its parent the more
specific one only. What fits none keeps its own name, when it has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import LEVELS, FlowKey, Level
from tcpharness.packet.address import address_bytes, address_text
from tcpharness.record.finding import MonitorFinding
from tcpharness.record.formats import Records
from tcpharness.record.path import first, text_of, values
from tcpharness.scenario.monitor import Description, NameRule, Test
from tcpharness.scenario.monitor_check import used_fields
from tcpharness.scenario.problem import listed

MOST_TEXT = 300
MOST_DECIDED = 1000


def findings_of(description: Description, records: Iterable[Any]) -> list[MonitorFinding]:
    """All findings, in the records' order."""
    rules = rules_of(description.names)
    return [finding for record in records for finding in of_record(description, rules, record)]


def unmatched(description: Description, read: Records) -> str | None:
    """Why the description can't be meant for these records; None when it may be."""
    used = sorted(used_fields(description))
    records = [record for record in read.records if is_meant(description, record)]
    if read.columns and (missing := [path for path in used if path not in read.columns]):
        return f"its records have no field {missing[0]}; they have {listed(read.columns)}"
    if not records or any(values(record, path) for record in records for path in used):
        return wrong_times(description, records)
    return (
        f"the description matches nothing: none of its {len(records)} records has any of {listed(used)}; "
        f"the first has {listed(map(str, records[0]))}"
    )


def wrong_times(description: Description, records: Iterable[Any]) -> str | None:
    paths = description.fields
    for value in filter(None, (first(record, paths.time) for record in records)):
        if time_of(value, paths.unit_ns) is None:
            return f"its time {text_of(value)!r:.60} is neither seconds since 1970 nor a date by ISO 8601"
    return None


def of_record(description: Description, rules: Rules, record: Any) -> Iterator[MonitorFinding]:
    """Those of one record: none when `only` leaves it out, or nothing in it is a name or fits one."""
    if not is_meant(description, record):
        return
    own = [text_of(value) for path in description.fields.name for value in values(record, path)]
    fitting = rules.fitting(own, record)
    for rule in fitting:
        finding = made(description, record, rule.name, own, rule)
        if finding.count:
            yield finding
    if not fitting and own:
        finding = made(description, record, own[0], own[1:], None)
        if finding.count:
            yield finding


def is_meant(description: Description, record: Any) -> bool:
    """`only` holds, and `unless` does not."""
    output = description.output
    if output.unless and all(holds(test, record) for test in output.unless):
        return False
    return all(holds(test, record) for test in output.only)


@lru_cache(maxsize=64)
def rules_of(names: tuple[NameRule, ...]) -> Rules:
    """Kept from capture to capture, with what they have decided."""
    return Rules(names)


class Rules:
    """The names of a description, found by the monitor's own or by their conditions."""

    def __init__(self, rules: Sequence[NameRule]) -> None:
        self._rules = rules
        self._conditional = [place for place, rule in enumerate(rules) if rule.when]
        self._named: dict[str, list[int]] = {}
        for place, rule in enumerate(rules):
            for name in rule.own:
                self._named.setdefault(name, []).append(place)
        self._tested = sorted({test.field for rule in rules for group in rule.when for test in group})
        self._decided: dict[tuple[object, ...], list[NameRule]] = {}

    def fitting(self, own: Sequence[str], record: Any) -> list[NameRule]:
        """Those that a record fits, the most specific ones. Most records differ in nothing that is tested."""
        key = (*own, *(text_of(values(record, path)) for path in self._tested))
        known = self._decided.get(key)
        if known is None:
            known = most_specific(self._decide(own, record))
            if len(self._decided) < MOST_DECIDED:
                self._decided[key] = known
        return known

    def _decide(self, own: Iterable[str], record: Any) -> list[NameRule]:
        """In their order."""
        places = {place for name in own for place in self._named.get(name, ())}
        places.update(place for place in self._conditional if is_so(self._rules[place], record))
        return [self._rules[place] for place in sorted(places)]


def is_so(rule: NameRule, record: Any) -> bool:
    return any(all(holds(test, record) for test in group) for group in rule.when)


def most_specific(rules: list[NameRule]) -> list[NameRule]:
    """Without the parents of others that are there, and each name once."""
    ancestors = {name for rule in rules for name in ancestors_of(rule.name)}
    kept = {rule.name: rule for rule in rules if rule.name not in ancestors}
    return list(kept.values())


def ancestors_of(name: str) -> Iterator[str]:
    step = BY_NAME[name].parent if name in BY_NAME else None
    while step is not None:
        yield step
        step = BY_NAME[step].parent if step in BY_NAME else None


# --- conditions


def holds(test: Test, record: Any) -> bool:
    """For one of the field's values, where it has several; `absent` and `not` for all of them."""
    found = values(record, test.field)
    if test.how in ("present", "absent"):
        return bool(found) == (test.how == "present")
    if test.how == "not":
        return all(text_of(value) != test.value for value in found)
    return any(COMPARE[test.how](value, test.value) for value in found)


def _ordered(compare: Callable[[Decimal, Decimal], bool]) -> Callable[[Any, str], bool]:
    def decide(value: Any, limit: str) -> bool:
        number = number_of(value)
        return number is not None and compare(number, Decimal(limit))

    return decide


COMPARE: dict[str, Callable[[Any, str], bool]] = {
    "is": lambda value, wanted: text_of(value) == wanted,
    "matches": lambda value, expression: re.search(expression, text_of(value)) is not None,
    "<": _ordered(lambda a, b: a < b),
    "<=": _ordered(lambda a, b: a <= b),
    ">": _ordered(lambda a, b: a > b),
    ">=": _ordered(lambda a, b: a >= b),
}


def number_of(value: Any) -> Decimal | None:
    try:
        number = Decimal(text_of(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


# --- one finding


def made(
    description: Description, record: Any, name: str, own: list[str], rule: NameRule | None
) -> MonitorFinding:
    paths = description.fields
    frame = number_of(first(record, paths.frame))
    return MonitorFinding(
        name=name,
        own=tuple(own),
        level=level_of(description, record, name, rule),
        time_ns=time_of(first(record, paths.time), paths.unit_ns),
        frame=int(frame) if frame is not None else 0,
        flow=flow_of(description, record),
        count=count_of(record, rule.count if rule and rule.count else paths.count[:1]),
        text=text_of(first(record, paths.text) or "")[:MOST_TEXT],
    )


def count_of(record: Any, paths: Iterable[str]) -> int:
    """The sum of what stands there; one, where nothing does."""
    numbers = [number_of(first(record, (path,))) for path in paths]
    told = [number for number in numbers if number is not None]
    return int(sum(told)) if told else 1


def level_of(description: Description, record: Any, name: str, rule: NameRule | None) -> Level:
    """The rule's, the record's own, that of the detector of this name, or the description's."""
    if rule is not None and rule.level is not None:
        return rule.level
    word = first(record, description.fields.level)
    if word is not None:
        known = {level: level for level in LEVELS} | description.levels
        level = known.get(text_of(word)) or known.get(text_of(word).lower())
        if level is not None:
            return level
    return BY_NAME[name].level if name in BY_NAME else description.level


def time_of(value: Any, unit_ns: int) -> int | None:
    """Nanoseconds since 1970; None where there is no time, or nothing that reads as one."""
    if value is None:
        return None
    number = number_of(value)
    if number is not None:
        return int(number * unit_ns)
    text = text_of(value)
    fraction = re.search(r"\.([0-9]+)", text)
    try:
        whole = datetime.fromisoformat(text.replace(fraction[0], "", 1) if fraction else text)
    except ValueError:
        return None
    if whole.tzinfo is None:  # monitors run with TZ=UTC
        whole = whole.replace(tzinfo=UTC)
    return int(whole.timestamp()) * 1_000_000_000 + int(((fraction[1] if fraction else "") + "0" * 9)[:9])


def flow_of(description: Description, record: Any) -> FlowKey | None:
    paths = description.fields
    src, dst = address_of(first(record, paths.src)), address_of(first(record, paths.dst))
    if src is None or dst is None:
        return None
    return FlowKey(src, port_of(first(record, paths.sport)), dst, port_of(first(record, paths.dport)))


def address_of(value: Any) -> str | None:
    """One spelling for each address; None for what is none."""
    return spelled(text_of(value))


@lru_cache(maxsize=4096)
def spelled(text: str) -> str | None:
    try:
        return address_text(address_bytes(text.strip("[]").partition("%")[0]))
    except ValueError:
        return None


def port_of(value: Any) -> int:
    """0 where there is none."""
    number = number_of(value)
    return int(number) if number is not None and 0 <= number < 65536 else 0
