"""A middlebox with a bug voids the run, whatever the bug; without one the same run passes."""

from __future__ import annotations

import asyncio

import pytest
from playing import SECOND, Ground

from tcpharness.lab import middlebox
from tcpharness.run import CaseRun
from tcpharness.scenario.load import load
from tcpharness.verdict.result import Verdict

pytestmark = pytest.mark.netns

SCENARIO = """scenario: A transfer with one loss
ip: {ip}
hosts: {{client: {{offload: {offload}}}, server: {{offload: {offload}}}}}
links: [[client, server]]
endpoints:
  server: {{on: server, listen: 105, do: [receive: eof, close]}}
  client: {{on: client, connect: server, do: [send: 100 KiB, close]}}
faults:
  - {{name: lost, when: {{from: client, data: 10}}, do: drop}}
expect:
  counters: {{client: {{TcpRetransSegs: "1.."}}}}
"""

# What is found of each; the frame itself stands before these words.
BUGS = {
    "drops_one": "went out to server and was not captured at server",
    "forwards_the_dropped": "arrived at server (captured at server) and the middlebox never sent it",
    "flips_a_bit": "arrived at server (captured at server) and the middlebox never sent it",
    "truncates": "arrived at server (captured at server) and the middlebox never sent it",
    "forgets": "left client (captured at client) and never reached the middlebox",
    "invents": "reached the middlebox from client and was not captured at client",
    "mixes_up_ports": "reached the middlebox from server and was not captured at server",
    "sends_twice": "arrived at server (captured at server) and the middlebox never sent it",
    "sends_back": "went out to server and was not captured at server",
    "injects": "arrived at server (captured at server) and the middlebox never sent it",
    "swaps_two": "although the middlebox had sent it before others",
    "comes_late": "arrived at server after the end of the middlebox's work",
    "keeps_to_the_end": "went out to server and was not captured at server",
}
# How late a frame is that comes late is the machine's business: before the end, at it, or when nobody looks.
LATE = (BUGS["comes_late"], BUGS["keeps_to_the_end"], BUGS["swaps_two"])
LEDGER_BUGS = ("forgets", "invents", "mixes_up_ports")


def verdict_with(
    entry: str, ground: Ground, monkeypatch: pytest.MonkeyPatch, *, ip: int = 4, offload: str = "off"
) -> Verdict:
    monkeypatch.setattr(middlebox, "ENTRY", f"mutant_forwarder:{entry}")
    (case,) = load(SCENARIO.format(ip=ip, offload=offload), "x.yaml")
    run = CaseRun(case, 79 * 16, 1, ground.workdir)
    asyncio.run(run.play(ground.spawner, 20 * SECOND))
    return run.judge()


@pytest.mark.parametrize("offload", ["off", "on"])
@pytest.mark.parametrize("ip", [4, 6])
def test_without_a_bug_it_passes(
    ip: int, offload: str, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = verdict_with("true", ground, monkeypatch, ip=ip, offload=offload)
    assert (verdict.outcome, verdict.discrepancies, verdict.failures) == ("pass", [], [])


@pytest.mark.parametrize("bug", BUGS)
def test_every_bug_voids_the_run(bug: str, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = verdict_with(bug, ground, monkeypatch)
    assert verdict.outcome == "void"
    words = LATE if bug == "comes_late" else (BUGS[bug],)
    found = [line for line in verdict.discrepancies if any(each in line for each in words)]
    assert found, verdict.discrepancies
    assert all(" > " in line for line in found)  # each names its packet


@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug not in LEDGER_BUGS])
def test_with_offload_on_as_well(bug: str, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    assert verdict_with(bug, ground, monkeypatch, ip=6, offload="on").outcome == "void"
