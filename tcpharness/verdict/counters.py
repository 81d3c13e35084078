"""The kernel's counters against what is expected of them."""

from __future__ import annotations

import difflib

from tcpharness.evidence import Evidence
from tcpharness.scenario.model import Case, CounterExpect
from tcpharness.verdict.result import Failure

PREFIXES = ("", "TcpExt", "IpExt", "MPTcpExt")


def judge_counters(case: Case, evidence: Evidence) -> tuple[list[Failure], list[str]]:
    """Failures, and the counters that this kernel lacks."""
    failures: list[Failure] = []
    lacking: list[str] = []
    for wanted in case.expect.counters:
        counted = evidence.counters.get(wanted.host, {})
        name = next((p + wanted.counter for p in PREFIXES if p + wanted.counter in counted), None)
        if name is None:
            lacking.append(f"{wanted.at}: this kernel has no counter {wanted.counter}{near(wanted, counted)}")
        elif not wanted.count.holds(counted[name]):
            wish = f"{name} to grow by {wanted.count} at {wanted.host}"
            failures.append(Failure(wanted.at, wish, f"it grew by {counted[name]}"))
    return failures, lacking


def near(wanted: CounterExpect, counted: dict[str, int]) -> str:
    found = difflib.get_close_matches(wanted.counter, counted, n=3)
    return f"; near: {', '.join(found)}" if found else ""
