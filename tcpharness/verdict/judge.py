"""Expectations against evidence.

Two-sided: at a vantage that is named under `expect.findings`, a finding of level warning or error
that is not listed fails the case. A witness that could not see makes it void instead: a verdict must
never be green while it was blind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tcpharness.evidence import Evidence
from tcpharness.scenario.model import Case, Count
from tcpharness.scenario.plan import Plan
from tcpharness.verdict.blind import Sight, blind_spots
from tcpharness.verdict.counters import judge_counters
from tcpharness.verdict.endpoints import judge_endpoints
from tcpharness.verdict.findings import judge_findings
from tcpharness.verdict.reconcile import Frames, reconcile
from tcpharness.verdict.result import Failure, Verdict

SHOWN = 12  # discrepancies printed


def judge(case: Case, plan: Plan, evidence: Evidence, frames: Mapping[str, Frames]) -> Verdict:
    """Weighs everything; the outcome is void when the evidence can't be trusted."""
    witnesses = reconcile(plan, evidence, frames)
    failures = [
        *judge_problems(case, evidence),
        *judge_endpoints(case, evidence),
        *judge_faults(case, plan, evidence),
        *judge_captures(case, evidence, frames),
        *judge_findings(case, plan, evidence, frames),
    ]
    counted, lacking = judge_counters(case, evidence)
    failures += counted
    blind = [*blind_spots(Sight(case, plan, evidence, frames)), *witnesses.discrepancies[:SHOWN]]
    if blind:
        return Verdict("void", blind[0], failures, witnesses.notes, blind)
    if failures:
        return Verdict("fail", "", failures, witnesses.notes)
    if lacking:
        return Verdict("skip", lacking, [], witnesses.notes)
    return Verdict("pass", "", [], witnesses.notes)


# --- the run itself, faults, captures -----------------------------------------------------------


def judge_problems(case: Case, evidence: Evidence) -> Iterator[Failure]:
    for problem in evidence.problems:
        yield Failure(case.at, "a run without problems", problem)


def judge_faults(case: Case, plan: Plan, evidence: Evidence) -> Iterator[Failure]:
    """Each fault has fired as often as expected; at least once when nothing is said."""
    wanted = {e.fault: (e.count, e.at) for e in case.expect.faults}
    for fault in case.faults:
        count, at = wanted.get(fault.name, (Count(1, None, "at least 1"), fault.at))
        link = evidence.links.get(fault.link)
        fired = link.fired.get(fault.name, 0) if link else 0
        if not count.holds(fired):
            yield Failure(at, f"{fault.name} to fire {count} times", f"it fired {fired} times")


def judge_captures(case: Case, evidence: Evidence, frames: Mapping[str, Frames]) -> Iterator[Failure]:
    for vantage, wanted in case.expect.capture.items():
        capture = evidence.captures.get(vantage)
        if capture is None:
            yield Failure(case.expect.at, f"a capture at {vantage}", "there was none")
            continue
        held = sum(1 for _, frame in frames.get(vantage, ()) if frame[12:14] != b"\x88\xb5")
        figures = {"captured": held, "received": capture.received, "dropped": capture.dropped}
        for name, count in wanted.items():
            found = figures[name]
            if found is None or not count.holds(found):
                yield Failure(case.expect.at, f"{name} {count} at {vantage}", f"{name} {found}")
