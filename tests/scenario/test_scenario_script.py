"""Scripts as the loader reads them: what can never go as written is refused, with its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tcpharness.scenario.load import ScenarioErrors, load
from tcpharness.scenario.model import Endpoint
from tcpharness.scenario.plan import make_plan, next_hop

HEAD = """scenario: A
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105}
  peer:
    on: client
    connect: server
"""
EXPECT = "expect: {findings: {client: {}}}\n"


def scenario(*steps: str, head: str = HEAD, expect: str = EXPECT) -> str:
    return head + "    script:\n" + "".join(f"      - {step}\n" for step in steps) + expect


def server(*steps: str) -> str:
    return scenario(*steps, head=HEAD.replace("connect: server", "listen: 106"))


BROKEN: dict[str, str] = {
    "no segment": scenario("send: hello", "expect: SX 0:0(0)", "send: 12"),
    "nothing to do": scenario("after: 5ms", "{send: S, expect: S.}"),
    "beside the wrong verb": scenario("send: S", "{expect: S., for: 5ms}", "{expect: nothing, within: 5ms}"),
    "how often again": scenario(
        "send: S", "{repeat: [send: R], times: 2001}", "{repeat: [send: R], times: 1..2}"
    ),
    "silence without a time": scenario("send: S", "expect: nothing"),
    "how often": scenario("{send: S, times: 1..3}", "{expect: S., times: 0}"),
    "an ACK before a SYN": scenario("send: . 1:1(0) ack 1", "send: .", "send: . ack =7"),
    "an ACK of what was never sent": server("expect: S. 0:0(0) ack 1"),
    "an ACK before a SYN, on every way": scenario(
        "send: S", "any of: [[expect: R.], [expect: R]]", "send: . ack 1"
    ),
    "alternatives that overlap": scenario(
        "send: S", "any of: {a: [expect: S.], b: [expect: R.], c: [expect: S. 0:0(0) ack 1]}"
    ),
    "twice nothing": scenario("send: S", "any of: [{expect: nothing, for: 1s}, {expect: nothing, for: 2s}]"),
    "alternatives without a beginning": scenario(
        "send: S", "any of: [[send: R], [{expect: R, times: 0..}, {expect: S.}]]"
    ),
    "one alternative": scenario("send: S", "any of: {a: [expect: S.]}"),
    "how long for nothing": scenario(
        "send: S", "{any of: [{expect: nothing, for: 1s}, {expect: S.}], within: 2s}"
    ),
    "ICMP about nothing": scenario("send: icmp host_unreachable"),
    "ICMP to expect": scenario("send: S", "expect: icmp host_unreachable"),
    "a client that waits": scenario("expect: S"),
    "a server that begins": server("send: S"),
    "unknown names": scenario("send: S", "pause: {until: sever closed}"),
    "waiting for itself": scenario("send: S", "pause: {until: peer closed}"),
    "nothing at all": HEAD + "    script: []\n" + EXPECT,
    "not with a script": HEAD + "    do: [close]\n    process: on\n    script: [send: S]\n" + EXPECT,
    "a program": HEAD.replace("connect: server", "run: nc") + "    script: [send: S]\n" + EXPECT,
    "ports that are none": HEAD
    + '    ports: "5..1"\n    every: soon\n    addresses: 151\n    script: [send: S]\n'
    + EXPECT,
    "a port twice": HEAD + '    ports: [22, "20..30"]\n    script: [send: S]\n' + EXPECT,
    "a host and no port": HEAD.replace("connect: server", "connect: client")
    + "    script: [send: S]\n"
    + EXPECT,
    "too many": HEAD + '    ports: "1..60000"\n    script: [send: S]\n' + EXPECT,
    "branches": scenario("send: S", "any of: {open: [expect: S.], closed: [expect: R.]}").replace(
        EXPECT, "expect: {endpoints: {peer: {took: {opne: 1}}, server: {took: {open: 1}}}}\n"
    ),
    "a host that forwards": scenario("send: S").replace("hosts: [client,", "hosts: {client: {forward: on}, ")
    .replace("server]\nlinks", "server: }\nlinks"),
    "no link": scenario("send: S").replace("links: [[client, server]]\n", ""),
    "no room": scenario("send: S").replace(
        "[[client, server]]",
        "[{join: [client, server], addresses: {client: 192.0.2.1/30, server: 192.0.2.2/30}}]",
    ),
}  # fmt: skip


def test_messages(golden: Callable[[str, str], None]) -> None:
    told = []
    for title, text in BROKEN.items():
        with pytest.raises(ScenarioErrors) as raised:
            load(text, "x.yaml")
        told.append(f"# {title}\n{raised.value}\n")
    golden("scenario_script_mistakes", "\n".join(told))


def peer(text: str) -> Endpoint:
    return next(e for e in load(text, "x.yaml")[0].endpoints if e.name == "peer")


def test_ports_in_ranges() -> None:
    text = (
        HEAD + '    ports: ["20..23", 80]\n    addresses: 3\n    every: 1ms\n    script: [send: S]\n' + EXPECT
    )
    read = peer(text)
    assert read.ports == (20, 21, 22, 23, 80)
    assert (read.kind, read.addresses, read.every_ns) == ("script", 3, 1_000_000)


def test_steps_are_repeated() -> None:
    read = peer(scenario("send: S", "{repeat: [expect: S., {repeat: [send: .], times: 2}], times: 3}"))
    assert [step.do for step in read.script] == ["send", *["expect", "send", "send"] * 3]


def test_a_host_is_enough_with_ports() -> None:
    text = HEAD.replace("connect: server", "connect: client") + "    ports: 80\n    script: [send: S]\n"
    target = peer(text + EXPECT).target
    assert target is not None
    assert (target.endpoint, target.host, target.port) == (None, "client", None)


@pytest.mark.parametrize("ip", [4, 6])
def test_a_script_has_addresses_that_no_host_has(ip: int) -> None:
    text = HEAD + "    addresses: 2\n    script: [send: S]\n" + EXPECT + f"ip: {ip}\n"
    plan = make_plan(load(text, "x.yaml")[0], 0)
    client, server = (host.interfaces[0] for host in plan.hosts)
    own = plan.scripted["peer"]
    assert own == {4: ("10.0.0.101", "10.0.0.102"), 6: ("fd00:7c::65", "fd00:7c::66")}[ip]
    assert {client.address, server.address}.isdisjoint(own)
    assert [pair for pair in server.neighbours if pair[0] in own] == [(a, client.mac) for a in own]
    assert not [pair for pair in client.neighbours if pair[0] in own]


def test_the_way_to_another_network() -> None:
    text = scenario("send: S").replace("[[client, server]]", "[[client, router], [router, server]]")
    text = text.replace("[client, server]", "[client, router, server]")
    plan = make_plan(load(text, "x.yaml")[0], 0)
    router = next(host for host in plan.hosts if host.name == "router").interfaces[0]
    assert next_hop(plan, "client", plan.names["server"]) == router.mac
    assert next_hop(plan, "client", router.address) == router.mac
    assert next_hop(plan, "client", "198.51.100.1") is None
