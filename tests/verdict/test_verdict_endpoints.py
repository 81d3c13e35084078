"""Endpoints end as their steps say, or as the scenario expects."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from verdict_scene import Scene, text_of

from tcpharness.evidence import ConnectionOutcome

MS, SECOND = 1_000_000, 1_000_000_000
KILLABLE = """endpoints:
  server: {on: server, listen: 105, process: on, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 1000 B, close]}
"""
PROGRAM = """endpoints:
  server: {on: server, run: "nc -l 105", ready: 105}
  client: {on: client, run: "nc server 105"}
"""
THRICE = """endpoints:
  server: {on: server, listen: 105, times: 3, do: [receive: eof, close]}
  client: {on: client, connect: server, times: 3, do: [send: 1000 B, close]}
"""
Setting = Callable[[Scene], object]


def scene(expect: str, endpoints: str = KILLABLE) -> Scene:
    """Everything went well: one connection, 1000 bytes in 8 ms."""
    made = Scene(f"endpoints: {{{expect}}}", endpoints=endpoints)
    made.talk()
    for name in ("client", "server"):
        times = next(e.times for e in made.case.endpoints if e.name == name)
        made.endpoint(name).connections = [ConnectionOutcome() for _ in range(times)]
        if made.endpoint(name).kind == "run":
            made.endpoint(name).connections = []
            made.endpoint(name).exit_status = 0
        for c in made.endpoint(name).connections:
            c.opened_ns, c.first_byte_ns, c.last_byte_ns, c.closed_ns = 5 * MS, 6 * MS, 14 * MS, 15 * MS
            sent = name == "client"
            c.sent_bytes, c.received_bytes, c.expected_bytes = (1000, 0, 0) if sent else (0, 1000, 1000)
    return made


def went(made: Scene, where: str, value: object) -> None:
    """`client.error` or `client.connections.0.error` becomes so."""
    name, *path, last = where.split(".")
    target: object = made.endpoint(name)
    for step in path:
        target = target[int(step)] if isinstance(target, list) else getattr(target, step)
    assert hasattr(target, last)
    setattr(target, last, value)


FIRST = "connections.0"
NOTHING, SOME = "client: {}", "server: {}"

# what is expected; what came; words of the failure, or None for a pass
Row = tuple[str, dict[str, object], str | None]
ENDS: list[Row] = [
    (NOTHING, {}, None),
    (NOTHING, {f"client.{FIRST}.error": "ECONNRESET"}, "client to end as its steps say"),
    ("client: {error: none}", {}, None),
    ("client: {error: none}", {f"client.{FIRST}.error": "EPIPE"}, "client to end without an error"),
    ("client: {error: ECONNRESET}", {f"client.{FIRST}.error": "ECONNRESET"}, None),
    ("client: {error: ECONNRESET}", {f"client.{FIRST}.error": "EPIPE"}, "client to end with ECONNRESET"),
    ("client: {error: ECONNRESET}", {}, "found no error"),
    ("client: {error: [ECONNRESET, EPIPE]}", {f"client.{FIRST}.error": "EPIPE"}, None),
    ("client: {error: [none, EPIPE]}", {}, None),
    ("client: {error: [EPIPE, none]}", {f"client.{FIRST}.error": "EPIPE"}, None),
    ("client: {error: [EPIPE, none]}", {f"client.{FIRST}.error": "ETIMEDOUT"}, "EPIPE or none"),
    ("server: {error: EOF}", {f"server.{FIRST}.error": "EOF"}, None),
    (NOTHING, {f"server.{FIRST}.error": "mismatch"}, "mismatch"),
    ("server: {error: mismatch}", {f"server.{FIRST}.error": "mismatch"}, None),
    (NOTHING, {f"server.{FIRST}.error": "unmet"}, "unmet"),
    (NOTHING, {"server.error": "SIGKILL", "server.exit_status": -9}, "SIGKILL"),
    ("server: {error: SIGKILL}", {"server.error": "SIGKILL", "server.exit_status": -9}, None),
    ("server: {exit: -9}", {"server.error": "SIGKILL", "server.exit_status": -9}, None),
    ("server: {exit: -9}", {"server.error": "SIGTERM", "server.exit_status": -15}, "exit -9"),
    ("server: {exit: 0}", {"server.exit_status": None}, "nothing measured"),
    ("server: {exit: 1}", {"server.error": "crashed", "server.exit_status": 1}, None),
    (NOTHING, {"server.error": "crashed", "server.exit_status": 1}, "crashed"),
    (NOTHING, {"server.error": "EADDRINUSE", "server.error_text": "port 105 in use"}, "port 105 in use"),
    ("client: {error: none}", {"client.unfinished": "receive: eof, 7 bytes so far"}, "7 bytes so far"),
    ("client: {error: [none, EPIPE]}", {"client.unfinished": ""}, "client to finish in time"),
    ("client: {error: [none, EPIPE]}", {"client.connections": []}, "it never tried"),
    (NOTHING, {"server.connections": []}, "server to serve 1 connection"),
    ("client: {error: ETIMEDOUT}", {f"client.{FIRST}.error": "ETIMEDOUT", "server.connections": []}, None),
]  # fmt: skip
AMOUNTS: list[Row] = [
    ("client: {sent: 1000 B}", {}, None),
    ("client: {sent: 1 KiB}", {}, "client: sent 1 KiB"),
    ("server: {received: 1000 B}", {}, None),
    ("server: {received: '1 B..'}", {f"server.{FIRST}.received_bytes": 0}, "0 bytes"),
    ("server: {throughput: 1mbit}", {}, None),
    ("server: {throughput: '..999kbit'}", {}, "1000000 bit/s"),
    ("server: {throughput: '..500kbit'}", {f"server.{FIRST}.first_bytes": 500}, None),
    ("client: {throughput: '1bit..'}", {f"client.{FIRST}.first_byte_ns": None}, "nothing measured"),
    ("client: {throughput: '1bit..'}", {f"client.{FIRST}.last_byte_ns": 6 * MS}, "nothing measured"),
    ("client: {duration: 10ms}", {}, None),
    ("client: {duration: 10ms}", {f"client.{FIRST}.opened_ns": 0}, "15000000 ns"),
    ("client: {duration: '..9ms'}", {}, "10000000 ns"),
    ("client: {duration: '..1s'}", {f"client.{FIRST}.closed_ns": None}, "nothing measured"),
]
PAYLOAD: list[Row] = [
    (SOME, {f"server.{FIRST}.received_bytes": 999}, "server to receive 1000 bytes"),
    (SOME, {f"server.{FIRST}.received_bytes": 1001}, "1001 bytes, and no error"),
    ("server: {received: 999 B}", {f"server.{FIRST}.received_bytes": 999}, None),
    (SOME, {f"server.{FIRST}.expected_bytes": None, f"server.{FIRST}.received_bytes": 1}, None),
    (
        "client: {error: ECONNRESET}",
        {f"server.{FIRST}.received_bytes": 999, f"client.{FIRST}.error": "ECONNRESET"},
        None,
    ),
]


@pytest.mark.parametrize(("expect", "changes", "words"), ENDS + AMOUNTS + PAYLOAD)
def test_endpoints(expect: str, changes: dict[str, object], words: str | None) -> None:
    made = scene(expect)
    for where, value in changes.items():
        went(made, where, value)
    check(made, words)


def check(made: Scene, words: str | None) -> None:
    verdict = made.judge()
    text = text_of(verdict)
    assert verdict.outcome == ("pass" if words is None else "fail"), text
    assert (words or "") in text


PROGRAMS: list[Row] = [
    (NOTHING, {}, None),
    (NOTHING, {"client.exit_status": 1, "client.output": "a\nb\nc\nrefused\n"}, "b | c | refused"),
    (NOTHING, {"client.exit_status": 1}, "it printed nothing"),
    (NOTHING, {"client.exit_status": None}, "it never exited"),
    (NOTHING, {"server.exit_status": 1, "server.ended_by_us": True}, None),
    (NOTHING, {"server.exit_status": None, "server.ended_by_us": True}, None),
    ("client: {exit: 1}", {"client.exit_status": 1}, None),
    ("client: {exit: 1}", {}, "client: exit 1"),
    ("client: {exit: -9}", {"client.exit_status": -9, "client.error": "SIGKILL"}, None),
    (NOTHING, {"client.exit_status": -9, "client.error": "SIGKILL"}, "SIGKILL"),
    ("client: {exit: 0}", {"client.exit_status": None}, "nothing measured"),
    ("client: {output: HELLO}", {"client.output": "say HELLO\n"}, None),
    ("client: {output: HELLO}", {"client.output": "say\n"}, "client to print 'HELLO'"),
    ("client: {output: [80 open, 81 closed]}", {"client.output": "80  open\n81\tclosed\n"}, None),
    ("client: {output: [80 open, 81 closed]}", {"client.output": "80 open\n"}, "to print '81 closed'"),
    (NOTHING, {"client.error": "ENOENT", "client.error_text": "nc: no such program"}, "no such program"),
]


@pytest.mark.parametrize(("expect", "changes", "words"), PROGRAMS)
def test_programs(expect: str, changes: dict[str, object], words: str | None) -> None:
    made = scene(expect, PROGRAM)
    for where, value in changes.items():
        went(made, where, value)
    check(made, words)


MANY: list[Row] = [
    (NOTHING, {}, None),
    (
        "client: {error: ECONNREFUSED}",
        {f"client.{FIRST}.error": "ECONNREFUSED"},
        "2 of 3 connections",
    ),
    ("client: {error: [none, ECONNREFUSED]}", {f"client.{FIRST}.error": "ECONNREFUSED"}, None),
    (NOTHING, {"client.connections.2.error": "EPIPE"}, "EPIPE"),
    (NOTHING, {"server.connections.2.received_bytes": 1001}, "connection 3 of server to receive 1000"),
    ("client: {sent: 3000 B, duration: 10ms}", {}, None),
]


@pytest.mark.parametrize(("expect", "changes", "words"), MANY)
def test_many_connections(expect: str, changes: dict[str, object], words: str | None) -> None:
    made = scene(expect, THRICE)
    for where, value in changes.items():
        went(made, where, value)
    check(made, words)


def test_a_client_that_made_some_of_its_connections() -> None:
    made = scene(NOTHING, THRICE)
    made.endpoint("client").connections.pop()
    check(made, "it tried 2 of 3 times")


def test_a_server_that_served_some_of_its_connections() -> None:
    made = scene(NOTHING, THRICE)
    made.endpoint("server").connections.pop()
    check(made, "server to serve 3 connections")


def test_many_errors_are_counted_not_listed() -> None:
    made = scene(NOTHING, THRICE.replace("times: 3", "times: 5"))
    for c in made.endpoint("client").connections:
        c.error, c.error_step, c.error_text = "EPIPE", "send (x.yaml:6:1)", "Broken pipe"
    verdict = made.judge()
    (failure,) = verdict.failures
    assert failure.actual.count("EPIPE in send (x.yaml:6:1): Broken pipe") == 3
    assert failure.actual.endswith("; and 2 more")


def test_an_endpoint_that_never_acted() -> None:
    made = scene(NOTHING)
    del made.evidence.endpoints["client"]
    check(made, "client to have acted")
