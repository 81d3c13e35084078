"""What a scenario's YAML becomes in the model."""

from __future__ import annotations

from typing import Any

import pytest

from tcpharness.packet.spec import SegmentSpec
from tcpharness.scenario.load import ScenarioErrors, load
from tcpharness.scenario.model import Case, Count, Fault, Place, SocketOptions, Target

FINDINGS: dict[str, tuple[str, ...]] = dict.fromkeys(
    ["retransmission", "duplicate_ack", "gap", "out_of_order", "reset", "injected_reset", "handshake"], ()
)
REST = {
    "scenario": "A",
    "hosts": "[client, server]",
    "links": "[[client, server]]",
    "endpoints": "{server: {on: server, listen: 105}, client: {on: client, connect: server}}",
    "expect": "{findings: {client: {}}}",
}


def case(text: str = "", **sections: str) -> Case:
    """The one case of a scenario with these sections, the rest as in REST."""
    given = {**REST, **sections}
    written = "".join(f"{key}: {value}\n" for key, value in given.items()) + text
    (found,) = load(written, "x.yaml", findings=FINDINGS)
    return found


def fault(text: str, **sections: str) -> Fault:
    return case(faults=f"[{text}]", **sections).faults[0]


# --- the examples of the design, completed as the corrections say

LOST = """
scenario: One lost segment is repaired by a fast retransmit
about: The tenth data segment never reaches the server; three duplicate ACKs repair it.
tags: [retransmission]
hosts: [client, server]
links:
  - [client, server]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 200 KiB, close]}
faults:
  - {when: {from: client, data: 10}, do: drop}
expect:
  findings:
    client: {retransmission: {count: 1, kind: fast}, duplicate_ack: "3.."}
    server: {gap: 1, out_of_order: 1}
  counters:
    client: {TcpRetransSegs: 1}
"""
FULL = """
scenario: A full receive buffer closes the window
hosts: {client: , server: {sysctl: {net.ipv4.tcp_rmem: 4096 8192 8192}}}
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [pause: {until: client blocked}, receive: eof]}
  client: {on: client, connect: server, do: [send: 1 MiB, close]}
expect:
  findings:
    client: {retransmission: 0, gap: "1.."}
"""
FORGED = """
scenario: A forged reset cuts an established connection
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof]}
  client: {on: client, connect: server, do: [send: {text: HELLO}, receive: eof]}
faults:
  - when: {from: client, contains: HELLO}
    do: {inject: {to: client, from: server, flags: R, seq: rcv_nxt, ttl: 3}}
expect:
  findings:
    client: {reset: 1, injected_reset: 1}
  endpoints: {client: {error: ECONNRESET}}
"""


def test_a_lost_segment() -> None:
    (found,) = load(LOST, "x.yaml", findings=FINDINGS)
    assert (found.name, found.tags, found.ip) == (
        "One lost segment is repaired by a fast retransmit",
        ("retransmission",),
        4,
    )
    server, client = found.endpoints
    assert (server.on, server.kind, server.port, client.target) == (
        "server",
        "listen",
        105,
        Target("server", None, None),
    )
    assert [(step.do, step.size) for step in client.steps] == [("send", 204800), ("close", None)]
    (lost,) = found.faults
    assert (lost.name, lost.link, lost.when.sender, lost.when.data) == (
        "fault 1",
        "client-server",
        "client",
        10,
    )
    assert [action.do for action in lost.do] == ["drop"]
    watched = found.expect.findings[0]
    assert [(f.name, f.kind, str(f.count)) for f in watched.findings] == [
        ("retransmission", "fast", "1"),
        ("duplicate_ack", None, "3.."),
    ]
    (counter,) = found.expect.counters
    assert (counter.host, counter.counter, counter.count) == ("client", "TcpRetransSegs", Count(1, 1, "1"))


def test_a_full_buffer() -> None:
    (found,) = load(FULL, "x.yaml", findings=FINDINGS)
    assert found.hosts[1].sysctl == {"net.ipv4.tcp_rmem": "4096 8192 8192"}
    until = found.endpoints[0].steps[0].until
    assert until is not None
    assert (until.subject, until.state) == ("client", "blocked")


def test_a_forged_reset() -> None:
    (found,) = load(FORGED, "x.yaml", findings=FINDINGS)
    (action,) = found.faults[0].do
    assert (action.sender, action.receiver, action.seq) == ("server", "client", "rcv_nxt")
    assert action.fields == SegmentSpec(flags="R", ttl=3)
    assert found.expect.endpoints[0].error == ("ECONNRESET",)


