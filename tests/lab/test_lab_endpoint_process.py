"""Endpoints in a process of their own: the same outcomes, and they can be killed."""

from __future__ import annotations

import asyncio

import pytest
from playing import Ground, errors, play
from small_lab import client, listener, options, step

from tcpharness.lab.actors import Actors
from tcpharness.lab.stage import Stage
from tcpharness.scenario.model import Target

pytestmark = pytest.mark.netns
KIB = 1024


def test_both_sides_in_processes(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(times=3, process=True),
        client(step("send", size=100 * KIB), times=3, process=True),
    )
    assert errors(outcomes) == {}
    assert outcomes["server"].received_bytes == 300 * KIB
    connection = outcomes["client"].connections[0]
    assert connection.remote == ("10.77.0.2", 105)
    info = connection.tcp_info  # just before the close, when some may still have been in the buffer
    assert info["bytes_sent"] + info["notsent_bytes"] >= 100 * KIB
    assert outcomes["server"].exit_status == 0


def test_conditions_travel_both_ways(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(step("pause", until="client blocked"), step("receive"), process=True),
        client(step("send", size=4096 * KIB), options=options(sndbuf=64 * KIB)),
    )
    assert errors(outcomes) == {}
    outcomes = play(
        ground,
        listener(step("pause", until="client blocked"), step("receive")),
        client(step("send", size=4096 * KIB), options=options(sndbuf=64 * KIB), process=True),
    )
    assert errors(outcomes) == {}
    assert outcomes["server"].received_bytes == 4096 * KIB


def test_a_condition_that_never_holds(ground: Ground) -> None:
    outcomes = play(ground, listener(step("pause", until="client blocked"), process=True), client())
    (connection,) = outcomes["server"].connections
    assert connection.error == "unmet"
    assert connection.error_text == "waited until client blocked; client was established, closed, done"


def test_killed(ground: Ground) -> None:
    async def kill(actors: Actors, stage: Stage) -> None:
        while not (await actors._actors["server"].expire()).startswith("pause"):
            await asyncio.sleep(0)
        actors.kill("server", "KILL")

    outcomes = play(
        ground,
        listener(step("pause", 9, until="storm fired"), process=True),
        client(step("receive")),
        meanwhile=kill,
    )
    assert outcomes["server"].error == "SIGKILL"
    assert outcomes["server"].error_text == "killed by SIGKILL during pause: until storm fired at x.yaml:9:3"
    assert outcomes["server"].exit_status == -9
    assert outcomes["server"].connections[0].remote == outcomes["client"].connections[0].local
    assert outcomes["client"].connections[0].error is None  # the kernel closed for it, in order


def test_a_deadline_says_what_it_was_waiting_for(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(step("receive", 9), process=True),
        client(step("send", size=4096), step("pause", until="storm fired")),
        seconds=0.5,
    )
    assert outcomes["server"].unfinished == "receive: eof at x.yaml:9:3, 4096 bytes so far"
    assert outcomes["server"].received_bytes == 4096


def test_a_stopped_process_does_not_hold_up_the_deadline(ground: Ground) -> None:
    async def stop(actors: Actors, stage: Stage) -> None:
        await stage.wait(step("pause", until="server established").until)  # type: ignore[arg-type]
        actors.kill("server", "STOP")

    outcomes = play(ground, listener(process=True), client(step("receive")), seconds=0.5, meanwhile=stop)
    assert (outcomes["server"].unfinished or "").endswith("(its process does not answer)")


def test_a_port_in_use(ground: Ground) -> None:
    outcomes = play(ground, listener(), listener(name="second", process=True, port=105), client())
    both = {outcomes["server"].error, outcomes["second"].error}
    assert both == {None, "EADDRINUSE"}
    assert outcomes["second"].unfinished is None


def test_nobody_comes(ground: Ground) -> None:
    outcomes = play(ground, listener(process=True), client(target=Target(None, "server", 9)))
    assert outcomes["server"].unfinished is None
    assert outcomes["server"].error_text == "0 of 1 connections came"
