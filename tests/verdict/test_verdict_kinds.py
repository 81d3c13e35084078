"""Kinds of retransmission beside the kernel's counters: shown at the sender, never a law."""

from __future__ import annotations

import pytest
from verdict_scene import Scene

from tcpharness.verdict.kinds import COMPARED
from tcpharness.verdict.result import Agreement

NAMES = {
    "spurious": "spurious_retransmission",
    "synack": "synack_retransmission",
    "f_rto": "spurious_timeout",
    "echo": "spurious_timeout",
}
NO_COUNTS = {counter: 0 for each in COMPARED for counter in each.counters}


def weigh(kinds: list[str], counted: dict[str, int], *, sender: str = "client") -> dict[str, Agreement]:
    scene = Scene("findings: {client: {}}")
    scene.talk()
    for n, kind in enumerate(kinds):
        name = NAMES.get(kind, "retransmission")
        kind = "syn" if kind == "synack" else kind
        scene.found("client", name, kind=kind, seq=n, sender=sender)
    scene.evidence.counters["client"] = NO_COUNTS | {f"TcpExt{name}": n for name, n in counted.items()}
    return {a.what: a for a in scene.judge().agreements if "judgement" in (a.why or "")}


@pytest.mark.parametrize(
    ("kinds", "counted", "what", "holds"),
    [
        (["fast", "recovery"], {"TCPFastRetrans": 2}, "fast retransmissions", True),
        (["fast"], {"TCPFastRetrans": 2}, "fast retransmissions", False),
        (["rto"], {"TCPTimeouts": 1}, "retransmissions by timeout", True),
        (["rto"], {"TCPTimeouts": 2}, "retransmissions by timeout", True),  # one of them gave up
        (["rto", "rto"], {"TCPTimeouts": 1}, "retransmissions by timeout", False),
        (["syn"], {"TCPSynRetrans": 1}, "SYNs and SYN-ACKs sent again", True),
        (["syn"], {}, "SYNs and SYN-ACKs sent again", False),
        (["tlp"], {"TCPLossProbes": 3}, "tail-loss probes that were sent again", True),
        (["syn", "synack"], {"TCPSynRetrans": 2}, "SYNs and SYN-ACKs sent again", True),
        (["spurious"], {"TCPDSACKRecv": 1}, "spurious retransmissions", True),
        (["spurious"], {"TCPSpuriousRTOs": 1}, "spurious retransmissions", False),
        (["f_rto"], {"TCPSpuriousRTOs": 1, "TCPLossUndo": 1}, "timeouts taken back by F-RTO", True),
        (["f_rto"], {"TCPLossUndo": 1}, "timeouts taken back by F-RTO", False),
        (["echo", "f_rto"], {"TCPLossUndo": 3}, "timeouts taken back", True),
        (["echo", "f_rto"], {"TCPLossUndo": 1}, "timeouts taken back", False),
        (["spurious"], {}, "spurious retransmissions", False),
    ],
)
def test_shown(kinds: list[str], counted: dict[str, int], what: str, holds: bool) -> None:
    found = weigh(kinds, counted)[what]
    assert (found.holds, found.captured) == (holds, len(kinds))


def test_what_the_other_side_sent_is_seen_there() -> None:
    assert weigh(["fast"], {"TCPFastRetrans": 0}, sender="server") == {}


def test_where_nothing_was_sent_again_nothing_is_shown() -> None:
    assert weigh([], {}) == {}
