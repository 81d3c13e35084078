"""Scripted peers against the real kernel, judged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from built_lab import PAIR, BuildLab

from tcpharness.cli import FAILED, OK, main
from tcpharness.lab.scripted import Wire

pytestmark = pytest.mark.netns

SCENARIO = """\
scenario: A scripted peer
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  peer:
    on: client
    connect: server
    script:
      - send: S 0:0(0) win 1000 <mss 1460>
"""
EXPECT = """\
expect:
  counters: {client: {TcpOutRsts: 0}}
  endpoints: {server: {error: [none, ECONNRESET], received: "0.."}}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)

    def run(text: str, *arguments: str) -> int:
        Path("peer.yaml").write_text(text)
        return main(["run", "peer.yaml", "--seed", "1", *arguments])

    return run


def results(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["results"]
    return found


def test_another_segment_than_expected_fails_with_both_and_the_packets(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]
) -> None:
    text = SCENARIO + "      - expect: S. 0:0(0) ack 2 <mss 1460>\n" + EXPECT
    assert run(text) == FAILED
    said = capsys.readouterr().out
    said = re.sub(r"(S\. .*) win \d+", r"\1 win 65535", said)  # the kernel's choice
    plain = re.sub(r"0\.\d{6}", "0.000000", re.sub(r"\d+\.\d\d? s", "0.00 s", said))
    golden("scripted_unexpected", re.sub(r"kept in .*", "kept in ...", plain))


def test_no_kernel_answers_for_the_script(run: Callable[..., int]) -> None:
    """The SYN-ACK comes, the script says nothing to it, and so does its host."""
    text = SCENARIO + "      - expect: S. 0:0(0) ack 1\n      - {expect: nothing, for: 100ms}\n"
    assert run(text + "      - send: R 1:1(0)\n" + EXPECT) == OK


def test_its_frames_pass_the_middlebox_and_are_in_the_ledger(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    text = SCENARIO + "      - expect: S. 0:0(0) ack 1\n      - send: R 1:1(0)\n"
    text += "faults:\n  - {name: late, when: {flow: peer, flags: S}, do: {delay: 30ms}}\n"
    assert run(text + EXPECT, "--json") == OK
    (result,) = results(capsys)
    assert result["links"]["client-server"]["fired"] == {"late": 1}
    assert result["links"]["client-server"]["frames"] == 3


@pytest.mark.parametrize("ip", [4, 6])
def test_a_conversation_with_every_port_from_every_address(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], ip: int
) -> None:
    text = SCENARIO.replace(
        "    script:", '    ports: "101..110"\n    addresses: 3\n    times: 2\n    script:'
    )
    text += "      - any of:\n"
    text += (
        "          open: [expect: S. 0:0(0) ack 1, send: R 1:1(0)]\n          closed: [expect: R. ack 1]\n"
    )
    expect = EXPECT.replace("endpoints: {", "endpoints: {peer: {took: {open: 6, closed: 54}}, ")
    assert run(text + expect + f"ip: {ip}\n", "--json") == OK
    peer = results(capsys)[0]["endpoints"]["peer"]
    assert peer["took"] == {"open": 6, "closed": 54}
    assert len({tuple(c["local"]) + tuple(c["remote"]) for c in peer["connections"]}) == 60


def test_a_wrong_number_of_alternatives_fails(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    text = SCENARIO + "      - any of: {open: [expect: S., send: R 1:1(0)], closed: [expect: R.]}\n"
    assert run(text + EXPECT.replace("endpoints: {", "endpoints: {peer: {took: {closed: 1}}, ")) == FAILED
    assert "peer to take closed 1 times\n      found 0 times" in capsys.readouterr().out


def test_a_script_waits_for_a_condition_and_reaches_its_own(run: Callable[..., int]) -> None:
    text = SCENARIO.replace(
        "do: [receive: eof, close]", "do: [pause: {until: peer established}, receive: eof]"
    )
    text += "      - expect: S. 0:0(0) ack 1\n      - send: .\n      - pause: {until: server established}\n"
    assert run(text + "      - send: R 1:1(0)\n" + EXPECT) == OK


def test_a_condition_that_never_holds_is_told(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    text = SCENARIO + "      - expect: S. 0:0(0) ack 1\n      - send: R 1:1(0)\n"
    text += "      - pause: {until: client established}\n"
    text = text.replace("  peer:\n", "  client: {on: client, connect: server:9}\n  peer:\n")
    assert run(text + EXPECT) == FAILED
    assert "waited until client established; client was closed, done" in capsys.readouterr().out


def test_nobody_comes_to_a_server(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    text = SCENARIO.replace("connect: server", "listen: 106").replace("send: S", "expect: S")
    assert run(text.replace("win 1000 <mss 1460>", "") + EXPECT) == FAILED
    said = capsys.readouterr().out
    assert "peer to serve 1 connection" in said


@pytest.mark.parametrize(("ip", "protocol"), [(4, "0800"), (6, "86dd")])
def test_a_script_hears_of_a_frame_after_every_capture(ip: int, protocol: str, build_lab: BuildLab) -> None:
    """The kernel gives a frame to sockets of all protocols first, to the newest of them at once: an
    answer to what such a socket hears could be captured before what it answers."""
    client = build_lab(PAIR, ip=ip).hosts["client"]
    wire = Wire(client, "eth0", "02:00:00:00:00:01", 1500, ip)
    try:
        with client.entered():
            rows = [line.split() for line in Path("/proc/thread-self/net/packet").read_text().splitlines()]
    finally:
        wire.sock.close()
    assert [row[3] for row in rows[1:]] == [protocol]
