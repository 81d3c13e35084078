"""Excerpts of captures at the sender, from `bench/accuracy`, with what the sending kernel did.

Behind each segment that was sent again stands its kind, as the kernel's trace has it; `called` and another
kind where ours differs, which docs/accuracy.md explains.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tcpharness.analysis.example import play
from tcpharness.analysis.finding import Finding

EXCERPTS = sorted((Path(__file__).parent / "accuracy").glob("*.txt"))
NAMES = ("retransmission", "spurious_retransmission", "syn_retransmission", "synack_retransmission")


def kind(finding: Finding) -> str:
    """As the kernel counts: a recovery's first repeat and its others are alike."""
    if finding.name.startswith("syn"):
        return "syn"
    named = "fast" if finding.kind == "recovery" else finding.kind
    return f"{named} or {finding.detail['or']}" if "or" in finding.detail else named


@pytest.mark.parametrize("path", EXCERPTS, ids=lambda path: path.stem)
def test_what_was_sent_again_and_why(path: Path) -> None:
    lines, expected = [], {}
    for text in path.read_text().splitlines():
        if text.startswith("#"):
            continue
        segment, _, kinds = text.partition(" = ")
        lines.append(segment)
        true, _, called = kinds.partition(", called ")
        if kinds:
            expected[len(lines)] = called or true
    own = {f.frame: f for f in play(lines) if f.name in NAMES and f.frame in expected}
    assert {frame: kind(finding) for frame, finding in own.items()} == expected
    others = [f for f in play(lines) if f.name in NAMES and f.frame not in expected]
    assert [lines[f.frame - 1] for f in others if lines[f.frame - 1].split()[1] == ">"] == []
