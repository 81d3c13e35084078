"""The real middlebox between real hosts: nothing lost, reordered or altered unless a fault says so."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from textwrap import dedent, indent
from zlib import crc32

import pytest
from playing import SECOND, Ground

from tcpharness.evidence import EndpointOutcome, LinkOutcome
from tcpharness.lab.actors import Actors
from tcpharness.lab.build import Lab
from tcpharness.lab.middlebox import Middlebox
from tcpharness.lab.netns import NetNs
from tcpharness.lab.packet_port import PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE, SOL_PACKET
from tcpharness.lab.socket_table import settle
from tcpharness.lab.spawner import Spawner
from tcpharness.lab.stage import Stage
from tcpharness.packet.checksum import verdict
from tcpharness.packet.segment import decode
from tcpharness.scenario.load import load
from tcpharness.scenario.plan import Plan, make_plan

pytestmark = pytest.mark.netns

NEVER = "faults: [{when: {from: client, flags: has U, times: every}, do: drop}]"
HOSTS = "hosts: [client, server]\nlinks: [{join: [client, server]}]"
TALK = """
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, send: 8 KiB, close]}
  client: {on: client, connect: server, do: [send: 64 KiB, shutdown, receive: eof, close]}
"""
LAB_NUMBER = 78 * 16


def planned(text: str, ip: int = 4) -> Plan:
    expect = 'expect: {counters: {client: {TcpInSegs: "0.."}}}'
    return make_plan(load(f"scenario: x\nip: {ip}\n{text}\n{expect}\n", "x.yaml")[0], LAB_NUMBER)


Work = Callable[[Lab, Middlebox], Awaitable[None]]


def between(ground: Ground, plan: Plan, work: Work, *, ring: bool | None = None) -> LinkOutcome:
    """Does `work` around the middlebox of the plan's only link; what it brings home."""

    async def run() -> LinkOutcome:
        with ground.lab(plan) as lab, ExitStack() as stack:
            box = Middlebox(plan, plan.links[0], lab, ring=ring)
            stack.callback(box.close)
            await box.start()
            await work(lab, box)
            assert await box.idle()
            await box.stop()
            return await box.finish()

    return asyncio.run(run())


# --- bytes in, bytes out


class Plug:
    """A packet socket at a host's end of the link."""

    def __init__(self, namespace: NetNs) -> None:
        self.sock = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.sock.bind(("eth0", 3))
        self.sock.settimeout(10)

    def send(self, frame: bytes) -> None:
        self.sock.send(frame)

    def receive(self) -> bytes:
        return self.sock.recv(65536)


@contextmanager
def plugged(lab: Lab) -> Iterator[dict[str, Plug]]:
    plugs = {name: Plug(namespace) for name, namespace in lab.hosts.items()}
    yield plugs
    for plug in plugs.values():
        plug.sock.close()


def macs(plan: Plan) -> dict[str, bytes]:
    return {end.host: bytes.fromhex(end.mac.replace(":", "")) for end in plan.links[0].ends}


