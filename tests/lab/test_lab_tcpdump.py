"""tcpdump: complete by its marker, honest about drops, and clear about what went wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from built_lab import BRIDGE, MIDDLEBOX, PAIR, ROUTER, BuildLab

from tcpharness.evidence import CaptureOutcome
from tcpharness.lab import tcpdump
from tcpharness.lab.build import Lab
from tcpharness.lab.marker import ANY_MARKER
from tcpharness.lab.tcpdump import Tcpdump
from tcpharness.scenario.model import Capture, Place

pytestmark = pytest.mark.netns
AT = Place("x.yaml", 1, 1)


def send_frames(
    lab: Lab, count: int, *, host: str = "client", interface: str = "eth0", size: int = 100
) -> None:
    """Frames of another ethertype, numbered, from one host."""
    with lab.hosts[host].socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        for number in range(count):
            frame = bytes(6) + b"\x02\0\0\0\0\1" + b"\x88\xb6" + number.to_bytes(4, "big")
            sock.sendto(frame.ljust(size, b"."), (interface, 0))


def capture_of(lab: Lab, directory: Path, host: str, interface: str = "eth0", **wanted: Any) -> Tcpdump:
    capture = Capture(host, AT, **wanted)
    return Tcpdump(capture, host, host, interface, lab, directory / f"{host}.pcap")


def play(*captures: Tcpdump, traffic: Any = lambda: None) -> list[CaptureOutcome]:
    async def run() -> list[CaptureOutcome]:
        await asyncio.gather(*(capture.start() for capture in captures))
        traffic()
        await asyncio.gather(*(capture.mark() for capture in captures))
        return list(await asyncio.gather(*(capture.finish() for capture in captures)))

    return asyncio.run(run())


@pytest.mark.parametrize(
    "network", [PAIR, "hosts: [client, server]\nlinks: [{join: [client, server], mtu: 1400}]"]
)
def test_both_ends_have_every_frame(build_lab: BuildLab, tmp_path: Path, network: str) -> None:
    lab = build_lab(network)
    both = [capture_of(lab, tmp_path, host) for host in ("client", "server")]
    for outcome in play(*both, traffic=lambda: send_frames(lab, 500)):
        assert (outcome.error, outcome.captured, outcome.dropped) == (None, 500, 0)
        assert outcome.marker_seen
        assert outcome.complete()
        data = Path(outcome.file).read_bytes()
        assert all(b"\x88\xb6" + number.to_bytes(4, "big") in data for number in range(500))


@pytest.mark.parametrize("network", [BRIDGE, MIDDLEBOX, ROUTER])
def test_markers_come_from_both_ends_of_the_cable(build_lab: BuildLab, tmp_path: Path, network: str) -> None:
    lab = build_lab(network)
    (outcome,) = play(capture_of(lab, tmp_path, "client"))
    assert (outcome.error, outcome.captured, outcome.marker_seen) == (None, 0, True)
    senders = {found[1] for found in ANY_MARKER.finditer(Path(outcome.file).read_bytes())}
    assert len(senders) == 2


def test_loopback_is_a_vantage(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab("hosts: [client]")
    (outcome,) = play(
        capture_of(lab, tmp_path, "client", "lo"), traffic=lambda: send_frames(lab, 3, interface="lo")
    )
    assert (outcome.error, outcome.captured, outcome.marker_seen) == (None, 3, True)


def test_the_filter_keeps_the_marker(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    filtered = capture_of(lab, tmp_path, "client", filter="tcp[tcpflags] == tcp-rst")
    (outcome,) = play(filtered, traffic=lambda: send_frames(lab, 5))
    assert (outcome.error, outcome.captured, outcome.received, outcome.marker_seen) == (None, 0, 0, True)
    assert not outcome.complete()


def test_a_short_snaplen_keeps_the_marker(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    (outcome,) = play(capture_of(lab, tmp_path, "client", snaplen=16), traffic=lambda: send_frames(lab, 5))
    assert (outcome.error, outcome.captured, outcome.marker_seen) == (None, 5, True)


def test_a_packet_count_is_an_end_of_its_own(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    (outcome,) = play(capture_of(lab, tmp_path, "client", count=4), traffic=lambda: send_frames(lab, 9))
    assert (outcome.error, outcome.captured, outcome.ended_by_count) == (None, 4, True)
    assert not outcome.marker_seen


def test_a_packet_count_that_is_not_reached(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    (outcome,) = play(capture_of(lab, tmp_path, "client", count=400), traffic=lambda: send_frames(lab, 3))
    assert (outcome.error, outcome.captured, outcome.marker_seen) == (None, 3, True)


def test_text_has_the_frames_without_the_marker(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    (outcome,) = play(capture_of(lab, tmp_path, "client", text=True), traffic=lambda: send_frames(lab, 3))
    assert (outcome.error, outcome.captured, outcome.marker_seen) == (None, 3, True)
    text = Path(outcome.file).read_text()
    assert text.count("ethertype Unknown (0x88b6)") == 3
    assert "0x88b5" not in text
    assert "tcpharness" not in text


def test_stopped_it_drops_and_says_so(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    capture = capture_of(lab, tmp_path, "client", buffer_kib=64)

    def traffic() -> None:
        capture.stop()
        assert capture.child is not None
        wait_stopped(capture.child.pid)
        send_frames(lab, 2000, size=1500)
        capture.go_on()

    (outcome,) = play(capture, traffic=traffic)
    assert outcome.error is None
    assert outcome.marker_seen
    assert outcome.dropped is not None
    assert outcome.dropped > 1000
    assert not outcome.complete()


def wait_stopped(pid: int | None) -> None:
    """SIGSTOP goes by way of the lab's init, a moment later."""
    for _ in range(100_000):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
    raise AssertionError(f"process {pid} does not stop")


def test_no_such_interface(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    (outcome,) = play(capture_of(lab, tmp_path, "client", "eth9"))
    assert outcome.error is not None
    assert outcome.error.startswith(
        "host client, eth9: tcpdump ended too early, with status 1, saying: eth9: "
    )
    assert not outcome.complete()


def test_a_filter_that_cannot_be(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    (outcome,) = play(capture_of(lab, tmp_path, "client", filter="tcp and and"))
    assert "syntax error" in str(outcome.error)


def test_killed_midway(build_lab: BuildLab, tmp_path: Path) -> None:
    lab = build_lab(PAIR)
    capture = capture_of(lab, tmp_path, "client")

    def traffic() -> None:
        assert capture.child is not None
        assert capture.child.pid is not None
        os.kill(capture.child.pid, signal.SIGKILL)

    (outcome,) = play(capture, traffic=traffic)
    assert outcome.error == "host client, eth0: tcpdump ended too early, killed by SIGKILL"
    assert not outcome.complete()


def test_not_installed(build_lab: BuildLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcpdump, "find_program", lambda name: None)
    (outcome,) = play(capture_of(build_lab(PAIR), tmp_path, "client"))
    assert outcome.error == "host client, eth0: tcpdump is not installed: apt-get install tcpdump"
