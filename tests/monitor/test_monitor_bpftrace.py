"""bpftrace at the kernel's tracepoints, where the kernel and the machine let it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reading_lab import LOST_SYN, PAIR, played, played_at_once

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


def test_another_lab_with_the_same_addresses_is_none_of_its_business(
    spawner: Spawner, tmp_path: Path
) -> None:
    """Tracepoints are the machine's, and so another run's on it are there as well."""
    same = "[{join: [client, server], addresses: {client: 10.99.1.1/24, server: 10.99.1.2/24}}]"
    network = PAIR.replace("[[client, server]]", same)
    network = network.replace("connect: server", "connect: 10.99.1.2:105").replace(
        "40 KiB,", "40 KiB, pause: 2s,"
    )
    watched = "monitors: [bpftrace]\nexpect: {monitors: {bpftrace: {client: {%s}}}}\n"
    texts = {"lost": LOST_SYN + watched % "syn_retransmission: 1", "clean": watched % ""}
    for name in texts:
        (tmp_path / name).mkdir()
    results = played_at_once(spawner, tmp_path, texts, network)
    skipped = [r.verdict.reason for r in results.values() if r.verdict.outcome == "skip"]
    if skipped:
        pytest.skip(skipped[0])
    assert [r.verdict.outcome for r in results.values()] == ["pass", "pass"], results["clean"].verdict
