"""`analyze` and `explain`: tables and pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from report_results import report

from tcpharness.analysis.finding import CaptureReport, Level
from tcpharness.analysis.where import parse_where
from tcpharness.report.findings import (
    Shown,
    View,
    as_json,
    as_json_lines,
    as_text,
    summary,
    summary_of_all,
)
from tcpharness.report.tally import merged

Golden = Callable[[str, str], None]
EMPTY = CaptureReport([], [], 0, {}, [])


def test_findings_and_flows(golden: Golden) -> None:
    golden("report_findings", as_text("client.pcap", Shown(report(), View("info", flows=True))) + "\n")


@pytest.mark.parametrize(("level", "rows", "hidden"), [("info", 3, 0), ("warning", 2, 1), ("error", 1, 2)])
def test_from_a_level_on(level: Level, rows: int, hidden: int) -> None:
    text = as_text("client.pcap", Shown(report(), View(level)))
    counts = rows + 2 if rows > 1 else 0
    assert len(text.splitlines()) == 1 + 1 + rows + counts + (1 if hidden else 0)
    assert (f"{hidden} more below level {level}" in text) == bool(hidden)


def test_where_leaves_out_what_the_level_would_show() -> None:
    view = View("warning", parse_where('kind == "rto"'))
    text = as_text("client.pcap", Shown(report(), view)).splitlines()
    assert [line.split()[:4] for line in text[2:3]] == [["0.250000", "9", "warning", "retransmission"]]
    assert text[3:] == ["1 more below level warning", "1 more that --where leaves out"]


def test_many_findings_are_counted_and_the_first_ones_listed() -> None:
    whole = report()
    whole.findings += [replace(whole.findings[2], frame=10 + n, kind="fast") for n in range(500)]
    text = as_text("client.pcap", Shown(whole, View("warning")))
    assert "... and 302 more, counted below; --all lists every one" in text
    assert len(text.splitlines()) == 1 + 1 + 200 + 1 + 1 + 1 + 3 + 1
    assert "warning  retransmission (fast)  500    0.250000  10 " in text
    every = as_text("client.pcap", Shown(whole, View("warning", most=None)))
    assert len(every.splitlines()) == 1 + 1 + 502 + 1 + 1 + 3 + 1


def test_findings_that_were_counted_and_not_kept() -> None:
    whole = report()
    whole.counts.update({("capture_drops", "", "error"): 1, ("handshake", "", "info"): 70})
    whole.counts.update(
        {("retransmission", "rto", "warning"): 1, ("retransmission", "fast", "warning"): 5000}
    )
    text = as_text("a", Shown(whole, View())).splitlines()
    assert text[4] == "... and 5000 more, counted below; --all lists every one"
    assert "warning  retransmission (fast)  5000" in text
    assert text[-1] == "70 more below level note"
    assert Shown(whole, View()).worse_than("error")


def test_many_flows_are_cut_too() -> None:
    whole = report()
    whole.flows *= 150
    assert as_text("a", Shown(whole, View(flows=True))).endswith(
        "\n... and 100 more flows; --all lists every one"
    )
    assert as_text("a", Shown(whole, View(flows=True, most=None))).count("syn_sent") == 150


def test_several_files_are_summed_up() -> None:
    one = replace(report(), findings=report().findings[2:])
    rows = merged([Shown(report(), View("info")).tallies(), Shown(one, View("info")).tallies()])
    assert [(t.key[0], t.count, t.files) for t in rows] == [
        ("capture_drops", 1, 1), ("retransmission", 2, 2), ("handshake", 1, 1),
    ]  # fmt: skip
    text = summary_of_all(rows, 2, 24, 4).splitlines()
    assert text[0] == "2 files: 24 frames, 4 flows"
    assert text[3] == "warning  retransmission (rto)  2      2      10.0.0.1.40000 > 10.0.0.2.105"
    assert summary_of_all([], 2, 1, 1) == "2 files: 1 frame, 1 flow"


def test_of_many_kinds_that_are_not_tcp_the_most_frequent_are_named() -> None:
    kinds = {f"ethertype 0x{n:04x}": 1 for n in range(30)} | {"arp": 7, "udp": 9}
    text = summary(CaptureReport([], [], 46, kinds, []))
    assert text.startswith("46 frames, 0 flows; not TCP: 7 arp, 1 ethertype 0x0000, ")
    assert text.endswith(", 9 udp, 12 more of 12 other kinds")
    assert text.count("ethertype") == 18


def test_nothing_found() -> None:
    assert as_text("a.pcap", Shown(EMPTY, View())) == "a.pcap: 0 frames, 0 flows"
    assert summary(report()) == "12 frames, 2 flows; not TCP: 2 arp, 1 udp"


@pytest.mark.parametrize(
    ("level", "worse"), [(None, False), ("info", True), ("warning", True), ("error", True)]
)
def test_worse_than(level: Level | None, worse: bool) -> None:
    assert Shown(report(), View("info")).worse_than(level) is worse
    assert not Shown(EMPTY, View("info")).worse_than(level)


def test_worse_than_among_what_where_lets_through() -> None:
    shown = Shown(report(), View("info", parse_where("frame == 9")))
    assert shown.worse_than("warning")
    assert not shown.worse_than("error")


def test_for_programs() -> None:
    whole = json.loads(as_json("a.pcap", Shown(report(), View("info"))))
    assert whole["frames"] == 12
    assert whole["findings"] == [asdict(f) for f in report().findings]
    assert whole["counts"][1] == {"name": "retransmission", "kind": "rto", "level": "warning", "count": 1}
    lines = [json.loads(line) for line in as_json_lines("a.pcap", Shown(report(), View("info")))]
    assert [(each["file"], each["name"]) for each in lines][1] == ("a.pcap", "handshake")
    assert lines[2] == {"file": "a.pcap", **asdict(report().findings[2])}


def test_for_programs_only_what_is_wanted() -> None:
    view = View("info", parse_where('level != "info"'))
    assert len(json.loads(as_json("a.pcap", Shown(report(), view)))["findings"]) == 2
    assert len(list(as_json_lines("a.pcap", Shown(report(), View("error"))))) == 1
