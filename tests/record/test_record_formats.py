"""Every form of output as records; what can't be read ends there and is named."""

from __future__ import annotations

from typing import Any

import pytest

from tcpharness.record.formats import Record, read_records
from tcpharness.scenario.monitor import Format, Output
from tcpharness.scenario.place import Place

AT = Place("x.yaml", 1, 1)


def output(form: Format, **given: Any) -> Output:
    return Output(form, AT, **given)


CASES: list[tuple[Output, str, list[Record]]] = [
    (output("jsonl"), '{"a": 1}\n\n{"a": {"b": [2]}}\n', [{"a": 1}, {"a": {"b": [2]}}]),
    (output("jsonl"), '[{"a": 1}, {"a": 2}]\n', [{"a": 1}, {"a": 2}]),
    (output("jsonl", ignore="^#"), '# begun\n{"a": 1}', [{"a": 1}]),
    (output("json"), "", []),
    (output("json"), '[{"a": 1}]', [{"a": 1}]),
    (output("json", records="data.*.m"), '{"data": [{"m": {"a": 1}}, {"m": 3}, {}]}', [{"a": 1}]),
    (output("csv"), 'a,b\n1,"x, y"\n2,\n', [{"a": "1", "b": "x, y"}, {"a": "2"}]),
    (output("csv", separator=";", many="|"), "a;b\n1;x|y\n", [{"a": "1", "b": ["x", "y"]}]),
    (output("tsv", separator="\t", header=False, columns=("a", "b")), "1\t2\n", [{"a": "1", "b": "2"}]),
    (output("keyvalue"), 'a=1 b="x \\"y\\" z" c=\n', [{"a": "1", "b": 'x "y" z', "c": ""}]),
    (
        output("lines", pattern=(r"^(?P<a>\d+) (?P<b>\w+)?$", r"x(?P<a>\d)")),
        "1 one\nno record\nxx3\n2 \n",
        [{"a": "1", "b": "one"}, {"a": "3"}, {"a": "2"}],
    ),
    (
        output("prometheus"),
        '# TYPE m counter\nm{a="x \\"y\\"",b="2"} 3 1700000000000\nn 1.5e3\n',
        [
            {"a": 'x "y"', "b": "2", "metric": "m", "value": "3", "timestamp": "1700000000000"},
            {"metric": "n", "value": "1.5e3"},
        ],
    ),
]


@pytest.mark.parametrize(("form", "text", "records"), CASES, ids=lambda each: getattr(each, "format", ""))
def test_a_form(form: Output, text: str, records: list[Record]) -> None:
    read = read_records(form, text)
    assert (read.records, read.problem) == (records, None)


MISTAKES = [
    ("jsonl", '{"a": 1}\n{"a": 2, "b', 1, 'line 2 is no JSON (Unterminated string starting at): {"a": 2, "b'),
    ("jsonl", "3\n", 0, "line 1 holds int 3 where a mapping is due"),
    ("jsonl", "9" * 5000, 0, "line 1 is no JSON (a number is too long): " + "9" * 117 + "..."),
    ("json", '{"a": ', 0, 'it is no JSON (Expecting value), ending in: {"a": '),
    ("csv", "a,b\n1,2\n1\n", 1, "record 3 has 1 fields, its header 2: 1"),
    ("keyvalue", "a=1\nnothing\n", 1, "line 2 has no key=value: nothing"),
    ("prometheus", "m 1\nm{ 3\n", 1, "line 2 is no sample: m{ 3"),
]


@pytest.mark.parametrize(("form", "text", "before", "problem"), MISTAKES)
def test_what_cannot_be_read(form: Format, text: str, before: int, problem: str) -> None:
    read = read_records(output(form), text)
    assert (len(read.records), read.problem) == (before, problem)


def test_too_many_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcpharness.record.formats.MOST_RECORDS", 2)
    read = read_records(output("jsonl"), "{}\n" * 3)
    assert (len(read.records), read.problem) == (2, "more than 2 records")
