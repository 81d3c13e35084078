"""What a person and a program read of a run."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest
from report_results import FAILURE, case, result

from tcpharness.report.as_json import results_as_json
from tcpharness.report.junit import printable, results_as_junit
from tcpharness.report.terminal import Terminal, case_text, failure_text
from tcpharness.scenario.model import Place
from tcpharness.verdict.result import Failure, MonitorVerdict, Verdict

Golden = Callable[[str, str], None]
ALL = ("pass", "fail", "void", "skip")


@pytest.mark.parametrize("outcome", ALL)
def test_a_case(outcome: str, golden: Golden) -> None:
    golden(f"report_{outcome}", case_text(result(outcome)) + "\n")


def test_colours_only_on_a_terminal() -> None:
    assert case_text(result("pass"), colour=True).startswith("\x1b[32mpass\x1b[0m  lost.yaml")
    assert "\x1b" not in "".join(case_text(result(o)) for o in ALL)


def test_a_pass_needs_no_words() -> None:
    assert failure_text(result("pass")) == ""


def test_monitors_beside_one_that_failed_are_told_of() -> None:
    own = [
        MonitorVerdict("tshark", "client", "void", True, "x.yaml:1:1: tshark at client: killed"),
        MonitorVerdict("ours", "client", "pass", True),
        MonitorVerdict("ours", "server", "pass", True),
        MonitorVerdict("absent", "client", "skip", True, "x.yaml:1:9: absent: no such program"),
        MonitorVerdict("unasked", "client", "pass", False),
    ]
    void = replace(result("void"), verdict=replace(result("void").verdict, monitors=own))
    assert failure_text(void).splitlines()[-4:-2] == [
        "  skip: x.yaml:1:9: absent: no such program",
        "  passed all the same: ours at client, ours at server",
    ]


def test_plain_lines(golden: Golden) -> None:
    out = io.StringIO()
    terminal = Terminal(out, 4, live=False)
    for outcome in ALL:
        one = result(outcome)
        terminal.started(one.case)
        terminal.ended(one)
    terminal.summary(1.234)
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()
    golden("report_summary", out.getvalue())


def test_the_live_line() -> None:
    out = io.StringIO()
    terminal = Terminal(out, 3, live=True, width=40)
    first, second = result("pass", "one.yaml"), result("fail", "a-rather-long-name.yaml")
    terminal.started(first.case)
    assert out.getvalue() == "\r\x1b[K0/3 done, 1 running: one.yaml"
    terminal.started(second.case)
    line = out.getvalue().rpartition("\r\x1b[K")[2]
    assert line == "0/3 done, 2 running: one.yaml, a-rather"
    assert len(line) < 40
    terminal.ended(first)
    shown = out.getvalue()
    assert "\r\x1b[K\x1b[32mpass\x1b[0m  one.yaml" in shown
    assert shown.endswith("\r\x1b[K1/3 done, 1 running: a-rather-long-name")
    terminal.ended(second)
    before = out.getvalue()
    terminal.summary(2)
    assert out.getvalue()[len(before) :] == "\r\x1b[K1 passed, 1 failed, 0 skipped, 0 void in 2.0 s\n"


def test_junit(golden: Golden) -> None:
    text = results_as_junit([result(o) for o in ALL])
    golden("report_junit", text)
    (suite,) = Xml.fromstring(text.encode())
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "1",
    }  # fmt: skip


def test_junit_holds_what_xml_can_not() -> None:
    strange = result("fail")
    found = "program said \x00\x1b[31m\ud800\ufffe & <b>\n\x0b"
    strange.verdict = Verdict("fail", failures=[Failure(Place("x.yaml", 1, 1), "a", found)])
    text = results_as_junit([strange])
    Xml.fromstring(text.encode())
    assert "& &lt;b&gt;" in text.replace("&amp;", "&")


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\tb\n", "a\tb\n"), ("\x00\x1f\x7f", "\x7f"), ("\ud800\ufffe\uffff", "")],
)
def test_printable(text: str, kept: str) -> None:
    assert printable(text) == kept


def keys(value: object, path: str = "") -> list[str]:
    """The shape of JSON: every path to a value."""
    if isinstance(value, dict):
        return [line for k, v in value.items() for line in keys(v, f"{path}.{k}")] or [path]
    if isinstance(value, list):
        return sorted({line for v in value for line in keys(v, f"{path}[]")}) or [f"{path}[]"]
    return [path]


def test_json(golden: Golden) -> None:
    data = results_as_json([result(o) for o in ALL])
    again = json.loads(json.dumps(data))
    assert again["counts"] == {"pass": 1, "fail": 1, "void": 1, "skip": 1}
    golden("report_json_keys", "\n".join(sorted(set(keys(again)))) + "\n")
    (entry,) = again["results"][0]["links"]["client-server"]["entries"]
    assert (entry["fate"], entry["fault"], entry["came_in"]) == ("drop", "lost", ["client", 12])
    assert again["results"][0]["counters"]["client"]["TcpRetransSegs"] == 1
    assert all(type(v) is int for v in again["results"][0]["counters"]["client"].values())
    assert again["results"][0]["captures"]["client"]["complete"] is True
    assert again["results"][1]["failures"][0]["capture"] == FAILURE.capture


@pytest.mark.parametrize(("fast", "factor"), [(True, 10), (False, 1)])
def test_how_much_faster_time_went_is_recorded(fast: bool, factor: int) -> None:
    made = result("pass")
    made.case = replace(made.case, fast=fast)
    (told,) = results_as_json([made])["results"]
    assert told["time_factor"] == factor


def test_a_case_again_names_the_case() -> None:
    assert "again: tcpharness run lost.yaml --seed 7" in failure_text(result("fail"))
    one = result("fail")
    one.case = replace(case(), id="lost.yaml[ip=6]")
    assert "again: tcpharness run lost.yaml -k '[ip=6]' --seed 7" in failure_text(one)
