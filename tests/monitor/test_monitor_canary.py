"""What the canary says of a monitor: why a silence is worth nothing, and what nothing vouches for."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from reading_lab import played, verdict_of

from tcpharness.lab.spawner import Spawner

pytestmark = pytest.mark.netns

SHIPPED = files("tcpharness.monitor") / "shipped"
OURS = "monitors: {it: {use: tcpharness, at: client}}\n"
ASKED = "expect: {monitors: {it: {client: {}}}}\n"


def without(field: str, heard: str, folder: Path) -> str:
    """Our own analysis, of which only this is heard."""
    text = (SHIPPED / "tcpharness.yaml").read_text()
    (folder / "deaf.yaml").write_text(
        text.replace("format: jsonl}", f"format: jsonl, only: {{{field}: {heard}}}}}")
    )
    return "monitors: {it: {file: deaf.yaml, at: client}}\n" + ASKED


def test_it_hears_the_canary_and_reports_none_of_it(spawner: Spawner, tmp_path: Path) -> None:
    result = played(spawner, tmp_path, OURS + ASKED)
    assert result.verdict.outcome == "pass", result.verdict
    (outcome,) = result.evidence.monitors
    assert outcome.was_asked
    assert outcome.heard >= outcome.could_hear >= {"zero_window", "bad_tcp_checksum", "retransmission"}
    assert {finding.name for finding in outcome.findings} <= {"handshake", "fin_close"}


def test_a_rule_that_is_not_loaded_is_named(spawner: Spawner, tmp_path: Path) -> None:
    verdict = verdict_of(played(spawner, tmp_path, without("name", '"/^(?!zero_window$)/"', tmp_path)), "it")
    assert verdict.outcome == "void"
    assert (
        "it could not have seen zero_window at client (canary not reported: it reported others"
        in verdict.reason
    )


def test_what_is_said_of_the_scenario_proves_nothing_about_the_rest(spawner: Spawner, tmp_path: Path) -> None:
    """It reports the scenario's handshake, and is deaf to whatever else passes."""
    verdict = verdict_of(played(spawner, tmp_path, without("flow.src", '"/^10[.]/"', tmp_path)), "it")
    assert verdict.outcome == "void"
    assert "canary not reported: it reported nothing of it" in verdict.reason


@pytest.mark.skipif(shutil.which("suricata") is None, reason="suricata is not installed")
def test_what_nothing_vouches_for_is_noted_and_must_not_be_asked(spawner: Spawner, tmp_path: Path) -> None:
    text = "monitors: [suricata]\nexpect: {{monitors: {{suricata: {{client: {}}}}}}}\n"
    noted = played(spawner, tmp_path / "a", text.format("{}"))
    assert noted.verdict.outcome == "pass", noted.verdict
    assert any("nothing vouches for its silence about" in note for note in noted.verdict.notes)
    asked = played(spawner, tmp_path / "b", text.format("{retransmission: 0}"))
    assert "may not be able to see retransmission at client" in verdict_of(asked, "suricata").reason


def test_a_capture_without_a_packet_proves_nothing(spawner: Spawner, tmp_path: Path) -> None:
    verdict = verdict_of(played(spawner, tmp_path, "capture: {client: {filter: udp}}\n" + OURS + ASKED), "it")
    assert verdict.outcome == "void"
    assert "there is not one packet in the capture at client" in verdict.reason
