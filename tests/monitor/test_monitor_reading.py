# ruff: noqa: E501
"""Monitors that read captures: what they find, and what is made of those that can't."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading_lab import LOST_SYN, played, verdict_of

from tcpharness.lab.spawner import Spawner
from tcpharness.report.terminal import failure_text

pytestmark = pytest.mark.netns

# A monitor of three lines, as somebody might write one: it finds every SYN.
OURS = r"""
  ours:
    read: "tcpdump -n -tt -r {pcap} 'tcp[13] == 2' | while read t _ rest; do echo \"{\\\"t\\\": $t, \\\"n\\\": \\\"syn\\\"}\"; done"
    output: {format: jsonl}
    fields: {name: n, time: t}
"""


def described(read: str, rest: str = "") -> str:
    body = f"read: '{read}', output: {{format: jsonl}}, fields: {{name: n}}"
    return f"{{{body}{', ' if rest else ''}{rest}}}"


def test_one_monitor_at_two_vantages(spawner: Spawner, tmp_path: Path) -> None:
    expect = "expect: {monitors: {ours: {client: {syn: {count: 2, within: 5s}}, server: {syn: 1}}}}\n"
    result = played(spawner, tmp_path, f"{LOST_SYN}monitors: {OURS}{expect}")
    assert result.verdict.outcome == "pass", result.verdict
    outcome = result.evidence.monitors[0]
    assert outcome.findings[0].time_ns is not None
    assert abs(outcome.findings[0].time_ns / 1e9 - result.started) < 60


def test_both_sides_of_an_expectation(spawner: Spawner, tmp_path: Path) -> None:
    expect = "expect: {monitors: {ours: {client: {reset: 1}, server: {syn: {within: 1ns}}}}}\n"
    result = played(spawner, tmp_path, f"{LOST_SYN}monitors: {OURS}{expect}")
    assert result.verdict.outcome == "fail"
    texts = [(f.expected, f.actual) for f in result.verdict.failures]
    assert texts == [
        ("1 reset by ours at client", "0; it reported 2 syn"),
        ("nothing else of level warning or above by ours at client", "warning syn"),
        ("nothing else of level warning or above by ours at client", "warning syn"),
        ("1.. syn within 1e-09 s by ours at server", "0; it reported 1 syn"),
        ("nothing else of level warning or above by ours at server", "warning syn"),
    ]


BROKEN = {
    "no such command": (
        described("no-such-monitor {pcap}"),
        "it ended with status 127; it said: ",
        "not found",
    ),
    "an error": (
        described("echo no rules >&2; exit 3 {pcap}"),
        "it ended with status 3; it said: no rules",
        "",
    ),
    "hangs": (
        described("echo waiting; : {pcap}; sleep 60", "timeout: 200ms"),
        "it was not done within 0.2 s; it said: waiting",
        "",
    ),
    "floods": (
        described("yes {pcap}", "most: 1 MiB"),
        "it wrote more than 1 MiB (most: says how much it may); ",
        "",
    ),
    "floods a file": (
        "{read: 'yes > {out}/a.json; : {pcap}', most: 1 MiB, output: {format: jsonl, file: a.json}, "
        "fields: {name: n}}",
        "it wrote more than 1 MiB",
        "",
    ),
    "half a line": (
        described(r': {pcap}; printf "{\"n\": 1}\n{\"n"'),
        "its output can't be read to its end: line 2 is no JSON (Unterminated string starting at)",
        "",
    ),
    "not there, without a shell": (
        '{read: [no-such-monitor, "{pcap}"], output: {format: jsonl}, fields: {name: n}}',
        "it can't be started: [Errno 2] No such file or directory: 'no-such-monitor'",
        "",
    ),
    "wrong fields": (
        described(r': {pcap}; echo "{\"sid\": 1}"'),
        "the description matches nothing: none of its 1 records has any of n; the first has sid",
        "",
    ),
    "wrong file": (
        "{read: ': {pcap}', output: {format: jsonl, file: eve.json}, fields: {name: n}}",
        "it wrote no eve.json",
        "",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_one_is_void_and_leaves_others_alone(how: str, spawner: Spawner, tmp_path: Path) -> None:
    description, says, also = BROKEN[how]
    expect = "expect: {monitors: {broken: {client: {}}, ours: {client: {syn: 1}}}}\n"
    result = played(spawner, tmp_path, f"monitors: {OURS}  broken: {description}\n{expect}")
    broken = verdict_of(result, "broken")
    assert broken.outcome == "void"
    assert f"x.yaml:13:30: broken at client: {says}" in broken.reason
    assert also in broken.reason
    assert verdict_of(result, "ours").outcome == "pass"
    assert "passed all the same: ours at client" in failure_text(result)
    assert result.verdict.outcome == "void"
    assert result.verdict.reason == broken.reason
    assert all(f.stat().st_size <= 1 << 24 for f in tmp_path.rglob("*") if f.is_file())


def test_one_that_is_not_installed_is_skipped(spawner: Spawner, tmp_path: Path) -> None:
    description = described("no-such-monitor {pcap}", "program: no-such-monitor, package: none-such")
    expect = "expect: {monitors: {absent: {client: {}}, ours: {client: {syn: 1}}}}\n"
    result = played(spawner, tmp_path, f"monitors: {OURS}  absent: {description}\n{expect}")
    assert result.verdict.outcome == "skip"
    assert "absent: no-such-monitor is not installed: apt-get install none-such" in result.verdict.reason
    assert verdict_of(result, "ours").outcome == "pass"


def test_it_sees_nothing_of_this_machine(spawner: Spawner, tmp_path: Path) -> None:
    """Neither interfaces nor the person's settings, and its folder is its own."""
    description = described(
        r': {pcap}; for i in $(ls /sys/class/net) $(basename "$HOME") "$(basename "$PWD")"; do echo "{\"n\": \"$i\"}"; done'
    )
    expect = "expect: {monitors: {curious: {client: {lo: 1, curious-client: 2}}}}\n"
    result = played(spawner, tmp_path, f"monitors: {{curious: {description}}}\n{expect}")
    assert result.verdict.outcome == "pass", result.verdict
