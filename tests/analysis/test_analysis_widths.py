"""Compiled detectors are told what they get: else a look at a segment costs what the interpreter pays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tcpharness.analysis.detectors

FOLDER = Path(tcpharness.analysis.detectors.__file__).parent
RULE = re.compile(r"^def (\w+)\(segment: Segment, this: Side, other: Side\) -> Hit \| None", re.MULTILINE)
WIDTHS = re.compile(r"^cpdef Hit (\w+)\(Segment segment, Side this, Side other\)$", re.MULTILINE)


@pytest.mark.parametrize("widths", sorted(FOLDER.glob("*.pxd")), ids=lambda path: path.stem)
def test_every_rule_of_a_compiled_module_has_its_widths(widths: Path) -> None:
    rules = RULE.findall(widths.with_suffix(".py").read_text())
    assert rules
    assert sorted(WIDTHS.findall(widths.read_text())) == sorted(rules)
