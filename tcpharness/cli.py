"""Arguments in, exit status out.

0: all as expected. 1: an expectation failed, or a run is void. 2: usage, or a faulty scenario or file.
3: the machine lacks something, named. Each command imports what it needs when it is called, so that
`list` and `--help` answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from tcpharness.command_line import build_parser

if TYPE_CHECKING:
    from tcpharness.scenario.model import Case
    from tcpharness.verdict.repeats import Repeats
    from tcpharness.verdict.result import Result

OK, FAILED, USAGE, LACKING, INTERRUPTED = 0, 1, 2, 3, 130


class Shown(Protocol):
    """What a list shows of a case."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...


AnyCase = TypeVar("AnyCase", bound=Shown)


class UsageError(Exception):
    """What was asked for can't be done as asked; the text names the place and the remedy."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is the answer."""
    args = build_parser().parse_args(argv)
    try:
        return COMMANDS[args.command](args)
    except UsageError as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`| head`): nothing more to say, and nothing went wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


# --- run ---------------------------------------------------------------------------------------


def run_command(args: argparse.Namespace) -> int:
    install_detectors(args.detectors)
    cases = chosen(args, load_cases(args.paths))
    if not cases:
        raise UsageError("no scenario left to run: nothing matches -k or --tag")
    from tcpharness.lab.door import NoPrivilege, enter

    try:
        enter()  # before a thread starts, and before anything heavy is imported
        from tcpharness.run import Lacking, Options, run_cases
    except NoPrivilege as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return LACKING
    from tcpharness.report.repeats import RepeatTerminal, repeats_text
    from tcpharness.report.terminal import Terminal

    options = Options(
        jobs=args.jobs,
        timeout_ns=args.timeout,
        seed=args.seed,
        out=args.out,
        keep=args.keep,
        fail_fast=args.fail_fast,
        repeat=args.repeat or 1,
    )
    out = sys.stderr if args.json == "-" else sys.stdout
    from shutil import get_terminal_size

    width = get_terminal_size().columns
    live = out.isatty() and "NO_COLOR" not in os.environ
    kind = RepeatTerminal if args.repeat else Terminal
    terminal = kind(out, len(cases) * options.repeat, live=live, width=width)
    start = time.monotonic()
    try:
        results = run_cases(cases, options, terminal)
    except Lacking as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return LACKING
    except KeyboardInterrupt:
        terminal.summary(time.monotonic() - start)
        print(
            f"tcpharness: interrupted, {terminal.left} of {terminal.total} cases not finished",
            file=sys.stderr,
        )
        return INTERRUPTED
    terminal.summary(time.monotonic() - start)
    repeats = terminal.repeats if isinstance(terminal, RepeatTerminal) else None
    if repeats is not None:
        print(repeats_text(repeats), file=out)
    write_reports(args, results, repeats)
    failed = any(r.verdict.outcome in ("fail", "void") for r in results)
    return FAILED if failed or (repeats is not None and not repeats.holds) else OK


def shrink_command(args: argparse.Namespace) -> int:
    """Finds the smallest scenario with the same verdict, and writes it beside the first."""
    cases = chosen(args, load_cases(args.paths))
    if len({case.file for case in cases}) != 1:
        raise UsageError(f"shrink takes one scenario; here are {len(cases)} cases: name its file, or use -k")
    target = args.output or Path(cases[0].file).with_suffix(".smaller.yaml")
    if target.exists() and not args.force:
        raise UsageError(f"{target}: exists; --force to overwrite it, or -o for another name")
    from tcpharness.lab.door import NoPrivilege, enter

    try:
        enter()
        from tcpharness.run import Lacking
        from tcpharness.shrink import CannotShrink, header, shrink, write
    except NoPrivilege as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return LACKING
    case, seed = cases[0], args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    text = Path(case.file).read_text()
    try:
        found = shrink(text, case, runs=args.runs, seed=seed, say=lambda line: print(line, file=sys.stderr))
    except CannotShrink as error:
        raise UsageError(str(error)) from None
    except Lacking as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return LACKING
    write(target, header(case, found, seed) + found.text, force=args.force)
    print(f"{target}: {len(found.done)} of {found.tried} tries kept the verdict")
    return OK


def write_reports(args: argparse.Namespace, results: Sequence[Result], repeats: Repeats | None) -> None:
    if args.json:
        from tcpharness.report.as_json import results_as_json
        from tcpharness.report.repeats import repeats_as_json

        told = results_as_json(results)
        if repeats is not None:
            told["repeats"] = repeats_as_json(repeats)
        text = json.dumps(told, indent=2)
        if args.json == "-":
            print(text)
        else:
            Path(args.json).write_text(text + "\n")
    if args.junit:
        from tcpharness.report.junit import results_as_junit

        args.junit.write_text(results_as_junit(results))


def score_command(args: argparse.Namespace) -> int:
    from tcpharness.lab.door import NoPrivilege, enter

    cases = chosen(args, load_cases(args.paths))
    try:
        enter()
        from tcpharness.run import Lacking
        from tcpharness.score_page import score_page
    except NoPrivilege as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return LACKING
    try:
        return score_page(args, cases)
    except ValueError as error:
        raise UsageError(str(error)) from None
    except Lacking as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return LACKING


# --- which scenarios ---------------------------------------------------------------------------


