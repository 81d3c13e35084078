# ruff: noqa: E501
"""`tcpharness score` on real labs, with monitors of a few lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.lab.spawner import Spawner
from tcpharness.monitor.library import load_shipped, named
from tcpharness.score import uses_of, words_of

HERE = Path(__file__).parents[1]
LAB = """\
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 4 KiB, close]}
"""
LOST = """\
scenario: The first SYN is lost
faults: [{when: {from: client, flags: S}, do: drop}]
expect: {findings: {client: {syn_retransmission: 1}, server: {}}}
"""
CLEAN = "scenario: Nothing happens\nexpect: {findings: {client: {}, server: {}}}\n"
WRONG = (
    "scenario: It goes otherwise\nexpect: {findings: {client: {}}, endpoints: {server: {received: 1 B}}}\n"
)
UNWATCHED = "scenario: Nobody says what is found\nexpect: {endpoints: {server: {received: 4 KiB}}}\n"

# Each finds every SYN of a capture; the first one from the second on, as it should.
MONITORS = r"""
monitors:
  second: &syns
    read: "tcpdump -n -tt -r {pcap} 'tcp[13] == 2' | tail -n +2 | while read t _ rest; do echo \"{\\\"t\\\": $t, \\\"n\\\": \\\"syn\\\"}\"; done"
    output: {format: jsonl}
    fields: {name: n, time: t}
    names: {syn_retransmission: syn}
  every:
    read: "tcpdump -n -tt -r {pcap} 'tcp[13] == 2' | while read t _ rest; do echo \"{\\\"t\\\": $t, \\\"n\\\": \\\"syn\\\"}\"; done"
    output: {format: jsonl}
    fields: {name: n, time: t}
    names: {syn_retransmission: syn}
  never: {read: "true {pcap}", output: {format: jsonl}, fields: {name: n}, names: {syn_retransmission: syn}}
