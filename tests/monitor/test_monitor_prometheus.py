"""node_exporter and Prometheus in a lab's host: alerts that pend and fire, by our rules and by the user's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reading_lab import LOST_SYN, played, verdict_of

from tcpharness.lab.spawner import Spawner

PROGRAMS = ("prometheus", "promtool", "prometheus-node-exporter")
pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in PROGRAMS),
        reason="prometheus or prometheus-node-exporter is not installed",
    ),
]
FULL = "increase(node_netstat_TcpExt_TCPToZeroWindowAdv[1m]) > 0"
ZERO = f"groups: [{{name: a, rules: [{{alert: Full, expr: '{FULL}'}}]}}]\n"
RULES = """\
groups:
  - name: mine
    rules:
      - {alert: Slow, expr: "increase(node_netstat_TcpExt_TCPSynRetrans[1m]) > 0", for: 300ms}
      - {alert: Never, expr: "increase(node_netstat_TcpExt_TCPSynRetrans[1m]) > 1000"}
      - {alert: Late, expr: "increase(node_netstat_TcpExt_TCPSynRetrans[1m]) > 0", for: 1h}
"""
STAYS = """\
scenario: A SYN is lost
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 1 KiB, pause: 1s, close]}
"""


def test_the_rules_that_come_with_it(spawner: Spawner, tmp_path: Path) -> None:
    expect = "expect: {monitors: {prometheus: {client: {syn_retransmission: 1}}}}\n"
    result = played(spawner, tmp_path, f"{LOST_SYN}monitors: [prometheus]\n{expect}", STAYS)
    assert result.verdict.outcome == "pass", result.verdict
    (outcome,) = result.evidence.monitors
    assert outcome.heard >= outcome.could_hear - {"syn_retransmission"}  # which it has reported before
    assert outcome.could_hear >= {"reset", "bad_tcp_checksum", "retransmission"}
    assert not any("vouches" in note for note in result.verdict.notes)


def test_rules_of_the_user_pend_and_fire(spawner: Spawner, tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text(RULES)
    lines = "Slow: {count: 1, within: 10s, of: lost}, Slow pending: 1, Late pending: 1, else: info"
    use = "monitors: {mine: {use: prometheus, with: {rules: mine.yml}, names: {}}}\n"
    text = f"{LOST_SYN}{use}expect: {{monitors: {{mine: {{client: {{{lines}}}}}}}}}\n"
    result = played(spawner, tmp_path, text, STAYS)
    assert result.verdict.outcome == "pass", result.verdict
    (outcome,) = result.evidence.monitors
    times = {finding.name: finding.time_ns or 0 for finding in outcome.findings}
    assert times["Slow"] > times["Slow pending"]


def test_rules_that_cannot_be_are_told_in_its_own_words(spawner: Spawner, tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("groups: [{name: a, rules: [{alert: B, expr: '1 +'}]}]\n")
    use = "monitors: {mine: {use: prometheus, with: {rules: mine.yml}}}\n"
    text = f"{use}expect: {{monitors: {{mine: {{client: {{}}}}}}}}\n"
    verdict = verdict_of(played(spawner, tmp_path, text), "mine")
    assert verdict.outcome == "void"
    assert "could not parse expression" in verdict.reason


@pytest.mark.parametrize(("fields", "fires"), [("", "0"), (", fields: .*ToZeroWindowAdv", "1")])
def test_a_counter_that_node_exporter_leaves_out(
    fields: str, fires: str, spawner: Spawner, tmp_path: Path
) -> None:
    """Its own choice lacks this one: such a rule would never fire anywhere, not even for a canary."""
    (tmp_path / "mine.yml").write_text(ZERO)
    options = f"with: {{rules: mine.yml{fields}}}, names: {{}}"
    use = f"monitors: {{mine: {{use: prometheus, at: server, {options}}}}}\n"
    slow = "[pause: 500ms, receive: eof, close], set: {rcvbuf: 4 KiB}"
    stalled = STAYS.replace("[receive: eof, close]", slow)
    stalled = stalled.replace("send: 1 KiB", "send: 40 KiB")
    expect = f"expect: {{monitors: {{mine: {{server: {{Full: {fires}}}}}}}}}\n"
    result = played(spawner, tmp_path, use + expect, stalled)
    assert result.verdict.outcome == "pass", result.verdict
    doubted = any("nothing vouches for its silence" in note for note in result.verdict.notes)
    assert doubted or fires == "1"