# --- places


def test_objects_know_where_they_are_written() -> None:
    (found,) = load(LOST, "x.yaml", findings=FINDINGS)
    assert str(found.endpoints[1].at) == "x.yaml:10:3"
    assert str(found.faults[0].at) == "x.yaml:12:5"
    assert str(found.faults[0].when.at) == "x.yaml:12:12"
    assert str(found.expect.findings[1].at) == "x.yaml:16:5"
    assert str(found.expect.findings[0].findings[1].at) == "x.yaml:15:54"
    assert str(found.expect.counters[0].at) == "x.yaml:18:14"


# --- hosts and links


def test_a_host_by_name_has_the_defaults() -> None:
    host = case().hosts[0]
    assert (host.sysctl, host.offload, host.forward, host.routes, host.firewall) == (
        {},
        False,
        None,
        (),
        None,
    )


def test_sysctls_nested_and_dotted() -> None:
    hosts = (
        "{client: {sysctl: {net: {ipv4: {tcp_sack: 0, conf.all.rp_filter: 2}}, net.core.x: a b}}, server: }"
    )
    found = case(hosts=hosts).hosts[0]
    assert found.sysctl == {
        "net.ipv4.tcp_sack": "0",
        "net.ipv4.conf.all.rp_filter": "2",
        "net.core.x": "a b",
    }
    assert found.sysctl_at["net.ipv4.tcp_sack"] == Place("x.yaml", 2, 40)


def test_host_settings() -> None:
    hosts = """{
      client: {offload: on, forward: false, routes: [{to: default, via: server, rto_min: 50ms, mtu: 1400}]},
      server: {firewall: {policy: drop, open: [80], closed: 81, filtered: [82, 83]}}}"""
    client, server = case(hosts=hosts).hosts
    assert (client.offload, client.forward) == (True, False)
    (route,) = client.routes
    assert (route.to, route.via, route.metrics) == ("default", "server", {"rto_min": 50_000_000, "mtu": 1400})
    wall = server.firewall
    assert wall is not None
    assert (wall.policy, wall.open, wall.closed, wall.filtered) == ("drop", (80,), (81,), (82, 83))


def test_a_link_with_everything() -> None:
    links = """[{join: [client, server], name: wire, mtu: 1400, delay: 5ms,
      addresses: {client: [192.0.2.1/24, "2001:db8::1/64"], server: 192.0.2.2/24}}]"""
    (link,) = case(links=links).links
    assert (link.name, link.mtu, link.delay_ns) == ("wire", 1400, 5_000_000)
    assert link.addresses == {"client": "192.0.2.1/24", "server": "192.0.2.2/24"}


# --- endpoints


def test_without_steps_a_listener_reads_to_the_end_and_both_close() -> None:
    server, client = case().endpoints
    assert [step.do for step in server.steps] == ["receive", "close"]
    assert [step.do for step in client.steps] == ["close"]


@pytest.mark.parametrize(
    ("target", "endpoint", "host", "port"),
    [
        ("server", "server", None, None),
        ('"server:80"', None, "server", 80),
        ("192.0.2.9:80", None, "192.0.2.9", 80),
    ],
)
def test_targets(target: str, endpoint: str | None, host: str | None, port: int | None) -> None:
    endpoints = f"{{server: {{on: server, listen: 105}}, client: {{on: client, connect: {target}}}}}"
    assert case(endpoints=endpoints).endpoints[1].target == Target(endpoint, host, port)


def test_an_ipv6_target() -> None:
    endpoints = '{client: {on: client, connect: "[2001:db8::1]:80"}}'
    assert case("ip: 6\n", endpoints=endpoints).endpoints[0].target == Target(None, "2001:db8::1", 80)


@pytest.mark.parametrize(
    ("step", "field", "value"),
    [
        ("send: 1 KiB", "size", 1024),
        ('send: {text: "a\\n"}', "text", b"a\n"),
        ("send: {file: a.bin}", "file", "a.bin"),
        ("send: {size: 2 B}", "size", 2),
        ("receive: eof", "size", None),
        ("receive: 10 KiB", "size", 10240),
        ("receive: {text: hé}", "text", "hé".encode()),
        ("pause: 50ms", "wait_ns", 50_000_000),
        ("shutdown", "size", None),
        ("abort", "size", None),
        ("set: {rcvbuf: 4 KiB}", "options", SocketOptions(rcvbuf=4096)),
    ],
)
def test_steps(step: str, field: str, value: Any) -> None:
    endpoints = f"{{client: {{on: client, connect: 'server:1', do: [{step}]}}}}"
    (found,) = case(endpoints=endpoints).endpoints[0].steps
    assert found.do == step.partition(":")[0]
    assert getattr(found, field) == value


