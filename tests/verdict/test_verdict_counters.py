"""Counters: what is a mistake, what this kernel lacks, and what has not counted yet."""

from __future__ import annotations

import pytest
from verdict_scene import Scene, text_of

# the counter as written, its expected growth, the outcome, words
CASES = [
    ("TcpRetransSegs", "0", "pass", ""),
    ("TCPTimeouts", "0", "pass", ""),
    ("TcpRetransSegs", "1", "fail", "TcpRetransSegs to grow by 1 at client"),
    ("TcpRetransSeg", "0", "fail", "TcpRetransSeg, which no kernel has; near: TcpRetransSegs"),
    ("TcpTimeouts", "0", "fail", "near: TcpExtTCPTimeouts"),
    ("TcpExtTCPAOGood", "0", "skip", "this kernel has no counter TcpExtTCPAOGood"),
    ("TCPAOGood", "0", "skip", "this kernel has no counter TCPAOGood"),
    ("Icmp6InType1", "0", "pass", ""),
    ("IcmpMsgInType3", "1", "fail", "it grew by 0"),
]


@pytest.mark.parametrize(("counter", "count", "outcome", "words"), CASES)
def test_counters(counter: str, count: str, outcome: str, words: str) -> None:
    scene = Scene(f"findings: {{client: {{}}}}, counters: {{client: {{{counter}: {count}}}}}")
    scene.talk()
    verdict = scene.judge()
    assert verdict.outcome == outcome, text_of(verdict)
    assert words in text_of(verdict)


def test_a_mistake_is_not_hidden_behind_a_kernel_that_lacks_another() -> None:
    scene = Scene("findings: {client: {}}, counters: {client: {TCPAOGood: 0, TcpRetransSeg: 0}}")
    scene.talk()
    assert scene.judge().outcome == "fail"
