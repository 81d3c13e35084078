"""Repeated cases: distinct transcripts, what differs, and when that is a failure."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

from report_results import result

from tcpharness.report.repeats import RepeatTerminal, repeats_as_json, repeats_text
from tcpharness.verdict.repeats import Repeats
from tcpharness.verdict.result import Result


def run(*lines: str, outcome: str = "pass", kernel: bool = False) -> Result:
    made = result(outcome)
    return replace(made, case=replace(made.case, kernel_timing=kernel), transcript=list(lines))


def repeated(*results: Result) -> Repeats:
    repeats = Repeats()
    for each in results:
        repeats.take(each)
    return repeats


def test_runs_alike_are_one_transcript() -> None:
    repeats = repeated(run("a", "b"), run("a", "b"), run("a", "b"))
    assert repeats.holds
    assert repeats_text(repeats) == (
        "3 runs of 1 cases: 1 gave one transcript, 0 several by `timing: kernel`, 0 several without it"
    )


def test_two_transcripts_without_leave_are_told_with_what_differs() -> None:
    repeats = repeated(run("a", "b"), run("a", "c"), run("a", "b"))
    assert not repeats.holds
    text = repeats_text(repeats)
    assert text.splitlines()[:3] == ["differs  lost.yaml  2 transcripts (2, 1 runs)", "  - b", "  + c"]
    assert "lost.yaml:1:1: if the kernel's timers decide this" in text


def test_the_kernel_may_decide_where_the_scenario_says_so() -> None:
    repeats = repeated(run("a", kernel=True), run("b", kernel=True))
    assert repeats.holds
    assert repeats_text(repeats).startswith("kernel  lost.yaml  2 transcripts (1, 1 runs)")


def test_a_run_that_does_not_pass_is_never_alike_enough() -> None:
    assert not repeated(run("a"), run("a", outcome="fail")).holds
    assert not repeated(run("a", kernel=True), run("b", outcome="void", kernel=True)).holds


def test_a_skipped_run_has_no_transcript() -> None:
    repeats = repeated(run(outcome="skip"), run(outcome="skip"))
    assert repeats.holds
    (told,) = repeats_as_json(repeats)
    assert (told["distinct"], told["outcomes"]) == (0, {"skip": 2})


def test_json_says_how_often_each_came_and_what_differs() -> None:
    (told,) = repeats_as_json(repeated(run("a"), run("b"), run("b")))
    assert sorted(told["runs"].values()) == [1, 2]
    assert told["difference"] == ["- a", "+ b"]
    assert told["holds"] is False


def test_the_terminal_tells_only_of_what_did_not_pass() -> None:
    out = StringIO()
    terminal = RepeatTerminal(out, 2, live=False)
    for each in (run("a"), run("a", outcome="fail")):
        terminal.started(each.case)
        terminal.ended(each)
    assert out.getvalue().startswith("fail  lost.yaml")
    assert terminal.repeats.cases["lost.yaml"].outcomes == {"pass": 1, "fail": 1}
