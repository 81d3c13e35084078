"""Two namespaces joined by a veth pair, and plans by hand: enough of a lab for endpoints."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

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

Socket = socket.socket
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
ADDRESSES = {4: {"client": "10.77.0.1", "server": "10.77.0.2"}, 6: {"client": "fd77::1", "server": "fd77::2"}}


class HandMadeNamespace:
    """A network namespace, entered by a short-lived thread for each socket."""

    def __init__(self) -> None:
        self.fd = -1
        self._in_thread(self._unshare)

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        made: list[Socket] = []
        self._in_thread(lambda: made.append(self._enter_and_open(family, kind, proto)))
        return made[0]

    def run(self, *argv: str) -> str:
        inside = ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self.fd}", *argv)
        return subprocess.run(inside, check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        os.close(self.fd)

    def _unshare(self) -> None:
        assert LIBC.unshare(CLONE_NEWNET) == 0
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _enter_and_open(self, family: int, kind: int, proto: int) -> Socket:
        assert LIBC.setns(self.fd, CLONE_NEWNET) == 0
        return socket.socket(family, kind, proto)

    @staticmethod
    def _in_thread(work: Any) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()


class HandMadeLab:
    """`hosts` client and server; `processes` is whatever a test puts there."""

    def __init__(self) -> None:
        self.hosts = {name: HandMadeNamespace() for name in ("client", "server")}
        self.processes: Any = None
        client, server = self.hosts["client"], self.hosts["server"]
        client.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        client.run(
            "ip", "link", "set", "eth1", "netns", f"/proc/{os.getpid()}/fd/{server.fd}", "name", "eth0"
        )
        for name, namespace in self.hosts.items():
            namespace.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
            namespace.run("sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 131072")
            namespace.run("ip", "link", "set", "lo", "up")
            namespace.run("ip", "address", "add", ADDRESSES[4][name] + "/24", "dev", "eth0")
            namespace.run("ip", "address", "add", ADDRESSES[6][name] + "/64", "dev", "eth0", "nodad")
            namespace.run("ip", "link", "set", "eth0", "up")

    def close(self) -> None:
        for namespace in self.hosts.values():
            namespace.close()


@contextmanager
def small_lab() -> Iterator[HandMadeLab]:
    lab = HandMadeLab()
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
