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

from tcpharness import __version__
from tcpharness.argument import limits, nanoseconds, positive

if TYPE_CHECKING:
    from tcpharness.scenario.model import Case
    from tcpharness.verdict.repeats import Repeats
    from tcpharness.verdict.result import Result

OK, FAILED, USAGE, LACKING, INTERRUPTED = 0, 1, 2, 3, 130
LEVELS = ("info", "note", "warning", "error")  # a test holds them to those of the findings


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
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        return command(args)
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
    from tcpharness.analyze import BadExpression, analyze_files
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
    except (BadExpression, DetectorError) as error:
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


# --- the parser --------------------------------------------------------------------------------


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tcpharness",
        description="Proves whether TCP monitoring sees what it should.",
        epilog="example: tcpharness run scenarios/ --jobs 16 --junit report.xml",
    )
    parser.add_argument("--version", action="version", version=f"tcpharness {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_run(commands)
    add_score(commands)
    add_shrink(commands)
    add_list(commands)
    add_analyze(commands)
    add_words(commands)
    return parser


Commands = argparse._SubParsersAction  # the type that add_subparsers returns has no public name


def add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument("paths", nargs="*", type=Path, default=[Path("scenarios")], metavar="PATH",
                         help="scenario files, or directories of them (default: scenarios)")  # fmt: skip
    command.add_argument(
        "-k", dest="keyword", metavar="TEXT", help="only cases whose path or title contains TEXT"
    )
    command.add_argument(
        "--tag", action="append", metavar="TAG", help="only cases with this tag; may be repeated"
    )


def add_detectors(command: argparse.ArgumentParser) -> None:
    command.add_argument("--detectors", action="append", default=[], type=Path, metavar="FILE.py",
                         help="detectors of your own, in its list DETECTORS; may be repeated")  # fmt: skip


def add_run(commands: Commands[argparse.ArgumentParser]) -> None:
    example = "example: tcpharness run scenarios/window -k zero --out /tmp/zero"
    run = commands.add_parser("run", help="run scenarios and judge them", epilog=example)
    add_selection(run)
    run.add_argument("--jobs", type=positive, default=12, help="how many at once, at the most (default: 12)")
    run.add_argument(
        "--timeout", type=nanoseconds, metavar="TIME", help="for each case, instead of its own: 5s"
    )
    run.add_argument("--seed", type=int, help="draw every case's randomness from this number")
    run.add_argument(
        "--out", type=Path, metavar="DIR", help="keep captures, ledger and result.json of each case here"
    )
    run.add_argument("--keep", action="store_true", help="keep them also for cases that pass, without --out")
    run.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="all results as JSON (to standard output)"
    )
    run.add_argument("--junit", type=Path, metavar="FILE", help="all results as JUnit XML")
    run.add_argument(
        "--repeat",
        type=positive,
        metavar="N",
        help="play each case N times with one seed, and count the different runs",
    )
    run.add_argument("--fail-fast", action="store_true", help="stop at the first case that does not pass")
    add_detectors(run)
    run.set_defaults(command=run_command)


def add_score(commands: Commands[argparse.ArgumentParser]) -> None:
    example = "example: tcpharness score scenarios --monitors tshark,rules.yaml --fail-under recall=0.95"
    score = commands.add_parser("score", help="what monitors see of scenarios, and what not", epilog=example)
    add_selection(score)
    add = score.add_argument
    add("--monitors", required=True, metavar="LIST",
        help="names, and files that describe or list monitors, with commas between them")  # fmt: skip
    add("--format", choices=("text", "json", "csv", "md"), default="text", help="(default: text)")
    add("--fail-under", type=limits, default={}, metavar="LIMITS",
        help="exit with 1 when a monitor is below: recall=0.95,precision=0.9")  # fmt: skip
    add("-j", "--jobs", type=positive, default=12, help="how many cases at once, at the most (default: 12)")
    add("--seed", type=int, default=1, help="draw the cases' randomness from this number (default: 1)")
    keep = score.add_mutually_exclusive_group().add_argument
    keep("--out", type=Path, metavar="DIR", help="keep all captures and what the monitors wrote here")
    keep("--captures", type=Path, metavar="DIR", help="judge by what was kept here; nothing is played anew")
    add("--all", action="store_true", help="show the packets of every miss, not of the first of each kind")
    score.set_defaults(command=score_command)


