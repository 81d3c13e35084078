"""docs/catalogue.md: what it sends a reader to exists."""

from __future__ import annotations

import re
from pathlib import Path

from tcpharness.analysis.catalog import BY_NAME

PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] != "name"]


def test_every_detector_that_it_names_exists() -> None:
    assert len(rows()) > 60
    for _, here, why in rows():
        assert here or why
        for name in re.findall(r"`(\w+)`", here):
            assert name in BY_NAME, name


def test_no_name_is_told_twice() -> None:
    names = [name for row in rows() for name in row[0].split(", ")]
    assert len(names) == len(set(names))
