"""Plans and labs from the two lines of a scenario that say what to build."""

from __future__ import annotations

from collections.abc import Callable

from tcpharness.lab.build import Lab
from tcpharness.scenario.load import load
from tcpharness.scenario.plan import Plan, make_plan

BuildLab = Callable[..., Lab]
PAIR = "hosts: [client, server]\nlinks: [[client, server]]"
BRIDGE = "hosts: [client, server, third]\nlinks: [[client, server, third]]"
MIDDLEBOX = "hosts: [client, server]\nlinks: [{join: [client, server], delay: 1ms}]"
ROUTER = "hosts: [client, router, server]\nlinks: [[client, router], [router, server]]"


def plan_of(network: str, *, ip: int = 4, number: int = 0) -> Plan:
    """The plan of a scenario of which only hosts and links matter; one of the hosts is `client`."""
    expect = 'expect: {counters: {client: {TcpInSegs: "0.."}}}'
    return make_plan(load(f"scenario: x\nip: {ip}\n{network}\n{expect}\n", "x.yaml")[0], number)
