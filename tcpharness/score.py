"""Scenarios by monitors: each case is played once, all monitors watch it, and its expectations judge them.

The cases' own monitors stay at home. Everything is kept in a folder until it has been looked at.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from tcpharness.analysis.catalog import BY_NAME
from tcpharness.evidence import CaptureOutcome, MonitorOutcome
from tcpharness.monitor.library import named
from tcpharness.packet.pcap import Reader
from tcpharness.run import Audience, Options, run_cases
from tcpharness.scenario.model import Case
from tcpharness.scenario.monitor import Description, MonitorUse
from tcpharness.verdict.findings import LOUD
from tcpharness.verdict.packets import Packets
from tcpharness.verdict.result import Result
from tcpharness.verdict.score import Mark, Score, Scorecard, Seen, first_of, marks_of
from tcpharness.verdict.truth import Stand, concerns_findings, stands

if TYPE_CHECKING:
    from tcpharness.analysis.finding import Finding


ALIKE = 0.8  # of 1: a slip of the pen


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be scored, and how."""

    jobs: int = 12
    seed: int = 1  # of every case that has none of its own
    out: Path | None = None


def uses_of(words: Iterable[str]) -> list[MonitorUse]:
    """Monitors as the command line names them. Raises ScenarioErrors, OSError, ValueError."""
    found = [use for word in words for use in named(word)]
    names = [use.name for use in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two monitors are called {name}; give one of them another name in a file")
    for use in found:
        check_names(use)
    return found


def check_names(use: MonitorUse) -> None:
    """A slip in a name would leave a rule unjudged, and nobody would be told. Raises ValueError."""
    for rule in description_of(use).names:
        close = get_close_matches(rule.name, BY_NAME, n=1, cutoff=ALIKE)
        if rule.name not in BY_NAME and close:
            raise ValueError(
                f"{use.at}: {use.name} has names for {rule.name}, which is no detector; {close[0]} is"
            )


def score_cases(
    cases: Sequence[Case], uses: Sequence[MonitorUse], asked: Asked, audience: Audience
) -> Scorecard:
    """Plays the cases and judges the monitors. Raises Lacking."""
    telling = [prepared(case, uses, asked.seed) for case in cases]
    folder = asked.out or Path(tempfile.mkdtemp(prefix="tcpharness-score-"))
    try:
        results = run_cases(telling, Options(jobs=asked.jobs, out=folder, keep=True), audience)
        return card_of(results, uses, asked.seed)
    finally:
        if asked.out is None:
            shutil.rmtree(folder, ignore_errors=True)


def card_of(results: Iterable[Result], uses: Sequence[MonitorUse], seed: int) -> Scorecard:
    card = Scorecard([scored(use) for use in uses], seed=seed)
    for result in results:
        judge_case(result, uses, card)
        card.versions = result.versions
    return card


def prepared(case: Case, uses: Sequence[MonitorUse], seed: int) -> Case:
    """The case with these monitors; a seed of its own, so that neighbours are not alike."""
    drawn = random.Random(f"{seed} {case.id}").getrandbits(32)
    expect = replace(case.expect, monitors=())
    own = tuple(at_watched(use, case) for use in uses)
    return replace(case, monitors=own, expect=expect, seed=drawn if case.seed is None else case.seed)


def at_watched(use: MonitorUse, case: Case) -> MonitorUse:
    """One that reads captures needs no others than the watched ones."""
    watched = tuple(w.vantage for w in case.expect.findings)
    if use.vantages or "any" in watched or watches_hosts(use):
        return use
    return replace(use, vantages=watched)


def scored(use: MonitorUse) -> Score:
    return Score(use.name, words=words_of(description_of(use)))


def words_of(description: Description) -> frozenset[str]:
    """The detectors that its mapping has; whatever else it calls its own can't be compared."""
    return frozenset(rule.name for rule in description.names if rule.name in BY_NAME)


def description_of(use: MonitorUse) -> Description:
    assert use.description is not None  # `named` has found it
    return use.description


def watches_hosts(use: MonitorUse) -> bool:
    """It knows what a host did, not what passes an interface."""
    description = description_of(use)
    commands = [command for command in (description.live, description.ask) if command is not None]
    return description.read is None and not any("{iface}" in word for c in commands for word in c.words)


# --- one case


def judge_case(result: Result, uses: Sequence[MonitorUse], card: Scorecard) -> None:
    why = no_proof(result)
    if why is not None:
        card.left_out.append(f"{result.case.id}: {why}")
        return
    card.cases += 1
    for use, score in zip(uses, card.scores, strict=True):
        judge_monitor(result, use, score)


def no_proof(result: Result) -> str | None:
    """Why this case can't tell what was there; None when it can.

    That our own analysis disagrees is no reason: it is one of the monitors.
    """
    verdict = result.verdict
    if verdict.outcome in ("void", "skip"):
        return f"{verdict.outcome}: {verdict.reason}"
    others = [f for f in verdict.failures if not concerns_findings(f.at, result.case)]
    return f"it went otherwise: {str(others[0]).splitlines()[0]}" if others else None


def judge_monitor(result: Result, use: MonitorUse, score: Score) -> None:
    outcomes = {o.vantage: o for o in result.evidence.monitors if o.monitor == use.name}
    lacking = next((o.lacking for o in outcomes.values() if o.lacking), None)
    if lacking is not None:
        score.lacking = score.lacking or lacking
        return
    score.version = score.version or next((o.version for o in outcomes.values() if o.version), "")
    whole = [v for v, capture in result.evidence.captures.items() if is_whole(capture)]
    hosts = watches_hosts(use)
    judged = False
    for stand in stands(result.case, [v for v in whole if v in outcomes], hosts):
        heard = [outcomes[vantage] for vantage in stand.vantages]
        broken = [f"{result.case.id}: {outcome}: {outcome.error}" for outcome in heard if outcome.error]
        score.errors += broken
        if not broken:
            judged = True
            note(stand, heard, result, score)
    score.cases += judged


def is_whole(capture: CaptureOutcome) -> bool:
    """It could be found in: nothing kept packets out of it, and its end is known."""
    return not (capture.text or capture.filter or capture.error or not capture.marker_seen)


def note(stand: Stand, heard: Sequence[MonitorOutcome], result: Result, score: Score) -> None:
    """The marks of one stand, and the names that are nobody's."""
    reports = [report for outcome in heard for report in outcome.findings]
    for report in reports:
        if report.name not in score.words and report.level in LOUD:
            score.unmapped[report.name] = score.unmapped.get(report.name, 0) + report.count
    at = next(str(w.at) for w in result.case.expect.findings if w.vantage in (*stand.vantages, "any"))
    seen = Seen(result.case.id, at, stand, reports, list(truth_at(stand, result)))
    for mark in marks_of(seen, score.words):
        score.marks.append(with_packets(mark, heard, result) if mark.kind in EXPLAINED else mark)


EXPLAINED = ("miss", "false alarm")


def truth_at(stand: Stand, result: Result) -> Iterator[Finding]:
    for vantage in stand.vantages:
        report = result.evidence.captures[vantage].report
        yield from report.findings if report is not None else ()


# --- the packets that a mark is about


def with_packets(mark: Mark, heard: Sequence[MonitorOutcome], result: Result) -> Mark:
    """Around where it happened, as our own analysis has it; around what was reported, where nothing had."""
    for outcome in heard:
        frame = frame_of(mark, outcome, result)
        if frame:
            capture = result.evidence.captures[outcome.vantage]
            packets = Packets(frames_of(capture), result.names).around(frame)
            return replace(mark, packets=packets, capture=outcome.vantage)
    return mark


def frame_of(mark: Mark, outcome: MonitorOutcome, result: Result) -> int:
    """From 1 in the capture of the outcome's vantage; 0: nowhere there."""
    if mark.kind == "false alarm":
        return next((f.frame for f in outcome.findings if f.name == mark.condition and f.frame), 0)
    report = result.evidence.captures[outcome.vantage].report
    found = first_of(mark.condition, report.findings) if report is not None else None
    return found.frame if found is not None else 0


def frames_of(capture: CaptureOutcome) -> list[tuple[int, bytes]]:
    with open(capture.file, "rb") as file:
        return [(frame.time_ns, frame.data) for frame in Reader(file)]


__all__ = ["Asked", "score_cases", "uses_of"]
