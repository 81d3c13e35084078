"""The same run again, and a smaller one with the same verdict: both commands on real labs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOST = """\
scenario: One segment is lost, and a mark means nothing
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 16 KiB, close]}
faults:
  - {name: mark, when: {from: client, data: 2}, do: {set: {tos: 4}}}
  - {name: lost, when: {from: client, data: 5}, do: drop}
expect:
  findings: {client: {}}
"""
pytestmark = pytest.mark.netns


def tcpharness(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tcpharness", *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_a_scenario_gives_one_transcript_in_several_runs(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    done = tcpharness("run", ROOT / "scenarios/handshake/open.yaml", "--repeat", "4", "--json", told)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 runs of 2 cases: 2 gave one transcript" in done.stdout
    repeats = json.loads(told.read_text())["repeats"]
    assert [(each["distinct"], each["outcomes"]) for each in repeats] == [(1, {"pass": 4})] * 2


def test_shrink_leaves_out_what_the_verdict_does_not_need(tmp_path: Path) -> None:
    scenario = tmp_path / "lost.yaml"
    scenario.write_text(LOST)
    done = tcpharness("shrink", scenario, "--runs", "1", "--seed", "1")
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "lost.smaller.yaml").read_text()
    assert "mark" not in made.split("scenario:")[1].split("\n", 1)[1]
    assert "name: lost" in made
    assert "# verdict: fail (nothing else of level warning or error at client: retransmission)" in made
    again = tcpharness("shrink", scenario)
    assert again.returncode == 2
    assert "lost.smaller.yaml: exists; --force to overwrite it" in again.stderr


def test_shrink_tries_fewer_and_what_never_fires(tmp_path: Path) -> None:
    scenario = tmp_path / "never.yaml"
    marked = "name: lost, when: {from: client, times: every}, do: {set: {tos: 8}}"
    text = LOST.replace("name: lost, when: {from: client, data: 5}, do: drop", marked)
    text = text.replace("data: 2}", "data: 99}")
    scenario.write_text(text.replace("findings: {client: {}}", 'faults: {lost: "99..", mark: "0.."}'))
    done = tcpharness("shrink", scenario, "--runs", "1", "--seed", "1", "-o", tmp_path / "less.yaml")
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "less.yaml").read_text().split("scenario:")[1]
    assert "times: 1}" in made
    assert "name: mark" not in made
    assert "mark:" not in made


def test_shrink_takes_one_scenario(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(LOST)
    done = tcpharness("shrink", tmp_path)
    assert done.returncode == 2
    assert "shrink takes one scenario; here are 2 cases" in done.stderr