def numbered(dst: bytes, src: bytes, number: int) -> bytes:
    """A TCP segment, so that the fault is asked about it, of a size and content that its number gives."""
    size = 60 + number * 7919 % 1455
    head = dst + src + b"\x08\x00\x45\x00" + (size - 14).to_bytes(2, "big") + bytes(3) + b"\x40\x40\x06\0\0"
    head += bytes((10, 0, 0, src[5], 10, 0, 0, dst[5])) + b"\x9c\x40\x00\x69"
    head += number.to_bytes(4, "big") + bytes(4) + b"\x50\x10" + bytes(6)
    return head + number.to_bytes(4, "big") * ((size - 54) // 4) + bytes((size - 54) % 4)


WINDOW = 256  # frames on the way: less than any queue between here and there holds


def exchange(one: Plug, other: Plug, there: bytes, here: bytes, count: int) -> None:
    """Both ways at once, each frame compared with what was sent, in order."""
    sent = arrived = 0
    while arrived < count:
        while sent < count and sent - arrived < WINDOW:
            one.send(numbered(there, here, sent))
            other.send(numbered(here, there, sent))
            sent += 1
        while arrived < sent:
            assert other.receive() == numbered(there, here, arrived)
            assert one.receive() == numbered(here, there, arrived)
            arrived += 1


@pytest.mark.slow
@pytest.mark.parametrize(("faults", "ring"), [(NEVER, False), (NEVER, True)], ids=["queue", "ring"])
def test_a_hundred_thousand_frames_each_way_arrive_byte_for_byte(
    ground: Ground, faults: str, ring: bool
) -> None:
    plan, count = planned(f"{HOSTS}\n{faults}"), 100_000
    mac = macs(plan)

    async def work(lab: Lab, box: Middlebox) -> None:
        with plugged(lab) as plugs:
            one, other = plugs["client"], plugs["server"]
            await asyncio.to_thread(exchange, one, other, mac["server"], mac["client"], count)

    outcome = between(ground, plan, work, ring=ring)
    assert outcome.error is None
    assert len(outcome.entries) == 2 * count
    assert {entry.fate for entry in outcome.entries} == {"forward"}
    for host, other in (("client", "server"), ("server", "client")):
        there, here = mac[other], mac[host]
        mine = [e for e in outcome.entries if e.came_in and e.came_in[0] == host]
        digests = [crc32(numbered(there, here, n)) for n in range(count)]
        assert [e.came_in for e in mine] == [(host, digest) for digest in digests]
        assert [e.went_out for e in mine] == [((other, digest),) for digest in digests]


def test_a_marker_is_consumed_and_not_entered(ground: Ground) -> None:
    plan = planned(f"{HOSTS}\n{NEVER}")
    mac = macs(plan)
    frame = numbered(mac["server"], mac["client"], 1)

    async def work(lab: Lab, box: Middlebox) -> None:
        with plugged(lab) as plugs:
            one, other = plugs["client"], plugs["server"]
            one.send(b"\x06" * 12 + b"\x88\xb5tcpharness")
            one.send(frame)
            assert other.receive() == frame

    outcome = between(ground, plan, work)
    assert [entry.head for entry in outcome.entries] == [frame[:96]]


def test_after_the_stop_frames_are_noted_and_go_no_further(ground: Ground) -> None:
    plan = planned(f"{HOSTS}\n{NEVER}")
    mac = macs(plan)

    async def work(lab: Lab, box: Middlebox) -> None:
        with plugged(lab) as plugs:
            one, other = plugs["client"], plugs["server"]
            one.send(numbered(mac["server"], mac["client"], 1))
            other.receive()
            await box.stop()
            one.send(numbered(mac["server"], mac["client"], 2))
            assert await box.idle()  # so it has been seen
            other.sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                other.receive()

    outcome = between(ground, plan, work)
    assert [(entry.fate, bool(entry.went_out)) for entry in outcome.entries] == [
        ("forward", True),
        ("consume", False),
    ]


def test_three_hosts_are_switched_by_address_and_broadcasts_reach_all(ground: Ground) -> None:
    plan = planned("hosts: [client, server, third]\nlinks: [{join: [client, server, third], delay: 1ms}]")
    mac = macs(plan)
    direct = numbered(mac["third"], mac["client"], 1)
    broadcast = numbered(b"\xff" * 6, mac["client"], 2)

    async def work(lab: Lab, box: Middlebox) -> None:
        with plugged(lab) as plugs:
            plugs["client"].send(direct)
            plugs["client"].send(broadcast)
            assert [plugs["third"].receive(), plugs["third"].receive()] == [direct, broadcast]
            assert plugs["server"].receive() == broadcast

    outcome = between(ground, plan, work)
    assert [[host for host, _ in entry.went_out] for entry in outcome.entries] == [
        ["third"],
        ["server", "third"],
    ]


def test_a_delay_is_kept_and_so_is_the_order(ground: Ground) -> None:
    plan = planned("hosts: [client, server]\nlinks: [{join: [client, server], delay: 20ms}]")
    mac = macs(plan)

    async def work(lab: Lab, box: Middlebox) -> None:
        with plugged(lab) as plugs:
            one, other = plugs["client"], plugs["server"]
            start = time.monotonic()
            frames = [numbered(mac["server"], mac["client"], n) for n in range(50)]
            for frame in frames:
                one.send(frame)
            assert [other.receive() for _ in frames] == frames
            assert time.monotonic() - start >= 0.020

    assert between(ground, plan, work).error is None


def test_a_middlebox_that_dies_says_so(ground: Ground) -> None:
    plan = planned(f"{HOSTS}\n{NEVER}")

    async def run() -> LinkOutcome:
        with ground.lab(plan) as lab:
            box = Middlebox(plan, plan.links[0], lab)
            await box.start()
            assert box.child is not None
            box.child.kill(9)
            await box.child.wait()
            outcome = await box.finish()
            box.close()
            return outcome

    assert (asyncio.run(run()).error or "").startswith("the middlebox of link client-server has died")


def test_no_middlebox_is_started_outside_of_its_namespace(spawner: Spawner, ground: Ground) -> None:
    """An interface that is not there is an error when it starts, not a silent link."""
    plan = planned(f"{HOSTS}\n{NEVER}")

    class Elsewhere:
        def __init__(self, lab: Lab) -> None:
            self.processes = lab.processes
            self.middleboxes = {"client-server": (lab.hosts["client"], {"client": "no0", "server": "no1"})}

    async def run() -> None:
        with ground.lab(plan) as lab:
            box = Middlebox(plan, plan.links[0], Elsewhere(lab))
            try:
                await box.start()
            finally:
                box.close()

    with pytest.raises(OSError, match="middlebox of link client-server did not start"):
        asyncio.run(run())


# --- each action on real TCP


def talk(
    ground: Ground, faults: str, *, ip: int = 4, endpoints: str = TALK, hosts: str = HOSTS
) -> tuple[dict[str, EndpointOutcome], LinkOutcome]:
    """Both endpoints talk while the faults are in force; kills are carried out."""
    plan = planned(f"{hosts}\n{endpoints}\nfaults:\n{indent(dedent(faults).strip(), '  ')}", ip)
    outcomes: dict[str, EndpointOutcome] = {}

    async def work(lab: Lab, box: Middlebox) -> None:
        stage = Stage()
        async with Actors(plan, lab, stage, seed=7, base_dir=ground.workdir) as actors:

            def fired(name: str, kills: object) -> None:
                stage.reach(name, "fired")
                for endpoint, number in kills:  # type: ignore[attr-defined]
                    actors.kill(endpoint, number)

            box.on_fired(fired)
            await actors.start()
            outcomes.update(await actors.finish(time.monotonic_ns() + 8 * SECOND))
        await settle(lab, time.monotonic_ns() + SECOND)

    return outcomes, between(ground, plan, work)


def fates(outcome: LinkOutcome, fault: str = "fault 1") -> list[str]:
    return [entry.fate for entry in outcome.entries if fault in entry.faults]


WHOLE: dict[str, tuple[int, int, list[str]]] = {"client": (65536, 8192, []), "server": (8192, 65536, [])}


def summary(outcomes: dict[str, EndpointOutcome]) -> dict[str, tuple[int, int, list[str]]]:
    return {name: (o.sent_bytes, o.received_bytes, o.errors()) for name, o in outcomes.items()}


@pytest.mark.parametrize("ip", [4, 6])
@pytest.mark.parametrize(
    ("action", "fate"),
    [
        ("drop", "drop"),
        ("{delay: 5ms}", "delay"),
        ("duplicate", "duplicate"),
        ("{hold: 2}", "hold"),
        ("{corrupt: tcp}", "alter"),
        ("{corrupt: {byte: 3, bit: 5}}", "alter"),
        ("{set: {ttl: 9, win: 8000}}", "alter"),
        ("{inject: {flags: R, seq: out_of_window}}", "inject"),
        ("[duplicate, {delay: 1ms}, {set: {tos: 8}}]", "delay"),
    ],
)
def test_tcp_survives(ground: Ground, action: str, fate: str, ip: int) -> None:
    outcomes, link = talk(ground, f"- {{when: {{from: client, data: 3}}, do: {action}}}", ip=ip)
    assert summary(outcomes) == WHOLE
    assert link.error is None
    assert link.fired == {"fault 1": 1}
    assert fates(link)[0] == fate


def test_a_corrupted_ip_header_is_repaired_by_tcp(ground: Ground) -> None:
    outcomes, link = talk(ground, "- {when: {from: client, data: 3}, do: {corrupt: ip}}")
    assert summary(outcomes) == WHOLE
    assert link.fired == {"fault 1": 1}


def test_stripped_options_are_not_agreed_on(ground: Ground) -> None:
    faults = "- {when: {flags: S}, do: {set: {strip: [wscale, timestamps, sack_ok], mss: 600}}}"
    outcomes, link = talk(ground, faults)
    assert summary(outcomes) == WHOLE
    answer = next(decode(e.head) for e in link.entries if e.head[47] == 0x12)
    assert (answer.wscale, answer.tsval, answer.sack_ok) == (-1, -1, False)
    assert (
        max(entry.len_bytes for entry in link.entries if entry.came_in and entry.came_in[0] == "server")
        <= 654
    )


def test_a_forged_reset_ends_the_connection(ground: Ground) -> None:
    endpoints = """
endpoints:
  server: {on: server, listen: 105, do: [receive: eof]}
  client: {on: client, connect: server, do: [send: {text: HELLO}, receive: eof]}
"""
    faults = "- {when: {from: client, contains: HELLO}, do: {inject: {to: client, flags: R, seq: rcv_nxt}}}"
    outcomes, _ = talk(ground, faults, endpoints=endpoints)
    assert outcomes["client"].errors() == ["ECONNRESET"]


def test_a_process_is_killed_by_what_it_sends(ground: Ground) -> None:
    endpoints = TALK.replace("listen: 105,", "listen: 105, process: on,")
    outcomes, _ = talk(ground, "- {when: {from: client, data: 2}, do: {kill: server}}", endpoints=endpoints)
    assert "SIGKILL" in outcomes["server"].errors()


@pytest.mark.parametrize("ip", [4, 6])
def test_offloaded_segments_are_cut_before_they_are_counted(ground: Ground, ip: int) -> None:
    hosts = "hosts: {client: {offload: on}, server: {offload: on}}\nlinks: [{join: [client, server]}]"
    faults = "- {when: {from: client, data: 3}, do: {corrupt: {byte: 1, bit: 0}}}"
    outcomes, link = talk(ground, faults, ip=ip, hosts=hosts)
    assert summary(outcomes) == WHOLE
    assert fates(link) == ["alter"]
    data = [e for e in link.entries if e.came_in and e.came_in[0] == "client"]
    assert max(entry.len_bytes for entry in data) <= 1514
    # Several frames of the wire came in as one.
    assert len({entry.came_in for entry in data}) < len(data)
    short = [decode(e.head) for e in link.entries if e.len_bytes <= len(e.head) and e.fate == "forward"]
    assert {verdict(segment).word for segment in short} == {"correct"}
