"""The witnesses against each other: whatever one of them hides, another tells."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from verdict_scene import MARKER, Scene, text_of

from tcpharness.fault.ledger import Entry, Fate
from tcpharness.fault.offload import VNET, wire_frames
from tcpharness.scenario.impairment import Act
from tcpharness.verdict.reconcile import reconcile
from tcpharness.verdict.watched import Reconciliation

FAULTS = "faults: [{name: it, when: {from: client}, do: drop}]\n"
DELAYED = "hosts: [client, server]\nlinks: [{join: [client, server], delay: 5ms}]\n"
BRIDGE = "hosts: [client, server, other]\nlinks: [{name: lan, join: [client, server, other]}]\n"


def treated() -> Scene:
    """Some of everything that a middlebox may do, told as it was."""
    scene = Scene(faults=FAULTS)
    scene.talk()
    data = [scene.frame("client", "P.", seq=201 + 50 * n, ack=301, length=50) for n in range(6)]
    scene.treat(data[0], "drop", [], "it")
    scene.treat(data[1], "delay", [data[1]], "it")
    scene.treat(data[2], "duplicate", [data[2]] * 2, "it")
    scene.treat(data[3], "alter", [flipped(data[3])], "it")
    scene.treat(data[4], "hold", [data[4]], "it")
    scene.treat(None, "inject", [scene.frame("server", "R", seq=301)], "it", to="client")
    scene.treat(data[5], "consume", [])
    for vantage in scene.frames:
        scene.seen(vantage, MARKER)
    scene.link().fired["it"] = 6
    return scene


def flipped(frame: bytes) -> bytes:
    return frame[:-1] + bytes([frame[-1] ^ 1])


def weigh(scene: Scene) -> Reconciliation:
    return reconcile(scene.plan, scene.evidence, scene.frames)


def test_a_clean_set_has_no_discrepancy() -> None:
    result = weigh(treated())
    assert (result.discrepancies, result.notes) == ([], [])
    assert result.compared == 2 * 5 + 6 + 6  # the talk on both sides; what was sent, and what arrived


# --- mutants: each tells one lie


def changed(place: int, **changes: object) -> Callable[[Scene], None]:
    """An entry of the ledger says something else."""

    def mutate(scene: Scene) -> None:
        entries = scene.link().entries
        entries[place] = replace(entries[place], **changes)  # type: ignore[arg-type]

    return mutate


def arrived(scene: Scene, vantage: str = "server") -> list[tuple[int, bytes]]:
    return scene.frames[vantage]


def lacks(vantage: str, place: int) -> Callable[[Scene], None]:
    return lambda scene: scene.frames[vantage].__delitem__(place)


def came_altered(scene: Scene) -> None:
    time_ns, frame = arrived(scene)[3]
    arrived(scene)[3] = time_ns, flipped(frame)


def came_twice(scene: Scene) -> None:
    arrived(scene).insert(4, arrived(scene)[3])


def extra(vantage: str) -> Callable[[Scene], None]:
    return lambda scene: scene.frames[vantage].insert(
        2, (scene.now_ns, scene.frame("client", "P.", seq=9000, length=7))
    )


def from_nobody(scene: Scene) -> None:
    frame = scene.frame("client", "P.", seq=9000, length=7)
    scene.frames["server"].insert(2, (scene.now_ns, frame[:6] + b"\x02\x66\x66\x66\x66\x66" + frame[12:]))


def forwarded_although_dropped(scene: Scene) -> None:
    dropped = next(f for _, f in scene.frames["client"] if f[-50:] == treated().frames["client"][5][1][-50:])
    arrived(scene).insert(5, (scene.now_ns, dropped))


def went_to_the_other(scene: Scene) -> None:
    entry = scene.link().entries[3]
    changed(3, went_out=(("client", entry.went_out[0][1]),))(scene)


def came_from_the_other(scene: Scene) -> None:
    entry = scene.link().entries[3]
    assert entry.came_in is not None
    changed(3, came_in=("server", entry.came_in[1]))(scene)


def quietly_altered(scene: Scene) -> None:
    """Ledger and captures agree, and still nobody asked for it."""
    entry = scene.link().entries[3]
    time_ns, frame = arrived(scene)[3]
    arrived(scene)[3] = time_ns, flipped(frame)
    scene.link().entries[3] = replace(entry, went_out=(("server", crc(flipped(frame))),))


def crc(frame: bytes) -> int:
    return zlib.crc32(frame)


def quietly_dropped(scene: Scene) -> None:
    del arrived(scene)[3]
    changed(3, fate="drop", went_out=())(scene)


def quietly_doubled(scene: Scene) -> None:
    came_twice(scene)
    entry = scene.link().entries[3]
    changed(3, fate="duplicate", went_out=entry.went_out * 2)(scene)


def quietly_injected(scene: Scene) -> None:
    extra("server")(scene)
    frame = arrived(scene)[2][1]
    scene.link().entries.append(
        Entry(0, 0, "inject", None, None, (("server", crc(frame)),), frame[:96], len(frame))
    )


def quietly_returned(scene: Scene) -> None:
    """It went back to where it came from."""
    entry = scene.link().entries[3]
    frame = arrived(scene).pop(3)
    scene.frames["client"].insert(4, frame)
    changed(3, went_out=(("client", entry.went_out[0][1]),))(scene)


def without(place: int) -> Callable[[Scene], None]:
    return lambda scene: scene.link().entries.__delitem__(place)


def injected_without_entry(scene: Scene) -> None:
    scene.link().entries[:] = [e for e in scene.link().entries if e.fate != "inject"]


def dropped_entry_says_forwarded(scene: Scene) -> None:
    entry = scene.link().entries[5]
    assert entry.came_in is not None
    changed(5, went_out=(("server", entry.came_in[1]),))(scene)


MUTANTS: dict[str, tuple[Callable[[Scene], object], str]] = {
    "dropped unasked": (lacks("server", 2), "went out to server and was not captured"),
    "dropped, and the ledger says so": (quietly_dropped, "dropped by the middlebox, and no fault"),
    "forwarded although dropped": (forwarded_although_dropped, "arrived at server"),
    "said to be dropped, and sent": (dropped_entry_says_forwarded, "went out to server and was not captured"),
    "bit flipped": (came_altered, "arrived at server"),
    "bit flipped, and the ledger says so": (quietly_altered, "altered by the middlebox, and no fault asked"),
    "sent twice": (came_twice, "arrived at server"),
    "sent twice, and the ledger says so": (quietly_doubled, "sent 2 times by the middlebox, and no fault"),
    "no entry": (without(3), "never reached the middlebox"),
    "an entry twice": (lambda s: s.link().entries.append(s.link().entries[3]), "was not captured"),
    "went to the wrong host": (went_to_the_other, "arrived at server"),
    "went back": (quietly_returned, "sent back to client"),
    "came from the wrong host": (came_from_the_other, "never reached the middlebox"),
    "injected without an entry": (injected_without_entry, "arrived at client"),
    "injected, and nobody asked": (quietly_injected, "injected by the middlebox, and no fault asked for it"),
    "sender's capture lacks one": (lacks("client", 3), "reached the middlebox from client and was not"),
    "extra at the receiver": (extra("server"), "arrived at server"),
    "extra at the sender": (extra("client"), "left client"),
    "from nobody's address": (from_nobody, "arrived at server"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_a_lie_is_found_and_named(name: str) -> None:
    mutate, words = MUTANTS[name]
    scene = treated()
    mutate(scene)
    found = weigh(scene).discrepancies
    assert found
    assert any(words in line for line in found), found
    assert all("client" in line and "server" in line for line in found)
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert found[0] in text_of(verdict)


def test_a_flood_of_discrepancies_is_counted() -> None:
    scene = treated()
    for n in range(40):
        scene.seen("server", scene.frame("client", seq=n, length=1))
    arrived(scene)[:] = [f for f in arrived(scene) if f[1] != MARKER]
    verdict = scene.judge()
    assert verdict.discrepancies[-1] == "and 28 more discrepancies between the witnesses"


# --- which frames count


def test_frames_after_the_marker_explain_and_need_no_explanation() -> None:
    scene = treated()
    late, only_there = (scene.frame("client", "F.", seq=seq) for seq in (900, 901))
    scene.treat(late, "forward", [late])
    scene.seen("server", only_there)
    assert weigh(scene).discrepancies == []


def test_what_was_consumed_need_not_be_captured() -> None:
    scene = treated()
    frame = scene.frame("client", "F.", seq=900)
    scene.treat(frame, "consume", [])
    scene.frames["client"].pop()
    assert weigh(scene).discrepancies == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("filter", "port 7"), ("snaplen", 96), ("text", True), ("dropped", 3), ("ended_by_count", True),
     ("marker_seen", False), ("dropped", None), ("error", "killed")],
)  # fmt: skip
def test_a_capture_that_is_not_whole_is_no_witness(name: str, value: object) -> None:
    scene = treated()
    setattr(scene.capture("server"), name, value)
    arrived(scene).clear()
    result = weigh(scene)
    assert result.discrepancies == []
    assert result.notes == ["the capture at server is not whole, so it is no witness of the reconciliation"]


def test_the_other_capture_still_is() -> None:
    scene = treated()
    scene.capture("server").snaplen = 96
    lacks("client", 3)(scene)
    assert "was not captured at client" in weigh(scene).discrepancies[0]


def test_no_capture_at_all() -> None:
    scene = treated()
    scene.evidence.captures.clear()
    assert weigh(scene).discrepancies == []
    assert len(weigh(scene).notes) == 2


OFFLOAD = "hosts: {client: {offload: on}, server: {}}\nlinks: [[client, server]]\n"


def super_frame(scene: Scene, payload: int = 3000, seq: int = 1) -> tuple[bytes, list[bytes]]:
    """A frame that a device would cut, and what it would make of it."""
    whole = scene.frame("client", "P.", seq=seq, length=payload)
    cut = [scene.frame("client", "P.", seq=seq + at, length=1000) for at in range(0, payload, 1000)]
    # frame() counts the payload's bytes from 0 in each
    return whole, [f[:-1000] + whole[len(whole) - payload + 1000 * n :][:1000] for n, f in enumerate(cut)]


def offloaded() -> Scene:
    """Two hosts: a handshake as it was sent; three segments leave as one, one and a half arrive as two."""
    scene = Scene(network=OFFLOAD)
    scene.talk()
    whole, cut = super_frame(scene)
    scene.seen("client", whole)
    scene.seen("server", *cut)
    return scene


def test_with_offload_on_streams_are_compared() -> None:
    assert weigh(offloaded()).discrepancies == []
    assert weigh(offloaded()).notes == []
    assert weigh(offloaded()).compared > 0


def piece_altered(scene: Scene) -> None:
    time_ns, frame = arrived(scene)[-1]
    arrived(scene)[-1] = time_ns, flipped(frame)


def piece_twice(scene: Scene) -> None:
    arrived(scene).append((arrived(scene)[-1][0] + 1, arrived(scene)[-1][1]))


OFFLOAD_MUTANTS: dict[str, tuple[Callable[[Scene], object], str]] = {
    "a piece lost": (lacks("server", -2), "left client and not all of it reached server"),
    "a piece altered": (piece_altered, "arrived at server and not all of it left client"),
    "a piece twice": (piece_twice, "arrived at server and not all of it left client"),
    "an ACK lost": (lacks("server", 2), "left client and not all of it reached server"),
    "the whole lost at the sender": (lacks("client", -1), "arrived at server and not all of it left client"),
}


@pytest.mark.parametrize("name", OFFLOAD_MUTANTS)
def test_with_offload_on_no_byte_is_lost_in_silence(name: str) -> None:
    mutate, words = OFFLOAD_MUTANTS[name]
    scene = offloaded()
    mutate(scene)
    found = weigh(scene).discrepancies
    assert any(words in line for line in found), found


def cut_by_a_middlebox() -> Scene:
    """One frame with three segments comes in; each has its entry, and arrives."""
    scene = Scene(network=OFFLOAD, faults=FAULTS)
    whole = scene.frame("client", "P.", seq=1, length=3000, cksum="offload")
    cut = wire_frames(VNET.pack(1, 1, 54, 1000, 34, 16) + whole)
    scene.seen("client", whole)
    for frame in cut:
        entry = scene.treat(frame, "forward", [frame])
        scene.frames["client"].pop()
        scene.link().entries[-1] = replace(entry, came_in=("client", crc(whole)))
    return scene


def test_with_offload_on_the_ledger_has_all_bytes() -> None:
    assert weigh(cut_by_a_middlebox()).discrepancies == []
    for missing in range(3):
        scene = cut_by_a_middlebox()
        del scene.link().entries[missing]
        found = weigh(scene).discrepancies
        assert any("of its 3000 bytes the ledger has 2000" in line for line in found)
    scene = cut_by_a_middlebox()
    scene.link().entries.clear()
    assert any("never reached the middlebox" in line for line in weigh(scene).discrepancies)


def test_a_piece_that_nobody_asked_to_alter() -> None:
    scene = cut_by_a_middlebox()
    entry = scene.link().entries[1]
    time_ns, frame = arrived(scene)[1]
    arrived(scene)[1] = time_ns, flipped(frame)
    scene.link().entries[1] = replace(entry, went_out=(("server", crc(flipped(frame))),))
    (line,) = weigh(scene).discrepancies
    assert "altered by the middlebox, and no fault asked for it" in line


def test_the_same_frame_twice_needs_all_its_pieces_twice() -> None:
    scene = cut_by_a_middlebox()
    scene.frames["client"].append(scene.frames["client"][-1])
    assert any("never reached the middlebox" in line for line in weigh(scene).discrepancies)


# --- in order, and in time


def far_marked(scene: Scene, vantage: str) -> None:
    """The end marker that came by the link, after the host's own."""
    marker = b"\x06here!" * 2 + b"\x88\xb5tcpharness 2"
    scene.capture(vantage).far_marker = marker[:12].hex()
    scene.seen(vantage, marker)


