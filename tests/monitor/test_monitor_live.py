# ruff: noqa: E501
"""Monitors that watch a host: ready by their own word, asked and ended in time, and what goes wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading_lab import LOST_SYN, played, verdict_of

from tcpharness.lab.spawner import Spawner

pytestmark = pytest.mark.netns

OUT = "output: {format: jsonl}, fields: {name: n, time: t}"
# It watches an interface, and says so.
SNIFFER = r"""
  ours:
    live: tcpdump --immediate-mode -l -n -tt -i {iface} 'tcp[13] == 2'
    ready: listening on
    output: {format: lines, pattern: '^(?P<t>[0-9.]+) IP .* Flags (?P<n>\[S\])'}
    fields: {name: n, time: t}
    names: {seen_syn: "[S]"}
"""


def test_it_watches_an_interface_of_its_host(spawner: Spawner, tmp_path: Path) -> None:
    expect = (
        "expect: {monitors: {ours: {client: {seen_syn: 2}, server: {seen_syn: {count: 1, within: 5s}}}}}\n"
    )
    result = played(spawner, tmp_path, f"{LOST_SYN}monitors: {SNIFFER}{expect}")
    assert result.verdict.outcome == "pass", result.verdict


def test_the_counters_of_a_host(spawner: Spawner, tmp_path: Path) -> None:
    expect = (
        "expect: {monitors: {nstat: {client: {TcpExtTCPSynRetrans: 1, retransmission: 1}, server: {}}}}\n"
    )
    result = played(spawner, tmp_path, f"{LOST_SYN}monitors: [nstat]\n{expect}")
    assert result.verdict.outcome == "pass", result.verdict
    assert "iproute2" in result.evidence.monitors[0].version


BLOCKED = """\
scenario: A monitor under test
hosts: {client: , server: {sysctl: {net.ipv4.tcp_rmem: 4096 8192 8192}}}
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [pause: 300ms, receive: eof]}
  client: {on: client, connect: server, do: [send: 1 MiB, close]}
"""


def test_the_sockets_of_a_host(spawner: Spawner, tmp_path: Path) -> None:
    """One alarm for a condition that lasts, however often it is looked at."""
    expect = "expect: {monitors: {ss: {client: {zero_window: {count: '1..3', flow: client}}, server: {}}}}\n"
    result = played(spawner, tmp_path, f"monitors: [ss]\n{expect}", BLOCKED)
    assert result.verdict.outcome == "pass", result.verdict
    (of_client, _) = result.evidence.monitors
    assert of_client.records > sum(finding.count for finding in of_client.findings)


def test_packets_counted_by_nftables(spawner: Spawner, tmp_path: Path) -> None:
    expect = "expect: {monitors: {nftables: {client: {syn: 2}, server: {syn: 1}}}}\n"
    result = played(spawner, tmp_path, f"{LOST_SYN}monitors: [nftables]\n{expect}")
    assert result.verdict.outcome == "pass", result.verdict


def test_asked_when_all_is_over(spawner: Spawner, tmp_path: Path) -> None:
    """`settled` is waited for, and the live one is still there when it is asked."""
    live = r"""
  counter:
    live: 'echo up; while read word; do echo $word >> {out}/words; echo "heard $word" >> {out}/heard; done < {out}/fifo & mkfifo {out}/fifo; wait'
    ready: {file: fifo}
    settled: "echo {ended} > {out}/fifo; grep -q heard {out}/heard"
    ask: "sed 's/.*/{\"n\": \"heard\"}/; q' {out}/words"
    OUT
