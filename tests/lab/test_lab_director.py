"""Events on a real kernel: each change is there when it is said to have happened, and a refusal is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from built_lab import BuildLab

from tcpharness.lab import sysctl
from tcpharness.lab.build import Lab
from tcpharness.lab.director import Director, changed
from tcpharness.lab.netlink import RouteSocket
from tcpharness.lab.routes import effective
from tcpharness.lab.stage import Stage
from tcpharness.scenario.event import FirewallChange
from tcpharness.scenario.model import Firewall, Place

AT = Place("x.yaml", 1, 1)
PAIR = "hosts: [client, server]\nlinks: [[client, server]]\n"
EVENTS = (
    PAIR
    + "endpoints: {client: {on: client, connect: server, process: on}, server: {on: server, listen: 105}}\n"
)


class Told:
    """A middlebox, a capture: whatever they are told."""

    def __init__(self) -> None:
        self.words: list[object] = []

    def reach(self, fault: str) -> None:
        self.words.append(fault)

    def cut(self, down: bool) -> None:
        self.words.append(down)

    async def start(self) -> None:
        self.words.append("start")


def direct(
    lab: Lab, act: Callable[[Stage], None] = lambda stage: None
) -> tuple[Director, dict[str, Told], list[tuple[str, str]]]:
    """Everything that the case's events do, when this happens on the stage."""
    box, capture, killed = Told(), Told(), list[tuple[str, str]]()

    async def kill(endpoint: str, signal: str) -> None:
        killed.append((endpoint, signal))

    async def run() -> Director:
        stage = Stage()
        director = Director(
            lab.plan, lab, stage, {"client-server": box}, {"server": capture},
            kill,
        )  # fmt: skip
        director.start()
        act(stage)
        async with asyncio.timeout(10):
            await asyncio.gather(*director._tasks)
        await director.stop()
        return director

    return asyncio.run(run()), {"box": box, "capture": capture}, killed


# --- pure


def test_ports_move_from_list_to_list() -> None:
    before = Firewall("accept", (80, 81), (90,), (), AT, strict=(90,))
    new = Firewall("drop", (), (), (80, 90), AT)
    after = changed(before, FirewallChange("server", new, policy=False, established=False))
    assert (after.policy, after.open, after.closed, after.filtered) == ("accept", (81,), (), (80, 90))
    assert after.strict == ()
    after = changed(before, FirewallChange("server", new, policy=True, established=True))
    assert (after.policy, after.strict) == ("drop", (80, 90))


# --- on a real kernel


@pytest.mark.netns
@pytest.mark.parametrize("ip", [4, 6])
def test_a_route_is_lost_and_found(build_lab: BuildLab, ip: int) -> None:
    events = """faults:
  - {name: lost, when: {time: 1ms}, do: {route: {on: client, to: server, unreachable: on}}}
  - {name: found, when: {after: lost, wait: 1ms}, do: {route: {on: client, to: server, mtu: 1300}}}
"""
    lab = build_lab(EVENTS + events, ip=ip)
    director, told, _ = direct(lab)
    assert director.problems == []
    assert [event.name for event in director.events] == ["lost", "found"]
    assert told["box"].words == ["lost", "found"]
    with RouteSocket(lab.hosts["client"]) as netlink:
        assert any("mtu 1300" in line for line in effective(netlink, {}))


@pytest.mark.netns
@pytest.mark.parametrize("ip", [4, 6])
def test_an_address_goes_and_comes_back(build_lab: BuildLab, ip: int) -> None:
    events = """faults:
  - {name: gone, when: {time: 1ms}, do: {address: {on: server}}}
  - {name: back, when: {after: gone}, do: {address: {on: server, gone: off}}}
  - {name: again, when: {after: back}, do: [{address: {on: server}}, {address: {on: server}}]}
"""
    director, _, _ = direct(build_lab(EVENTS + events, ip=ip))
    assert [event.hosts for event in director.events] == [("server",), ("server",), ("server", "server")]
    (problem,) = director.problems  # what is gone already can't be taken away
    assert "again: " in problem
    assert "Cannot assign requested address" in problem


@pytest.mark.netns
def test_settings_change_and_a_refused_one_is_told(build_lab: BuildLab) -> None:
    events = """faults:
  - {name: set, when: {}, do: {sysctl: {client: {net.ipv4.tcp_sack: 0}}}}
  - {name: odd, when: {after: set}, do: {sysctl: {client: {net.ipv4.tcp_nothing: 1}}}}
"""
    lab = build_lab(EVENTS + events)
    director, _, _ = direct(lab)
    with lab.hosts["client"].entered():
        assert sysctl.read("net.ipv4.tcp_sack") == "0"
    (problem,) = director.problems
    assert problem.endswith("odd: host client: sysctl net.ipv4.tcp_nothing: this kernel has no such setting")


@pytest.mark.netns
def test_links_captures_and_processes(build_lab: BuildLab) -> None:
    events = """faults:
  - {name: cut, when: {endpoint: client, established: true}, do: down}
  - {name: begun, when: {after: cut}, do: {capture: server}}
  - {name: none, when: {after: begun}, do: {capture: client}}
  - {name: stopped, when: {after: none}, do: {stop: client}}
"""
    director, told, killed = direct(
        build_lab(EVENTS + events), lambda stage: stage.reach("client", "established")
    )
    assert told["box"].words == [True, "cut", "begun", "none", "stopped"]
    assert told["capture"].words == ["start"]
    assert killed == [("client", "STOP")]
    (problem,) = director.problems
    assert "nothing is captured at client" in problem


@pytest.mark.netns
def test_what_never_comes_is_said(build_lab: BuildLab) -> None:
    events = "faults: [{name: x, when: {endpoint: client, blocked: true}, do: down}]\n"
    director, _, _ = direct(build_lab(EVENTS + events), lambda stage: stage.reach("client", "done"))
    assert director.events == []
    assert director.waits == {"x": "waited until client blocked; client was done"}
