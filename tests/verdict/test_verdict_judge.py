"""The verdict as a whole: green only where everything was seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from verdict_scene import DROP, MARKER, Scene, text_of

WATCHED = "findings: {client: {}}"
Spoil = Callable[[Scene], object]


def healthy(expect: str = WATCHED, faults: str = "") -> Scene:
    scene = Scene(expect, faults=faults)
    scene.talk()
    if faults:
        scene.treat(scene.frame("client", "P.", seq=201, ack=301, length=50), "drop", [], "lost")
    return scene


@pytest.mark.parametrize("faults", ["", DROP])
def test_a_healthy_run_passes(faults: str) -> None:
    verdict = healthy(faults=faults).judge()
    assert verdict.outcome == "pass", text_of(verdict)


def empty(scene: Scene) -> None:
    for frames in scene.frames.values():
        frames.clear()
    for link in scene.evidence.links.values():
        link.entries.clear()
    scene.seen("client", MARKER)
    scene.seen("server", MARKER)


def only_other_kinds(scene: Scene) -> None:
    empty(scene)
    arp = b"\xff" * 6 + scene.end("client")[0] + b"\x08\x06" + bytes(46)
    scene.seen("client", arp)
    scene.seen("server", arp)


def another_flow_only(scene: Scene) -> None:
    """The endpoint's connection has other ports than anything that was captured."""
    mine = scene.connection()
    mine.local, mine.remote, mine.opened_ns = (
        (scene.address("client"), 50000),
        (scene.address("server"), 105),
        1,
    )


def assigned(what: str, name: str, value: object) -> Spoil:
    def spoil(scene: Scene) -> None:
        target = {"client": scene.capture, "link": scene.link}[what]()
        setattr(target, name, value)

    return spoil


def stalled_at(vantage: str) -> Spoil:
    return lambda scene: setattr(scene.capture(vantage), "marker_seen", False)


BLINDNESSES: dict[str, tuple[Spoil, str]] = {
    "empty capture": (empty, "holds no TCP segment"),
    "only ARP": (only_other_kinds, "holds no TCP segment"),
    "another flow only": (another_flow_only, "client's connection"),
    "no capture": (lambda scene: scene.evidence.captures.pop("client"), "nothing was captured at client"),
    "no end marker": (stalled_at("client"), "never showed its end marker"),
    "no end marker elsewhere": (stalled_at("server"), "capture at server never showed its end marker"),
    "filtered": (assigned("client", "filter", "tcp[13] == 4"), "is filtered"),
    "text": (assigned("client", "text", True), "prints text"),
    "-c": (assigned("client", "ended_by_count", True), "stopped after its packet count"),
    "tcpdump failed": (assigned("client", "error", "killed by SIGKILL"), "killed by SIGKILL"),
    "never analysed": (assigned("client", "report", None), "never analysed"),
    "no closing figures": (assigned("client", "dropped", None), "never said how many packets it lost"),
    "unreadable": (
        lambda scene: scene.capture().report.problems.append("truncated at byte 9"),  # type: ignore[union-attr]
        "truncated at byte 9",
    ),
    "analysed something else": (
        lambda scene: setattr(scene.capture().report, "frames", 3),
        "analysis saw 3 of 6 frames",
    ),
    "middlebox failed": (assigned("link", "error", "its sockets lost 3 frames"), "lost 3 frames"),
    "no ledger": (lambda scene: scene.evidence.links.clear(), "left no ledger"),
    "no counters": (lambda scene: scene.evidence.counters.clear(), "counters of client were never read"),
}


@pytest.mark.parametrize("name", BLINDNESSES)
def test_blindness_is_void(name: str) -> None:
    spoil, words = BLINDNESSES[name]
    scene = healthy(f"{WATCHED}, counters: {{client: {{TcpRetransSegs: 0}}}}", DROP)
    spoil(scene)
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert words in text_of(verdict)
    assert verdict.reason
