"""One capture in several parts: each reads the whole file and follows every so many-th flow, by its hash.

What concerns no single flow is told by share 0 alone; what many flows come to (scans, floods, storms) is
noted by each and judged when the parts are one again. The same findings as in one piece, but where a flow
was given up for another before the end (`Options.most_flows`, and ports used again).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from tcpharness.analysis.capture import Analysis, Options, analyze_into
from tcpharness.analysis.crowd import Event
from tcpharness.analysis.finding import CaptureReport, Finding


@dataclass(frozen=True, slots=True)
class Part:
    """What one share found, and what it noted for the crowd."""

    report: CaptureReport
    events: list[Event]
    last_ns: int


def analyze_share(file: BinaryIO, options: Options, share: int, shares: int) -> Part:
    """Every so many-th flow of the file: numbers `share` of `shares`, from 0."""
    analysis = Analysis(replace(options, share=share, shares=shares, most_flows=options.most_flows // shares))
    report = analyze_into(analysis, file)
    return Part(report, analysis.events, analysis.last_ns)


def in_one(parts: Sequence[Part], options: Options) -> CaptureReport:
    """The report on the whole capture."""
    first = parts[0].report
    reports = [part.report for part in parts] + [of_crowd(parts, options)]
    findings = sorted(
        (finding for report in reports for finding in report.findings), key=lambda f: (f.frame, f.time_ns)
    )
    counts = sum((report.counts for report in reports), Counter())
    return CaptureReport(
        findings=limited(findings, options.most_findings),
        flows=sorted((flow for report in reports for flow in report.flows), key=lambda flow: flow.first_ns),
        frames=first.frames,
        not_tcp=first.not_tcp,
        problems=first.problems,
        counts=counts,
        flow_count=sum(report.flow_count for report in reports),
        start_ns=min((report.start_ns for report in reports if report.flow_count), default=0),
    )


def of_crowd(parts: Sequence[Part], options: Options) -> CaptureReport:
    """What the flows of all parts come to."""
    analysis = Analysis(options)
    analysis.last_ns = max(part.last_ns for part in parts)
    for event in sorted((event for part in parts for event in part.events), key=lambda event: event.frame):
        analysis.hear(event)
    return analysis.finish()


def limited(findings: list[Finding], most: int | None) -> list[Finding]:
    """The first of each detector, and the first of each kind."""
    if most is None:
        return findings
    kept: list[Finding] = []
    seen: Counter[str] = Counter()
    kinds: set[tuple[str, str, str]] = set()
    for finding in findings:
        kind = (finding.name, finding.kind, finding.level)
        if seen[finding.name] < most or kind not in kinds:
            kept.append(finding)
            seen[finding.name] += 1
            kinds.add(kind)
    return kept
