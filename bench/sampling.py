"""What watching the sockets costs: one flow between two hosts, sampled for some seconds.

    python bench/sampling.py --seconds 5

Prints the interval that was kept, the time of one round of questions, and the share of one core that the
sampler's process took, by its own clock.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import tempfile
from pathlib import Path

from tcpharness.lab.door import enter
from tcpharness.lab.netns import NetNs
from tcpharness.scenario.load import load
from tcpharness.scenario.plan import make_plan

SCENARIO = """scenario: Two hosts
hosts: [client, server]
links: [[client, server]]
expect: {counters: {client: {TcpInSegs: "0.."}}}
"""


async def watched(seconds: float, interval_ms: float) -> None:
    from tcpharness.lab.build import Lab
    from tcpharness.lab.sampling import Watch
    from tcpharness.lab.spawner import Spawner

    plan = make_plan(load(SCENARIO, "bench.yaml")[0], 1)
    with (
        Spawner.start() as spawner,
        tempfile.TemporaryDirectory() as workdir,
        Lab(plan, spawner, Path(workdir)) as lab,
    ):
        server, client = flow(lab.hosts["server"], lab.hosts["client"], plan.names["server"])
        watch = Watch(lab, int(interval_ms * 1e6))
        await watch.start()
        for _ in range(int(seconds * 100)):  # some traffic, so that no answer is like the last
            client.send(b"x" * 1000)
            server.recv(4096)
            await asyncio.sleep(0.01)
        told, _ = await watch.finish()
        watch.close()
    print(f"{told.samples} rounds, one every {told.effective_ns / 1e6:.2f} ms")
    print(f"a round of two hosts takes {told.cpu_ns / told.samples / 1e3:.0f} us")
    print(f"{told.cpu_ns / told.duration_ns:.2%} of one core")


def flow(server: NetNs, client: NetNs, address: str) -> tuple[socket.socket, socket.socket]:
    """A connection: its two ends."""
    with server.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind((address, 105))
        listening.listen()
        opened = client.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.connect((address, 105))
        return listening.accept()[0], opened


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--interval", type=float, default=5, metavar="MS")
    args = parser.parse_args()
    enter()
    asyncio.run(watched(args.seconds, args.interval))


if __name__ == "__main__":
    main()