@pytest.mark.parametrize("steps", ["close", "[close]", "\n    - close"])
def test_steps_are_one_or_a_list(steps: str) -> None:
    endpoints = f"\n  client:\n   on: client\n   connect: server:1\n   do: {steps}"
    assert [step.do for step in case(endpoints=endpoints).endpoints[0].steps] == ["close"]


def test_socket_options() -> None:
    options = """{rcvbuf: 4 KiB, sndbuf: 8 KiB, nodelay: on, quickack: off, user_timeout: 500ms, mss: 536,
      keepalive: {idle: 1s, interval: 2s, count: 3}, congestion: reno, linger: 0, ttl: 3, tos: 16}"""
    endpoints = f"{{client: {{on: client, connect: 'server:1', set: {options}}}}}"
    assert case(endpoints=endpoints).endpoints[0].options == SocketOptions(
        rcvbuf=4096,
        sndbuf=8192,
        nodelay=True,
        quickack=False,
        keepalive=(1_000_000_000, 2_000_000_000, 3),
        user_timeout_ns=500_000_000,
        mss=536,
        congestion="reno",
        linger_ns=0,
        ttl=3,
        tos=16,
    )


def test_programs() -> None:
    endpoints = "{a: {on: server, run: 'nc -l 80 | wc', ready: 80}, b: {on: client, run: [nc, server, 80]}}"
    shell, words = case(endpoints=endpoints).endpoints
    assert (shell.command, shell.port, shell.steps) == (("/bin/sh", "-c", "nc -l 80 | wc"), 80, ())
    assert words.command == ("nc", "server", "80")


# --- faults


def test_a_match_with_everything() -> None:
    when = fault(
        """{name: a b, link: client-server, do: drop, when: {
        from: client, to: server, flow: client, flags: has R, nth: 2, data: 3, contains: x,
        retransmitted: false, len: "1..", time: 5ms, state: established, times: every,
        win: 0, sack_ok: true}}"""
    ).when
    assert (when.sender, when.receiver, when.flow, when.flags, when.flags_has) == (
        "client",
        "server",
        "client",
        None,
        "R",
    )
    assert (when.nth, when.data, when.contains, when.retransmitted, when.payload_len) == (
        2,
        3,
        b"x",
        False,
        Count(1, None, "1.."),
    )
    assert (when.time_ns, when.state, when.times) == (5_000_000, "established", None)
    assert when.fields == SegmentSpec(win=0, sack_ok=True)


def test_a_match_fires_once_unless_told_otherwise() -> None:
    assert fault("{when: {flags: S.}, do: drop}").when.times == 1
    assert fault("{when: {flags: S.}, do: drop}").when.flags == "S."


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("drop", {}),
        ("{delay: 50ms}", {"delay_ns": 50_000_000}),
        ("duplicate", {"copies": 1}),
        ("{duplicate: 2}", {"copies": 2}),
        ("{hold: 3}", {"segments": 3}),
        ("{corrupt: tcp}", {"what": "tcp", "byte": None, "fix": False}),
        ("{corrupt: payload}", {"what": "payload", "byte": 1, "bit": 0, "fix": False}),
        (
            "{corrupt: {byte: 4, bit: 7, checksum: fix}}",
            {"what": "payload", "byte": 4, "bit": 7, "fix": True},
        ),
        (
            "{set: {win: 0, flags: '.', strip: sack}}",
            {"fields": SegmentSpec(win=0, flags="."), "strip": ("sack",), "fix": True},
        ),
        ("{set: {cksum: 0xbeef, checksum: keep}}", {"fields": SegmentSpec(cksum=0xBEEF), "fix": False}),
        (
            "{inject: {flags: S, seq: next - 1, ack: 0, text: x}}",
            {"seq": "next-1", "ack": "0", "payload": b"x", "fields": SegmentSpec(flags="S")},
        ),
        ("{kill: {endpoint: server, signal: TERM}}", {"endpoint": "server", "signal": "TERM"}),
    ],
)
def test_actions(action: str, fields: dict[str, Any]) -> None:
    endpoints = "{server: {on: server, listen: 105, process: on}}"
    (found,) = fault(f"{{when: {{}}, do: {action}}}", endpoints=endpoints).do
    assert {name: getattr(found, name) for name in fields} == fields


