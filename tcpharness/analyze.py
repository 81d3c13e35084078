"""`tcpharness analyze`: captures in, findings out; nothing is decided here but the exit status."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tcpharness.analysis.capture import Options, analyze
from tcpharness.analysis.catalog import DETECTORS
from tcpharness.analysis.finding import CaptureReport, Level
from tcpharness.analysis.where import parse_where
from tcpharness.capture_file import Refused, opened
from tcpharness.report import findings
from tcpharness.report.findings import View
from tcpharness.report.tally import Tally, merged, tallies

OK, FAILED, USAGE = 0, 1, 2


@dataclass(slots=True)
class Totals:
    """What the files come to together."""

    files: int = 0
    frames: int = 0
    flows: int = 0
    rows: list[list[Tally]] = field(default_factory=list)
    worse: bool = False

    def add(self, report: CaptureReport, view: View) -> None:
        start_ns = findings.start(report)
        self.files += 1
        self.frames += report.frames
        self.flows += len(report.flows)
        self.rows.append(tallies((f for f in report.findings if view.wants(f, start_ns)), start_ns))


def analyze_files(args: argparse.Namespace) -> int:
    """One report a file and one over all; the exit status. Raises WhereError, NoTcpdump."""
    where = parse_where(args.where, {d.name for d in DETECTORS}) if args.where else None
    # Programs get everything unless a level is asked for.
    level: Level = args.level or ("info" if args.json or args.jsonl else "note")
    view = View(level, where, args.flows, None if args.all else findings.MOST_LISTED)
    totals = Totals()
    for path in args.files:
        report = read(path, args)
        if report is None:
            continue
        show(str(path), report, view, args)
        if report.frames or not report.problems:
            totals.add(report, view)
        totals.worse |= findings.worse_than(report, args.fail_on, where)
    if len(args.files) > 1 and not (args.json or args.jsonl):
        print("\n" + findings.summary_of_all(merged(totals.rows), totals.files, totals.frames, totals.flows))
    if not totals.files:
        return USAGE
    return FAILED if totals.worse else OK


def read(path: Path, args: argparse.Namespace) -> CaptureReport | None:
    """The analysis of one file; None when it can't be opened. What is wrong with it is said."""
    try:
        with opened(path, args.filter or "") as file:
            report = analyze(file, options=Options())  # type: ignore[arg-type]
        report.problems += file.problems
    except OSError as error:
        complain(path, error.strerror or str(error))
        return None
    except Refused as error:
        complain(path, str(error))
        return None
    for problem in report.problems:
        complain(path, problem)
    return report


def complain(path: Path, problem: str) -> None:
    print(f"tcpharness: {path}: {problem}", file=sys.stderr)


def show(name: str, report: CaptureReport, view: View, args: argparse.Namespace) -> None:
    if args.jsonl:
        for line in findings.as_json_lines(name, report, view):
            print(line)
    elif args.json:
        print(findings.as_json(name, report, view))
    else:
        print(findings.as_text(name, report, view))
