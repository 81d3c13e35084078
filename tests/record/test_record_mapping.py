# ruff: noqa: E501
"""Records as findings: names, conditions, times, flows."""

from __future__ import annotations

from typing import Any

import pytest

from tcpharness.analysis.finding import FlowKey
from tcpharness.record.finding import MonitorFinding
from tcpharness.record.formats import Records, read_records
from tcpharness.record.mapping import findings_of, time_of, unmatched
from tcpharness.scenario.monitor import Description
from tcpharness.scenario.monitor_load import load_description

HEAD = "monitor: m\nread: cat {pcap}\noutput: {format: jsonl}\n"


def described(text: str) -> Description:
    return load_description(HEAD + text, "m.yaml")


def found(description: Description, *records: Any) -> list[tuple[str, int]]:
    return [(f.name, f.count) for f in findings_of(description, records)]


def test_a_whole_finding() -> None:
    description = described("""\
fields:
  {name: [alert.msg, alert.id], time: at, src: [ip, ip6], sport: sp, dst: to, dport: dp, frame: n,
   level: alert.severity, text: alert.text}
names: {reset: [7, 8]}
levels: {grave: error}
""")
    (finding,) = findings_of(description, [{
        "alert": {"msg": "RST seen", "id": 7, "severity": "grave", "text": "look"}, "at": "2026-11-23T11:53:37.868065+0000",
        "ip6": "fd00:0:0::1", "sp": 40000, "to": "fd00::2", "dp": "105", "n": 12,
    }])  # fmt: skip
    assert finding == MonitorFinding(
        "reset",
        "error",
        ("RST seen", "7"),
        1795434817_868065000,
        12,
        FlowKey("fd00::1", 40000, "fd00::2", 105),
        1,
        "look",
    )
    assert finding.is_called("7")
    assert not finding.is_called("8")


def test_own_names_are_kept_where_nothing_fits() -> None:
    description = described("fields: {name: id}\nnames: {reset: 1}\n")
    assert found(description, {"id": 1}, {"id": 2}, {"other": 3}) == [("reset", 1), ("2", 1)]


CONDITIONS = [
    ("{a: present}", {"a": 0}, True),
    ("{a: present}", {"a": ""}, False),
    ("{a: absent}", {"a": None}, True),
    ("{a: 1}", {"a": 1}, True),
    ("{a: 1}", {"a": ["2", "1"]}, True),
    ("{a: true}", {"a": True}, True),
    ('{a: "!= 1"}', {"a": [1, 2]}, False),
    ('{a: "> 3"}', {"a": "3.5"}, True),
    ('{a: "> 3"}', {"a": "three"}, False),
    ('{a: "<= 3"}', {"a": 3}, True),
    ("{a: '/^RS[T]/'}", {"a": "RST-ACK"}, True),
    ("{a.b.*.c: 1}", {"a": {"b": [{"c": 2}, {"c": 1}]}}, True),
    ("{a.b: 1}", {"a.b": 1}, True),
    ("{a: 1, b: 2}", {"a": 1, "b": 3}, False),
    ("[{a: 1}, {b: 3}]", {"a": 2, "b": 3}, True),
]


@pytest.mark.parametrize(("when", "record", "holds"), CONDITIONS)
def test_conditions(when: str, record: dict[str, Any], holds: bool) -> None:
    assert bool(found(described(f"names: {{reset: {when}}}\n"), record)) is holds


def test_of_a_detector_and_its_parent_the_more_specific_one() -> None:
    description = described("""\
names:
  retransmission: {again: 1}
  syn_retransmission: {again: 1, syn: 1}
  zero_window: {win: 0}
""")
    record = {"again": 1, "syn": 1, "win": 0}
    assert found(description, record) == [("syn_retransmission", 1), ("zero_window", 1)]


def test_counted_by_a_field() -> None:
    description = described('names: {retransmission: {when: {again: "> 0"}, count: again, level: note}}\n')
    (finding,) = findings_of(description, [{"again": 3}, {"again": 0}])
    assert (finding.count, finding.level) == (3, "note")


def test_levels() -> None:
    """By the record's word, by the detector of that name, or by the description."""
    description = described("fields: {name: n, level: l}\nlevel: note\nlevels: {'1': error}\n")
    findings = findings_of(description, [{"n": "x", "l": 1}, {"n": "x", "l": "Warning"}, {"n": "x"}])
    assert [f.level for f in findings] == ["error", "warning", "note"]
    (gap,) = findings_of(description, [{"n": "gap"}])
    assert gap.level == "note"


TIMES = [
    ("1795434817.868065909", 1_000_000_000, 1795434817_868065909),
    (1795434817868, 1_000_000, 1795434817_868000000),
    ("2026-11-23T11:53:37.868065909Z", 1, 1795434817_868065909),
    ("2026-11-23 11:53:37", 1, 1795434817_000000000),
    ("2026-11-23T12:53:37+01:00", 1, 1795434817_000000000),
    ("noon", 1, None),
]


@pytest.mark.parametrize(("value", "unit", "time_ns"), TIMES)
def test_times(value: Any, unit: int, time_ns: int | None) -> None:
    assert time_of(value, unit) == time_ns


def test_only_some_records() -> None:
    description = load_description(
        "monitor: m\nread: cat {pcap}\noutput: {format: jsonl, only: {type: alert}}\nfields: {name: id}\n",
        "m.yaml",
    )
    assert found(description, {"type": "flow", "id": 1}, {"type": "alert", "id": 2}) == [("2", 1)]


def test_a_description_that_matches_nothing() -> None:
    description = described("fields: {name: alert.id, time: at}\nnames: {reset: {flags: R}}\n")
    why = unmatched(description, Records([{"sid": 3, "when": 1}]))
    assert why == (
        "the description matches nothing: none of its 1 records has any of alert.id, at, flags; "
        "the first has sid, when"
    )
    assert unmatched(description, Records([{"sid": 3}, {"flags": "S"}])) is None
    assert unmatched(description, Records([])) is None


def test_a_time_that_is_none() -> None:
    description = described("fields: {name: id, time: at}\n")
    why = unmatched(description, Records([{"id": 1, "at": "yesterday"}]))
    assert why == "its time 'yesterday' is neither seconds since 1970 nor a date by ISO 8601"


def test_a_table_without_a_column_that_is_asked_for() -> None:
    description = load_description(
        "monitor: m\nread: cat {pcap}\noutput: {format: csv}\nfields: {name: id, frame: no}\n", "m.yaml"
    )
    assert unmatched(description, read_records(description.output, "id,n\n")) == (
        "its records have no field no; they have id, n"
    )
