"""What is listed must be there, and what is there must be listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from verdict_scene import DROP, Scene, text_of

Setting = Callable[[Scene], object]


def scene_with(expect: str, *found: str, faults: str = "") -> Scene:
    """`found`: "client retransmission rto 4" is a finding of that kind at that frame of the vantage."""
    scene = Scene(f"findings: {{{expect}}}", faults=faults)
    scene.talk()
    for each in found:
        vantage, name, *rest = each.split()
        kind = next((w for w in rest if not w.isdigit()), "")
        frame = next((int(w) for w in rest if w.isdigit()), 1)
        scene.found(vantage, name, kind=kind, frame=frame)
    return scene


# what is expected, what is found, words of the failure or None for a pass
TABLE: list[tuple[str, tuple[str, ...], str | None]] = [
    ("client: {}", (), None),
    ("client: {}", ("client gap",), None),
    ("client: {}", ("client handshake",), None),
    ("client: {}", ("client retransmission rto 4",), "frame 4: retransmission (rto): seen again"),
    ("client: {}", ("client capture_drops 0",), "the whole capture: capture_drops"),
    ("client: {}", ("server retransmission",), None),
    ("client: {retransmission: 1}", ("client retransmission",), None),
    ("client: {retransmission: 1}", (), "1 retransmission at client"),
    ("client: {retransmission: 1}", ("client retransmission",) * 2, "found 2; there were 2 retransmission"),
    ("client: {retransmission: '1..'}", ("client retransmission",) * 2, None),
    ("client: {retransmission: '0..1'}", (), None),
    ("client: {retransmission: 0}", ("client retransmission",), "0 retransmission at client"),
    ("client: {gap: 1}", (), "found 0; there were no findings at all"),
    ("client: {retransmission: 1}", ("client syn_retransmission",), None),
    ("client: {syn_retransmission: 1}", ("client retransmission",), "1 syn_retransmission at client"),
    ("client: {retransmission: {count: 1, kind: rto}}", ("client retransmission rto",), None),
    ("client: {retransmission: {kind: rto}}", ("client retransmission fast",), "1.. retransmission (rto)"),
    (
        "client: {retransmission: [{kind: rto}, {kind: fast}]}",
        ("client retransmission rto", "client retransmission fast"),
        None,
    ),
    (
        "client: {retransmission: {kind: rto}}",
        ("client retransmission rto", "client retransmission fast"),
        "nothing else of level warning or error",
    ),
    ("client: {gap: {before: reset}}", ("client gap 1", "client reset 2"), "nothing else"),
    ("client: {gap: {before: reset}, reset: 1}", ("client gap 1", "client reset 2"), None),
    ("client: {gap: {before: reset}, reset: 1}", ("client gap 2", "client reset 1"), "gap before reset"),
    ("client: {gap: {before: reset}, reset: 1}", ("client gap 1", "client reset 1"), "gap before reset"),
    ("client: {gap: {before: reset}}", ("client gap 1",), "gap at frame 1, no reset"),
    ("client: {gap: {after: reset}, reset: 1}", ("client gap 2", "client reset 1"), None),
    ("client: {gap: {after: reset}, reset: 1}", ("client gap 1", "client reset 2"), "gap after reset"),
    ("client: {gap: {count: '0..', after: reset}}", (), None),
    ("client: {one_of: [{gap: 1}, {reset: 1}]}", ("client gap",), None),
    ("client: {one_of: [{gap: 1}, {reset: 1}]}", ("client reset",), None),
    ("client: {one_of: [{gap: 1}, {reset: 1}]}", (), "none of them holds"),
    ("client: {one_of: [{gap: 1}, {reset: 1}]}", ("client gap", "client reset"), "2 of them hold"),
    ("client: {one_of: [{gap: 1}, {reset: 1}]}", ("client gap", "client out_of_order"), "nothing else"),
    ("client: {one_of: [{gap: 1}, {gap: 1, reset: 1}]}", ("client gap", "client reset"), None),
    ("client: {one_of: [{reset: 1}, {reset: 1, gap: '0..'}]}", ("client reset",), None),
    ("any: {gap: 1}", ("client gap",), None),
    ("any: {gap: 1}", ("client gap", "server gap"), None),
    ("any: {gap: 2}", ("client gap", "server gap"), "2 gap at any vantage"),
    ("any: {gap: 1}", (), "client: 0; there were no findings at all; server: 0"),
    ("any: {gap: 0}", (), None),
    ("any: {gap: 0}", ("server gap",), "0 gap at any vantage"),
    ("any: {}", ("server reset",), "nothing else of level warning or error at server"),
    ("any: {reset: 1}", ("server reset",), None),
    ("any: {}, server: {reset: 1}", ("server reset",), None),
    ("any: {reset: 1}, server: {}", ("server reset",), "nothing else of level warning or error at server"),
    ("any: {one_of: [{gap: 1}, {reset: 1}]}", ("server reset",), None),
    ("any: {one_of: [{gap: 1}, {reset: 1}]}", (), "exactly one of: 1 gap or 1 reset at any vantage"),
]  # fmt: skip


@pytest.mark.parametrize(("expect", "found", "words"), TABLE)
def test_findings(expect: str, found: tuple[str, ...], words: str | None) -> None:
    check(scene_with(expect, *found), words)


def check(scene: Scene, words: str | None) -> None:
    verdict = scene.judge()
    text = text_of(verdict)
    assert verdict.outcome == ("pass" if words is None else "fail"), text
    assert (words or "") in text


def test_a_hundred_unlisted_findings_are_not_a_hundred_reports() -> None:
    scene = scene_with("client: {}", *["client retransmission rto"] * 100)
    verdict = scene.judge()
    assert len(verdict.failures) == 9
    assert verdict.failures[-1].actual == "92 more: 92 retransmission (rto)"


def test_any_needs_a_capture_that_sees() -> None:
    scene = scene_with("any: {gap: 0}")
    for capture in scene.evidence.captures.values():
        capture.filter = "port 7"
    verdict = scene.judge()
    assert (verdict.outcome, "no capture holds everything" in verdict.reason) == ("void", True)


def test_any_without_captures() -> None:
    scene = scene_with("any: {one_of: [{gap: 1}, {reset: 1}], gap: 1}")
    scene.evidence.captures.clear()
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert "nothing was captured" in text_of(verdict)


# --- of


NAMED = "faults: [{name: lost, when: {from: client}, do: drop}]\n"
OF = "client: {retransmission: {count: 1, of: lost}}"

# the frame that the fault named (flags, seq, length); seq and length of the finding; does it concern it?
BINDINGS = [
    (("P.", 1000, 100), (1000, 100), True),
    (("P.", 1000, 100), (1050, 100), True),
    (("P.", 1000, 100), (950, 51), True),
    (("P.", 1000, 100), (950, 50), False),
    (("P.", 1000, 100), (1100, 100), False),
    (("P.", 1000, 1400), (2300, 100), True),  # its head is cut at 96 bytes
    (("P.", 2**32 - 10, 100), (5, 10), True),  # numbers go round
    (("S", 1000, 0), (1000, 0), True),
    (("S", 1000, 0), (1001, 100), False),
    (("F.", 1000, 0), (1000, 0), True),
    (("F.", 1000, 0), (1001, 0), False),
    (("FP.", 1000, 100), (1100, 0), True),  # the FIN that was behind its data, alone
    ((".", 1000, 0), (1000, 0), True),
    ((".", 1000, 0), (1000, 100), False),  # an ACK carries none of the bytes that come at its place
    (("R", 1000, 0), (1000, 0), True),
]


@pytest.mark.parametrize(("frame", "finding", "concerned"), BINDINGS)
def test_of(frame: tuple[str, int, int], finding: tuple[int, int], concerned: bool) -> None:
    flags, seq, length = frame
    scene = scene_with(OF, faults=NAMED)
    entry = scene.treat(scene.frame("client", flags, seq=seq, length=length), "drop", [], "lost")
    assert len(entry.head) <= 96
    scene.found("client", "retransmission", seq=finding[0], length=finding[1])
    check(scene, None if concerned else "1 retransmission of lost at client")


def test_of_means_one_direction_and_one_flow() -> None:
    for other in ({"sender": "server"}, {"port": 40001}):
        scene = scene_with(OF, faults=NAMED)
        frame = scene.frame(**{"sender": "client", **other}, seq=1000, length=100)  # type: ignore[arg-type]
        scene.treat(frame, "drop", [], "lost")
        scene.found("client", "retransmission", seq=1000, length=100)
        check(scene, "1 retransmission of lost")


def test_of_a_finding_without_a_place() -> None:
    scene = scene_with(OF, faults=NAMED)
    scene.treat(scene.frame("client", seq=1000, length=100), "drop", [], "lost")
    scene.found("client", "retransmission")
    check(scene, "1 retransmission of lost")


def test_of_the_second_fault_of_a_frame() -> None:
    scene = scene_with(OF, faults=NAMED)
    entry = scene.treat(scene.frame("client", seq=1000, length=100), "drop", [], "other")
    scene.link().entries[-1] = replace(entry, faults=("other", "lost"))
    scene.found("client", "retransmission", seq=1000, length=100)
    check(scene, None)


def test_of_an_injected_segment() -> None:
    scene = scene_with("client: {injected_reset: {count: 1, of: lost}}", faults=NAMED)
    scene.treat(None, "inject", [scene.frame("server", "R", seq=301)], "lost", to="client")
    scene.found("client", "injected_reset", sender="server", seq=301)
    check(scene, None)


def test_of_an_altered_segment_as_it_went_out() -> None:
    scene = scene_with("server: {out_of_window_data: {count: 1, of: lost}}", faults=NAMED)
    sent, altered = (scene.frame("client", seq=seq, length=100) for seq in (1000, 777_000))
    scene.treat(sent, "alter", [altered], "lost")
    scene.found("server", "out_of_window_data", seq=777_000, length=100)
    check(scene, None)


def test_of_a_corrupted_segment() -> None:
    scene = scene_with("server: {bad_tcp_checksum: {count: 1, of: lost}}", faults=NAMED)
    sent = scene.frame("client", seq=1000, length=100)
    broken = sent[:-1] + bytes([sent[-1] ^ 1])
    scene.treat(sent, "alter", [broken], "lost")
    scene.found("server", "bad_tcp_checksum", seq=1000, length=100)
    check(scene, None)


# --- the packets around


def test_packets_around_a_finding() -> None:
    scene = scene_with("client: {}")
    for n in range(20):
        scene.pass_on(scene.frame("client", "P.", seq=201 + 10 * n, ack=301, length=10))
    scene.found("client", "retransmission", frame=12)
    (failure,) = scene.judge().failures
    marked = [line for line in failure.packets if line.startswith("> ")]
    assert len(failure.packets) == 11
    assert marked == ["> 0.022000 client.40000 > server.105: P. 161:171(10) ack 1 win 1000"]
    assert failure.capture == "client.pcap"


@pytest.mark.parametrize("frame", [0, 6, 99])
def test_no_packets_around_what_is_no_frame(frame: int) -> None:
    scene = scene_with("client: {}")
    scene.found("client", "capture_drops", frame=frame)
    (failure,) = scene.judge().failures
    assert (failure.packets, failure.capture) == ((), None)


def test_connections_that_share_a_source_port_have_numbers_of_their_own() -> None:
    scene = scene_with("client: {}")
    packets = [scene.frame("client", "S", seq=5000, port=40001), scene.frame("client", seq=5001, port=40001)]
    scene.pass_on(*packets)
    scene.found("client", "reset", frame=7)
    (failure,) = scene.judge().failures
    assert failure.packets[-1].endswith("client.40001 > server.105: . 1:1(0) ack 0 win 1000")


def test_findings_where_nothing_was_captured() -> None:
    scene = scene_with("client: {gap: 1}")
    del scene.evidence.captures["client"]
    assert scene.judge().outcome == "void"


def test_a_drop_is_found_and_bound() -> None:
    scene = scene_with("client: {retransmission: {count: 1, of: lost}}, server: {}", faults=DROP)
    lost = scene.frame("client", "P.", seq=201, ack=301, length=50)
    scene.treat(lost, "drop", [], "lost")
    scene.pass_on(lost)
    scene.found("client", "retransmission", kind="rto", frame=7, seq=201, length=50)
    check(scene, None)
