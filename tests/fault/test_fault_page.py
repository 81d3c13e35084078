"""docs/faults.md: every action that it shows loads, and means what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from talk import case_of

PAGE = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
ACTIONS = re.findall(r"^    do: (.*?)(?: +#.*)?$", PAGE, re.MULTILINE)


def test_the_page_shows_every_action() -> None:
    shown = {word for action in ACTIONS for word in re.findall(r"[a-z]+", action)}
    assert {
        "drop",
        "delay",
        "duplicate",
        "hold",
        "corrupt",
        "set",
        "split",
        "fragment",
        "inject",
        "kill",
    } <= shown


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_loads(action: str) -> None:
    (fault,) = case_of(f"{{when: {{from: client, data: 1}}, do: {action}}}").faults
    assert fault.do
