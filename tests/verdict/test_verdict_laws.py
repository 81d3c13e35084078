"""Captures against the kernel's counters: equalities that hold, the lies that break them, and the doubts
that make a difference prove nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from verdict_scene import Scene, text_of

from tcpharness.evidence import EndpointOutcome
from tcpharness.packet.encode import Frame, encode
from tcpharness.verdict.laws import LAWS, agreements, broken_laws
from tcpharness.verdict.result import Agreement

DROP = "faults: [{name: it, when: {from: client}, do: drop}]\n"
NO_COUNTS = {name: 0 for law in LAWS for name in law.counters}


def counted(**counts: int) -> dict[str, int]:
    return NO_COUNTS | {name if name.startswith("Tcp") else f"TcpExt{name}": n for name, n in counts.items()}


def told(faults: str = DROP) -> Scene:
    """A talk in which the client repeats its SYN and a segment, the server closes its window and resets."""
    scene = Scene(faults=faults)
    client, server = "client", "server"
    syn = scene.frame(client, "S", seq=100)
    data = scene.frame(client, "P.", seq=101, ack=301, length=100)
    scene.pass_on(syn, syn, scene.frame(server, "S.", seq=300, ack=101))
    scene.pass_on(scene.frame(client, ".", seq=101, ack=301), data)
    scene.treat(data, "alter", [data[:-1] + b"\xee"], "it")
    scene.pass_on(data, scene.frame(client, ".", seq=100, ack=301))  # a probe is sent once
    scene.pass_on(
        scene.frame(server, ".", seq=301, ack=201, win=0), scene.frame(server, ".", seq=301, ack=201)
    )
    scene.pass_on(scene.frame(server, "R.", seq=301, ack=201, win=0))
    scene.evidence.loopback.clear()
    scene.evidence.counters["client"] = counted(
        TcpOutSegs=4, TcpRetransSegs=3, TCPSynRetrans=1, TCPFastRetrans=1, TcpInSegs=4, TcpEstabResets=1
    )
    scene.evidence.counters["server"] = counted(
        TcpOutSegs=4, TcpOutRsts=1, TCPToZeroWindowAdv=1, TcpInSegs=7, TcpInCsumErrors=1
    )
    return scene


def weigh(scene: Scene) -> dict[tuple[str, str], Agreement]:
    found = agreements(scene.plan, scene.evidence, scene.frames)
    return {(each.host, each.counter): each for each in found}


def broken(scene: Scene) -> list[str]:
    return list(broken_laws(list(agreements(scene.plan, scene.evidence, scene.frames))))


def test_what_was_told_as_it_was_agrees() -> None:
    found = weigh(told())
    assert all(each.holds and each.why is None for each in found.values()), found
    assert len(found) == 2 * len(LAWS)
    assert found["client", "TcpRetransSegs"].captured == 3
    assert found["server", "TcpInCsumErrors"].captured == 1


def test_a_syn_ack_that_is_sent_again_counts_twice() -> None:
    scene = told()
    scene.evidence.counters["server"] |= {"TcpOutSegs": 5, "TcpRetransSegs": 1, "TcpExtTCPSynRetrans": 1}
    scene.evidence.counters["client"]["TcpInSegs"] = 5
    scene.pass_on(scene.frame("server", "S.", seq=300, ack=101))
    assert broken(scene) == []


@pytest.mark.parametrize("name", sorted(NO_COUNTS))
@pytest.mark.parametrize("host", ["client", "server"])
def test_a_counter_that_says_more_voids_the_run(host: str, name: str) -> None:
    scene = told()
    scene.evidence.counters[host][name] += 1 + 7 * name.endswith(
        ("FastRetrans", "StartRetrans", "WindowAdv", "EstabResets")
    )
    found = broken(scene)
    assert found
    assert all(line.startswith(f"{host}: ") and name in line for line in found)
    verdict = scene.judge()
    assert verdict.outcome == "void"
    assert found[0].splitlines()[0] in text_of(verdict)


@pytest.mark.parametrize(
    ("host", "name"),
    [("client", "TcpOutSegs"), ("client", "TcpRetransSegs"), ("client", "TcpExtTCPSynRetrans"),
     ("client", "TcpInSegs"), ("server", "TcpOutRsts"), ("server", "TcpInCsumErrors")],
)  # fmt: skip
def test_a_counter_that_says_less_does_too(host: str, name: str) -> None:
    scene = told()
    scene.evidence.counters[host][name] -= 1
    scene.evidence.unsettled = [f"{host}: it still moved"]  # a capture is never ahead of its kernel
    assert any(name in line for line in broken(scene))


def test_the_packets_that_were_counted_are_listed() -> None:
    scene = told()
    scene.evidence.counters["client"]["TcpRetransSegs"] = 2
    scene.evidence.counters["client"]["TcpOutSegs"] = 5
    (line,) = broken(scene)
    said, *packets = line.splitlines()
    assert said == "client: 3 segments sent again by its captures, 2 by TcpRetransSegs"
    assert len(packets) == 3
    assert "client.40000 > server.105" in packets[0]


# --- doubts


def a_program(scene: Scene) -> None:
    scene.evidence.endpoints["nmap"] = EndpointOutcome("nmap", "client", "run")


def only_heads(scene: Scene) -> None:
    scene.capture("client").snaplen = 96


def on_lo(scene: Scene) -> None:
    scene.evidence.loopback["client"] = 4


def on_the_way(scene: Scene) -> None:
    scene.evidence.unsettled = ["client: 10.0.0.1.40000 > 10.0.0.2.105 FIN_WAIT1"]


def unfinished(scene: Scene) -> None:
    scene.endpoint().unfinished = "receive"


def cookies(scene: Scene) -> None:
    scene.evidence.counters["client"]["TcpExtSyncookiesSent"] = 1


def no_route(scene: Scene) -> None:
    scene.evidence.counters["client"]["IpOutNoRoutes"] = 1


def fragment(scene: Scene) -> None:
    frame = scene.frame("client", "P.", seq=900, length=8)
    scene.pass_on(frame[:20] + b"\x20\x00" + frame[22:])


def both_open(scene: Scene) -> None:
    scene.pass_on(*(scene.frame("client", flags, seq=5, port=41000) for flags in ("S", "S.")))


def data_on_syn(scene: Scene) -> None:
    scene.pass_on(scene.frame("client", "S", seq=5, port=41000, length=4))


DOUBTS: dict[str, tuple[Callable[[Scene], None], str]] = {
    "program": (a_program, "something other than its kernel"),
    "snaplen": (only_heads, "not everything was captured at eth0"),
    "lo": (on_lo, "traffic on lo"),
    "unsettled": (on_the_way, "had not come to rest"),
    "unfinished": (unfinished, "had not come to rest"),
    "cookies": (cookies, "SYN cookies"),
    "no route": (no_route, "without a route"),
    "fragment": (fragment, "no plain TCP"),
    "simultaneous open": (both_open, "no plain TCP"),
    "data on a SYN": (data_on_syn, "no plain TCP"),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_where_something_else_explains_it_a_difference_is_only_shown(name: str) -> None:
    doubt, words = DOUBTS[name]
    scene = told()
    scene.evidence.counters["client"]["TcpRetransSegs"] = 9
    doubt(scene)
    found = weigh(scene)["client", "TcpRetransSegs"]
    assert not found.holds
    assert found.why is not None
    assert words in found.why
    assert not any(line.startswith("client") and "TcpRetransSegs" in line for line in broken(scene))


def test_with_offload_on_frames_are_no_segments() -> None:
    scene = Scene(network="hosts: {client: {offload: on}, server: {}}\nlinks: [[client, server]]\n")
    scene.evidence.loopback.clear()
    scene.evidence.counters = {"client": counted(TcpOutSegs=40)}
    scene.pass_on(scene.frame("client", "P.", seq=1, length=9000))
    assert weigh(scene)["client", "TcpOutSegs + TcpRetransSegs"].why == "offload is on"


def test_a_counter_that_this_kernel_lacks_is_no_silent_zero() -> None:
    scene = told()
    del scene.evidence.counters["client"]["TcpExtTCPSynRetrans"]
    found = weigh(scene)["client", "TcpExtTCPSynRetrans"]
    assert found.why == "this kernel has no counter TcpExtTCPSynRetrans"
    assert broken(scene) == []


def test_a_firewall_answers_what_no_tcp_counts() -> None:
    network = "hosts: {client: {}, server: {firewall: {policy: reject}}}\nlinks: [[client, server]]\n"
    scene = Scene(network=network)
    scene.evidence.loopback.clear()
    scene.evidence.counters = {"server": counted(), "client": counted(TcpInSegs=1, TcpOutSegs=1)}
    scene.pass_on(scene.frame("client", "S", seq=1), scene.frame("server", "R.", ack=2, win=0))
    assert not weigh(scene)["server", "TcpOutRsts"].holds
    assert broken(scene) == []


def test_what_a_router_passes_on_is_not_its_own() -> None:
    network = "hosts: [client, router, server]\nlinks: [[client, router], [router, server]]\n"
    scene = Scene(network=network)
    scene.evidence.loopback.clear()
    scene.evidence.counters = {"router": counted()}
    (near, far) = next(h.interfaces for h in scene.plan.hosts if h.name == "router")
    for interface in (near, far):
        scene.seen(f"router.{interface.name}", passed_on(scene, interface.mac))
    assert broken(scene) == []
    assert weigh(scene)["router", "TcpRetransSegs"].captured == 0


def passed_on(scene: Scene, mac: str) -> bytes:
    """From the client's address to the server's, by whoever has this hardware address."""
    data = encode(Frame(scene.address("client"), scene.address("server"), 40000, 105, seq=1, flags=2))
    return bytes(6) + bytes.fromhex(mac.replace(":", "")) + data[12:]