def test_two_that_change_places_are_found() -> None:
    scene = treated()
    frames = arrived(scene)
    frames[2], frames[3] = frames[3], frames[2]
    (line,) = weigh(scene).discrepancies
    assert "arrived at server after others, although the middlebox had sent it before others" in line
    scene.evidence.in_order = False  # a kernel that does not keep frames to one CPU
    assert weigh(scene).discrepancies == []


def test_what_was_delayed_or_held_may_come_later() -> None:
    scene = treated()
    frames = arrived(scene)
    delayed = next(n for n, f in enumerate(frames) if f[1] in {e[1] for e in scene.frames["client"][6:7]})
    frames.insert(-2, frames.pop(delayed))
    assert weigh(scene).discrepancies == []


def test_what_comes_behind_the_marker_of_the_link_came_too_late() -> None:
    scene = treated()
    late = arrived(scene).pop(2)
    far_marked(scene, "server")
    assert any("was not captured at server" in line for line in weigh(scene).discrepancies)
    arrived(scene).append(late)
    found = weigh(scene).discrepancies
    assert any("arrived at server after the end of the middlebox's work" in line for line in found)


def test_between_the_host_s_own_marker_and_that_one_it_may_still_come() -> None:
    scene = treated()
    arrived(scene).append(arrived(scene).pop(-2))
    far_marked(scene, "server")
    assert weigh(scene).discrepancies == []


