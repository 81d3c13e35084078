"""A capture that dropped packets is never passed over in silence."""

from __future__ import annotations

import pytest
from verdict_scene import Scene, text_of

CASES = [
    ("findings: {client: {}}", "fail"),
    ("findings: {client: {}}, capture: {server: {dropped: 7}}", "pass"),
    ("findings: {client: {}}, capture: {server: {captured: '0..'}}", "fail"),
    ("findings: {client: {}}, capture: {client: {dropped: 0}}", "fail"),
]


@pytest.mark.parametrize(("expect", "outcome"), CASES)
def test_drops_where_nobody_watches(expect: str, outcome: str) -> None:
    scene = Scene(expect)
    scene.talk()
    scene.capture("server").dropped = 7
    verdict = scene.judge()
    assert verdict.outcome == outcome, text_of(verdict)
