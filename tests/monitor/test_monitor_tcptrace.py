"""tcptrace: what it counts of each direction of each connection."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reading_lab import played

from tcpharness.lab.spawner import Spawner

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("tcptrace") is None, reason="tcptrace is not installed"),
]


def test_it_counts_by_direction(spawner: Spawner, tmp_path: Path) -> None:
    fault = "faults: [{name: lost, when: {from: client, data: 1}, do: drop}]\n"
    lines = "retransmission: {count: 1.., flow: client}, duplicate_ack: 0.., dsack: 0.., out_of_order: 0.."
    use = f"monitors: [tcptrace]\nexpect: {{monitors: {{tcptrace: {{client: {{{lines}}}}}}}}}\n"
    result = played(spawner, tmp_path, fault + use)
    assert result.verdict.outcome == "pass", result.verdict
    (outcome,) = result.evidence.monitors
    (again,) = [finding for finding in outcome.findings if finding.name == "retransmission"]
    assert again.flow is not None
    assert again.flow.dport == 105
    assert again.count >= 1


def test_it_is_quiet_about_clean_traffic_and_hears_the_canary(spawner: Spawner, tmp_path: Path) -> None:
    quiet = "{else: info, duplicate_ack: 0..}"  # of pure ACKs it is less sure
    use = f"monitors: [tcptrace]\nexpect: {{monitors: {{tcptrace: {{client: {quiet}, server: {quiet}}}}}}}\n"
    result = played(spawner, tmp_path, use)
    assert result.verdict.outcome == "pass", result.verdict
    for outcome in result.evidence.monitors:
        assert (
            outcome.heard >= outcome.could_hear >= {"retransmission", "zero_window", "reset", "out_of_order"}
        )
