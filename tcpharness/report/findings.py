"""The findings of a capture, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from tcpharness.analysis.finding import LEVELS, CaptureReport, Finding, Level

HEADINGS = ("time", "frame", "level", "finding", "flow", "what was seen")


def as_text(name: str, report: CaptureReport, *, level: Level = "note", flows: bool = False) -> str:
    """A heading, a table of the findings from `level` on, and the flows when wanted."""
    shown = [f for f in report.findings if at_least(f, level)]
    start_ns = min((f.first_ns for f in report.flows), default=0)
    parts = [f"{name}: {summary(report)}"]
    if shown:
        parts.append(table([HEADINGS, *(row(f, start_ns) for f in shown)]))
    hidden = len(report.findings) - len(shown)
    if hidden:
        parts.append(f"{hidden} more below level {level}")
    if flows:
        parts.append(flow_table(report, start_ns))
    return "\n".join(parts)


def summary(report: CaptureReport) -> str:
    other = ", ".join(f"{count} {kind}" for kind, count in sorted(report.not_tcp.items()))
    flows = f"{len(report.flows)} flow" + ("" if len(report.flows) == 1 else "s")
    return f"{report.frames} frames, {flows}" + (f"; not TCP: {other}" if other else "")


def at_least(finding: Finding, level: Level) -> bool:
    return LEVELS.index(finding.level) >= LEVELS.index(level)


def worse_than(report: CaptureReport, level: Level | None) -> bool:
    """True when any finding has at least that level; never for None."""
    return level is not None and any(at_least(f, level) for f in report.findings)


def row(finding: Finding, start_ns: int) -> tuple[str, ...]:
    name = f"{finding.name} ({finding.kind})" if finding.kind else finding.name
    seconds = f"{(finding.time_ns - start_ns) / 1e9:.6f}" if finding.frame else ""
    flow = str(finding.flow) if finding.flow else ""
    return (seconds, str(finding.frame or ""), finding.level, name, flow, finding.text)


def table(rows: list[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell; the last one runs free."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]) - 1)]
    lines = (
        "  ".join([*(c.ljust(w) for c, w in zip(r, widths, strict=False)), r[-1]]).rstrip() for r in rows
    )
    return "\n".join(lines)


def flow_table(report: CaptureReport, start_ns: int) -> str:
    heads = ("start", "flow", "frames", "bytes", "resent", "rtt", "state")
    rows: list[tuple[str, ...]] = [heads]
    for f in report.flows:
        rtt = f"{f.rtt_ns / 1e6:.3f} ms" if f.rtt_ns is not None else ""
        start = f"{(f.first_ns - start_ns) / 1e9:.6f}"
        pairs = (both(f.frames), both(f.bytes), both(f.retransmitted))
        rows.append((start, str(f.key), *pairs, rtt, f.state))
    return table(rows)


def both(pair: tuple[int, int]) -> str:
    return f"{pair[0]} > {pair[1]} <"


def as_json(name: str, report: CaptureReport) -> str:
    """The whole report as one JSON object."""
    return json.dumps({"file": name, **asdict(report)})


def as_json_lines(name: str, report: CaptureReport) -> Iterator[str]:
    """One JSON object a finding."""
    for finding in report.findings:
        yield json.dumps({"file": name, **asdict(finding)})
