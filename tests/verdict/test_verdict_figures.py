"""Faults, counters, tcpdump's figures, and the run itself."""

from __future__ import annotations

import pytest
from verdict_scene import DROP, TALK, Scene, text_of

from tcpharness.fault.ledger import Entry
from tcpharness.scenario.model import Place
from tcpharness.verdict.result import Failure, broken, skipped


def lossy(expect: str = "endpoints: {server: {}}", faults: str = DROP, drops: int = 1) -> Scene:
    scene = Scene(expect, faults=faults)
    scene.talk()
    for n in range(drops):
        scene.treat(scene.frame("client", "P.", seq=201 + n, ack=301, length=1), "drop", [], "lost")
    scene.link().fired["lost"] = drops
    return scene


def fault(when: str, *, name: str = "lost") -> str:
    return f"faults: [{{name: {name}, when: {{{when}}}, do: drop}}]\n"


# expected, how often it fired, words of the failure or None
FIRED = [
    ("endpoints: {server: {}}", 1, None),
    ("endpoints: {server: {}}", 3, None),
    ("endpoints: {server: {}}", 0, "expected lost to fire at least once"),
    ("faults: {lost: 2}", 2, None),
    ("faults: {lost: 2}", 1, "expected lost to fire 2 times"),
    ("faults: {lost: 2}", 3, "found it fired 3 times"),
    ("faults: {lost: '0..'}", 0, None),
]


@pytest.mark.parametrize(("expect", "drops", "words"), FIRED)
def test_faults_fire_as_often_as_expected(expect: str, drops: int, words: str | None) -> None:
    verdict = lossy(expect, drops=drops).judge()
    assert verdict.outcome == ("pass" if words is None else "fail"), text_of(verdict)
    assert (words or "") in text_of(verdict)


NEAREST = [
    ("from: client, data: 10", "carried 3 frames from client, 1 with payload; the last: 0.006"),
    ("from: server, flags: R", "carried 2 frames from server, 0 with flags R; the last: 0.008"),
    ("from: server, flags: has A, data: 1", "2 frames from server, 2 with at least ., 0 with payload"),
    ("flags: S.", "carried 5 frames, 1 with flags S."),
    ("from: client, contains: HELLO", "carried 3 frames from client, 1 with payload"),
    ("from: client, byte: 5000", "carried 3 frames from client, 1 with payload"),
    (
        "from: client, nth: 50",
        "carried 3 frames from client; the last: 0.006000 client.40000 > server.105: P. 1:101",
    ),
]


@pytest.mark.parametrize(("when", "words"), NEAREST)
def test_a_fault_that_never_fired_names_what_came_near(when: str, words: str) -> None:
    when = when.replace("has A", "has .")
    (failure,) = lossy(faults=fault(when), drops=0).judge().failures
    assert failure.actual.startswith("it fired 0 times; link client-server carried")
    assert words in failure.actual
    assert "client" in failure.actual.rpartition("the last: ")[2]


def test_a_fault_on_a_link_that_carried_nothing() -> None:
    scene = lossy(drops=0)
    scene.link().entries.clear()
    failures = scene.judge().failures
    assert failures[0].actual == "it fired 0 times; link client-server carried no frame from client"


def test_a_fault_whose_link_left_no_ledger() -> None:
    scene = lossy()
    scene.evidence.links.clear()
    assert "it fired 0 times" in text_of(scene.judge())


@pytest.mark.parametrize(("drops", "said"), [(1, 0), (0, 1)])
def test_the_ledger_and_the_counts_agree(drops: int, said: int) -> None:
    scene = lossy("faults: {lost: '0..'}", drops=drops)
    scene.link().fired["lost"] = said
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert f"lost is said to have fired {said} times" in verdict.reason


def test_a_frame_that_is_no_tcp_is_counted_too() -> None:
    scene = lossy(drops=0, faults=fault("from: client"))
    arp = b"\xff" * 6 + scene.end("client")[0] + b"\x08\x06" + bytes(46)
    scene.link().entries[:] = [Entry(1, 0, "forward", None, ("client", 1), (("server", 1),), arp, len(arp))]
    assert "carried 1 frame from client; the last: 0.000000 arp" in text_of(scene.judge())


COUNTERS = [
    ("client: {TcpRetransSegs: 2}", "pass", ""),
    (
        "client: {TcpRetransSegs: 1}",
        "fail",
        "TcpRetransSegs to grow by 1 at client",
    ),
    ("client: {TCPTimeouts: 0}", "pass", ""),
    ("client: {TcpExtTCPTimeouts: '1..'}", "fail", "it grew by 0"),
    ("client: {TcpRetransSeg: 0}", "fail", "TcpRetransSeg, which no kernel has; near: TcpRetransSegs"),
    ("client: {Xyzzy: 0, Plugh: 0}", "fail", "Plugh, which no kernel has"),
    ("client: {Xyzzy: 0, TcpRetransSegs: 1}", "fail", "it grew by 2"),
]