""".replace(" &syns", "")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    texts = {"lost": LOST, "clean": CLEAN, "wrong": WRONG, "unwatched": UNWATCHED}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text + LAB)
    (tmp_path / "monitors.yml").write_text(MONITORS)
    return tmp_path


def score(library: Path, *words: str, monitors: str = "monitors.yml") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, "-m", "tcpharness", "score", ".", "--monitors", monitors, *words]
    return subprocess.run(command, cwd=library, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.netns
def test_three_monitors_over_four_scenarios(spawner: Spawner, library: Path) -> None:
    done = score(library, "--format", "json")
    assert done.returncode == 0, done.stderr
    card = json.loads(done.stdout)
    assert (card["cases"], card["silent"]) == (2, 1)
    assert [reason.split(":")[0] for reason in card["left_out"]] == ["wrong.yaml"]
    assert [m["monitor"] for m in card["monitors"]] == ["second", "every", "never"]
    of = {
        m["monitor"]: (m["all"]["hits"], m["all"]["misses"], m["all"]["false_alarms"])
        for m in card["monitors"]
    }
    # `every` is wrong wherever there is one SYN: at both ends of the clean case, at the server of the other.
    assert of == {"second": (1, 0, 0), "every": (1, 0, 3), "never": (0, 1, 0)}
    second, every, never = card["monitors"]
    assert second["all"]["delay_median_ms"] == 0
    assert every["all"]["duplicates"] == 1
    (miss,) = never["misses"]
    (packet,) = [line for line in miss["packets"] if line.startswith(">")]
    assert "client." in packet
    assert "> server.105: S 0:0(0)" in packet
    assert miss["at"] == "lost.yaml:3:30"


@pytest.mark.netns
def test_the_same_table_again_and_the_gate(spawner: Spawner, library: Path) -> None:
    first = score(library, "--format", "csv", "-k", "lost")
    again = score(library, "--format", "csv", "-k", "lost", "--fail-under", "recall=0.5,precision=0.9")
    assert first.stdout == again.stdout
    assert (first.returncode, again.returncode) == (0, 1)
    assert again.stderr.splitlines() == [
        "tcpharness: every: precision is 0.500, below 0.9",
        "tcpharness: never: recall is 0.000, below 0.5",
        "tcpharness: never: precision is not known: it reported nothing",
    ]


@pytest.mark.netns
def test_a_monitor_that_breaks_does_not_pass_and_the_others_are_judged(
    spawner: Spawner, library: Path
) -> None:
    broken = "  broken: {read: 'echo gone >&2; exit 3 {pcap}', output: {format: jsonl}, fields: {name: n}}\n"
    (library / "monitors.yml").write_text(MONITORS + broken)
    done = score(library, "-k", "lost", "--fail-under", "recall=0")
    assert done.returncode == 1
    assert (
        "broken could not do its work: lost.yaml: broken at client: it ended with status 3; it said: gone"
        in (done.stdout)
    )
    assert re.search(r"^second +1.00 ", done.stdout, re.MULTILINE)


@pytest.mark.netns
def test_our_own_analysis_is_a_monitor(spawner: Spawner, library: Path) -> None:
    done = score(library, "--format", "json", monitors="tcpharness")
    assert done.returncode == 0, done.stderr
    (ours,) = json.loads(done.stdout)["monitors"]
    assert (ours["all"]["hits"], ours["all"]["misses"], ours["all"]["false_alarms"]) == (1, 0, 0)
    assert ours["version"].startswith("tcpharness ")


@pytest.mark.netns
def test_kept_captures_give_the_same_card_byte_for_byte(spawner: Spawner, library: Path) -> None:
    played = score(library, "--format", "json", "--out", "kept")
    assert played.returncode == 0, played.stderr
    for again in range(2):
        kept = score(library, "--format", "json", "--captures", "kept")
        assert kept.stdout == played.stdout, again
    lacking = score(library, "--captures", "nowhere")
    assert lacking.returncode == 2
    assert "nowhere has no clean.yaml, nor 2 others; --out keeps them" in lacking.stderr
    hosts = score(library, "--captures", "kept", monitors="nstat")
    assert (hosts.returncode, "nstat watches hosts" in hosts.stderr) == (2, True)


# --- what can't be


@pytest.mark.parametrize(
    ("words", "monitors", "said"),
    [
        (("--fail-under", "recall=95"), "tshark", "recall=95: expected a number from 0 to 1"),
        (("--fail-under", "f1=0.9"), "tshark", "'f1=0.9' is no limit; expected recall=0.95"),
        ((), "tshrak", 'unknown monitor "tshrak"'),
        ((), ",", "--monitors names none"),
        ((), "nowhere.yaml", "nowhere.yaml: No such file or directory"),
        ((), "tcpharness,tcpharness", "two monitors are called tcpharness"),
        (("-k", "unwatched"), "tcpharness", "none of these cases expects findings"),
        (("-j", "0"), "tcpharness", "'0' is not a number from 1 on"),
    ],
)
def test_what_cannot_be_right(
    spawner: Spawner, library: Path, words: tuple[str, ...], monitors: str, said: str
) -> None:
    done = score(library, *words, monitors=monitors)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.netns
def test_a_monitor_that_this_machine_cannot_run_is_named(spawner: Spawner, library: Path) -> None:
    ours = "{needs: 'echo no such kernel >&2; false', read: 'true {pcap}', output: {format: jsonl}, fields: {name: n}}"
    (library / "monitors.yml").write_text(f"monitors: {{ours: {ours}}}\n")
    done = score(library, "-k", "clean")
    assert done.returncode == 3
    assert "tcpharness: ours: this machine can't run it: no such kernel" in done.stderr


def test_a_slip_in_a_name_is_no_silence(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("monitors: {ours: {use: suricata, names: {zero_windw: 7}}}\n")
    with pytest.raises(ValueError, match=r"rules\.yaml:1:.*zero_windw, which is no detector; zero_window is"):
        uses_of([str(path)])


def test_files_of_options_lie_beside_the_file_that_names_them(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("monitors: {ours: {use: suricata, with: {rules: my.rules}, names: {reset: 7}}}\n")
    (use,) = uses_of([str(path)])
    assert [(name, value) for name, value, _ in use.options] == [("rules", str(tmp_path / "my.rules"))]
    assert use.description is not None
    assert words_of(use.description) == {"reset"}


def test_our_own_description_has_all_detectors_that_one_capture_can_show() -> None:
    other_witnesses = {"capture_drops", "option_stripped", "mss_clamped", "ecn_bleached"}
    assert words_of(load_shipped("tcpharness")) == set(BY_NAME) - other_witnesses


@pytest.mark.parametrize("name", ["suricata", "tshark", "nstat"])
def test_mappings_of_shipped_monitors_lead_to_detectors(name: str) -> None:
    (use,) = named(name)
    assert use.description is not None
    words = words_of(use.description)
    assert words
    assert {rule.name for rule in use.description.names if rule.name.islower()} == words
