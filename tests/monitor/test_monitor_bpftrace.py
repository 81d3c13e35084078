"""bpftrace at the kernel's tracepoints, where the kernel and the machine let it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reading_lab import LOST_SYN, played

from tcpharness.lab.spawner import Spawner

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("bpftrace") is None, reason="bpftrace is not installed"),
]


def test_it_sees_what_its_host_sends_again_and_nothing_of_others(spawner: Spawner, tmp_path: Path) -> None:
    lines = "client: {syn_retransmission: {count: 1, within: 20s}}, server: {}"
    text = f"{LOST_SYN}monitors: [bpftrace]\nexpect: {{monitors: {{bpftrace: {{{lines}}}}}}}\n"
    result = played(spawner, tmp_path, text)
    if result.verdict.outcome == "skip":
        pytest.skip(result.verdict.reason)
    assert result.verdict.outcome == "pass", result.verdict
    names = ["reset", "retransmission", "syn_retransmission", "synack_retransmission"]
    assert [sorted(outcome.could_hear) for outcome in result.evidence.monitors] == [names] * 2
    assert [sorted(outcome.heard) for outcome in result.evidence.monitors] == [names] * 2
    assert not any("vouches" in note for note in result.verdict.notes)
