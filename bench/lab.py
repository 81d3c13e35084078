"""How long a lab takes: built, captured, ended; beside what bare namespaces cost in the same run.

PYTHONPATH=.:tests/lab python bench/lab.py [RUNS]
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tcpharness.lab.door import enter, privilege
from tcpharness.lab.spawner import Spawner

TEXT = """
scenario: two hosts
ip: {ip}
hosts: [client, server]
links: [[client, server]]
expect: {{counters: {{client: {{TcpInSegs: "0.."}}}}}}
"""
Times = dict[str, list[float]]


def nothing(payload: bytes, fds: list[int]) -> None:
    """What a forked process does here."""


def bare_lab() -> None:
    """Two namespaces and a veth pair, by the same system calls and nothing else."""
    from tcpharness.lab import links
    from tcpharness.lab.links import End
    from tcpharness.lab.netlink import RouteSocket
    from tcpharness.lab.netns import NetNs

    with NetNs() as one, NetNs() as other, RouteSocket(one) as netlink:
        ends = [End(ns.fd, "eth0", 1000, f"02:00:00:00:00:0{n}") for n, ns in enumerate((one, other))]
        netlink.do([links.veth_pair(ends[0], ends[1], 1500, None)])


def timed(times: Times, name: str, work: Callable[[], object]) -> None:
    began = time.perf_counter()
    work()
    times.setdefault(name, []).append((time.perf_counter() - began) * 1e3)


async def measure(spawner: Spawner, runs: int, directory: Path) -> Times:
    from tcpharness.lab.build import Lab
    from tcpharness.lab.tcpdump import Tcpdump
    from tcpharness.scenario.load import load
    from tcpharness.scenario.plan import make_plan

    cases = {ip: load(TEXT.format(ip=ip), "bench.yaml")[0] for ip in (4, 6)}
    times: Times = {}
    for number in range(runs):
        timed(times, "two bare namespaces and a veth pair", bare_lab)
        for ip, case in cases.items():
            with ExitStack() as stack:
                lab = Lab(make_plan(case, 2 * number + (ip == 6)), spawner, directory)
                timed(times, f"lab of two hosts, IPv{ip}", lambda lab=lab: stack.enter_context(lab))  # type: ignore[misc]
                timed(times, "environment of it", lab.environment)
                await capture(
                    times, Tcpdump(None, "client", "client", "eth0", lab, directory / "client.pcap")
                )
                for name in ("run of a program, to its end", "call of a function, to its end"):
                    began = time.perf_counter()
                    if name.startswith("run"):
                        child = lab.processes.run(["/bin/true"], netns=lab.hosts["client"].fd)
                    else:
                        child = lab.processes.call("__main__:nothing", b"", [], lab.hosts["client"].fd)
                    await child.wait()
                    times.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
                timed(times, "end of a lab", stack.close)
    return times


async def capture(times: Times, tcpdump: object) -> None:
    for name in ("start", "mark", "finish"):
        began = time.perf_counter()
        await getattr(tcpdump, name)()
        times.setdefault(f"tcpdump: {name}", []).append((time.perf_counter() - began) * 1e3)


def main() -> None:
    enter()
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with Spawner.start() as spawner, tempfile.TemporaryDirectory() as directory:
        times = asyncio.run(measure(spawner, runs, Path(directory)))
    print(f"{runs} runs as {privilege()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; milliseconds")
    print(f"{'':<42}{'median':>8}{'least':>8}{'p95':>8}")
    for name, values in times.items():
        values.sort()
        figures = (statistics.median(values), values[0], values[int(len(values) * 0.95)])
        print(f"{name:<42}" + "".join(f"{figure:8.2f}" for figure in figures))
    built, bare = times["lab of two hosts, IPv4"], times["two bare namespaces and a veth pair"]
    ratio = statistics.median(built) / statistics.median(bare)
    print(f"a lab costs {ratio:.1f} times what its bare namespaces do (wanted: at most 15 ms)")


if __name__ == "__main__":
    main()
