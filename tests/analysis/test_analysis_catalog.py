"""Every detector is documented, and its examples come out."""

from __future__ import annotations

import pytest

from tcpharness.analysis.catalog import BY_NAME, DETECTORS
from tcpharness.analysis.detector import Detector
from tcpharness.analysis.example import play

EXAMPLES = [
    pytest.param(d.name, word, lines, id=f"{d.name}-{word}-{title.replace(' ', '_')}")
    for d in DETECTORS
    for word, title, lines in d.examples()
    if lines
]


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda d: d.name)
def test_nothing_is_missing_from_the_documentation(detector: Detector) -> None:
    parts = detector.parts()
    missing = {"what it sees", "why it matters", "what to do", "limits", "fires", "silent"} - parts.keys()
    assert not missing
    assert all(text.strip() for text in parts.values())


@pytest.mark.parametrize(("name", "word", "lines"), EXAMPLES)
def test_the_examples_come_out(name: str, word: str, lines: list[str]) -> None:
    found = [finding.name for finding in play(lines)]
    assert (name in found) == (word == "fires"), found


def test_names_are_unique_and_parents_exist() -> None:
    assert len(BY_NAME) == len(DETECTORS)
    assert {d.parent for d in DETECTORS if d.parent} <= BY_NAME.keys()
