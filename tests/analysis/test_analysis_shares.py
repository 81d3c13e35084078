"""One capture in parts, and in one again."""

from __future__ import annotations

from io import BytesIO

import pytest

from tcpharness.analysis.capture import Options, analyze
from tcpharness.analysis.finding import CaptureReport
from tcpharness.analysis.shares import analyze_share, in_one
from tcpharness.packet.notation import parse_line
from tcpharness.packet.pcap import Writer

LINES = [
    line
    for port in range(40000, 40030)
    for line in (
        f"0.{port - 40000:03} 10.0.0.1.{port} > 10.0.0.2.{port - 39000}: S 0:0(0) <mss 1460>",
        f"0.{port - 40000:03}5 10.0.0.2.{port - 39000} > 10.0.0.1.{port}: R. 0:0(0) ack 1 win 0",
        f"1.{port - 40000:03} 10.0.0.3.{port} > 10.0.0.2.80: P. 1:11(10) ack 1",
        f"1.{port - 40000:03}2 10.0.0.2.80 > 10.0.0.3.{port}: . 1:1(0) ack 1",
        f"1.{port - 40000:03}4 10.0.0.3.{port} > 10.0.0.2.80: P. 1:11(10) ack 1",
    )
]


@pytest.fixture
def capture() -> bytes:
    file = BytesIO()
    writer = Writer(file)
    for segment in sorted(map(parse_line, LINES), key=lambda segment: segment.time_ns):
        writer.write(segment.time_ns, segment.data)
    return file.getvalue()


def told(report: CaptureReport) -> list[str]:
    return sorted(map(repr, report.findings))


@pytest.mark.parametrize("shares", [1, 2, 3, 5])
@pytest.mark.parametrize("options", [Options(), Options(most_findings=7)])
def test_the_parts_are_the_whole(capture: bytes, shares: int, options: Options) -> None:
    parts = [analyze_share(BytesIO(capture), options, share, shares) for share in range(shares)]
    whole, again = analyze(BytesIO(capture), options=options), in_one(parts, options)
    assert "port_scan" in {finding.name for finding in whole.findings}
    assert (again.frames, again.flow_count, again.counts) == (whole.frames, whole.flow_count, whole.counts)
    assert again.flows == whole.flows
    assert again.start_ns == whole.start_ns
    assert told(again) == told(whole)


def test_each_flow_is_in_one_part(capture: bytes) -> None:
    parts = [analyze_share(BytesIO(capture), Options(), share, 4) for share in range(4)]
    assert all(0 < part.report.flow_count < 60 for part in parts)
    assert sum(part.report.flow_count for part in parts) == 60


def test_what_concerns_no_flow_is_told_once(capture: bytes) -> None:
    damaged = capture[:-3]
    parts = [analyze_share(BytesIO(damaged), Options(), share, 2) for share in range(2)]
    assert in_one(parts, Options()).problems == analyze(BytesIO(damaged)).problems != []
