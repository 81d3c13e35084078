"""What the canary says of a monitor: why a silence is worth nothing, and what nothing vouches for."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from reading_lab import played, verdict_of

from tcpharness.lab.kernel_canary import Failed, KernelCanary
from tcpharness.lab.spawner import Spawner
from tcpharness.verdict.result import Result

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


# --- of those that ask a kernel: real sockets

NSTAT = """\
monitors: {it: {use: nstat, at: client, names: {reset: {when: {TcpOutRsts: "> LIMIT"}}}}}
expect: {monitors: {it: {client: EXPECTED}}}
"""


def of_nstat(limit: int, expected: str, spawner: Spawner, folder: Path) -> Result:
    return played(spawner, folder, NSTAT.replace("LIMIT", str(limit)).replace("EXPECTED", expected))


@pytest.mark.parametrize("ip", [4, 6])
def test_one_that_asks_a_kernel_hears_its_sockets(ip: int, spawner: Spawner, tmp_path: Path) -> None:
    text = "monitors: [nstat, ss]\nexpect: {monitors: {nstat: {client: {}, server: {}}, ss: {client: {}}}}\n"
    result = played(spawner, tmp_path, f"ip: {ip}\n{text}")
    assert result.verdict.outcome == "pass", result.verdict
    assert not any("vouches" in note for note in result.verdict.notes)
    for outcome in result.evidence.monitors:
        assert (outcome.findings, outcome.heard >= outcome.could_hear) == ([], True)
        assert outcome.could_hear >= {"retransmission", "zero_window"}


def test_what_the_canary_moves_is_not_the_scenario_s(spawner: Spawner, tmp_path: Path) -> None:
    """Neither in our own counters nor among the sockets that were watched."""
    counters = "{client: {TcpRetransSegs: 0, TcpEstabResets: 0, TcpOutRsts: 0}}"
    text = f"expect: {{counters: {counters}, monitors: {{nstat: {{client: {{}}}}}}}}\n"
    result = played(spawner, tmp_path, "monitors: [nstat]\n" + text)
    assert result.verdict.outcome == "pass", result.verdict
    assert {history.endpoint for history in result.evidence.sockets} <= {"client", "server"}


def test_a_threshold_that_is_too_high_is_named(spawner: Spawner, tmp_path: Path) -> None:
    verdict = verdict_of(of_nstat(10, "{}", spawner, tmp_path), "it")
    assert verdict.outcome == "void"
    assert (
        "it could not have seen reset at client (canary not reported: it reported nothing of it"
        in verdict.reason
    )
    assert verdict_of(of_nstat(0, "{}", spawner, tmp_path), "it").outcome == "pass"


def test_an_express_denial_must_be_proven_as_well(spawner: Spawner, tmp_path: Path) -> None:
    """It has no word for it: that it said none of it proves nothing."""
    verdict = verdict_of(of_nstat(0, "{zero_window: 0}", spawner, tmp_path), "it")
    assert verdict.outcome == "void"
    assert "it could not have seen zero_window at client" in verdict.reason


def test_a_canary_that_cannot_be_had_is_the_cause(
    spawner: Spawner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(canary: KernelCanary) -> None:
        raise Failed("its cable can't be laid: out of cable")

    monkeypatch.setattr(KernelCanary, "play", refuse)
    verdict = verdict_of(of_nstat(0, "{}", spawner, tmp_path), "it")
    assert verdict.outcome == "void"
    assert "canary not reported: the canary could not be had: its cable can't be laid" in verdict.reason
