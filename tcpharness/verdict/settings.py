"""What is in force on a host, and what its firewall has counted, against what is expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tcpharness.evidence import Evidence
from tcpharness.scenario.model import Case, Count, SettingExpect
from tcpharness.verdict.result import Failure


def judge_settings(case: Case, evidence: Evidence, lacking: list[str]) -> Iterator[Failure]:
    """Failures; what this machine can't show is added to `lacking`."""
    for wanted in case.expect.settings:
        found = evidence.environment.get(wanted.host)
        if found is None:
            lacking.append(f"{wanted.at}: the settings of {wanted.host} were never read")
            continue
        failure = JUDGES[wanted.kind](wanted, found)
        if isinstance(failure, str):
            lacking.append(f"{wanted.at}: {failure}")
        elif failure is not None:
            yield failure


Judged = Failure | str | None  # a failure, what is lacking, or neither


def _sysctl(wanted: SettingExpect, found: Mapping[str, Any]) -> Judged:
    value = found["sysctl"].get(wanted.what)
    if value is None:
        return f"this kernel lacks {wanted.what}, or was not asked for it"
    if value.split() == str(wanted.wanted).split():
        return None
    return Failure(wanted.at, f"{wanted.what} {wanted.wanted} at {wanted.host}", value)


def _route(wanted: SettingExpect, found: Mapping[str, Any]) -> Judged:
    if any(has_words(line, wanted.what) for line in found["routes"]):
        return None
    routes = "; ".join(found["routes"]) or "no route at all"
    return Failure(wanted.at, f"a route of {wanted.host} with {wanted.what}", routes)


def _offload(wanted: SettingExpect, found: Mapping[str, Any]) -> Judged:
    interface, feature = wanted.what.split()
    state = found["offload"].get(interface, {}).get(feature)
    if state is None:
        return Failure(wanted.at, f"{wanted.what} at {wanted.host}", f"there is no {wanted.what}")
    shown = "on" if state else "off"
    if shown == wanted.wanted:
        return None
    return Failure(wanted.at, f"{wanted.what} {wanted.wanted} at {wanted.host}", shown)


def _firewall(wanted: SettingExpect, found: Mapping[str, Any]) -> Judged:
    if "firewall_error" in found:
        return f"the firewall of {wanted.host} can't be listed: {found['firewall_error']}"
    rules = found.get("firewall", [])
    meant = [rule for rule in rules if has_words(rule["rule"], wanted.what)]
    count = wanted.wanted
    assert isinstance(count, Count)
    packets = sum(rule["packets"] for rule in meant)
    if len(meant) == 1 and count.holds(packets):
        return None
    wish = f"{count} packets counted by the rule with {wanted.what} at {wanted.host}"
    if len(meant) == 1:
        return Failure(wanted.at, wish, f"{packets} by {meant[0]['rule']}")
    shown = tuple(f"{rule['rule']}: {rule['packets']} packets" for rule in rules)
    return Failure(wanted.at, wish, f"{len(meant)} rules have those words", shown)


def has_words(line: str, words: str) -> bool:
    """All of them, as words; the commas and braces of a set don't count."""
    held = line.replace(",", " ").replace("{", " ").replace("}", " ").split()
    return all(word in held for word in words.split())


JUDGES: dict[str, Callable[[SettingExpect, Mapping[str, Any]], Judged]] = {
    "sysctl": _sysctl,
    "route": _route,
    "offload": _offload,
    "firewall": _firewall,
}