def test_a_fault_finds_its_link_by_its_hosts() -> None:
    sections = {"hosts": "[client, router, server]", "links": "[[client, router], [router, server]]"}
    assert fault("{when: {from: server}, do: drop}", **sections).link == "router-server"
    assert fault("{link: client-router, when: {}, do: drop}", **sections).link == "client-router"


# --- expectations and captures


def test_findings_in_all_their_forms() -> None:
    expect = """
  findings:
    client.eth0:
      gap: 0
      retransmission: [{count: 1, kind: rto, of: lost}, {after: gap}]
      one_of: [{reset: 1}, {injected_reset: 1, gap: "2.."}]
    any: {handshake: 1}"""
    faults = "[{name: lost, when: {}, do: drop}]"
    client, anywhere = case(expect=expect, faults=faults).expect.findings
    assert (client.vantage, anywhere.vantage) == ("client", "any")
    gap, first, second = client.findings
    assert (gap.name, gap.count.high) == ("gap", 0)
    assert (first.kind, first.of, second.after, str(second.count)) == ("rto", "lost", "gap", "1..")
    assert [[f.name for f in several] for several in client.one_of] == [["reset"], ["injected_reset", "gap"]]


def test_other_expectations() -> None:
    expect = """
  endpoints: {client: {error: [ECONNRESET, EPIPE], sent: "..1 KiB", throughput: "..50mbit", duration: "..1s"}}
  faults: {fault 1: "0..2"}
  capture: {server: {dropped: "1.."}}"""
    found = case(expect=expect, faults="[{when: {}, do: drop}]").expect
    (client,) = found.endpoints
    assert client.error == ("ECONNRESET", "EPIPE")
    assert client.sent == Count(0, 1024, "..1 KiB")
    assert client.throughput == Count(0, 50_000_000, "..50mbit")
    assert client.duration == Count(0, 1_000_000_000, "..1s")
    assert (found.faults[0].fault, str(found.faults[0].count)) == ("fault 1", "0..2")
    assert found.capture == {"server": {"dropped": Count(1, None, "1..")}}


def test_what_a_program_is_asked() -> None:
    endpoints = "{server: {on: server, run: nc -l 80}}"
    expect = "{endpoints: {server: {exit: -9, output: hello}}}"
    (server,) = case(endpoints=endpoints, expect=expect).expect.endpoints
    assert (server.exit, server.output) == (Count(-9, -9, "-9"), ("hello",))


def test_captures() -> None:
    capture = """{client: off, server: {
      filter: tcp, snaplen: 96, buffer: 64 KiB, count: 10, names: true, text: true,
      stall: {until: client done}}}"""
    client, server = case(capture=capture, expect="{counters: {client: {TcpInErrs: 0}}}").captures
    assert client.off
    assert (server.filter, server.snaplen, server.buffer_kib, server.count) == ("tcp", 96, 64, 10)
    assert (server.names, server.text, server.off) == (True, True, False)
    assert server.stall is not None
    assert server.stall.subject == "client"


def test_the_rest_of_the_top() -> None:
    requires = "requires: {programs: nc, sysctls: [net.x], root: on}\n"
    found = case("about: a\ntimeout: 5s\nseed: 7\ntiming: kernel\n" + requires)
    assert (found.about, found.timeout_ns, found.seed, found.kernel_timing) == ("a", 5_000_000_000, 7, True)
    assert (found.requires.programs, found.requires.sysctls, found.requires.root) == (
        ("nc",),
        ("net.x",),
        True,
    )


def test_errors_read_as_lines_in_the_order_of_the_file() -> None:
    with pytest.raises(ScenarioErrors) as caught:
        load("hosts: 1\nscenario: 2\n", "x.yaml")
    assert [problem.at.line for problem in caught.value.problems] == [1, 1, 2]
    assert str(caught.value).count("\n") == 2


def test_kinds_of_a_finding_are_known_by_its_detector() -> None:
    text = "".join(f"{key}: {value}\n" for key, value in REST.items())
    text = text.replace("client: {}", "client: {gap: {kind: fats}}")
    with pytest.raises(ScenarioErrors) as caught:
        load(text, "x.yaml", findings={"gap": ("fast",)})
    assert 'unknown kind of gap "fats", did you mean "fast"' in str(caught.value)
