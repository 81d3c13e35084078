"""`flow:` finds the connections of one client."""

from __future__ import annotations

import pytest

from tcpharness.fault.engine import Engine, Port
from tcpharness.fault.facts import flow_facts
from tcpharness.packet.address import address_bytes
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.segment import SYN
from tcpharness.scenario.load import load
from tcpharness.scenario.plan import make_plan

SCENARIO = """
scenario: test
hosts: [client, server]
links: [[client, server]]
endpoints:
  web: {on: server, listen: 80}
  named: {on: client, connect: web}
  other: {on: client, connect: "server:81"}
  bound: {on: client, connect: "server:82", from_port: 5000}
  tool: {on: client, run: "true"}
faults:
  - {name: hit, when: {flow: FLOW, flags: S}, do: drop}
expect: {findings: {client: {}}}
"""


@pytest.mark.parametrize(
    ("flow", "sport", "dport", "hit"),
    [
        ("named", 4000, 80, True), ("named", 4000, 81, False), ("other", 4000, 81, True),
        ("bound", 5000, 82, True), ("bound", 5001, 82, False), ("tool", 1, 99, True),
    ],
)  # fmt: skip
def test_a_flow_is_known_by_its_addresses_and_ports(flow: str, sport: int, dport: int, hit: bool) -> None:
    plan = make_plan(load(SCENARIO.replace("FLOW", flow), "test.yaml")[0], 1)
    (link,) = plan.links
    macs = [bytes.fromhex(end.mac.replace(":", "")) for end in link.ends]
    ports = [Port(e.host, m, address_bytes(e.address)) for e, m in zip(link.ends, macs, strict=True)]
    engine = Engine(plan.case.faults, ports, flows=flow_facts(plan))
    src, dst = (end.address for end in link.ends)
    frame = encode(Frame(src, dst, sport, dport, flags=SYN))
    sends = engine.frame(1, 0, macs[1] + macs[0] + frame[12:])
    assert (list(sends) == []) == hit
    assert engine.fired == {"hit": int(hit)}
