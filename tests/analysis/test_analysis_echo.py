"""Within one tick of the timestamp clock, the echo tells a repeat from a late original."""

from __future__ import annotations

import pytest

from tcpharness.analysis.records import Hole
from tcpharness.packet.notation import parse_line


def segment(tsecr: int) -> Hole:
    return Hole(1, 2, parse_line(f"0.000 > P. 1:11(10) ack 1 win 100 <nop,nop,TS val 5 ecr {tsecr}>"))


@pytest.mark.parametrize(("echo", "answer"), [(9, 1), (10, 0), (11, -1)])
def test_the_older_echo_was_sent_first(echo: int, answer: int) -> None:
    late = parse_line(f"0.001 > P. 1:11(10) ack 1 win 100 <nop,nop,TS val 5 ecr {echo}>")
    assert segment(10).older(late) == answer
    assert segment(10).part(1, 2).older(late) == answer


def test_without_timestamps_nothing_is_told() -> None:
    assert segment(10).older(parse_line("0.001 > P. 1:11(10) ack 1 win 100")) == 0
