"""The findings of a capture, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from tcpharness.analysis.finding import LEVELS, CaptureReport, Finding, FlowKey, Level
from tcpharness.report.tally import Key, Tally, counted, tallies

if TYPE_CHECKING:
    from tcpharness.analysis.where import Test

HEADINGS = ("time", "frame", "level", "finding", "flow", "what was seen")
TALLY = ("level", "finding", "count", "first at", "frame", "flow of the first")
OF_FILES = ("level", "finding", "count", "files", "flow of the first")
FLOWS = ("start", "flow", "frames", "bytes", "resent", "rtt", "duration", "state")
MOST_KINDS = 20  # of what isn't TCP
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


class Shown:
    """A report as a view shows it. The report may hold only some findings; then its counts are exact."""

    def __init__(self, report: CaptureReport, view: View) -> None:
        self.report, self.view = report, view
        self.start_ns = report.start_ns or min((f.first_ns for f in report.flows), default=0)
        self.findings = [f for f in report.findings if self.wants(f)]
        self.all_counts = report.counts or counted(report.findings)

    def wants(self, finding: Finding) -> bool:
        where = self.view.where
        return at_least(finding.level, self.view.level) and (where is None or where(finding, self.start_ns))

    @property
    def counts(self) -> Counter[Key]:
        if self.view.where is not None:
            return counted(self.findings)
        return Counter({key: n for key, n in self.all_counts.items() if at_least(key[2], self.view.level)})

    def tallies(self) -> list[Tally]:
        return tallies(self.counts, self.findings, self.start_ns)

    def worse_than(self, level: Level | None) -> bool:
        """True when any finding that is wanted, whatever its own level, has at least that level."""
        return level is not None and any(at_least(key[2], level) for key, n in self.counts.items() if n)


def as_text(name: str, shown: Shown) -> str:
    """A heading, the findings that are wanted, what they come to by detector, and the flows when wanted."""
    listed = shown.findings[: shown.view.most]
    total = shown.counts.total()
    parts = [f"{name}: {summary(shown.report)}"]
    if listed:
        parts.append(table([HEADINGS, *(row(f, shown.start_ns) for f in listed)]))
    if len(listed) < total:
        parts.append(f"... and {total - len(listed)} more, counted below; --all lists every one")
    return "\n".join(parts + ending(shown, least=2))


def as_counts(shown: Shown) -> str:
    """What stands below packet lines: the findings by detector, and the flows when wanted."""
    return "\n".join(ending(shown, least=1))


def ending(shown: Shown, least: int) -> list[str]:
    """The counts (a single finding that is listed needs none), what is hidden, the flows."""
    parts = ["", tally_table(shown.tallies())] if shown.counts.total() >= least else []
    flows = ["", flow_table(shown.report, shown.start_ns, shown.view.most)] if shown.view.flows else []
    return parts + left_out(shown) + flows


def left_out(shown: Shown) -> list[str]:
    """How many findings the level and the expression hide."""
    level = shown.view.level
    below = sum(n for key, n in shown.all_counts.items() if not at_least(key[2], level))
    others = shown.all_counts.total() - below - shown.counts.total()
    lines = [f"{below} more below level {level}"] if below else []
    return lines + ([f"{others} more that --where leaves out"] if others else [])


def beneath(finding: Finding) -> str:
    """A finding below the packet that it is about."""
    return f"    ^ {finding.level} {titled(finding.name, finding.kind)}: {finding.text}"


def tally_table(rows: list[Tally]) -> str:
    return table([TALLY, *(tally_row(t) for t in rows)])


def tally_row(tally: Tally) -> tuple[str, ...]:
    name, kind, level = tally.key
    first = row(tally.first, tally.start_ns) if tally.first else ("",) * 6
    return (level, titled(name, kind), str(tally.count), first[0], first[1], first[4])


def summary_of_all(rows: list[Tally], files: int, frames: int, flows: int) -> str:
    """What several files come to together."""
    heading = f"{plural(files, 'file')}: {plural(frames, 'frame')}, {plural(flows, 'flow')}"
    lines = [(*tally_row(t)[:3], str(t.files), tally_row(t)[5]) for t in rows]
    return "\n".join([heading, table([OF_FILES, *lines])] if lines else [heading])


def plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


def summary(report: CaptureReport) -> str:
    other = others(report.not_tcp)
    return f"{plural(report.frames, 'frame')}, {plural(report.flow_count or len(report.flows), 'flow')}" + (
        f"; not TCP: {other}" if other else ""
    )


def others(not_tcp: dict[str, int]) -> str:
    """What isn't TCP, by kind; of very many the most frequent."""
    kept = sorted(not_tcp.items(), key=lambda item: -item[1])[:MOST_KINDS]
    text = ", ".join(f"{count} {kind}" for kind, count in sorted(kept))
    rest = sum(not_tcp.values()) - sum(count for _, count in kept)
    return text + (f", {rest} more of {len(not_tcp) - len(kept)} other kinds" if rest else "")


def at_least(level: Level, least: Level) -> bool:
    return LEVELS.index(level) >= LEVELS.index(least)


def row(finding: Finding, start_ns: int) -> tuple[str, ...]:
    seconds = f"{(finding.time_ns - start_ns) / 1e9:.6f}" if finding.frame else ""
    flow = str(finding.flow) if finding.flow else ""
    return (
        seconds,
        str(finding.frame or ""),
        finding.level,
        titled(finding.name, finding.kind),
        flow,
        finding.text,
    )


def titled(name: str, kind: str) -> str:
    return f"{name} ({kind})" if kind else name


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


def as_json(name: str, shown: Shown) -> str:
    """The whole report as one JSON object, with the findings that are wanted and their counts."""
    report = shown.report
    names = ("name", "kind", "level")
    whole = {
        "file": name,
        "findings": [plain(f) for f in shown.findings],
        "counts": [dict(zip(names, t.key, strict=True), count=t.count) for t in shown.tallies()],
        "flows": [asdict(flow) for flow in report.flows],
        "flow_count": report.flow_count,
        "start_ns": shown.start_ns,
        "frames": report.frames,
        "not_tcp": report.not_tcp,
        "problems": report.problems,
    }
    return json.dumps(whole)


def as_json_lines(name: str, shown: Shown) -> Iterator[str]:
    """One JSON object a finding."""
    for finding in shown.findings:
        yield json.dumps({"file": name, **plain(finding)})


def plain(finding: Finding) -> dict[str, object]:
    """Like `asdict`, without its copies of what is not changed."""
    whole: dict[str, object] = {name: getattr(finding, name) for name in FIELDS}
    if finding.flow is not None:
        whole["flow"] = {name: getattr(finding.flow, name) for name in KEY_FIELDS}
    return whole
