"""The kernel's counters against what is expected of them.

A counter that other kernels have and this one has not is a reason to skip. A name that no kernel has
is a mistake and fails: a skip would hide it in every run.
"""

from __future__ import annotations

import difflib
from collections.abc import Container

from tcpharness.evidence import Evidence
from tcpharness.scenario.model import Case, CounterExpect
from tcpharness.verdict.counter_names import KNOWN, SPARSE
from tcpharness.verdict.result import Failure

PREFIXES = ("", "TcpExt", "IpExt", "MPTcpExt")


def judge_counters(case: Case, evidence: Evidence) -> tuple[list[Failure], list[str]]:
    """Failures, and the counters that this kernel lacks."""
    failures: list[Failure] = []
    lacking: list[str] = []
    for wanted in case.expect.counters:
        counted = evidence.counters.get(wanted.host, {})
        name = spelled(wanted.counter, counted)
        if name is None and spelled(wanted.counter, KNOWN):
            lacking.append(f"{wanted.at}: this kernel has no counter {wanted.counter}")
        elif name is None:
            wish = f"a counter as nstat prints it at {wanted.host}"
            failures.append(
                Failure(wanted.at, wish, f"{wanted.counter}, which no kernel has{near(wanted, counted)}")
            )
        elif not wanted.count.holds(counted.get(name, 0)):
            wish = f"{name} to grow by {wanted.count} at {wanted.host}"
            failures.append(Failure(wanted.at, wish, f"it grew by {counted.get(name, 0)}"))
    return failures, lacking


def spelled(counter: str, names: Container[str]) -> str | None:
    """Its whole name, when it is one of those; the prefix of the Ext families may be left out."""
    if SPARSE.fullmatch(counter):
        return counter
    return next((p + counter for p in PREFIXES if p + counter in names), None)


def near(wanted: CounterExpect, counted: dict[str, int]) -> str:
    found = difflib.get_close_matches(wanted.counter, [*counted, *KNOWN - counted.keys()], n=3)
    found += difflib.get_close_matches(f"TcpExt{wanted.counter}", counted, n=1)
    return f"; near: {', '.join(dict.fromkeys(found))}" if found else ""
