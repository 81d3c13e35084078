"""The findings of a capture, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields

from tcpharness.analysis.finding import LEVELS, CaptureReport, Finding, FlowKey, Level
from tcpharness.analysis.where import Test
from tcpharness.report.tally import Tally, tallies

HEADINGS = ("time", "frame", "level", "finding", "flow", "what was seen")
TALLY = ("level", "finding", "count", "first at", "frame", "flow of the first")
OF_FILES = ("level", "finding", "count", "files", "flow of the first")
FLOWS = ("start", "flow", "frames", "bytes", "resent", "rtt", "duration", "state")
MOST_LISTED = 200  # findings that a person reads one by one; more are counted, and these the first of them

FIELDS = tuple(f.name for f in fields(Finding))
KEY_FIELDS = tuple(f.name for f in fields(FlowKey))


@dataclass(frozen=True, slots=True)
class View:
    """Which findings are shown, and how many of them one by one (None: all)."""

    level: Level = "note"
    where: Test | None = None
    flows: bool = False
    most: int | None = MOST_LISTED

    def wants(self, finding: Finding, start_ns: int) -> bool:
        return at_least(finding, self.level) and (self.where is None or self.where(finding, start_ns))


def as_text(name: str, report: CaptureReport, view: View) -> str:
    """A heading, the findings that are wanted, what they come to by detector, and the flows when wanted."""
    start_ns = start(report)
    wanted = [f for f in report.findings if view.wants(f, start_ns)]
    shown = wanted[: view.most]
    parts = [f"{name}: {summary(report)}"]
    if shown:
        parts.append(table([HEADINGS, *(row(f, start_ns) for f in shown)]))
    if len(shown) < len(wanted):
        parts.append(f"... and {len(wanted) - len(shown)} more, counted below; --all lists every one")
    if len(wanted) > 1:
        parts += ["", tally_table(tallies(wanted, start_ns))]
    parts += left_out(report, view, len(wanted))
    if view.flows:
        parts += ["", flow_table(report, start_ns, view.most)]
    return "\n".join(parts)


def left_out(report: CaptureReport, view: View, wanted: int) -> list[str]:
    """How many findings the level and the expression hide."""
    below = sum(not at_least(f, view.level) for f in report.findings)
    others = len(report.findings) - below - wanted
    lines = [f"{below} more below level {view.level}"] if below else []
    return lines + ([f"{others} more that --where leaves out"] if others else [])


def start(report: CaptureReport) -> int:
    """When the first flow begins; the zero of the printed times."""
    return min((f.first_ns for f in report.flows), default=0)


def tally_table(rows: list[Tally]) -> str:
    return table([TALLY, *(tally_row(t) for t in rows)])


def tally_row(tally: Tally) -> tuple[str, ...]:
    seconds, frame, level, name, flow, _ = row(tally.first, tally.start_ns)
    return (level, name, str(tally.count), seconds, frame, flow)


def summary_of_all(rows: list[Tally], files: int, frames: int, flows: int) -> str:
    """What several files come to together."""
    heading = f"{files} files: {frames} frames, {plural(flows, 'flow')}"
    lines = [(*tally_row(t)[:3], str(t.files), tally_row(t)[5]) for t in rows]
    return "\n".join([heading, table([OF_FILES, *lines])] if lines else [heading])


def plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


def summary(report: CaptureReport) -> str:
    other = ", ".join(f"{count} {kind}" for kind, count in sorted(report.not_tcp.items()))
    return f"{report.frames} frames, {plural(len(report.flows), 'flow')}" + (
        f"; not TCP: {other}" if other else ""
    )


def at_least(finding: Finding, level: Level) -> bool:
    return LEVELS.index(finding.level) >= LEVELS.index(level)


def worse_than(report: CaptureReport, level: Level | None, where: Test | None = None) -> bool:
    """True when any finding (that `where` lets through) has at least that level; never for None."""
    if level is None:
        return False
    view = View(level, where)
    start_ns = start(report)
    return any(view.wants(f, start_ns) for f in report.findings)


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


def flow_table(report: CaptureReport, start_ns: int, most: int | None = None) -> str:
    """Each connection: who, how much each way, how it went."""
    rows: list[tuple[str, ...]] = [FLOWS]
    for flow in report.flows[:most]:
        pairs = (both(flow.frames), both(flow.bytes), both(flow.retransmitted))
        rtt = f"{flow.rtt_ns / 1e6:.3f} ms" if flow.rtt_ns is not None else ""
        times = (rtt, f"{(flow.last_ns - flow.first_ns) / 1e9:.6f}")
        rows.append((f"{(flow.first_ns - start_ns) / 1e9:.6f}", str(flow.key), *pairs, *times, flow.state))
    more = len(report.flows) - len(rows) + 1
    return table(rows) + (f"\n... and {plural(more, 'more flow')}; --all lists every one" if more else "")


def both(pair: tuple[int, int]) -> str:
    return f"{pair[0]} > {pair[1]} <"


def as_json(name: str, report: CaptureReport, view: View) -> str:
    """The whole report as one JSON object, with the findings that are wanted and their counts."""
    start_ns = start(report)
    wanted = [f for f in report.findings if view.wants(f, start_ns)]
    whole = {
        "file": name,
        "findings": [plain(f) for f in wanted],
        "counts": [
            dict(zip(("name", "kind", "level"), t.key, strict=True), count=t.count)
            for t in tallies(wanted, start_ns)
        ],
        "flows": [asdict(flow) for flow in report.flows],
        "frames": report.frames,
        "not_tcp": report.not_tcp,
        "problems": report.problems,
    }
    return json.dumps(whole)


def as_json_lines(name: str, report: CaptureReport, view: View) -> Iterator[str]:
    """One JSON object a finding."""
    start_ns = start(report)
    for finding in report.findings:
        if view.wants(finding, start_ns):
            yield json.dumps({"file": name, **plain(finding)})


def plain(finding: Finding) -> dict[str, object]:
    """Like `asdict`, without its copies of what is not changed."""
    whole: dict[str, object] = {name: getattr(finding, name) for name in FIELDS}
    if finding.flow is not None:
        whole["flow"] = {name: getattr(finding.flow, name) for name in KEY_FIELDS}
    return whole