def test_a_steady_delay_is_no_fault() -> None:
    scene = Scene(network=DELAYED)
    assert "client-server" in scene.evidence.links
    scene.talk()
    assert weigh(scene).discrepancies == []


# --- links without a middlebox


PAIR_MUTANTS: dict[str, tuple[Callable[[Scene], object], str]] = {
    "lost": (lacks("server", 2), "left client and never reached server"),
    "out of nothing": (extra("server"), "arrived at server and never left client"),
    "altered": (came_altered, "arrived at server and never left client"),
    "twice": (came_twice, "arrived at server and never left client"),
    "from nobody's address": (from_nobody, "arrived at server from nobody on this link"),
}


@pytest.mark.parametrize("name", PAIR_MUTANTS)
def test_captures_against_each_other(name: str) -> None:
    mutate, words = PAIR_MUTANTS[name]
    scene = Scene()
    scene.talk()
    assert weigh(scene).discrepancies == []
    mutate(scene)
    assert any(words in line for line in weigh(scene).discrepancies)


def lan() -> Scene:
    """Each of three hosts sends each other one a frame, and one to all."""
    scene = Scene(network=BRIDGE)
    for sender in ("client", "server", "other"):
        for n, receiver in enumerate({"client", "server", "other"} - {sender}):
            frame = scene.frame(sender, seq=n, to=receiver)
            scene.seen(sender, frame)
            scene.seen(receiver, frame)
        everybody = b"\xff" * 6 + scene.end(sender)[0] + b"\x08\x06" + bytes(46)
        for vantage in ("client", "server", "other"):
            scene.seen(vantage, everybody)
    return scene


