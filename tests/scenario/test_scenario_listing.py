"""A list shows the same cases as the loader finds, without its cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tcpharness.scenario.listing import list_cases
from tcpharness.scenario.load import load
from tcpharness.scenario.problem import ScenarioErrors

LIBRARY = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.yaml"))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_the_list_and_the_loader_agree(path: Path) -> None:
    text = path.read_bytes()
    listed = [(c.id, c.name, c.about, c.tags, c.file) for c in list_cases(text, "x.yaml")]
    assert listed == [(c.id, c.name, c.about.strip(), c.tags, c.file) for c in load(text, "x.yaml")]


@pytest.mark.parametrize("text", ["", "[1, 2]", "scenario: [", "scenario: a\nip: [5]"])
def test_what_can_not_be_listed_is_said(text: str) -> None:
    with pytest.raises(ScenarioErrors, match=r"x\.yaml:\d+:\d+: "):
        list_cases(text, "x.yaml")


def test_the_model_is_not_imported() -> None:
    code = "import sys, tcpharness.scenario.listing; print('tcpharness.scenario.model' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
