"""What the command line takes: commands, options, and the words of their help."""

from __future__ import annotations

import argparse
from pathlib import Path

from tcpharness import __version__
from tcpharness.argument import limits, nanoseconds, positive

LEVELS = ("info", "note", "warning", "error")  # a test holds them to those of the findings


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tcpharness",
        description="Proves whether TCP monitoring sees what it should.",
        epilog="example: tcpharness run scenarios/ --jobs 16 --junit report.xml",
    )
    parser.add_argument("--version", action="version", version=f"tcpharness {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
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


def add_list(commands: Commands[argparse.ArgumentParser]) -> None:
    listing = commands.add_parser(
        "list", help="list scenarios", epilog="example: tcpharness list --tag checksum"
    )
    add_selection(listing)
    listing.add_argument("--json", action="store_true", help="as JSON")


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


def add_words(commands: Commands[argparse.ArgumentParser]) -> None:
    explain = commands.add_parser("explain", help="a detector, flag, header field or counter: what it means",
                                  epilog="example: tcpharness explain zero_window")  # fmt: skip
    explain.add_argument("name", nargs="?", help="what to explain; without it, everything there is")
    add_detectors(explain)
    doctor = commands.add_parser("doctor", help="what this machine can run, and what mends it")
    doctor.add_argument(
        "--host", action="store_true", help="this machine's own TCP settings, and what they allow"
    )
    doctor.add_argument(
        "--rtt", type=nanoseconds, metavar="TIME", help="with --host: your path's round trip: 37ms"
    )
    doctor.add_argument("--json", action="store_true", help="the same for programs")
    commands.add_parser("schema", help="the JSON Schema of scenario files, for editors")
    commands.add_parser("serve", help="run cases from JSON lines on standard input (the pytest plugin does)")
