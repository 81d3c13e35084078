"""How long whole scenarios take: one inside a running process, two hundred at once, and `list` as a process.

python bench/runs.py [--copies 200]

Prints medians; beside them, as a yardstick measured in the same session, what two tcpdump processes
cost to start and stop, for every healthy run needs them.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

HEALTHY = """
scenario: healthy
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 10 KiB, close]}
expect:
  findings: {client: {handshake: 1}, server: {handshake: 1}}
"""


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms"


async def play(copies: int) -> tuple[list[float], float]:
    """Durations of single runs, one after another; then the time for all copies at once, in seconds."""
    from tcpharness.run import Options, Runner
    from tcpharness.scenario.load import load

    case = load(HEALTHY, "healthy.yaml")[0]
    async with Runner(Options(jobs=12)) as runner:
        single = []
        for _ in range(21):
            start = time.perf_counter()
            result = await runner.play(case)
            single.append(time.perf_counter() - start)
            assert result.verdict.outcome == "pass", result.verdict
        start = time.perf_counter()
        results = await asyncio.gather(*(runner.play(case) for _ in range(copies)))
        together = time.perf_counter() - start
        assert all(r.verdict.outcome == "pass" for r in results)
    return single[1:], together


def tcpdump_pair() -> float:
    """Two tcpdumps on loopback, started, ready, stopped."""
    start = time.perf_counter()
    command = ["tcpdump", "-i", "lo", "-w", "/dev/null", "--immediate-mode", "-Z", "root", "port 1"]
    pair = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in pair:
        assert process.stderr is not None
        process.stderr.readline()
        process.terminate()
    for process in pair:
        process.communicate()
    return time.perf_counter() - start


def list_process(scenarios: Path) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tcpharness", "list", str(scenarios)], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--copies", type=int, default=200)
    copies = parser.parse_args().copies
    from tcpharness.lab.door import enter

    yardstick = statistics.median(tcpdump_pair() for _ in range(11))
    listing = statistics.median(list_process(Path("scenarios")) for _ in range(11))
    enter()
    single, together = asyncio.run(play(copies))
    one = statistics.median(single)
    ratio = one / yardstick
    print(f"two tcpdumps started and stopped: {milliseconds(yardstick)}")
    print(f"healthy scenario, in process: {milliseconds(one)} = {ratio:.1f} x the two tcpdumps")
    print(f"{copies} copies at once: {together:.1f} s = {together / copies * 1e3:.0f} ms each")
    print(f"tcpharness list scenarios, a process: {milliseconds(listing)}")


if __name__ == "__main__":
    main()
