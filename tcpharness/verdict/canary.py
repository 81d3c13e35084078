"""Silence that is proven: whoever is believed to have seen nothing must have reported the canary's.

Here of our own detectors, at the vantages that a scenario watches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tcpharness.analysis.canary import FAST_NAMES, KERNEL_NAMES, NAMES, conversations, heard
from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import LEVELS, Level
from tcpharness.evidence import CaptureOutcome, MonitorOutcome
from tcpharness.packet.canary import number_at
from tcpharness.scenario.monitor import Description, MonitorExpect
from tcpharness.verdict.blind import Sight, restriction, serves
from tcpharness.verdict.findings import descends

MOST_NAMES = 4


def deaf_vantages(sight: Sight) -> Iterator[str]:
    """A watched vantage whose capture does not show the canary whole, and what that may have hidden."""
    at = {w.vantage: str(w.at) for w in sight.case.expect.findings}
    everywhere = at.pop("any", "")
    if everywhere:
        at = {vantage: everywhere for vantage in sight.evidence.captures if serves(vantage, sight)} | at
    for vantage, place in at.items():
        capture = sight.evidence.captures.get(vantage)
        if capture is None or capture.error or restriction(capture) or not capture.has_canary:
            continue  # said elsewhere, or nothing is proven by a canary there
        missing = unheard(capture, vantage_number(vantage, sight), sight.case.ip)
        if missing:
            why = cause(capture, vantage_number(vantage, sight), sight.case.ip)
            yield f"{place}: our detectors could not have seen {some(missing)} at {vantage} ({why})"


def unheard(capture: CaptureOutcome, number: int, version: int) -> list[str]:
    """Names that our detectors should have reported of the canary, given how much of a frame is captured."""
    whole = [sent.frame[: capture.snaplen or None] for sent in conversations(number, version)]
    return sorted(heard(whole, number, version) - capture.heard)


def cause(capture: CaptureOutcome, number: int, version: int) -> str:
    """Why the canary was not heard, as far as the capture tells."""
    sent = len(conversations(number, version))
    if not capture.canary:
        return "the canary never came by"
    if len(capture.canary) < sent:
        return f"canary not reported: {sent - len(capture.canary)} of its {sent} frames are missing"
    return "canary not reported: its frames were changed on the way into the capture"


# --- monitors under test


def deaf(outcome: MonitorOutcome, wanted: MonitorExpect, sight: Sight) -> str | None:
    """Why a monitor's silence proves nothing: what it must have reported of the canary, and has not."""
    capture = sight.evidence.captures.get(outcome.vantage)
    description = described(outcome, sight)
    if description.read is not None and capture is not None and (how := cut(capture)) is not None:
        return f"{outcome.monitor} could not have seen all at {outcome.vantage}: the capture {how}"
    doubtful = sorted(denied(wanted) & {*description.unproven})
    if doubtful:
        what = f"{some(doubtful)} at {outcome.vantage}"
        return f"{outcome.monitor} may not be able to see {what} (unproven, says its description)"
    deaf_to = {name for name in denied(wanted) & brought(description) if not is_heard(name, outcome)}
    missing = sorted(deaf_to | counting(outcome.could_hear, wanted, description) - outcome.heard)
    if not outcome.was_asked or not missing:
        return None
    whose = likely_of_kernel(outcome) if description.asks_kernel else likely(outcome, missing, capture, sight)
    why = "; ".join(whose)
    names = some(missing)
    return f"{outcome.monitor} could not have seen {names} at {outcome.vantage} (canary not reported: {why})"


def described(outcome: MonitorOutcome, sight: Sight) -> Description:
    """How this monitor was described."""
    uses = (use.description for use in sight.case.monitors if use.name == outcome.monitor)
    return next(description for description in uses if description is not None)


def cut(capture: CaptureOutcome) -> str | None:
    """Why a capture holds the canary, perhaps, but not all of the scenario."""
    if capture.late:
        return "began late"
    if capture.dropped:
        return f"lacks {capture.dropped} packets that tcpdump had to drop"
    return restriction(capture)


