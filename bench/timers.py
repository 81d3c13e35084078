"""How long do the ends of the kernel's patience take under `time: fast`?

    python bench/timers.py [--rounds 5]

Plays the scenarios of a full back-off to ETIMEDOUT, of a keep-alive death and of a chain of zero-window
probes, one after another, and prints for each the median and the longest of its whole runs: lab, captures and
verdict included. Exit status 1 when a median is above three seconds, or a run did not pass.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from pathlib import Path

from tcpharness.argument import positive
from tcpharness.cli import load_cases
from tcpharness.lab.door import enter
from tcpharness.scenario.model import Case

SCENARIOS = [
    Path("scenarios/timers") / f"{name}.yaml" for name in ("give_up", "keep_alive_death", "window_probes")
]
MOST_S = 3.0


async def seconds(cases: list[Case], rounds: int) -> dict[str, list[float]]:
    from tcpharness.run import Options, Runner

    taken: dict[str, list[float]] = {case.id: [] for case in cases}
    async with Runner(Options(jobs=1)) as runner:
        for _ in range(rounds):
            for case in cases:
                start = time.perf_counter()
                result = await runner.play(case)
                taken[case.id].append(time.perf_counter() - start)
                assert result.verdict.outcome == "pass", (case.id, result.verdict)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=positive, default=5)
    rounds = parser.parse_args().rounds
    cases = load_cases(SCENARIOS)
    enter()
    holds = True
    for name, taken in asyncio.run(seconds(cases, rounds)).items():
        median = statistics.median(taken)
        holds = holds and median <= MOST_S
        print(f"{name:48} median {median:.2f} s, longest {max(taken):.2f} s")
    print(f"{rounds} rounds, load {os.getloadavg()[0]:.1f}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
