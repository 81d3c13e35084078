"""`of:` where a segment alone does not say which it is: pure ACKs, and several faults on one frame."""

from __future__ import annotations

from dataclasses import replace

import pytest
from verdict_scene import Scene, text_of

CUT = "faults: [{name: cut, when: {from: server, flags: ., len: 0}, do: {set: {win: 0}}}]\n"
TWO = """faults:
  - {name: marked, when: {from: client, data: 1}, do: {set: {tos: 3}}}
  - {name: slow, when: {from: client, data: 1}, do: {delay: 5ms}}
"""


@pytest.mark.parametrize(("about_the_altered_one", "outcome"), [(True, "pass"), (False, "fail")])
def test_a_pure_ack_has_to_be_that_very_one(about_the_altered_one: bool, outcome: str) -> None:
    """All ACKs of a side that sends no data have the same sequence number."""
    scene = Scene("findings: {client: {zero_window: {count: 1, of: cut}}}", faults=CUT)
    scene.talk()
    before = scene.frame("server", ".", seq=301, ack=201, id=7)
    scene.treat(before, "alter", [scene.frame("server", ".", seq=301, ack=201, id=7, win=0)], "cut")
    altered = len(scene.frames["client"])
    scene.pass_on(scene.frame("server", ".", seq=301, ack=201, id=8))
    frame = altered if about_the_altered_one else altered + 1
    finding = scene.found("client", "zero_window", frame=frame, sender="server", seq=301)
    report = scene.capture().report
    assert report is not None
    report.findings[-1] = replace(finding, time_ns=scene.frames["client"][frame - 1][0])
    verdict = scene.judge()
    assert verdict.outcome == outcome, text_of(verdict)


@pytest.mark.parametrize("fault", ["marked", "slow"])
def test_every_fault_that_had_a_hand_in_a_frame_is_bound_to_it(fault: str) -> None:
    scene = Scene(f"findings: {{client: {{retransmission: {{count: 1, of: {fault}}}}}}}", faults=TWO)
    scene.talk()
    frame = scene.frame("client", "P.", seq=201, ack=301, length=50)
    entry = scene.treat(frame, "delay", [frame], "marked")
    scene.link().entries[-1] = replace(entry, faults=("marked", "slow"))
    scene.found("client", "retransmission", frame=len(scene.frames["client"]), seq=201, length=50)
    verdict = scene.judge()
    assert verdict.outcome == "pass", text_of(verdict)
