"""`tcpharness score`: monitors found, cases played, the card printed, the gate."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TextIO

from tcpharness.monitor.process import lacking
from tcpharness.report.score_data import as_csv, as_json
from tcpharness.report.score_text import as_markdown, as_text
from tcpharness.run import Lacking
from tcpharness.scenario.model import Case
from tcpharness.scenario.problem import ScenarioErrors
from tcpharness.score import Asked, card_of, description_of, score_cases, uses_of
from tcpharness.verdict.result import Result
from tcpharness.verdict.score import Scorecard, shortfalls

OK, FAILED, LACKING = 0, 1, 3  # as everywhere


def score_page(args: argparse.Namespace, cases: Sequence[Case]) -> int:
    """The exit status. Raises ValueError where what was asked for can't be; Lacking."""
    words = [word for word in args.monitors.split(",") if word]
    if not words:
        raise ValueError("--monitors names none; expected some of tshark, suricata, tcpharness, or a file")
    telling = [case for case in cases if case.expect.findings]
    if not telling:
        raise ValueError("none of these cases expects findings, so none says what a monitor should see")
    try:
        uses = uses_of(words)
    except ScenarioErrors as errors:
        raise ValueError(f"these monitors can't be right\n{errors}") from None
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}; expected a monitor's name or file") from None
    for use in uses:
        why = lacking(description_of(use))
        if why is not None:
            raise Lacking(f"{use.name}: {why}")
    progress = Progress(sys.stderr, len(telling))
    if args.captures is None:
        card = score_cases(telling, uses, Asked(args.jobs, args.seed, args.out), progress)
    else:
        from tcpharness.rescore import replayed

        card = card_of(replayed(telling, uses, args.captures, args.seed, progress), uses, args.seed)
    card.silent = len(cases) - len(telling)
    print(page(card, args.format, args.all), end="")
    reasons = shortfalls(card, args.fail_under) if args.fail_under else []
    absent = [f"{score.monitor}: {score.lacking}" for score in card.scores if score.lacking]
    for reason in reasons or absent:
        print(f"tcpharness: {reason}", file=sys.stderr)
    return FAILED if reasons else LACKING if absent else OK


def page(card: Scorecard, form: str, everything: bool) -> str:
    if form == "json":
        return json.dumps(as_json(card), indent=2) + "\n"
    if form == "csv":
        return as_csv(card)
    return as_markdown(card) if form == "md" else as_text(card, everything=everything)


class Progress:
    """How far it is, on a terminal."""

    def __init__(self, out: TextIO, number: int) -> None:
        self._out = out
        self._number = number
        self._ended = 0

    def started(self, case: Case) -> None:
        pass

    def ended(self, result: Result) -> None:
        self._ended += 1
        if self._out.isatty():
            last = self._ended == self._number
            text = "" if last else f"{self._ended} of {self._number} cases"
            self._out.write(f"\r\x1b[K{text}")
            self._out.flush()
