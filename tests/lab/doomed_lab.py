"""Run by test_lab_killed.py as a process of its own: builds labs and uses them until it is killed.

    python doomed_lab.py DIRECTORY WITNESS

WITNESS is the descriptor of a network namespace in which each lab has one end of a veth pair: when
the lab's namespace is destroyed, so is that.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from built_lab import MIDDLEBOX, plan_of

from tcpharness.lab import links
from tcpharness.lab.build import Lab
from tcpharness.lab.links import End
from tcpharness.lab.netlink import RouteSocket
from tcpharness.lab.spawner import Spawner
from tcpharness.lab.tcpdump import Tcpdump

DAEMON = "(setsid sleep 300 >/dev/null 2>&1 </dev/null &) ; sleep 300"


def betray(lab: Lab, number: int, witness: int) -> None:
    """A veth pair from a host of the lab into the witness."""
    mac = f"0a:00:00:00:{number >> 8 & 255:02x}:{number & 255:02x}"
    here = End(lab.hosts["client"].fd, "witness", 2000, mac)
    there = End(witness, f"lab{number}", 2000 + number, mac)
    with RouteSocket(lab.hosts["client"]) as netlink:
        netlink.do([links.veth_pair(here, there, 1500, "witness")])


def daemonise(payload: bytes, fds: list[int]) -> None:
    import os
    import signal

    if os.fork() == 0:
        os.setsid()
        os.fork()
    signal.pause()


async def use(lab: Lab, directory: Path) -> None:
    captures = [Tcpdump(None, host, host, "eth0", lab, directory / f"{host}.pcap") for host in lab.hosts]
    lab.processes.run(["sh", "-c", DAEMON], netns=lab.hosts["client"].fd)
    lab.processes.call("doomed_lab:daemonise", b"", [], lab.hosts["server"].fd)
    await asyncio.gather(*(capture.start() for capture in captures))
    print("used", flush=True)
    await asyncio.gather(*(capture.finish() for capture in captures))


def main(directory: Path, witness: int) -> None:
    with Spawner.start(preload=()) as spawner:
        print("started", flush=True)
        for number in itertools.count():
            with Lab(plan_of(MIDDLEBOX, number=number), spawner, directory) as lab:
                betray(lab, number, witness)
                print("built", flush=True)
                asyncio.run(use(lab, directory))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