def test_a_bridge_with_three_hosts() -> None:
    scene = lan()
    assert weigh(scene).discrepancies == []
    assert weigh(scene).compared > 12


def test_a_bridge_that_swaps_hosts() -> None:
    scene = lan()
    frame = scene.frame("client", "P.", seq=77, to="server")
    scene.seen("client", frame)
    scene.seen("other", frame)
    found = weigh(scene).discrepancies
    assert any("left client and never reached server" in line for line in found)


def test_a_middlebox_among_three_hosts() -> None:
    scene = Scene(faults=FAULTS, network=BRIDGE)
    frame = scene.frame("client", to="other")
    scene.treat(frame, "forward", [frame])
    broadcast = b"\xff" * 6 + scene.end("server")[0] + b"\x08\x06" + bytes(46)
    for to in ("client", "other"):  # one frame, an entry for each port that it goes out of
        scene.treat(broadcast, "forward", [broadcast], to=to)
    scene.frames["server"].pop()
    assert weigh(scene).discrepancies == []
    scene.frames["other"].pop()
    assert "went out to other" in weigh(scene).discrepancies[0]


def calls_for(frames: int, faults: str) -> int:
    """Python's calls while so many frames are weighed: what a clock would say, without its noise."""
    scene = Scene(faults=faults)
    for n in range(frames):
        scene.pass_on(scene.frame("client", seq=n * 10, length=10))
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        discrepancies = weigh(scene).discrepancies
    finally:
        sys.setprofile(None)
    assert discrepancies == []
    return count