@pytest.mark.parametrize(("expect", "outcome", "words"), COUNTERS)
def test_counters(expect: str, outcome: str, words: str) -> None:
    scene = Scene(f"counters: {{{expect}}}")
    scene.talk()
    scene.evidence.counters["client"] = {"TcpRetransSegs": 2, "TcpExtTCPTimeouts": 0}
    verdict = scene.judge()
    assert verdict.outcome == outcome
    assert words in text_of(verdict)


CAPTURES: list[tuple[str, dict[str, object], str | None]] = [
    ("captured: 5", {}, None),
    ("captured: 4", {}, "found captured 5"),
    ("captured: 100", {"text": True, "captured": 100}, None),
    ("received: 7", {"received": 7}, None),
    ("received: '1..'", {"received": None}, "found received unknown"),
    ("captured: 5", {"dropped": 2}, "expected dropped 0 at client"),
    ("dropped: 2", {"dropped": 2}, None),
    ("dropped: '1..'", {}, "found dropped 0"),
]


@pytest.mark.parametrize(("expect", "changes", "words"), CAPTURES)
def test_capture_figures(expect: str, changes: dict[str, object], words: str | None) -> None:
    scene = Scene(f"capture: {{client: {{{expect}}}}}")
    scene.talk()
    for name, value in changes.items():
        setattr(scene.capture(), name, value)
    verdict = scene.judge()
    assert verdict.outcome == ("pass" if words is None else "fail"), text_of(verdict)
    assert (words or "") in text_of(verdict)


def test_figures_of_a_capture_that_was_not_made() -> None:
    scene = Scene("capture: {client: {dropped: 0}}")
    scene.talk()
    del scene.evidence.captures["client"]
    assert "expected a capture at client" in text_of(scene.judge())


def test_problems_of_the_run_fail() -> None:
    scene = Scene()
    scene.talk()
    scene.evidence.problems.append("x.yaml:9:1: client blocked never held")
    verdict = scene.judge()
    assert (verdict.outcome, verdict.failures[0].actual) == ("fail", "x.yaml:9:1: client blocked never held")


def test_nothing_at_all_is_no_proof() -> None:
    scene = Scene("counters: {client: {TcpRetransSegs: 0}}", endpoints="")
    verdict = scene.judge()
    assert (verdict.outcome, verdict.reason) == ("void", "x.yaml:1:1: nothing happened, so nothing is proved")


def test_an_empty_ledger_without_captures_proves_nothing() -> None:
    scene = Scene(network="hosts: [client, server]\nlinks: [{join: [client, server], delay: 5ms}]\n")
    scene.talk()
    scene.link().entries.clear()
    scene.evidence.captures.clear()
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert "ledger of link client-server is empty" in verdict.reason


def test_heads_only_is_noted() -> None:
    scene = Scene("findings: {client: {}}")
    scene.talk()
    scene.capture().snaplen = 96
    verdict = scene.judge()
    assert verdict.outcome == "pass"
    assert "keeps 96 bytes of each packet, so checksums" in text_of(verdict)


def test_void_comes_before_fail_and_tells_both() -> None:
    scene = lossy("findings: {client: {}}", drops=0)
    scene.capture().marker_seen = False
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert verdict.failures


def test_a_router_is_seen_by_the_connections_of_none() -> None:
    """With two interfaces the route decides where a connection goes; nothing is demanded of either."""
    chain = "hosts: [client, server, router]\nlinks: [[client, router], [router, server]]\n"
    scene = Scene("findings: {router.eth0: {}}", network=chain, endpoints=TALK)
    scene.seen("router.eth0", scene.frame("client", "S", to="server"))
    scene.seen("client", scene.frame("client", "S", to="server"))
    text = text_of(scene.judge())
    assert "shows nothing of it" not in text
    assert "holds no TCP segment" not in text


def test_skipped_and_broken() -> None:
    assert skipped("no nc").outcome == "skip"
    place = Place("x.yaml", 3, 1)
    assert broken(place, "no bridge").reason == "x.yaml:3:1: no bridge"
    assert str(Failure(place, "a", "b", ("> 1",), "c.pcap")) == (
        "x.yaml:3:1: expected a\n    found b\n    in c.pcap:\n      > 1"
    )
