"""Endpoints and plans by hand, for a lab of two hosts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tcpharness.scenario.model import (
    Case,
    Endpoint,
    Expect,
    Host,
    Link,
    Place,
    Requires,
    SocketOptions,
    Step,
    Target,
    Until,
)
from tcpharness.scenario.plan import Plan, make_plan

LAB_NUMBER = 77 * 16  # which gives it 10.77.0.0/24


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
    """client (10.77.0.1) and server (10.77.0.2), with small receive buffers, so that windows close."""
    small = {"net.ipv4.tcp_rmem": "4096 131072 131072"}
    hosts = tuple(
        Host(
            name,
            small,
            dict.fromkeys(small, at()),
            offload=True,
            forward=None,
            routes=(),
            firewall=None,
            at=at(),
        )
        for name in ("client", "server")
    )
    link = Link("client-server", ("client", "server"), mtu=None, addresses={}, delay_ns=0, at=at())
    case = Case(
        name="by hand", id="by hand", file="x.yaml", about="", tags=(), values={}, ip=ip, seed=1,
        timeout_ns=5_000_000_000, kernel_timing=False, requires=Requires(), hosts=hosts, links=(link,),
        endpoints=endpoints, faults=(), captures=(), expect=Expect(at()), at=at(),
    )  # fmt: skip
    return make_plan(case, LAB_NUMBER)


def options(**fields: Any) -> SocketOptions:
    return replace(SocketOptions(), **fields)
