"""A watched vantage proves silence only with the canary in its capture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from verdict_scene import Scene, text_of

from tcpharness.analysis.canary import conversations, heard
from tcpharness.packet.canary import place_of
from tcpharness.packet.segment import decode


def scene_with_canary(expect: str = "findings: {client: {}}", *, snaplen: int | None = None) -> Scene:
    scene = Scene(expect)
    scene.talk()
    for number, (vantage, _, _) in enumerate(scene.plan.vantages):
        capture = scene.capture(vantage)
        capture.has_canary, capture.snaplen = True, snaplen
        keep(scene, vantage, [s.frame[: snaplen or None] for s in conversations(number, 4)])
    return scene


def keep(scene: Scene, vantage: str, frames: list[bytes]) -> None:
    capture = scene.capture(vantage)
    capture.canary = frames
    number = [name for name, _, _ in scene.plan.vantages].index(vantage)
    capture.heard = heard(frames, number, 4)


def test_a_canary_that_was_heard_lets_silence_pass() -> None:
    verdict = scene_with_canary().judge()
    assert (verdict.outcome, verdict.reason) == ("pass", "")


def without(frames: list[bytes], conversation: int) -> list[bytes]:
    places = [place_of(decode(frame).src) for frame in frames]
    return [f for f, place in zip(frames, places, strict=True) if place is None or place[1] != conversation]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda frames: [], "(the canary never came by)"),
        (lambda frames: frames[:-1], "1 of its 119 frames are missing"),
        (lambda frames: frames[len(frames) // 2 :], "59 of its 119 frames are missing"),
        (lambda frames: without(frames, 9), "could not have seen receiver_stall, window_full, window_update"),
        (lambda frames: without(frames, 11), "could not have seen reset at client (canary not reported"),
        (lambda frames: [f[:-1] + bytes((f[-1] ^ 1,)) for f in frames], "its frames were changed on the way"),
        (lambda frames: [f[:40] for f in frames], "could not have seen"),
    ],
    ids=["none", "last", "half", "no zero window", "no reset", "changed", "cut"],
)
def test_one_that_was_not_makes_the_run_void(spoil: Callable[[list[bytes]], list[bytes]], said: str) -> None:
    scene = scene_with_canary()
    keep(scene, "client", spoil(scene.capture().canary))
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert said in text_of(verdict)
    assert "x.yaml:" in verdict.reason


def test_only_watched_vantages_need_it() -> None:
    scene = scene_with_canary()
    keep(scene, "server", [])
    assert scene.judge().outcome == "pass"


def test_any_needs_it_wherever_something_can_be_found() -> None:
    scene = scene_with_canary("findings: {any: {}}")
    keep(scene, "server", [])
    assert scene.judge().outcome == "void"


def test_heads_alone_hide_what_the_scenario_knows_they_hide() -> None:
    """A note says so already."""
    scene = scene_with_canary(snaplen=80)
    verdict = scene.judge()
    assert "bad_tcp_checksum" not in scene.capture().heard
    assert (verdict.outcome, verdict.reason) == ("pass", "")