def unproven(outcome: MonitorOutcome, wanted: MonitorExpect, sight: Sight) -> str | None:
    """What a person should know of a silence that no canary can vouch for."""
    if not outcome.was_asked:
        return f"{outcome}: no canary vouches for its silence (what it says of one could not be told apart)"
    if not outcome.could_hear and not outcome.of_canary:
        return f"{outcome}: nothing vouches for its silence: it told of no canary, and has no name for one"
    description = described(outcome, sight)
    doubtful = counting(description.unproven, wanted, description)
    doubtful |= {name for name in denied(wanted) - outcome.of_canary if not is_heard(name, outcome)}
    return f"{outcome}: nothing vouches for its silence about {some(sorted(doubtful))}" if doubtful else None


def denied(wanted: MonitorExpect) -> set[str]:
    """Names of which it is expressly expected to report none."""
    return {line.name for line in wanted.findings if line.count.high == 0}


def brought(description: Description) -> frozenset[str]:
    """What the canary that such a monitor sees brings about."""
    if description.asks_kernel:
        return KERNEL_NAMES
    return NAMES if description.read is not None else FAST_NAMES


def is_heard(name: str, outcome: MonitorOutcome) -> bool:
    """It has reported the canary's, or a kind of it."""
    return any(name == said or descends(said, name) for said in outcome.heard)


def counting(names: Iterable[str], wanted: MonitorExpect, description: Description) -> set[str]:
    """Those that would count at the expectation's level, and are not expected."""
    reported = {line.name for line in wanted.findings if line.count.low}
    least = LEVELS.index(wanted.level)
    return {
        name
        for name in names
        if LEVELS.index(level_of(name, description)) >= least
        and not any(name == said or descends(name, said) or descends(said, name) for said in reported)
    }


def level_of(name: str, description: Description) -> Level:
    """Our detector's; of a name of its own what the description says."""
    if name in BY_NAME:
        return BY_NAME[name].level
    levels = (rule.level for rule in description.names if rule.name == name and rule.level is not None)
    return next(levels, description.level)


def likely(
    outcome: MonitorOutcome, missing: list[str], capture: CaptureOutcome | None, sight: Sight
) -> Iterator[str]:
    """What may have kept it from hearing, the nearest first."""
    if capture is not None and not capture.canary:
        yield "the canary is not in the capture: a filter, the wrong interface, or a start too late"
    elif capture is not None and (
        lost := unheard(capture, vantage_number(outcome.vantage, sight), sight.case.ip)
    ):
        yield f"our own detectors do not hear {some(lost)} there either: part of the capture is missing"
    if capture is not None and capture.snaplen:
        yield f"the capture keeps {capture.snaplen} bytes of each packet"
    if not outcome.records:
        yield "it wrote no record at all: no rules, its output elsewhere or buffered, or it reads nothing"
    elif not outcome.heard:
        yield "it reported nothing of it: a filter of its own, its rules, or its checksum validation"
    elif missing == ["bad_tcp_checksum"]:
        yield "it reported all the rest: its checksum validation is off"
    else:
        yield "it reported others: a rule that is not loaded, a setting, or a mapping that does not fit"


def likely_of_kernel(outcome: MonitorOutcome) -> Iterator[str]:
    """As likely(), of one whose canary was real sockets of its host."""
    if outcome.no_canary is not None:
        yield f"the canary could not be had: {outcome.no_canary}"
    elif not outcome.of_canary:
        yield "it reported nothing of it: no rules, thresholds too high, its output elsewhere, another host"
    else:
        yield "it reported others: a rule not loaded, a threshold too high, a mapping that does not fit"


def vantage_number(vantage: str, sight: Sight) -> int:
    place = next(n for n, (name, _, _) in enumerate(sight.plan.vantages) if name == vantage)
    return number_at(sight.plan.number, place)


def some(names: Iterable[str]) -> str:
    """`zero_window, window_full and 3 more`"""
    known = list(names)
    if len(known) <= MOST_NAMES:
        return " or ".join((", ".join(known[:-1]), known[-1])) if known[1:] else known[0]
    return f"{', '.join(known[:MOST_NAMES])} and {len(known) - MOST_NAMES} more"
