"""Two namespaces joined by a veth pair, and plans by hand: enough of a lab for endpoints."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import LabProcesses, Spawner
from tcpharness.scenario.model import (
    Case,
    Endpoint,
    Expect,
    Place,
    Requires,
    SocketOptions,
    Step,
    Target,
    Until,
)
from tcpharness.scenario.plan import Plan

ADDRESSES = {4: {"client": "10.77.0.1", "server": "10.77.0.2"}, 6: {"client": "fd77::1", "server": "fd77::2"}}


class HandMadeLab:
    """`hosts` client and server; `processes` are new in each play, because they belong to a loop."""

    def __init__(self, spawner: Spawner) -> None:
        self.hosts = {name: NetNs() for name in ("client", "server")}
        self.processes: LabProcesses = spawner.lab()
        self.spawner = spawner
        server = f"/proc/{os.getpid()}/fd/{self.hosts['server'].fd}"
        self._run("client", "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        self._run("client", "ip", "link", "set", "eth1", "netns", server, "name", "eth0")
        for name in self.hosts:
            self._run(name, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
            self._run(name, "sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 131072")
            self._run(name, "ip", "link", "set", "lo", "up")
            self._run(name, "ip", "address", "add", ADDRESSES[4][name] + "/24", "dev", "eth0")
            self._run(name, "ip", "address", "add", ADDRESSES[6][name] + "/64", "dev", "eth0", "nodad")
            self._run(name, "ip", "link", "set", "eth0", "up")

    def new_processes(self) -> None:
        self.processes.close()
        self.processes = self.spawner.lab()

    def close(self) -> None:
        for namespace in self.hosts.values():
            namespace.close()

    def _run(self, host: str, *argv: str) -> None:
        inside = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self.hosts[host].fd}", *argv)
        subprocess.run(inside, check=True)


@contextmanager
def small_lab() -> Iterator[HandMadeLab]:
    with Spawner.start() as spawner:
        lab = HandMadeLab(spawner)
        try:
            yield lab
        finally:
            lab.close()


def at(line: int = 1) -> Place:
    return Place("x.yaml", line, 3)


def step(do: Any, line: int = 9, **fields: Any) -> Step:
    """`step("pause", until="client blocked")`; other fields as in the model."""
    if "until" in fields:
        subject, state = fields["until"].split()
        fields["until"] = Until(subject, state, at(line))
    return Step(do, at(line), **fields)


def listener(*steps: Step, name: str = "server", port: int = 105, **fields: Any) -> Endpoint:
    fields = {"on": "server", "steps": steps, "port": port, **fields}
    return Endpoint(name=name, kind="listen", at=at(5), **fields)


def client(*steps: Step, name: str = "client", to: str = "server", **fields: Any) -> Endpoint:
    fields = {"on": "client", "steps": steps, "target": Target(to, None, None), **fields}
    return Endpoint(name=name, kind="connect", at=at(6), **fields)


def program(*command: str, name: str = "tool", on: str = "server", **fields: Any) -> Endpoint:
    return Endpoint(name=name, on=on, kind="run", at=at(7), command=command, **fields)


def plan(*endpoints: Endpoint, ip: Any = 4) -> Plan:
    case = Case(
        name="by hand", id="by hand", file="x.yaml", about="", tags=(), values={}, ip=ip, seed=1,
        timeout_ns=5_000_000_000, kernel_timing=False, requires=Requires(), hosts=(), links=(),
        endpoints=endpoints, faults=(), captures=(), expect=Expect(at()), at=at(),
    )  # fmt: skip
    return Plan(case, 1, (), (), ADDRESSES[ip], ())


def options(**fields: Any) -> SocketOptions:
    return replace(SocketOptions(), **fields)
