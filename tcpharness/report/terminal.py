"""A run on a terminal, or as plain lines where nobody watches.

One line a case when it has ended, what failed beneath it, and a summary at the end. On a terminal a
last line shows what is running.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TextIO

from tcpharness.scenario.model import Case
from tcpharness.verdict.result import Result, Verdict

COLOURS = {"pass": "32", "fail": "31", "void": "35", "skip": "33"}
CLEAR_LINE = "\r\x1b[K"


class Terminal:
    """Hears of cases as they start and end, and prints."""

    def __init__(self, out: TextIO, total: int, *, live: bool, width: int = 80) -> None:
        self.out = out
        self.total = total
        self.live = live  # a terminal: colours, and a line that moves
        self.width = width
        self.running: list[str] = []
        self.counts = dict.fromkeys(COLOURS, 0)

    def started(self, case: Case) -> None:
        self.running.append(case.id)
        self._show_running()

    def ended(self, result: Result) -> None:
        self.running.remove(result.case.id)
        self.counts[result.verdict.outcome] += 1
        self._clear()
        self.tell(result)
        self._show_running()

    def tell(self, result: Result) -> None:
        print(case_text(result, colour=self.live), file=self.out, flush=True)

    @property
    def left(self) -> int:
        """Cases that have not ended."""
        return self.total - sum(self.counts.values())

    def summary(self, seconds: float) -> None:
        self._clear()
        print(summary(self.counts, seconds), file=self.out, flush=True)

    def _clear(self) -> None:
        if self.live:
            self.out.write(CLEAR_LINE)

    def _show_running(self) -> None:
        if not self.live or not self.running:
            return
        done = sum(self.counts.values())
        text = f"{done}/{self.total} done, {len(self.running)} running: {', '.join(self.running)}"
        self.out.write(CLEAR_LINE + text[: self.width - 1])
        self.out.flush()


def summary(counts: dict[str, int], seconds: float) -> str:
    """`38 passed, 0 failed, 1 skipped, 0 void in 4.2 s`"""
    c = counts
    return f"{c['pass']} passed, {c['fail']} failed, {c['skip']} skipped, {c['void']} void in {seconds:.1f} s"


def case_text(result: Result, *, colour: bool = False) -> str:
    """`pass  scenarios/x.yaml[ip=6]  0.41 s`, and what is wrong beneath."""
    outcome = result.verdict.outcome
    word = f"\x1b[{COLOURS[outcome]}m{outcome}\x1b[0m" if colour else outcome
    line = f"{word}  {result.case.id}  {result.duration_ns / 1e9:.2f} s"
    if outcome == "skip":
        return f"{line}  ({result.verdict.reason})"
    text = failure_text(result)
    return f"{line}\n{text}" if text else line


def failure_text(result: Result) -> str:
    """Why it did not pass, where to look, and how to see it again; empty when it passed."""
    verdict = result.verdict
    if verdict.outcome == "pass":
        return ""
    if verdict.outcome == "skip":
        return verdict.reason
    lines = [f"  void: {problem}" for problem in verdict.discrepancies]
    if verdict.discrepancies and verdict.failures:
        lines.append("  it would also have failed:")
    for failure in verdict.failures:
        lines += ["  " + line for line in str(failure).splitlines()]
    lines += [f"  {line}" for line in other_monitors(verdict)]
    lines += [f"  note: {note}" for note in verdict.notes]
    if result.out_dir:
        lines.append(f"  kept in {result.out_dir}")
    lines.append(f"  again: {again(result)}")
    return "\n".join(lines)


def other_monitors(verdict: Verdict) -> Iterator[str]:
    """Those of a case that did not pass because of others, or that could not be had."""
    expected = [own for own in verdict.monitors if own.expected]
    yield from dict.fromkeys(f"skip: {own.reason}" for own in expected if own.outcome == "skip")
    passed = [f"{own.monitor} at {own.vantage}" for own in expected if own.outcome == "pass"]
    if passed:
        yield f"passed all the same: {', '.join(passed)}"


def again(result: Result) -> str:
    """The command that plays this case, and no other of its file, once more."""
    case = result.case
    only = case.id.removeprefix(case.file)  # "[ip=6]"
    chosen = ["-k", only] if only else []
    return shlex.join(["tcpharness", "run", case.file, *chosen, "--seed", str(result.seed)])