@pytest.mark.parametrize("faults", ["", FAULTS])
def test_the_cost_grows_with_the_frames_and_no_faster(faults: str) -> None:
    some, more = calls_for(500, faults), calls_for(5000, faults)
    assert some < 500 * 200
    assert more < 10.5 * some


# --- impairments

LOSSY = (
    "hosts: [client, server]\nlinks: [{join: [client, server], from: {client: {loss: 5%, corrupt: 5%}}}]\n"
)


def impaired(acts: tuple[Act, ...], fate: Fate, *, sender: str = "client", network: str = LOSSY) -> list[str]:
    """A talk in which one more segment met with this, said to be an impairment."""
    scene = Scene(network=network)
    scene.talk()
    seq = 201 if sender == "client" else 301
    frame = scene.frame(sender, "P.", seq=seq, ack=301, length=50)
    out = {"drop": [], "alter": [flipped(frame)], "duplicate": [frame, frame]}[fate]
    scene.treat(frame, fate, out)
    scene.link().entries[-1] = replace(scene.link().entries[-1], acts=acts)
    for vantage in scene.frames:
        scene.seen(vantage, MARKER)
    return weigh(scene).discrepancies


def test_what_the_link_does_is_explained() -> None:
    assert impaired(("loss",), "drop") == []
    assert impaired(("corrupt",), "alter") == []


def test_what_it_does_not_do_is_not() -> None:
    (told,) = impaired(("duplicate",), "duplicate")
    assert "sent 2 times by the middlebox for duplicate, which its link does not do" in told
    (told,) = impaired(("loss",), "drop", sender="server")
    assert "dropped by the middlebox for loss, which its link does not do" in told
    (told,) = impaired(("loss",), "drop", network=DELAYED)
    assert "for loss, which its link does not do" in told


def test_a_word_must_fit_the_deed() -> None:
    (told,) = impaired(("loss",), "alter")
    assert "altered by the middlebox for loss" in told
    (told,) = impaired((), "drop")
    assert "no fault asked for it" in told
