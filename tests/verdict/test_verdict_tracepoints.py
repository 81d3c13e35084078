"""`expect.tracepoints`, and the tracepoints beside the counters."""

from __future__ import annotations

import pytest
from verdict_scene import Scene, case_of, text_of

from tcpharness.evidence import Trace, TraceEvent
from tcpharness.scenario.problem import ScenarioErrors

TRACED = ["tcp_retransmit_skb", "tcp_bad_csum", "tcp_send_reset", "kfree_skb"]


def traced(expect: str) -> Scene:
    """The client retransmits once; the server drops a damaged segment; somebody else's reset as well."""
    scene = Scene(f"tracepoints: {expect}")
    scene.talk()
    client, server = (scene.address("client"), 40000), (scene.address("server"), 105)
    scene.evidence.trace = Trace(
        None,
        list(TRACED),
        [
            TraceEvent(1, "tcp_retransmit_skb", client, server),
            TraceEvent(2, "tcp_bad_csum", server, client),
            TraceEvent(3, "kfree_skb", server, client, "TCP_CSUM"),
            TraceEvent(4, "kfree_skb", ("", 0), ("", 0), "NO_SOCKET"),
            TraceEvent(5, "tcp_send_reset", (server[0], 9), (client[0], 5), "NO_SOCKET"),
        ],
    )
    return scene


@pytest.mark.parametrize(
    "expect",
    [
        "{client: {tcp_retransmit_skb: 1, tcp_bad_csum: 0}}",
        "{server: {kfree_skb: {TCP_CSUM: 1, NO_SOCKET: 0}, tcp_bad_csum: 1}}",
        "{server: {kfree_skb: 1, tcp_send_reset: 0}}",
    ],
)
def test_holds(expect: str) -> None:
    verdict = traced(expect).judge()
    assert verdict.outcome == "pass", text_of(verdict)


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        (
            "{client: {tcp_retransmit_skb: 2}}",
            "expected tcp_retransmit_skb 2 times at client\n    found 1 times",
        ),
        ("{server: {kfree_skb: {NO_SOCKET: 1}}}", "kfree_skb with reason NO_SOCKET 1 times at server"),
        ("{server: {kfree_skb: {NO_SOCKET: 1}}}", ".105 > "),
    ],
)
def test_fails_and_shows_what_there_was(expect: str, words: str) -> None:
    verdict = traced(expect).judge()
    assert verdict.outcome == "fail"
    assert words in text_of(verdict)


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (
            Trace(refused="tracefs can't be mounted: Operation not permitted"),
            "can't be read: tracefs can't be mounted",
        ),
        (Trace(None, ["tcp_bad_csum"]), "this kernel has no tracepoint tcp_retransmit_skb"),
        (Trace(None, list(TRACED), [], 7), "7 events were lost"),
        (Trace(None, list(TRACED), [], 0, True), "shared its addresses"),
        (None, "nobody asked"),
    ],
)
def test_what_was_not_traced_skips(trace: Trace | None, words: str) -> None:
    scene = traced("{client: {tcp_retransmit_skb: 0}}")
    scene.evidence.trace = trace
    verdict = scene.judge()
    assert verdict.outcome == "skip"
    assert words in verdict.reason


def test_one_witness_fewer_is_said_and_fails_nothing() -> None:
    scene = traced("{client: {tcp_retransmit_skb: 1}}")
    scene.case = case_of("endpoints: {server: {}}")
    scene.evidence.trace = Trace(refused="tracefs can't be mounted: Operation not permitted")
    verdict = scene.judge()
    assert verdict.outcome == "pass"
    assert any("one witness fewer" in note for note in verdict.notes)


def test_beside_the_counters() -> None:
    scene = traced("{client: {tcp_retransmit_skb: 1}}")
    scene.evidence.counters["client"]["TcpRetransSegs"] = 2  # one buffer of two segments
    scene.evidence.counters["server"]["TcpInCsumErrors"] = 3
    found = {(a.host, a.counter): a for a in scene.judge().agreements if a.what.startswith("tracepoints")}
    assert (found["client", "TcpRetransSegs"].captured, found["client", "TcpRetransSegs"].holds) == (1, True)
    assert not found["server", "TcpInCsumErrors"].holds
    assert all(a.why for a in found.values())  # shown, and no law
    scene.evidence.counters["client"]["TcpRetransSegs"] = 0
    again = [a for a in scene.judge().agreements if a.what.startswith("tracepoints: tcp_retrans")]
    assert not again[0].holds


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("{client: {tcp_retransmit: 1}}", "tcp_retransmit_skb"),
        ("{client: {kfree_skb: {no_socket: 1}}}", "a reason as the kernel prints it"),
        ("{client: {kfree_skb: many}}", "is not a count"),
    ],
)
def test_mistakes_are_named(expect: str, words: str) -> None:
    with pytest.raises(ScenarioErrors) as error:
        case_of(f"tracepoints: {expect}")
    assert words in str(error.value)
