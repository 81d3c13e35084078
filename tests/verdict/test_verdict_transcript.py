"""The canonical transcript: what is in it, and what must not change it."""

from __future__ import annotations

from verdict_scene import DROP, Scene

from tcpharness.packet.notation import options_bytes
from tcpharness.verdict.transcript import digest, transcript


def lines(scene: Scene) -> list[str]:
    return transcript(scene.plan, scene.evidence, scene.frames)


def talk(scene: Scene, *, isn: int = 100, port: int = 40000, cut: tuple[int, ...] = (1000,)) -> None:
    """A handshake and 1000 bytes in so many pieces, then FIN."""
    scene.pass_on(scene.frame("client", "S", seq=isn, port=port))
    scene.pass_on(scene.frame("server", "S.", seq=500, ack=isn + 1, port=port))
    at = isn + 1
    for length in cut:
        scene.pass_on(scene.frame("client", ".", seq=at, length=length, ack=501, port=port))
        at += length
        scene.pass_on(scene.frame("server", ".", seq=501, ack=at, port=port))
    scene.pass_on(scene.frame("client", "F.", seq=at, ack=501, port=port))


def test_it_says_relative_numbers_hosts_and_known_ports() -> None:
    scene = Scene()
    talk(scene)
    told = lines(scene)
    assert "client: client.* > server.105: data 1:1001, 1 x FIN 1001, 1 x S 0 <>" in told
    assert "endpoint client: done" in told
    assert not any("40000" in line or "101" in line.replace("1001", "") for line in told)


def test_initial_numbers_ports_and_how_a_stream_is_cut_do_not_change_it() -> None:
    one, other = Scene(), Scene()
    talk(one)
    talk(other, isn=4_294_967_000, port=51111, cut=(300, 300, 400))
    assert lines(one) == lines(other)
    assert digest(lines(one)) == digest(lines(other))


def test_what_is_sent_again_changes_it() -> None:
    once, twice = Scene(), Scene()
    for scene in (once, twice):
        talk(scene)
    twice.pass_on(twice.frame("client", ".", seq=101, ack=501, length=1000))
    assert any("1 x again 1:1001" in line for line in lines(twice))
    assert digest(lines(once)) != digest(lines(twice))


def test_the_fate_of_what_a_fault_touched_is_in_it() -> None:
    scene = Scene(faults=DROP)
    scene.pass_on(scene.frame("client", "S", seq=100))
    scene.treat(scene.frame("client", "P.", seq=101, ack=301, length=100), "drop", [], "lost", to="server")
    told = lines(scene)
    assert "ledger: drop by lost: client.* > server.105: data 1:101" in told
    assert "fault lost fired 1 x" in told


def test_warnings_are_counted_and_notes_are_there_or_not() -> None:
    scene = Scene()
    talk(scene)
    for _ in range(2):
        scene.found("client", "retransmission", kind="rto")
        scene.found("client", "duplicate_ack")
        scene.found("client", "rtt_spike")
    told = [line for line in lines(scene) if line.startswith("found")]
    assert told == [
        "found at client: note duplicate_ack client.* > server.105",
        "found at client: warning retransmission (rto) client.* > server.105 x 2",
    ]


def test_a_reset_and_its_place_are_in_it() -> None:
    scene = Scene()
    talk(scene)
    scene.pass_on(scene.frame("server", "R.", seq=501, ack=1101))
    assert "server: server.105 > client.*: 1 x R. 1, 1 x S. 0 <>" in lines(scene)


def test_how_endpoints_ended_is_in_it() -> None:
    scene = Scene()
    scene.connection("client").sent_bytes = 1000
    scene.connection("client").error = "ECONNRESET"
    assert "endpoint client: 1 x sent 1000, received 0, ECONNRESET" in lines(scene)


def test_a_warning_says_its_place_in_the_stream() -> None:
    told = []
    for isn in (100, 4_294_967_000):
        scene = Scene()
        talk(scene, isn=isn)
        at = (isn + 501) % 2**32
        scene.found("client", "retransmission", kind="rto", seq=at)
        told.append([line for line in lines(scene) if line.startswith("found")])
    assert told[0] == ["found at client: warning retransmission (rto) client.* > server.105 at 501"]
    assert told[1] == told[0]


def test_kinds_of_options_are_in_it_and_their_values_are_not() -> None:
    def told(on_syn: str, on_data: str) -> list[str]:
        scene = Scene()
        scene.pass_on(scene.frame("client", "S", seq=100, options=options_bytes(on_syn)))
        data = scene.frame("client", ".", seq=101, ack=1, length=10, options=options_bytes(on_data))
        scene.pass_on(data)
        return [line for line in lines(scene) if line.startswith("server:")]

    one = told("mss 1460,unknown-34 0x0102", "nop,nop,TS val 7 ecr 3")
    assert one == ["server: client.* > server.105: data 1:11, 1 x S 0 <mss 1460, option 34>, <TS>"]
    assert told("mss 1460,unknown-34 0x0709", "nop,nop,TS val 9 ecr 8") == one
    assert told("mss 1460", "nop,nop,TS val 7 ecr 3") != one
    assert told("mss 1460,unknown-34 0x0102", "") != one


def test_what_is_not_tcp_is_there_once() -> None:
    one, twice = Scene(), Scene()
    for scene, copies in ((one, 1), (twice, 2)):
        frame = scene.frame("client", length=8)
        udp = frame[:23] + b"\x11" + frame[24:]  # IPv4's protocol
        for _ in range(copies):
            scene.seen("server", udp)
    assert "server: client > server: udp" in lines(one)
    assert lines(one) == lines(twice)