def add_shrink(commands: Commands[argparse.ArgumentParser]) -> None:
    example = "example: tcpharness shrink incident.yaml -o smallest.yaml"
    command = commands.add_parser(
        "shrink", help="the smallest scenario that comes to the same verdict", epilog=example
    )
    add_selection(command)
    command.add_argument("-o", dest="output", type=Path, metavar="FILE", help="default: NAME.smaller.yaml")
    command.add_argument("--force", action="store_true", help="overwrite FILE")
    command.add_argument(
        "--runs", type=positive, default=2, metavar="N", help="play each try so often (default: 2)"
    )
    command.add_argument("--seed", type=int, help="draw the randomness of every run from this number")
    command.set_defaults(command=shrink_command)


def add_list(commands: Commands[argparse.ArgumentParser]) -> None:
    listing = commands.add_parser(
        "list", help="list scenarios", epilog="example: tcpharness list --tag checksum"
    )
    add_selection(listing)
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(command=list_command)


def add_analyze(commands: Commands[argparse.ArgumentParser]) -> None:
    example = (
        """example: tcpharness analyze incident.pcap --where 'level >= "warning" and flow.dport == 105'"""
    )
    analyze = commands.add_parser("analyze", help="the detectors over captures", epilog=example)
    add = analyze.add_argument
    add("files", nargs="*", type=Path, metavar="FILE", help="pcap or pcapng; - is standard input")
    add("--level", choices=LEVELS, help="show findings from this level on (default: note; in JSON, all)")
    add("--where", metavar="EXPRESSION", help='only these findings: detector == "reset" and time > 2s')
    add("--filter", default="", metavar="BPF", help="read only what this lets through: 'tcp port 105'")
    add("--compare", type=Path, metavar="FILE",
        help="another capture of the same way: what was not as it left there")  # fmt: skip
    add("--all", action="store_true", help="list every finding, however many")
    add("--flows", action="store_true", help="a table of the flows, too")
    form = analyze.add_mutually_exclusive_group()
    form.add_argument("-v", dest="verbose", action="store_true",
                      help="every packet as tcpdump -v prints it, its findings beneath")  # fmt: skip
    form.add_argument("--json", action="store_true", help="as one JSON object a file")
    form.add_argument("--jsonl", action="store_true", help="as JSON lines, one a finding")
    add("--fail-on", choices=LEVELS, metavar="LEVEL", help="exit with 1 when a finding has this level")
    add(
        "--parallel",
        type=positive,
        default=1,
        metavar="N",
        help="so many processes: a file each, or shares of one",
    )
    add(
        "--most-flows",
        type=positive,
        default=300_000,
        metavar="N",
        help="follow so many flows at once (2 kB each); beyond, the longest silent end (default: 300000)",
    )
    add("--serve", type=Path, metavar="SOCKET", help="captures asked for one by one over a Unix socket")
    add_detectors(analyze)
    analyze.set_defaults(command=analyze_command)


def add_words(commands: Commands[argparse.ArgumentParser]) -> None:
    explain = commands.add_parser("explain", help="a detector, flag, header field or counter: what it means",
                                  epilog="example: tcpharness explain zero_window")  # fmt: skip
    explain.add_argument("name", nargs="?", help="what to explain; without it, everything there is")
    add_detectors(explain)
    explain.set_defaults(command=explain_command)
    doctor = commands.add_parser("doctor", help="what this machine can run, and what mends it")
    doctor.add_argument(
        "--host", action="store_true", help="this machine's own TCP settings, and what they allow"
    )
    doctor.add_argument(
        "--rtt", type=nanoseconds, metavar="TIME", help="with --host: your path's round trip: 37ms"
    )
    doctor.add_argument("--json", action="store_true", help="the same for programs")
    doctor.set_defaults(command=doctor_command)
    schema = commands.add_parser("schema", help="the JSON Schema of scenario files, for editors")
    schema.set_defaults(command=schema_command)
    serve = commands.add_parser(
        "serve", help="run cases from JSON lines on standard input (the pytest plugin does)"
    )
    serve.set_defaults(command=serve_command)
