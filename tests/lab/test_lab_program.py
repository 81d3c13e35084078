"""Real programs as endpoints, here small Python ones: ready by their port, output kept, ended in time."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest
from playing import Ground, errors, play
from small_lab import client, listener, program, step

from tcpharness.lab.actors import Actors
from tcpharness.lab.stage import Stage

pytestmark = pytest.mark.netns

ECHO = """
import socket
s = socket.create_server(("", 80))
print("listening", flush=True)
c, _ = s.accept()
while data := c.recv(4096):
    c.sendall(data)
c.close()
print("served", flush=True)
s.accept()
"""
STUBBORN = """
import signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
s = socket.create_server(("", 80))
time.sleep(60)
"""
TALK = """
import socket
c = socket.create_connection(("server", 105))
c.sendall(b"from a program")
print(c.recv(100).decode(), end="")
"""


def test_a_server_program_is_ready_by_its_port_and_told_to_end(ground: Ground) -> None:
    web = program(sys.executable, "-c", ECHO, name="web", port=80)
    hello = client(step("send", text=b"HELLO"), step("receive", text=b"HELLO"), to="web")
    outcomes = play(ground, web, hello)
    assert errors(outcomes) == {}
    assert outcomes["web"].output == "listening\nserved\n"
    assert outcomes["web"].ended_by_us
    assert outcomes["web"].exit_status == -15


def test_a_program_that_ignores_sigterm_is_killed(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcpharness.lab.program.TERM_S", 0.05)
    monkeypatch.setattr("tcpharness.lab.actors.TALK_NS", 50_000_000)
    outcomes = play(ground, program(sys.executable, "-c", STUBBORN, port=80), client(to="tool"))
    assert outcomes["tool"].exit_status == -9
    assert outcomes["tool"].ended_by_us
    assert errors(outcomes) == {}


def test_a_client_program_talks_to_a_listener(ground: Ground) -> None:
    outcomes = play(
        ground,
        listener(step("receive", text=b"program"), step("send", text=b"good day")),
        program(sys.executable, "-c", TALK, on="client"),
    )
    assert errors(outcomes) == {}
    assert outcomes["server"].received_bytes == 14
    assert outcomes["tool"].output == "good day"
    assert outcomes["tool"].exit_status == 0


def test_exited_before_it_listened(ground: Ground) -> None:
    broken = program("sh", "-c", "echo starting; echo no such config; exit 3", port=80)
    outcomes = play(ground, broken)
    assert outcomes["tool"].error == "not ready"
    assert outcomes["tool"].error_text == (
        "sh exited with status 3 before it listened on port 80 of host server; "
        "it said: starting / no such config"
    )
    assert outcomes["tool"].exit_status == 3


def test_a_program_that_is_not_there(ground: Ground) -> None:
    outcomes = play(ground, program("no-such-program", on="client"))
    assert outcomes["tool"].error == "ENOENT"
    assert outcomes["tool"].error_text == "no-such-program: no such program on this machine"


def test_a_program_that_cannot_be_executed(ground: Ground, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF and nothing more")
    broken.chmod(0o755)
    outcomes = play(ground, program(str(broken), on="client"))
    assert outcomes["tool"].error == "not started"
    assert "Exec format error" in (outcomes["tool"].error_text or "")


def test_a_port_that_is_taken_before_it_starts(ground: Ground) -> None:
    two = (
        program(sys.executable, "-c", ECHO, name="web", port=80),
        listener(port=80),
    )
    outcomes = play(ground, *two, seconds=1)
    texts = [o.error_text for o in outcomes.values() if o.error == "EADDRINUSE"]
    assert texts == ["port 80 on host server is already in use"]


def test_killed_by_a_fault(ground: Ground) -> None:
    async def kill(actors: Actors, stage: Stage) -> None:
        while "said: waiting" not in await actors._actors["tool"].expire():
            await asyncio.sleep(0)
        actors.kill("tool", 9)

    waiting = program("sh", "-c", "echo waiting; exec sleep 60", on="client")
    assert play(ground, waiting, meanwhile=kill)["tool"].error == "SIGKILL"


def test_a_program_that_does_not_end_is_reported_and_gone(ground: Ground) -> None:
    began = time.monotonic()
    outcomes = play(ground, program("sh", "-c", "echo waiting; exec sleep 60", on="client"), seconds=0.3)
    assert outcomes["tool"].unfinished == (
        "run: sh -c echo waiting; exec sleep 60 has not exited at x.yaml:7:3; it said: waiting"
    )
    assert time.monotonic() - began < 3


def test_a_flood_of_output_is_bounded(ground: Ground) -> None:
    flood = program(
        "sh", "-c", "echo first; head -c 5000000 /dev/zero | tr '\\0' 'x'; echo last", on="client"
    )
    output = play(ground, flood)["tool"].output
    assert output.startswith("first\nxxx")
    assert output.endswith("xlast\n")
    assert "bytes left out" in output
    assert len(output) < 1_100_000