def scenario_files(paths: Iterable[Path]) -> list[Path]:
    """Files as given, and every YAML with a top-level `scenario` key under the directories."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = sorted(p for pattern in ("*.yaml", "*.yml") for p in path.rglob(pattern))
            found += [p for p in files if looks_like_scenario(p)]
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path}: no such file or directory")
    return found


def looks_like_scenario(path: Path) -> bool:
    with path.open("rb") as file:
        return any(line.startswith(b"scenario:") for line in file.read(1 << 20).splitlines())


def read_files(paths: Iterable[Path], read: Callable[[bytes, str], list[AnyCase]]) -> list[AnyCase]:
    """All cases of all files; the mistakes of all files at once."""
    from tcpharness.scenario.problem import ScenarioErrors

    cases: list[AnyCase] = []
    problems: list[str] = []
    for path in scenario_files(paths):
        try:
            with path.open("rb") as file:
                cases += read(file.read((1 << 20) + 1), str(path))
        except ScenarioErrors as errors:
            problems.append(str(errors))
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
    if problems:
        raise UsageError("these scenarios can't be right, so nothing was run\n" + "\n".join(problems))
    return cases


def load_cases(paths: Iterable[Path]) -> list[Case]:
    """Whole cases, ready to be run."""
    from tcpharness.scenario_file import load_whole

    return read_files(paths, load_whole)


def chosen(args: argparse.Namespace, cases: list[AnyCase]) -> list[AnyCase]:
    """Those that -k and --tag leave."""
    if not cases:
        raise UsageError(
            f"no scenario under {', '.join(map(str, args.paths))}: a scenario is YAML with `scenario:`"
        )
    if args.keyword:
        cases = [c for c in cases if args.keyword.casefold() in f"{c.id} {c.name}".casefold()]
    if args.tag:
        cases = [c for c in cases if set(args.tag) & set(c.tags)]
    return cases


def list_command(args: argparse.Namespace) -> int:
    from tcpharness.scenario.listing import list_cases

    cases = chosen(args, read_files(args.paths, list_cases))
    if args.json:
        rows = [{"id": c.id, "name": c.name, "about": c.about, "tags": list(c.tags)} for c in cases]
        print(json.dumps(rows, indent=2))
        return OK
    width = max((len(c.id) for c in cases), default=0)
    for case in cases:
        print(f"{case.id:<{width}}  {case.name}")
    print(f"{len(cases)} cases in {len({c.file for c in cases})} files")
    return OK


def install_detectors(files: Sequence[Path]) -> None:
    from tcpharness.installed import DETECTORS, any_package_has_some

    if not files and not any_package_has_some(DETECTORS):
        return
    from tcpharness.analysis.detector import DetectorError
    from tcpharness.own_detectors import install

    try:
        install(files)
    except DetectorError as error:
        raise UsageError(str(error)) from None


# --- captures ----------------------------------------------------------------------------------


def analyze_command(args: argparse.Namespace) -> int:
    from tcpharness.analysis.detector import DetectorError
    from tcpharness.analyze import BadExpression, NothingToCompare, analyze_files
    from tcpharness.capture_file import NoTcpdump

    install_detectors(args.detectors)
    if bool(args.files) == bool(args.serve):
        raise UsageError(
            "analyze needs captures, or --serve; expected like: tcpharness analyze incident.pcap"
        )
    try:
        if args.serve:
            from tcpharness.analyze_service import serve_captures

            return serve_captures(args)
        return analyze_files(args)
    except (BadExpression, NothingToCompare, DetectorError) as error:
        raise UsageError(str(error)) from None
    except NoTcpdump as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return LACKING


# --- words -------------------------------------------------------------------------------------


def explain_command(args: argparse.Namespace) -> int:
    from tcpharness.report.explain import NotKnown, explain, overview

    install_detectors(args.detectors)
    if not args.name:
        print(overview())
        return OK
    try:
        print(explain(args.name))
    except NotKnown as error:
        raise UsageError(str(error)) from None
    return OK


def schema_command(args: argparse.Namespace) -> int:
    from tcpharness.scenario.schema import schema_text

    print(schema_text(), end="")
    return OK


def doctor_command(args: argparse.Namespace) -> int:
    if args.host:
        from tcpharness.lab.this_host import examine_host
        from tcpharness.report.host_page import host_page

        found = examine_host()
        rtt_ms = args.rtt / 1e6 if args.rtt else None
        print(json.dumps(asdict(found), indent=2) if args.json else host_page(found, rtt_ms))
        return OK
    from tcpharness.lab.doctor import examine

    checks = examine()
    status = LACKING if any(c.needed and not c.ok for c in checks) else OK
    if args.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
        return status
    width = max(len(c.name) for c in checks)
    for check in checks:
        print(
            f"{check.mark}  {check.name:<{width}}  {check.found}"
            + (f"\n      -> {check.remedy}" if check.remedy else "")
        )
    return status


def serve_command(args: argparse.Namespace) -> int:
    from tcpharness.lab.door import NoPrivilege, enter

    install_detectors(())
    try:
        enter()
        from tcpharness.serve import serve
    except NoPrivilege as error:
        print(f"tcpharness: {error}", file=sys.stderr)
        return LACKING
    return serve(sys.stdin.buffer, sys.stdout)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run_command,
    "score": score_command,
    "shrink": shrink_command,
    "list": list_command,
    "analyze": analyze_command,
    "explain": explain_command,
    "doctor": doctor_command,
    "schema": schema_command,
    "serve": serve_command,
}
