"""How many different runs does each case give? Again and again with one seed, if wanted beside busy loops.

    python bench/repeat.py --runs 50 --busy 4 scenarios

Without --all only what does not say `timing: kernel`. Played in batches; after each the sum so far.
Prints each run that did not pass, and at the end every case with more than one transcript and what
differs. Exit status 1 when a run did not pass, or when there was such a case.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tcpharness.argument import positive
from tcpharness.cli import load_cases
from tcpharness.lab.door import enter
from tcpharness.report.repeats import repeats_text
from tcpharness.report.terminal import case_text
from tcpharness.scenario.model import Case
from tcpharness.verdict.repeats import Repeats
from tcpharness.verdict.result import Result

SPIN = "while True: pass"


class Watch:
    """Counts transcripts, and shows only what did not pass."""

    def __init__(self) -> None:
        self.repeats = Repeats()

    def started(self, case: Case) -> None:
        """Nothing to show."""

    def ended(self, result: Result) -> None:
        self.repeats.take(result)
        if result.verdict.outcome in ("fail", "void"):
            print(case_text(result), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("scenarios")])
    parser.add_argument("--runs", type=positive, default=50, help="of each case")
    parser.add_argument("--batch", type=positive, default=10, help="so many of them at a time")
    parser.add_argument("--busy", type=int, default=0, help="busy loops beside it")
    parser.add_argument("--jobs", type=positive, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="also those with `timing: kernel`")
    args = parser.parse_args()
    cases = [case for case in load_cases(args.paths) if args.all or not case.kernel_timing]
    enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # busy loops end with us
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(args.busy)]
    try:
        repeats = play(cases, args)
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    print(repeats_text(repeats))
    return 0 if repeats.holds else 1


def play(cases: list[Case], args: argparse.Namespace) -> Repeats:
    """All batches, each with the same seed."""
    from tcpharness.run import Options, run_cases

    watch, start, done = Watch(), time.monotonic(), 0
    while done < args.runs:
        batch = min(args.batch, args.runs - done)
        run_cases(cases, Options(jobs=args.jobs, seed=args.seed, repeat=batch), watch)
        done += batch
        several = [case.case.id for case in watch.repeats.cases.values() if case.distinct > 1]
        told = f"{done} runs of {len(cases)} cases in {time.monotonic() - start:.0f} s"
        print(f"{told}, {args.busy} busy loops, load {os.getloadavg()[0]:.1f}: more than one transcript in")
        print(f"  {', '.join(several) or 'none'}", flush=True)
    return watch.repeats


if __name__ == "__main__":
    sys.exit(main())
