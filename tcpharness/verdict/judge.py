"""Expectations against evidence.

Two-sided: at a vantage that is named under `expect.findings`, a finding of level warning or error
that is not listed fails the case. A witness that could not see makes it void instead: a verdict must
never be green while it was blind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tcpharness.evidence import CaptureOutcome, Evidence
from tcpharness.scenario.model import Case, Count
from tcpharness.scenario.plan import Plan
from tcpharness.verdict.blind import Sight, blind_spots
from tcpharness.verdict.canary import deaf_vantages
from tcpharness.verdict.counters import judge_counters
from tcpharness.verdict.endpoints import judge_endpoints
from tcpharness.verdict.faults import judge_faults, judge_impairments, unwritten
from tcpharness.verdict.findings import judge_findings
from tcpharness.verdict.kinds import kind_agreements
from tcpharness.verdict.laws import agreements, broken_laws
from tcpharness.verdict.monitors import judge_monitors
from tcpharness.verdict.reconcile import reconcile
from tcpharness.verdict.result import Failure, Verdict
from tcpharness.verdict.settings import judge_settings
from tcpharness.verdict.sockets import judge_sockets
from tcpharness.verdict.tracepoints import judge_trace, trace_agreements, untraced
from tcpharness.verdict.watched import MARKER, Frames

SHOWN = 12  # discrepancies printed
NONE = Count(0, 0, "0")


def judge(case: Case, plan: Plan, evidence: Evidence, frames: Mapping[str, Frames]) -> Verdict:
    """Weighs everything; the outcome is void when the evidence can't be trusted."""
    sight = Sight(case, plan, evidence, frames)
    witnesses = reconcile(plan, evidence, frames)
    counted, lacking = judge_counters(case, evidence)
    of_sockets = judge_sockets(case, evidence)
    of_monitors = judge_monitors(sight)
    failures = [
        *judge_problems(case, evidence),
        *judge_endpoints(case, evidence),
        *judge_faults(case, plan, evidence),
        *judge_impairments(case, evidence),
        *judge_captures(case, evidence, frames),
        *judge_drops(case, evidence),
        *judge_findings(sight),
        *counted,
        *of_sockets.failures,
        *of_monitors.failures,
    ]
    failures += judge_settings(case, evidence, lacking)
    failures += judge_trace(sight, lacking)
    lacking += [*of_sockets.lacking, *of_monitors.lacking]
    agreed = [*agreements(plan, evidence, frames), *trace_agreements(sight), *kind_agreements(sight)]
    witnesses.discrepancies += broken_laws(agreed)
    blind = [
        *blind_spots(sight),
        *deaf_vantages(sight),
        *unwritten(case, evidence),
        *first(witnesses.discrepancies),
    ]
    blind += of_monitors.blind
    notes = [*witnesses.notes, *snapped(case, evidence), *untraced(evidence), *of_monitors.notes]
    if blind:
        return Verdict("void", blind[0], failures, notes, blind, agreed, of_monitors.verdicts)
    if failures:
        return Verdict("fail", "", failures, notes, [], agreed, of_monitors.verdicts)
    if lacking:
        return Verdict("skip", "; ".join(lacking), [], notes, [], agreed, of_monitors.verdicts)
    return Verdict("pass", "", [], notes, [], agreed, of_monitors.verdicts)


def first(discrepancies: list[str]) -> Iterator[str]:
    """As many as anybody reads."""
    yield from discrepancies[:SHOWN]
    if len(discrepancies) > SHOWN:
        yield f"and {len(discrepancies) - SHOWN} more discrepancies between the witnesses"


def snapped(case: Case, evidence: Evidence) -> Iterator[str]:
    """A watched capture that keeps only heads: what can't be found there."""
    for watched in case.expect.findings:
        capture = evidence.captures.get(watched.vantage)
        if capture is not None and capture.snaplen:
            what = f"the capture at {watched.vantage} keeps {capture.snaplen} bytes of each packet"
            yield f"{what}, so checksums and overlapping payloads are not checked there"


# --- the run itself, and what tcpdump said


def judge_problems(case: Case, evidence: Evidence) -> Iterator[Failure]:
    for problem in evidence.problems:
        yield Failure(case.at, "a run without problems", problem)


def judge_captures(case: Case, evidence: Evidence, frames: Mapping[str, Frames]) -> Iterator[Failure]:
    """tcpdump's figures; none dropped where nothing is said of that."""
    for vantage, wanted in case.expect.capture.items():
        capture = evidence.captures.get(vantage)
        if capture is None:
            yield Failure(case.expect.at, f"a capture at {vantage}", "there was none")
            continue
        figures = figures_of(capture, frames.get(vantage, ()))
        for name, count in {"dropped": NONE, **wanted}.items():
            found = figures[name]
            if found is None or not count.holds(found):
                shown = "unknown" if found is None else found
                yield Failure(case.expect.at, f"{name} {count} at {vantage}", f"{name} {shown}")


def judge_drops(case: Case, evidence: Evidence) -> Iterator[Failure]:
    """No capture drops anything, watched or not, unless its figures or the finding are asked for.

    Where findings are watched the finding `capture_drops` is what fails, with its packets.
    """
    asked = set(case.expect.capture) | {w.vantage for w in case.expect.findings}
    if "any" in asked:
        return
    for vantage, capture in evidence.captures.items():
        if vantage not in asked and capture.dropped:
            yield Failure(
                case.expect.at, f"{NONE} packets dropped at {vantage}", f"dropped {capture.dropped}"
            )


def figures_of(capture: CaptureOutcome, frames: Frames) -> dict[str, int | None]:
    """Without our markers: what is in the file, and what tcpdump said."""
    held = sum(1 for _, frame in frames if frame[12:14] != MARKER)
    captured = capture.captured if capture.text else held
    return {"captured": captured, "received": capture.received, "dropped": capture.dropped}
