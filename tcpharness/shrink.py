"""The smallest scenario that comes to the same verdict: `tcpharness shrink`.

What could go is tried, the largest first, and stays away where every run still ends the same way: the same
outcome, the same expectations not met. Expectations themselves are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tcpharness.run import Options, run_cases
from tcpharness.scenario.model import Case
from tcpharness.scenario.problem import ScenarioErrors
from tcpharness.scenario.smaller import proposals, with_values
from tcpharness.scenario_file import load_whole
from tcpharness.verdict.result import Failure, Result

Signature = tuple[str, tuple[str, ...]]  # outcome, and which expectations do not hold
FINDING = re.compile(r"frame \d+: (\w+)")
Say = Callable[[str], None]


class CannotShrink(Exception):
    """There is nothing to compare with; the text says why."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    text: str
    verdict: Signature
    tried: int
    done: tuple[str, ...]  # what was left out or made smaller, in order


class Silent:
    """Nobody listens to single runs."""

    def __init__(self) -> None:
        self.heard: list[Result] = []

    def started(self, case: Case) -> None:
        pass

    def ended(self, result: Result) -> None:
        self.heard.append(result)


def shrink(text: str, case: Case, *, runs: int, seed: int, say: Say) -> Shrunk:
    """`case` is one of the cases of `text`. Raises CannotShrink."""
    play = Player(case.file, runs, seed)
    text = with_values(text, {name: str(value) for name, value in case.values.items()})
    wanted = play.verdict(text)
    if wanted is None:
        raise CannotShrink(f"{case.id}: there is no verdict to keep, {play.why}")
    if wanted[0] == "skip":
        raise CannotShrink(f"{case.id}: it is skipped on this machine")
    say(f"to be kept: {worded(wanted)}")
    done: list[str] = []
    refused: set[str] = set()
    at, taken = 0, 0  # the proposal to try next; how many had been taken when this round began
    while True:
        found = next_smaller(text, at, wanted, play, refused, say)
        if found is not None:
            at, about, text = found
            done.append(about)
            say(f"{about}: {worded(wanted)}")
        elif len(done) > taken:
            at, taken = 0, len(done)  # what could not go before may be able to now
        else:
            return Shrunk(text, wanted, play.tried, tuple(done))


def next_smaller(
    text: str, at: int, wanted: Signature, play: Player, refused: set[str], say: Say
) -> tuple[int, str, str] | None:
    """The first proposal from the `at`th on that keeps the verdict; what changes it is not tried again."""
    for number, proposal in enumerate(proposals(text)):
        if number < at or proposal.text in refused:
            continue
        verdict = play.verdict(proposal.text)
        if verdict == wanted:
            # What follows has moved up to this place.
            return number, proposal.about, proposal.text
        refused.add(proposal.text)
        say(f"{proposal.about}: no, {worded(verdict) if verdict else play.why}")
    return None


class Player:
    """Plays a text so many times."""

    def __init__(self, file: str, runs: int, seed: int) -> None:
        self.file, self.tried = file, 0
        self.why = ""  # the last text had no verdict
        self.runs = runs
        self.options = Options(seed=seed, repeat=runs)

    def verdict(self, text: str) -> Signature | None:
        """What all runs came to; None when it cannot be run, or when they differ."""
        try:
            cases = load_whole(text, self.file)
        except ScenarioErrors as errors:
            self.why = f"it can't be: {errors.problems[0].text}"
            return None
        self.tried += 1
        heard = Silent()
        run_cases(cases, self.options, heard)
        found = {signature(result) for result in heard.heard}
        if len(found) == 1:
            return found.pop()
        self.why = f"{self.runs} runs ended in {len(found)} ways: {' / '.join(sorted(map(worded, found)))}"
        return None


def signature(result: Result) -> Signature:
    """The outcome, each expectation that does not hold, and by which finding."""
    return result.verdict.outcome, tuple(sorted({what(failure) for failure in result.verdict.failures}))


def what(failure: Failure) -> str:
    named = FINDING.match(failure.actual)
    return f"{failure.expected}: {named[1]}" if named else failure.expected


def worded(verdict: Signature) -> str:
    outcome, expected = verdict
    return f"{outcome} ({'; '.join(expected)})" if expected else outcome


def header(case: Case, shrunk: Shrunk, seed: int) -> str:
    """Comments for the top of the file: where it comes from, and what it still shows."""
    lines: Sequence[str] = [
        f"made from {case.id} by tcpharness shrink --seed {seed}",
        f"verdict: {worded(shrunk.verdict)}",
        *(f"{about}" for about in shrunk.done),
    ]
    return "".join(f"# {line}\n" for line in lines)


def write(path: Path, text: str, *, force: bool) -> None:
    """Raises FileExistsError unless `force`."""
    with path.open("w" if force else "x") as file:
        file.write(text)
