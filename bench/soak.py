"""Does the library pass every time? N rounds of all of it, if wanted beside busy loops.

    python bench/soak.py --rounds 50 --busy 4 scenarios

Prints each case that did not pass, with its verdict's text, and the count after each round; exit status 1
when there was one.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tcpharness.cli import load_cases
from tcpharness.lab.door import enter
from tcpharness.report.terminal import case_text
from tcpharness.scenario.model import Case
from tcpharness.verdict.result import Result

SPIN = "while True: pass"


class Tally:
    """Counts, and shows only what did not pass."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def started(self, case: Case) -> None:
        """Nothing to show."""

    def ended(self, result: Result) -> None:
        outcome = result.verdict.outcome
        self.outcomes[outcome] += 1
        if outcome in ("fail", "void"):
            self.failed[result.case.id] += 1
            print(case_text(result), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("scenarios")])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--busy", type=int, default=0, help="busy loops beside it")
    parser.add_argument("--jobs", type=int, default=12)
    args = parser.parse_args()
    cases = load_cases(args.paths)
    enter()
    from tcpharness.run import Options, run_cases

    tally = Tally()
    start = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # busy loops end with us
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(args.busy)]
    try:
        for done in range(1, args.rounds + 1):
            run_cases(cases, Options(jobs=args.jobs), tally)
            load = os.getloadavg()[0]
            so_far = (
                f"{done} rounds, {dict(tally.outcomes)}, {time.monotonic() - start:.0f} s, load {load:.1f}"
            )
            print(so_far, flush=True)
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    seconds = time.monotonic() - start
    print(f"{args.rounds} rounds of {len(cases)} cases, {args.busy} busy loops: {dict(tally.outcomes)}")
    print(f"{seconds / args.rounds:.1f} s a round")
    for case_id, count in tally.failed.most_common():
        print(f"{count:4}  {case_id}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
