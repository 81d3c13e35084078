"""Run by test_lab_door.py as a process of its own: gives root up, enters the door, and uses a lab.

    python rootless_lab.py DIRECTORY

Everything is imported first: an ordinary user may not be able to read where Python is installed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from built_lab import PAIR, plan_of
from test_lab_build import conversation
from test_lab_firewall import attempt

from tcpharness.lab import counters, door
from tcpharness.lab.build import Lab
from tcpharness.lab.kernel_canary import KernelCanary
from tcpharness.lab.spawner import Spawner
from tcpharness.lab.tcpdump import Tcpdump

NOBODY = 65534
FIREWALLED = "hosts: {client: , server: {firewall: {policy: drop, open: [80]}}}\nlinks: [[client, server]]"


async def use(lab: Lab, directory: Path) -> None:
    captures = [Tcpdump(None, host, host, "eth0", lab, directory / f"{host}.pcap") for host in lab.hosts]
    await asyncio.gather(*(capture.start() for capture in captures))
    assert conversation(lab, 4) == b"hello"
    for capture in captures:
        outcome = await capture.finish()
        assert outcome.error is None, outcome.error
        assert outcome.captured is not None
        assert outcome.captured >= 6
        assert outcome.complete()
    assert counters.read(lab.hosts["client"])["TcpActiveOpens"] == 1
    canary = KernelCanary(lab.hosts["server"], 0, 4)
    await canary.play()
    canary.close()
    assert counters.read(lab.hosts["server"])["TcpInCsumErrors"] == 1
    child = lab.processes.run(
        ["getent", "hosts", "server"], netns=lab.hosts["client"].fd, hosts_file=str(lab.hosts_file)
    )
    assert await child.wait() == 0, child.error


def main(directory: Path) -> None:
    os.chown(directory, NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.chdir(directory)
    play(directory)


def play(directory: Path) -> None:
    """Enters the door, and uses a lab."""
    door.enter()
    door.enter()
    print(door.privilege())
    with Spawner.start(preload=()) as spawner:
        with Lab(plan_of(PAIR), spawner, directory) as lab:
            asyncio.run(use(lab, directory))
        with Lab(plan_of(FIREWALLED, number=1), spawner, directory) as lab:
            assert attempt(lab, 4, 80) == 0
            assert attempt(lab, 4, 81) is None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
