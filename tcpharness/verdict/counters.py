"""The kernel's counters against what is expected of them."""

from __future__ import annotations

import difflib

from tcpharness.evidence import Evidence
from tcpharness.scenario.model import Case
from tcpharness.verdict.result import Failure

PREFIXES = ("", "TcpExt", "IpExt", "MPTcpExt")


def judge_counters(case: Case, evidence: Evidence) -> tuple[list[Failure], str]:
    """Failures, and the counter that this kernel lacks, if any."""
    failures: list[Failure] = []
    lacking = ""
    for wanted in case.expect.counters:
        counted = evidence.counters.get(wanted.host, {})
        name = next((p + wanted.counter for p in PREFIXES if p + wanted.counter in counted), None)
        if name is None:
            near = difflib.get_close_matches(wanted.counter, counted, n=3)
            lacking = f"{wanted.at}: this kernel has no counter {wanted.counter}" + (
                f"; near: {', '.join(near)}" if near else ""
            )
        elif not wanted.count.holds(counted[name]):
            failures.append(Failure(wanted.at, f"{name} {wanted.count} at {wanted.host}", f"{counted[name]}"))
    return failures, lacking
