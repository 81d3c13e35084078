"""`analyze` and `explain`: tables and pages."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from report_results import report

from tcpharness.analysis.catalog import DETECTORS
from tcpharness.analysis.finding import CaptureReport, Level
from tcpharness.report.explain import NotKnown, explain, overview
from tcpharness.report.findings import as_json, as_json_lines, as_text, summary, worse_than
from tcpharness.report.glossary import TERMS

Golden = Callable[[str, str], None]
EMPTY = CaptureReport([], [], 0, {}, [])


def test_findings_and_flows(golden: Golden) -> None:
    golden("report_findings", as_text("client.pcap", report(), level="info", flows=True) + "\n")


@pytest.mark.parametrize(("level", "rows", "hidden"), [("info", 3, 0), ("warning", 2, 1), ("error", 1, 2)])
def test_from_a_level_on(level: Level, rows: int, hidden: int) -> None:
    text = as_text("client.pcap", report(), level=level)
    assert len(text.splitlines()) == 1 + 1 + rows + (1 if hidden else 0)
    assert (f"{hidden} more below level {level}" in text) == bool(hidden)


def test_nothing_found() -> None:
    assert as_text("a.pcap", EMPTY) == "a.pcap: 0 frames, 0 flows"
    assert summary(report()) == "12 frames, 2 flows; not TCP: 2 arp, 1 udp"


@pytest.mark.parametrize(
    ("level", "worse"), [(None, False), ("info", True), ("warning", True), ("error", True)]
)
def test_worse_than(level: Level | None, worse: bool) -> None:
    assert worse_than(report(), level) is worse
    assert worse_than(EMPTY, level) is False


def test_for_programs() -> None:
    assert json.loads(as_json("a.pcap", report()))["frames"] == 12
    lines = [json.loads(line) for line in as_json_lines("a.pcap", report())]
    assert [(each["file"], each["name"]) for each in lines][1] == ("a.pcap", "handshake")


@pytest.mark.parametrize("name", [d.name for d in DETECTORS])
def test_every_detector_has_a_page(name: str) -> None:
    page = explain(name)
    assert page.startswith(f"{name} (detector; level ")
    assert len(page.splitlines()) > 3


@pytest.mark.parametrize("term", TERMS, ids=lambda t: f"{t.kind}-{t.name}")
def test_every_term_has_a_page(term: object) -> None:
    name, kind = getattr(term, "name", ""), getattr(term, "kind", "")
    assert f"{name} ({kind}; " in explain(name)


def test_pages(golden: Golden) -> None:
    golden("report_explain", "\n\n".join(explain(word) for word in ("retransmission", "SYN", "win")) + "\n")


def test_a_child_says_whose() -> None:
    assert "counts as retransmission too" in explain("syn_retransmission")


def test_what_is_not_known_suggests() -> None:
    with pytest.raises(NotKnown, match="did you mean retransmission"):
        explain("retransmision")
    with pytest.raises(NotKnown, match="'qqqq' is not known; `tcpharness explain` lists everything"):
        explain("qqqq")


def test_the_overview_names_everything() -> None:
    text = " ".join(overview().split())
    assert all(d.name in text for d in DETECTORS)
    assert all(t.name in text for t in TERMS)
