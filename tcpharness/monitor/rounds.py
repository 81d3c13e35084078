"""A monitor that is asked again and again: an alarm is what was not so the time before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from tcpharness.analysis.finding import FlowKey
from tcpharness.evidence import MonitorOutcome
from tcpharness.monitor.words import take_text
from tcpharness.record.finding import MonitorFinding
from tcpharness.scenario.monitor import Description

Key = tuple[str, FlowKey | None]


class Rounds:
    """Answers to the same question, in their order."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self.answer: list[MonitorFinding] = []  # the latest, whole
        self._before: Counter[Key] = Counter()

    def take(self, text: str, time_ns: int, folder: Path, outcome: MonitorOutcome) -> None:
        """What the answer at `time_ns` has, and the one before had not, becomes findings of that time."""
        answer = replace(outcome, findings=[], records=0, error=None)
        take_text(self._description, text, folder, answer)
        outcome.records += answer.records
        outcome.error = outcome.error or answer.error
        self.answer = answer.findings
        now: Counter[Key] = Counter()
        for finding in answer.findings:
            key = (finding.name, finding.flow)
            now[key] += 1
            if now[key] > self._before[key]:
                if finding.time_ns is None:
                    finding.time_ns = time_ns
                outcome.findings.append(finding)
        self._before = now
