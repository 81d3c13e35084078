"""Many connections together: what bounds it, and what tells one kind from another."""

from __future__ import annotations

import pytest

from tcpharness.analysis import crowd
from tcpharness.analysis.capture import Analysis, Options
from tcpharness.analysis.example import in_order, play
from tcpharness.analysis.finding import Finding
from tcpharness.packet.notation import parse_line

SYNS = "0.000 x20+0.010 10.0.0.1.{n+40000} > 10.0.0.2.{n+1}: S 0:0(0) <mss 1460%s>"
SYN_ACKS = "0.001 x20+0.010 10.0.0.2.{n+1} > 10.0.0.1.{n+40000}: S. 0:0(0) ack 1 <mss 1460>"
RSTS = "0.002 x20+0.010 10.0.0.1.{n+40000} > 10.0.0.2.{n+1}: R 1:1(0) win 0"
ACKS = "0.002 x20+0.010 10.0.0.1.{n+40000} > 10.0.0.2.{n+1}: . 1:1(0) ack 1"
GIVEN_UP = "0.003 x20+0.010 10.0.0.1.{n+40000} > 10.0.0.2.{n+1}: R. 1:1(0) ack 1 win 0"
PROBES = "0.000 x20+0.010 10.0.0.1.40000 > 10.0.0.2.{n+1}: %s 5:5(0) ack 1"
FLOOD = "0.000 x200+0.002 10.1.0.{n+1}.40000 > 10.0.0.2.80: S 0:0(0) <mss 1460>"
TS = ",TS val 5 ecr 0"


def of_crowds(lines: list[str]) -> list[Finding]:
    names = ("port_scan", "syn_flood", "syn_flood_backscatter", "reset_storm", "retransmission_storm")
    return [finding for finding in play(lines) if finding.name in names]


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([SYNS % ""], "syn"),
        ([SYNS % TS], "connect"),
        ([SYNS % TS, SYN_ACKS, RSTS], "syn"),
        ([SYNS % TS, SYN_ACKS, ACKS, GIVEN_UP], "connect"),
        ([PROBES % "F"], "fin"),
        ([PROBES % "none"], "null"),
        ([PROBES % "FPU"], "xmas"),
        ([PROBES % "F."], "maimon"),
        ([PROBES % "."], "ack"),
    ],
)
def test_how_it_scans(lines: list[str], kind: str) -> None:
    (scan,) = of_crowds(lines)
    assert (scan.name, scan.kind, scan.level) == ("port_scan", kind, "error")
    assert (scan.count, scan.detail["ports"], scan.detail["hosts"]) == (20, 20, 1)
    assert (scan.frame, scan.end_ns) == (1, 190_000_000)


def test_many_hosts_are_a_scan_too() -> None:
    (scan,) = of_crowds(["0.000 x20+0.010 10.0.0.1.40000 > 10.0.1.{n+1}.22: S 0:0(0) <mss 1460>"])
    assert (scan.detail["ports"], scan.detail["hosts"]) == (1, 20)


def test_a_pause_ends_the_episode() -> None:
    later = (SYNS % "").replace("0.000", "99.000").replace("n+1", "n+101")
    assert [scan.count for scan in of_crowds([SYNS % "", later])] == [20, 20]


def test_a_scan_slower_than_the_pause_is_none() -> None:
    assert of_crowds(["0.000 x20+61.000 10.0.0.1.40000 > 10.0.0.2.{n+1}: S 0:0(0)"]) == []


def test_a_flood_below_the_rate_is_none() -> None:
    assert of_crowds([FLOOD.replace("0.002", "0.020")]) == []


@pytest.mark.parametrize(("end", "kind"), [("0.5 end", "answered"), ("9.0 end", "cookies")])
def test_cookies_need_time_to_show(end: str, kind: str) -> None:
    answers = "0.001 x200+0.002 10.0.0.2.80 > 10.1.0.{n+1}.40000: S. 0:0(0) ack 1 <mss 1460>"
    (flood,) = of_crowds([FLOOD, answers, end])
    assert (flood.name, flood.kind, flood.count, flood.detail["peak_per_s"]) == ("syn_flood", kind, 200, 200)
    assert flood.flow is not None
    assert (flood.flow.dst, flood.flow.dport) == ("10.0.0.2", 80)


@pytest.mark.parametrize(("after", "kind"), [("0.301", "answered"), ("2.501", "cookies")])
def test_a_handshake_that_is_taken_back_at_once_says_nothing_of_cookies(after: str, kind: str) -> None:
    """Nobody sends a SYN-ACK again that has been answered by a RST."""
    answers = "0.001 x200+0.002 10.0.0.2.80 > 10.1.0.{n+1}.40000: S. 0:0(0) ack 1 <mss 1460>"
    taken_back = f"{after} x200+0.002 10.1.0.{{n+1}}.40000 > 10.0.0.2.80: R 1:1(0)"
    (flood,) = of_crowds([FLOOD, answers, taken_back, "9.0 end"])
    assert (flood.name, flood.kind) == ("syn_flood", kind)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More hosts than there is room for: those heard of longest ago go, and what they did is judged then."""
    monkeypatch.setattr(crowd, "MOST_HOSTS", 10)
    monkeypatch.setattr(crowd, "MOST_PEERS", 16)
    analysis = Analysis(Options(most_flows=50))
    strangers = "1.000 x200+0.010 10.2.0.{n+1}.40000 > 10.3.0.{n+1}.99: S 0:0(0)"
    for number, line in enumerate(in_order([SYNS % "", strangers]), 1):
        analysis.see(parse_line(line, frame=number))
        assert len(analysis.crowd.episodes) <= 10
        assert all(len(each.peers) <= 16 for each in analysis.crowd.episodes.values())
    assert "port_scan" in {finding.name for finding in analysis.finish().findings}


def test_a_user_who_wants_one_detector_gets_no_other() -> None:
    analysis = Analysis(Options(detectors=()))
    for number, line in enumerate(in_order([SYNS % ""]), 1):
        analysis.see(parse_line(line, frame=number))
    assert analysis.finish().findings == []
