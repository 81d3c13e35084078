"""`tcpharness analyze`: captures in, findings out; nothing is decided here but the exit status."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tcpharness.analysis.capture import Options, analyze
from tcpharness.analysis.catalog import BY_NAME
from tcpharness.analysis.finding import CaptureReport, Finding, Level
from tcpharness.capture_file import Input, Refused, opened, said_of
from tcpharness.packet.pcap import Reader
from tcpharness.packet.segment import decode
from tcpharness.report import findings
from tcpharness.report.findings import Shown, View
from tcpharness.report.tally import Tally, merged

if TYPE_CHECKING:
    from tcpharness.analysis.compare import Seen, Sent
    from tcpharness.analysis.shares import Part
    from tcpharness.analysis.where import Test
    from tcpharness.packet.segment import Segment

OK, FAILED, USAGE = 0, 1, 2
WORTH_SHARING = 4 << 20  # bytes of a file


class BadExpression(Exception):
    """`--where` can't be read; the text says at which column."""


class NothingToCompare(Exception):
    """Of the capture that `--compare` names nothing can be read; the text says which, and why."""


@dataclass(slots=True)
class Totals:
    """What the files come to together."""

    files: int = 0
    frames: int = 0
    flows: int = 0
    rows: list[list[Tally]] = field(default_factory=list)
    worse: bool = False

    def add(self, shown: Shown) -> None:
        report = shown.report
        if report.problems and not report.frames:
            return  # nothing was readable
        self.files += 1
        self.frames += report.frames
        self.flows += report.flow_count
        self.rows.append(shown.tallies())


def analyze_files(args: argparse.Namespace) -> int:
    """One report a file and one over all; the exit status.

    Raises BadExpression, NothingToCompare, NoTcpdump, DetectorError.
    """
    gc.disable()  # flows part by themselves; walking through hundreds of thousands of them finds nothing
    where = test_of(args.where) if args.where else None
    # Programs get everything unless a level is asked for.
    level: Level = args.level or ("info" if args.json or args.jsonl else "note")
    view = View(level, where, args.flows, None if args.all else findings.MOST_LISTED)
    options = options_for(args)
    there = syns_to_compare(args.compare, args.filter) if args.compare is not None else None
    totals = Totals()
    for path, source, report in reports(args, options):
        if isinstance(report, str):
            complain(path, report)
            continue
        for problem in report.problems:
            complain(path, problem)
        if there is not None:
            include(report, altered_since(there, source, args.filter))
        shown = Shown(report, view)
        if is_readable(report) or args.json or args.jsonl:
            show(path, source, shown, args)
        totals.add(shown)
        totals.worse |= Shown(report, View("info", where)).worse_than(args.fail_on)
    if len(args.files) > 1 and not (args.json or args.jsonl):
        print("\n" + findings.summary_of_all(merged(totals.rows), totals.files, totals.frames, totals.flows))
    gc.freeze()  # and nobody walks through what is left when the process ends
    if not totals.files:
        return USAGE
    return FAILED if totals.worse else OK


def is_readable(report: CaptureReport) -> bool:
    """False when not a single frame was: then its problem is all that there is to say."""
    return bool(report.frames or not report.problems)


def options_for(args: argparse.Namespace) -> Options:
    """Findings beyond those that are listed are counted, not kept, unless each may be asked for."""
    every = args.all or args.verbose or args.json or args.jsonl or args.where
    return Options(
        most_flows=args.most_flows,
        most_findings=None if every else findings.MOST_LISTED,
        keep_flows=bool(args.flows or args.json),
    )


def reports(args: argparse.Namespace, options: Options) -> Iterator[tuple[Path, Path, CaptureReport | str]]:
    """Each file, what it is read from a second time, and its report, or why it can't be read."""
    processes = min(args.parallel, len(args.files))
    if args.parallel > 1 and len(args.files) == 1 and can_be_shared(args.files[0], args):
        from tcpharness.parallel import in_shares

        path = args.files[0]
        yield path, path, in_shares(partial(read_share, path, args.filter, options), args.parallel, options)
        return
    if processes > 1 and Path("-") not in args.files:
        from tcpharness.parallel import in_processes

        job = partial(read, expression=args.filter, options=options, quiet=True)
        for path, report in zip(args.files, in_processes(job, args.files, processes), strict=True):
            yield path, path, report
        return
    for path in args.files:
        with twice_readable(path, args.verbose or args.compare is not None) as source:
            yield path, source, read(source, args.filter, options)


def can_be_shared(path: Path, args: argparse.Namespace) -> bool:
    """Each share reads the file anew; a small one is done before a second process has begun."""
    return path.is_file() and path.stat().st_size >= WORTH_SHARING and args.compare is None


def test_of(expression: str) -> Test:
    """Only who asks for one pays for the language of --where."""
    from tcpharness.analysis.where import WhereError, parse_where

    try:
        return parse_where(expression, BY_NAME)
    except WhereError as error:
        raise BadExpression(str(error)) from None