""".replace("OUT", OUT.replace(", fields", "\n    fields"))
    setup = live.replace("live: 'echo up; ", "setup: mkfifo {out}/fifo\n    live: '").replace(
        " & mkfifo {out}/fifo; wait", ""
    )
    setup = setup.replace("done < {out}/fifo", "done <> {out}/fifo")
    expect = "expect: {monitors: {counter: {client: {heard: 1}}}}\n"
    result = played(spawner, tmp_path, f"monitors: {setup}{expect}")
    assert result.verdict.outcome == "pass", result.verdict


BROKEN = {
    "never ready": ("live: sleep 60, ready: up, timeout: 200ms", "it was not ready in time: expected output with /up/"),
    "no port": ("live: sleep 60, ready: {port: 9}, timeout: 200ms", "it was not ready in time: expected port 9"),
    "ends at once": ("live: 'echo no such interface >&2; exit 1', ready: up", "it ended with status 1 before it was ready; it said: no such interface"),
    "ends early": ("live: 'echo up; exit 4', ready: up", "it ended with status 4 while it should have watched; it said: up"),
    "does not end": ("live: \"trap '' TERM; echo up; while :; do sleep 0.1; done\", ready: up", "it did not end within 0.3 s of SIGTERM; it said: up"),
    "can't be asked": ("ask: 'echo what >&2; exit 2'", "asked, it ended with status 2: what"),
    "can't be asked again": ("ask: 'echo what >&2; exit 2', every: 20ms", "asked, it ended with status 2: what"),
    "asked for nonsense": ("ask: echo nonsense", "its output can't be read to its end: line 1 is no JSON"),
    "no setup": ("ask: 'true', setup: 'echo bad rule >&2; exit 1'", "its setup ended with status 1: bad rule"),
    "helper": ("live: sleep 60, ready: up, beside: [{run: 'exit 5', ready: x}]", "beside-1.it ended with status 5 before it was ready"),
    "never settled": ("live: 'echo up; exec sleep 60', ready: up, settled: 'false', timeout: 300ms", "it had not taken in all that passed in time: settled says nothing"),
    "floods": ("live: 'echo up; yes; exec sleep 60', ready: up, most: 1 MiB", "it wrote more than 1 MiB"),
}  # fmt: skip


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_one_is_void_and_says_why(
    how: str, spawner: Spawner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcpharness.monitor.live.END_S", 0.3)
    description, says = BROKEN[how]
    expect = "expect: {monitors: {broken: {client: {}}, nstat: {client: {}}}}\n"
    result = played(spawner, tmp_path, f"monitors: {{nstat: , broken: {{{description}, {OUT}}}}}\n{expect}")
    broken = verdict_of(result, "broken")
    assert broken.outcome == "void"
    assert f"broken at client: {says}" in broken.reason
    assert verdict_of(result, "nstat").outcome == "pass"


def test_one_that_this_machine_cannot_run_is_skipped(spawner: Spawner, tmp_path: Path) -> None:
    description = f"{{needs: 'echo this kernel has none; exit 1', live: x, ready: y, {OUT}}}"
    result = played(
        spawner, tmp_path, f"monitors: {{m: {description}}}\nexpect: {{monitors: {{m: {{client: {{}}}}}}}}\n"
    )
    assert result.verdict.outcome == "skip"
    assert "m: this machine can't run it: this kernel has none" in result.verdict.reason


def test_it_sees_the_interfaces_of_its_host_and_no_others(spawner: Spawner, tmp_path: Path) -> None:
    description = (
        f'{{ask: "for i in $(ls /sys/class/net); do echo \'{{\\"n\\": \\"\'$i\'\\"}}\'; done", {OUT}}}'
    )
    result = played(
        spawner,
        tmp_path,
        f"monitors: {{m: {description}}}\nexpect: {{monitors: {{m: {{client: {{lo: 1, eth0: 1}}}}}}}}\n",
    )
    assert result.verdict.outcome == "pass", result.verdict


def test_run_again_into_the_same_folder_it_begins_anew(spawner: Spawner, tmp_path: Path) -> None:
    """Live, over the capture and for a session: each finds an empty folder, and none an earlier run's lines."""
    monitors = "monitors: {nstat: , tcpdump: , tcpharness: }\n"
    silent = "expect: {monitors: {nstat: {client: {}}, tcpdump: {client: {}}, tcpharness: {client: {}}}}\n"
    outcomes = [played(spawner, tmp_path, monitors + silent).verdict for _ in range(2)]
    assert [verdict.outcome for verdict in outcomes] == ["pass", "pass"], outcomes
