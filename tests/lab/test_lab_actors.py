"""Endpoints on the real kernel: every step, every ending."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from playing import SECOND, Ground, errors, play
from small_lab import client, listener, options, plan, step

from tcpharness.lab.actors import Actors
from tcpharness.lab.build import Lab
from tcpharness.lab.payload import Seeded
from tcpharness.lab.socket_table import SocketTable, settle
from tcpharness.lab.stage import Stage
from tcpharness.scenario.model import Step, Target, Until

pytestmark = pytest.mark.netns
KIB = 1024


@pytest.mark.parametrize("ip", [4, 6])
def test_bytes_arrive_and_are_checked(ground: Ground, ip: int) -> None:
    outcomes = play(ground, listener(), client(step("send", size=300 * KIB), step("close")), ip=ip)
    assert errors(outcomes) == {}
    sent, received = outcomes["client"].connections[0], outcomes["server"].connections[0]
    assert (sent.sent_bytes, received.received_bytes) == (300 * KIB, 300 * KIB)
    assert received.expected_bytes == 300 * KIB
    assert received.remote == sent.local
    assert sent.opened_ns is not None
    assert received.opened_ns is not None
    assert received.first_byte_ns is not None
    assert received.last_byte_ns is not None
    assert received.closed_ns is not None
    assert received.opened_ns < received.first_byte_ns <= received.last_byte_ns < received.closed_ns
    assert received.tcp_info["bytes_received"] >= 300 * KIB
    assert outcomes["server"].unfinished is None


def test_what_a_late_reader_finds_is_not_taken_for_speed(ground: Ground) -> None:
    """All of it was there when the first byte was read: nothing is left whose pace could be measured."""
    late = listener(step("pause", until="client done"), step("receive", size=KIB), step("receive"))
    early = client(step("send", size=8 * KIB), step("close"), options=options(linger_ns=2 * SECOND))
    received = play(ground, late, early)["server"].connections[0]
    assert (received.first_bytes, received.received_bytes) == (8 * KIB, 8 * KIB)


def test_a_wrong_byte_is_named_by_its_offset(ground: Ground) -> None:
    """Somebody else connects too, and says what the client says but for the seventh byte."""
    said = bytearray(Seeded(7, "client").read(0, 10))
    said[6] ^= 0x20

    async def forge(actors: Actors, stage: Stage) -> None:
        with actors.lab.hosts["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as forger:
            forger.connect(("10.77.0.2", 105))
            forger.send(said)

    outcomes = play(ground, listener(times=2), client(step("send", size=10)), meanwhile=forge)
    wrong = [c for c in outcomes["server"].connections if c.error]
    assert [(c.error, c.error_step, c.received_bytes) for c in wrong] == [
        ("mismatch", "receive (x.yaml:5:3)", 10)
    ]
    assert wrong[0].error_text == "byte 6 of the stream (from 0) is not what was sent"


def test_both_directions_with_text_file_and_size(ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "body.bin").write_bytes(bytes(range(256)) * 100)
    outcomes = play(
        ground,
        listener(
            step("receive", text=b"\r\n\r\n"), step("send", text=b"HELLO"), step("send", size=70_000),
            step("receive"),
        ),
        client(
            step("send", text=b"GET /\r\n\r\n"), step("send", file="body.bin"), step("receive", text=b"LO"),
            step("receive", size=69_000), step("receive", size=1_000), step("shutdown"), step("receive"),
        ),
        base_dir=tmp_path,
    )  # fmt: skip
    assert errors(outcomes) == {}
    assert outcomes["server"].received_bytes == 9 + 25_600
    assert outcomes["client"].received_bytes == 70_005


def test_a_file_that_is_not_there(ground: Ground, tmp_path: Path) -> None:
    outcomes = play(ground, listener(), client(step("send", 12, file="no.bin")), base_dir=tmp_path)
    (connection,) = outcomes["client"].connections
    assert connection.error == "ENOENT"
    assert connection.error_step == "send (x.yaml:12:3)"
    assert "no.bin" in (connection.error_text or "")


def test_without_steps_a_client_closes_and_a_listener_reads_to_the_end(ground: Ground) -> None:
    outcomes = play(ground, listener(), client())
    assert errors(outcomes) == {}
    assert outcomes["server"].connections[0].closed_ns is not None


def test_blocked_is_seen_and_the_server_goes_on(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(
            step("pause", until="client blocked"), step("receive", size=200 * KIB),
            step("pause", until="client blocked"), step("receive"),
        ),
        client(step("send", size=8192 * KIB), options=options(sndbuf=64 * KIB)),
    )  # fmt: skip
    assert errors(outcomes) == {}
    assert outcomes["server"].received_bytes == 8192 * KIB
    # The kernel's own witness: the sender was limited by the receiver's window.
    assert outcomes["client"].connections[0].tcp_info["rwnd_limited"] > 0


def test_a_condition_that_can_no_longer_come_true_ends_at_once(ground: Ground) -> None:
    began = time.monotonic()
    outcomes = play(
        ground,
        listener(step("pause", until="client blocked"), step("receive")),
        client(step("send", size=10)),
    )
    (connection,) = outcomes["server"].connections
    assert connection.error == "unmet"
    assert connection.error_text == "waited until client blocked; client was established, closed, done"
    assert time.monotonic() - began < 2


def test_many_connections_at_once(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(step("receive", size=64 * KIB), step("send", size=5000), times=50),
        client(step("send", size=64 * KIB), step("receive"), times=50),
    )
    assert errors(outcomes) == {}
    assert len(outcomes["server"].connections) == len(outcomes["client"].connections) == 50
    assert outcomes["server"].received_bytes == 50 * 64 * KIB
    assert outcomes["client"].received_bytes == 50 * 5000


def test_two_clients_of_one_listener_are_told_apart_by_what_they_send(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(times=2),
        client(step("send", size=10_000), name="one"),
        client(step("send", size=20_000), name="two"),
    )
    assert errors(outcomes) == {}
    assert {c.expected_bytes for c in outcomes["server"].connections} == {10_000, 20_000}


def test_refused(ground: Ground) -> None:
    outcomes = play(ground, client(target=Target(None, "server", 9)))
    (connection,) = outcomes["client"].connections
    assert connection.error == "ECONNREFUSED"
    assert connection.error_step == "connect (x.yaml:6:3)"
    assert "10.77.0.2 port 9" in (connection.error_text or "")


def test_abort_resets_the_other_side(ground: Ground) -> None:
    outcomes = play(ground, listener(), client(step("send", size=10), step("abort")))
    assert errors(outcomes) == {"server": ["ECONNRESET"]}
    assert outcomes["client"].connections[0].tcp_info["state"] == 1  # seen just before the abort


def test_close_with_unread_bytes_resets_as_close_does(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(step("pause", until="client established"), step("receive", size=1), step("close")),
        client(step("send", size=1000), step("receive")),
    )
    assert errors(outcomes) == {"client": ["ECONNRESET"]}


def test_writing_to_a_closed_connection(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(step("close")),
        client(
            step("receive"),
            step("send", size=1),
            step("pause", wait_ns=SECOND // 50),
            step("send", 11, size=1),
        ),
    )
    (connection,) = outcomes["client"].connections
    assert connection.error == "EPIPE"
    assert connection.error_step == "send (x.yaml:11:3)"


def test_closed_is_when_the_socket_is_even_if_the_steps_go_on(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(step("pause", until="client closed"), step("receive")),
        client(step("close"), step("pause", until="server done")),
    )
    assert errors(outcomes) == {}
    assert outcomes["client"].unfinished is None


@pytest.mark.parametrize("steps", [(step("send", size=5), step("close")), (step("send", size=5),)])
def test_a_lingering_close_waits_off_the_loop(ground: Ground, steps: tuple[Step, ...]) -> None:
    outcomes = play(ground, listener(), client(*steps, options=options(linger_ns=2 * SECOND)))
    assert errors(outcomes) == {}
    assert outcomes["server"].received_bytes == 5
    assert outcomes["client"].connections[0].closed_ns is not None


def test_end_of_file_too_early_for_a_step(ground: Ground) -> None:
    outcomes = play(ground, listener(step("receive", size=100)), client(step("send", size=60)))
    (connection,) = outcomes["server"].connections
    assert connection.error == "EOF"
    assert connection.error_text == "the other side closed 40 bytes short of 100"


def test_a_port_in_use_is_named_with_its_host(ground: Ground) -> None:
    outcomes = play(ground, listener(), listener(name="second"), client())
    assert outcomes["second"].error == "EADDRINUSE"
    assert outcomes["second"].error_text == "port 105 on host server is already in use"
    assert outcomes["server"].errors() == []


def test_options_are_set_before_and_in_between(ground: Ground) -> None:
    seen: dict[str, Any] = {}

    async def look(actors: Actors, stage: Stage) -> None:
        await stage.wait(Until("fault", "fired", plan().case.at))  # released below
        sock = actors._actors["client"].connections[0].sock  # type: ignore[attr-defined]
        seen["mss"] = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        seen["nodelay"] = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        seen["idle"] = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        seen["timeout"] = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        seen["tos"] = sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)
        seen["rcvbuf"] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        stage.reach("look", "fired")

    async def both(actors: Actors, stage: Stage) -> None:
        looking = asyncio.ensure_future(look(actors, stage))
        await stage.wait(step("pause", until="server established").until)  # type: ignore[arg-type]
        while actors._actors["client"].connections[0].doing.startswith(("connect", "set")):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        stage.reach("fault", "fired")
        await looking

    first = options(mss=700, rcvbuf=100_000, tos=16, congestion="reno")
    later = options(nodelay=True, keepalive=(2 * SECOND, SECOND, 3), user_timeout_ns=SECOND * 3 // 2)
    outcomes = play(
        ground,
        listener(step("receive")),
        client(step("set", options=later), step("pause", until="look fired"), options=first),
        meanwhile=both,
    )
    assert errors(outcomes) == {}
    assert seen == {"mss": 688, "nodelay": 1, "idle": 2, "timeout": 1500, "tos": 16, "rcvbuf": 200_000}


def test_an_option_that_the_kernel_refuses_is_named(ground: Ground) -> None:
    outcomes = play(ground, listener(), client(options=options(congestion="nosuch")))
    (connection,) = outcomes["client"].connections
    assert connection.error == "ENOENT"
    assert connection.error_text == "socket option congestion nosuch: No such file or directory"


def test_a_deadline_says_what_each_was_waiting_for(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(step("receive", 9)),
        client(step("send", size=4096), step("pause", 12, until="storm fired")),
        seconds=0.2,
    )
    assert outcomes["server"].unfinished == "receive: eof at x.yaml:9:3, 4096 bytes so far"
    assert outcomes["client"].unfinished == "pause: until storm fired at x.yaml:12:3"
    assert outcomes["client"].connections[0].closed_ns is not None


def test_a_listener_that_nobody_reaches_is_let_go(ground: Ground) -> None:
    outcomes = play(ground, listener(), client(target=Target(None, "server", 9)))
    assert outcomes["server"].unfinished is None
    assert outcomes["server"].error_text == "0 of 1 connections came"


def test_within_one_host_the_loopback_is_used(ground: Ground) -> None:
    outcomes = play(ground, listener(), client(step("send", size=10), on="server"))
    assert outcomes["client"].connections[0].remote == ("127.0.0.1", 105)
    assert outcomes["server"].received_bytes == 10


def test_a_source_port_as_asked(ground: Ground) -> None:
    outcomes = play(ground, listener(port=106), client(from_port=40_001))
    assert outcomes["server"].connections[0].remote == ("10.77.0.1", 40_001)


def test_an_endpoint_in_the_loop_cannot_be_killed(ground: Ground) -> None:
    async def kill(actors: Actors, stage: Stage) -> None:
        actors.kill("server", "KILL")

    outcomes = play(ground, listener(), client(), meanwhile=kill)
    assert outcomes["server"].error == "not a process"


def test_settle_says_what_is_left(ground: Ground) -> None:
    async def run(lab: Lab) -> list[str]:
        return await settle(lab, time.monotonic_ns() + SECOND // 50)

    with (
        ground.lab(plan()) as lab,
        lab.hosts["server"].socket(socket.AF_INET, socket.SOCK_STREAM) as listening,
    ):
        listening.bind(("10.77.0.2", 107))
        listening.listen()
        with lab.hosts["client"].socket(socket.AF_INET, socket.SOCK_STREAM) as connecting:
            connecting.connect(("10.77.0.2", 107))
            port = connecting.getsockname()[1]
            with SocketTable(lab.hosts["server"]) as table:
                assert table.listening() == {107}
            left = asyncio.run(run(lab))
    assert f"client: 10.77.0.1.{port} > 10.77.0.2.107 ESTABLISHED" in left
    assert f"server: 10.77.0.2.107 > 10.77.0.1.{port} ESTABLISHED" in left
