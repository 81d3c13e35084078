"""README and docs/design.md claim only what is there."""

from __future__ import annotations

import re
from pathlib import Path

from tcpharness.scenario.listing import list_cases
from tcpharness.scenario.load import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_example_loads() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (case,) = load(example, "README.md")
    assert case.faults[0].name == "lost"


def test_the_library_is_as_large_as_it_says() -> None:
    files = sorted((ROOT / "scenarios").rglob("*.yaml"))
    cases = sum(len(list_cases(path.read_bytes(), path.name)) for path in files)
    assert f"{len(files)} files, {cases} cases" in README


def test_every_page_that_it_names_is_there() -> None:
    pages = re.findall(r"\]\(([^)#]+)\)", README)
    assert pages
    assert [page for page in pages if not (ROOT / page).exists()] == []


def test_every_room_of_the_design_is_there() -> None:
    drawn = re.findall(r"^  (\w+)/ +(?:pure|edge)", (ROOT / "docs/design.md").read_text(), re.MULTILINE)
    rooms = {path.name for path in (ROOT / "tcpharness").iterdir() if (path / "__init__.py").exists()}
    assert set(drawn) == rooms