@contextmanager
def twice_readable(path: Path, needed: bool) -> Iterator[Path]:
    """Packet lines take a second reading, which standard input has not: it is copied to a file meanwhile."""
    if not needed or str(path) != "-":
        yield path
        return
    import shutil
    import tempfile

    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.flush()
        yield Path(copy.name)


def read_share(source: Path, expression: str, options: Options, share: int, shares: int) -> Part | str:
    """One share of the flows of one file, or why it can't be opened. The first one shows how far it is."""
    from tcpharness.analysis.shares import analyze_share

    try:
        with opened(source, expression, quiet=share > 0) as file:
            part = analyze_share(file, options, share, shares)  # type: ignore[arg-type]
        part.report.problems = [said_of(problem, file) for problem in part.report.problems] + file.problems
    except (OSError, Refused) as error:
        return getattr(error, "strerror", None) or str(error)
    return part


def read(source: Path, expression: str, options: Options, quiet: bool = False) -> CaptureReport | str:
    """The analysis of one file, or why it can't be opened."""
    try:
        with opened(source, expression, quiet=quiet) as file:
            report = analyze(file, options=options)  # type: ignore[arg-type]
        report.problems = [said_of(problem, file) for problem in report.problems] + file.problems
    except OSError as error:
        return error.strerror or str(error)
    except Refused as error:
        return str(error)
    return report


def syns_to_compare(near: Path, expression: str) -> dict[Sent, Seen]:
    """The SYNs of the other capture, read once.

    Raises NothingToCompare: without them, silence would look like an answer.
    """
    try:
        found, problems, frames = syns_of(near, expression)
    except OSError as error:
        raise NothingToCompare(f"--compare: {near}: {error.strerror or error}") from None
    except Refused as error:
        raise NothingToCompare(f"--compare: {near}: {error}") from None
    if problems and not frames:
        raise NothingToCompare(f"--compare: {near}: {problems[0]}")
    for problem in problems:
        complain(near, problem)
    return found


def altered_since(there: dict[Sent, Seen], far: Path, expression: str) -> list[Finding]:
    """What left the other capture's vantage and did not reach `far` as it was."""
    from tcpharness.analysis.compare import compare

    here, _, _ = syns_of(far, expression)
    return [finding for is_here, finding in compare(there, here) if is_here]


def syns_of(path: Path, expression: str) -> tuple[dict[Sent, Seen], list[str], int]:
    """The SYNs of a capture, what is wrong with it, and how many frames it has. Raises OSError, Refused."""
    from tcpharness.analysis.compare import syns

    number = 0
    with opened(path, expression, quiet=True) as file:
        reader = Reader(file)  # type: ignore[arg-type]

        def segments() -> Iterator[Segment]:
            nonlocal number
            for number, (time_ns, data, wire_len, linktype, _) in enumerate(reader, 1):
                yield decode(data, linktype, time_ns=time_ns, frame=number, wire_len=wire_len)

        found = syns(segments())
    problems = [said_of(problem, file) for problem in reader.problems] + file.problems
    return found, problems, number


def include(report: CaptureReport, findings: list[Finding]) -> None:
    report.findings = sorted([*report.findings, *findings], key=lambda each: (each.frame, each.time_ns))
    report.counts.update((each.name, each.kind, each.level) for each in findings)


def complain(path: Path, problem: str) -> None:
    print(f"tcpharness: {path}: {problem}", file=sys.stderr)


def show(path: Path, source: Path, shown: Shown, args: argparse.Namespace) -> None:
    if args.jsonl:
        for line in findings.as_json_lines(str(path), shown):
            print(line)
    elif args.json:
        print(findings.as_json(str(path), shown))
    elif args.verbose:
        print(f"{path}: {findings.summary(shown.report)}")
        with opened(source, args.filter, quiet=True) as file:
            show_packets(file, shown)
        print(findings.as_counts(shown))
    else:
        print(findings.as_text(str(path), shown))


def show_packets(file: Input, shown: Shown) -> None:
    """Every frame as tcpdump -v prints it, its findings beneath; with --where only those that have some."""
    from tcpharness.packet.pcap import Reader
    from tcpharness.packet.segment import decode
    from tcpharness.report.packet_line import PacketLines

    of_frame: dict[int, list[Finding]] = {}
    for finding in shown.findings:
        of_frame.setdefault(finding.frame, []).append(finding)
    lines = PacketLines(time_of_day)
    for number, (time_ns, data, wire_len, linktype, _) in enumerate(Reader(file), 1):  # type: ignore[arg-type]
        line = lines.line(decode(data, linktype, time_ns=time_ns, frame=number, wire_len=wire_len))
        found = of_frame.get(number, [])
        if found or shown.view.where is None:
            print("\n".join([line, *map(findings.beneath, found)]))
    for finding in of_frame.get(0, []):
        print(findings.beneath(finding))


def time_of_day(time_ns: int) -> str:
    """In the zone of this machine, to the microsecond, as tcpdump has it."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest // 1000:06d}"
