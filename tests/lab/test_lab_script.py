"""Who connects where, and what may arrive: worked out from the plan alone."""

from __future__ import annotations

import pytest
from small_lab import client, listener, plan, program, step

from tcpharness.lab.script import describe, steps_of, target_of, write_scripts
from tcpharness.scenario.model import Endpoint, Step, Target


def test_a_client_and_its_listener_know_each_others_bytes() -> None:
    scripts = write_scripts(
        plan(listener(step("send", text=b"hi")), client(step("send", size=100), step("send", text=b"!"))),
        1,
        {},
    )
    assert scripts["server"].candidates == (scripts["client"].stream,)
    assert scripts["client"].candidates == (scripts["server"].stream,)
    assert scripts["client"].stream.length == 101
    assert scripts["client"].remote == ("10.77.0.2", 105)


@pytest.mark.parametrize(
    ("target", "on", "remote"),
    [
        (Target("server", None, None), "client", ("10.77.0.2", 105)),
        (Target("server", None, None), "server", ("127.0.0.1", 105)),
        (Target(None, "server", 105), "client", ("10.77.0.2", 105)),
        (Target(None, "10.77.0.2", 105), "client", ("10.77.0.2", 105)),
        (Target(None, "127.0.0.1", 105), "server", ("127.0.0.1", 105)),
        (Target(None, "localhost", 105), "server", ("127.0.0.1", 105)),
        (Target(None, "server", 9), "client", ("10.77.0.2", 9)),
    ],
)
def test_where_a_client_connects(target: Target, on: str, remote: tuple[str, int]) -> None:
    asked = Endpoint("client", on, "connect", listener().at, target=target)
    made = plan(listener(), asked)
    assert write_scripts(made, 1, {})["client"].remote == remote
    reached = target_of(asked, made)
    assert (reached.name if reached else None) == ("server" if remote[1] == 105 else None)


def test_programs_are_not_checked() -> None:
    scripts = write_scripts(plan(listener(), program("nc")), 1, {})
    assert scripts["server"].candidates == ()
    assert scripts["server"].foreign
    web = program("nginx", name="web", port=80)
    scripts = write_scripts(plan(web, client(to="web")), 1, {})
    assert scripts["client"].remote == ("10.77.0.2", 80)
    assert scripts["client"].candidates == ()


def test_files_are_sent_as_they_are_and_may_be_missing() -> None:
    sending = client(step("send", file="a"), step("send", file="b"))
    scripts = write_scripts(plan(listener(), sending), 1, {"a": b"text"})
    assert scripts["client"].parts == (b"text", None)


def test_default_steps() -> None:
    assert [s.do for s in steps_of(listener())] == ["receive"]
    assert steps_of(client()) == ()


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (step("receive"), "receive: eof"),
        (step("receive", size=10), "receive: 10 bytes"),
        (step("send", text=b"HI\n"), "send: 'HI\\n'"),
        (step("send", file="a.bin"), "send: file a.bin"),
        (step("pause", until="client blocked"), "pause: until client blocked"),
        (step("pause", wait_ns=1_500_000), "pause: 1.5 ms"),
        (step("close"), "close"),
    ],
)
def test_a_step_as_text(one: Step, text: str) -> None:
    assert describe(one) == text
