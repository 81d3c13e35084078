"""The examples of the detectors' documentation, played."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tcpharness.analysis.capture import Analysis, capture_drops
from tcpharness.analysis.finding import Finding
from tcpharness.packet.notation import parse_line

END = re.compile(r"(\d+(?:\.\d+)?)\s+end\s*$")
DROPS = re.compile(r"\S+\s+drops\s+(\d+)\s+of\s+(\d+)\s*$")


def play(lines: Iterable[str]) -> list[Finding]:
    """The findings of segments in the one-line notation.

    `9.000 end` lets the capture go on until then; `0.000 drops 5 of 100` is the capturing program's word.
    """
    analysis = Analysis()
    said: list[Finding] = []
    for number, line in enumerate(lines, 1):
        if end := END.match(line):
            analysis.last_ns = int(float(end[1]) * 1e9)
        elif drops := DROPS.match(line):
            said += [capture_drops(int(drops[1]), int(drops[2]))] if int(drops[1]) else []
        else:
            analysis.see(parse_line(line, frame=number))
    return analysis.finish().findings + said
