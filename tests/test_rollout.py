"""docs/rollout.md, done: rules that are wrong are found, and the gate opens for those that are mended."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tcpharness.lab.spawner import Spawner

HERE = Path(__file__).parents[1]
LIBRARY = ("scenarios/handshake", "scenarios/window", "scenarios/scans")

pytestmark = [pytest.mark.netns, pytest.mark.slow]
needs_suricata = pytest.mark.skipif(shutil.which("suricata") is None, reason="suricata is not installed")


needs_prometheus = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("prometheus", "promtool", "prometheus-node-exporter")),
    reason="prometheus or prometheus-node-exporter is not installed",
)
OF_ALERTS = (
    "scenarios/retransmission/backoff.yaml",
    "scenarios/handshake/syn_lost.yaml",
    "scenarios/ending/half_close.yaml",
)


def score(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tcpharness", "score", *words]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=300)


def conditions(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    (monitor,) = json.loads(done.stdout)["monitors"]
    found: dict[str, Any] = monitor["conditions"]
    return found


@needs_suricata
def test_a_rule_that_cannot_fire_and_one_that_fires_on_clean_traffic(spawner: Spawner) -> None:
    limits = "recall=0.95,precision=0.95"
    done = score(
        *LIBRARY, "--monitors", "examples/rollout/rules.yaml", "--format", "json", "--fail-under", limits
    )
    assert done.returncode == 1, done.stderr
    found = conditions(done)
    assert found["syn_retransmission"]["hits"] == 0
    assert found["syn_retransmission"]["misses"] >= 4
    assert found["port_scan"]["false_alarms"] > 20
    assert (found["zero_window"]["recall"], found["zero_window"]["precision"]) == (1, 1)


@needs_suricata
def test_the_gate_opens_for_the_mended_ones(spawner: Spawner) -> None:
    limits = "recall=0.95,precision=0.95"
    done = score(
        *LIBRARY, "--monitors", "examples/rollout/fixed.yaml", "--format", "json", "--fail-under", limits
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert set(conditions(done)) == {"port_scan", "syn_retransmission", "zero_window"}


@needs_prometheus
def test_a_threshold_that_is_never_reached(spawner: Spawner) -> None:
    done = score(*OF_ALERTS, "--monitors", "examples/rollout/alerts.yaml", "--format", "json", "-j", "2")
    assert done.returncode == 0, done.stderr
    found = conditions(done)
    assert (found["retransmission"]["hits"], found["retransmission"]["misses"]) == (0, 2)
    assert found["syn_retransmission"]["recall"] == 1


@needs_prometheus
def test_the_gate_opens_for_the_right_threshold(spawner: Spawner) -> None:
    limits = ("--fail-under", "recall=1,precision=1")
    monitors = ("--monitors", "examples/rollout/fixed_alerts.yaml")
    done = score(*OF_ALERTS, *monitors, "--format", "json", "-j", "2", *limits)
    assert done.returncode == 0, done.stderr
    found = conditions(done)
    assert (found["retransmission"]["hits"], found["syn_retransmission"]["hits"]) == (2, 2)
    assert 0 <= found["retransmission"]["delay_median_ms"] < 10_000


def test_a_capture_filter_for_one_address_family_misses_half(spawner: Spawner) -> None:
    cases = (
        "scenarios/ending/abort.yaml",
        "scenarios/window/zero_window_brief.yaml",
        "scenarios/handshake/open.yaml",
    )
    monitors = "examples/filters/filters.yaml,examples/filters/both_families.yaml"
    done = score(*cases, "--monitors", monitors, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = {each["monitor"]: each["conditions"] for each in json.loads(done.stdout)["monitors"]}
    for condition in ("reset", "zero_window"):
        assert found["tcpdump-ip6"][condition]["recall"] == 1
        one = found["tcpdump"][condition]
        assert one["hits"] == one["misses"] > 0
        assert one["false_alarms"] == 0


def test_the_page_names_files_that_are_there() -> None:
    page = (HERE / "docs/rollout.md").read_text()
    named = set(re.findall(r"examples/(?:rollout|filters)/[a-z_.]+[a-z]", page))
    assert {
        "examples/rollout/rules.yaml",
        "examples/rollout/fixed.rules",
        "examples/rollout/alerts.yml",
    } <= named
    assert [name for name in named if not (HERE / name).exists()] == []
