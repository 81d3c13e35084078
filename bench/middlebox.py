"""What the middlebox costs: frames per second and added round trip, beside a veth pair and a kernel bridge.

python bench/middlebox.py [--frames 100000] [--rounds 5]

All are measured in turn in the same session by the same two packet sockets, so that the machine's
mood is in every figure. Frames are MTU-sized TCP segments of one flow, at most WINDOW of them under
way. The middlebox writes its ledger all the while. Medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tcpharness.lab.build import Lab
from tcpharness.lab.door import enter
from tcpharness.lab.middlebox import Middlebox
from tcpharness.lab.netns import NetNs
from tcpharness.lab.packet_port import PACKET_IGNORE_OUTGOING, PACKET_QDISC_BYPASS, SO_RCVBUFFORCE, SOL_PACKET
from tcpharness.lab.spawner import Spawner
from tcpharness.packet.checksum import ip_checksum
from tcpharness.scenario.load import load
from tcpharness.scenario.plan import Plan, make_plan

WINDOW = 256
PAIR = "hosts: [client, server]\nlinks: [[client, server]]"
GROUND = {
    "veth pair": PAIR,
    "kernel bridge": "hosts: [client, server, third]\nlinks: [[client, server, third]]",
    "middlebox, fault spent": PAIR + "\nfaults: [{when: {from: client, data: 1}, do: {delay: 1ms}}]",
    "middlebox, fault armed": PAIR + "\nfaults: [{when: {from: client, flags: has U}, do: drop}]",
    "middlebox, text looked for": PAIR + "\nfaults: [{when: {from: client, contains: zork}, do: drop}]",
    "middlebox, delay only": PAIR.replace("[[client, server]]", "[{join: [client, server], delay: 10ms}]"),
}
DELAY_NS = 10_000_000


def plan_of(network: str, number: int) -> Plan:
    expect = 'expect: {counters: {client: {TcpInSegs: "0.."}}, faults: {fault 1: "0.."}}'
    if "faults" not in network:
        expect = expect.replace(', faults: {fault 1: "0.."}', "")
    return make_plan(load(f"scenario: x\n{network}\n{expect}\n", "x.yaml")[0], number)


class Plug:
    """A packet socket at a host's end of the link."""

    def __init__(self, namespace: NetNs) -> None:
        self.sock = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.sock.bind(("eth0", 3))
        self.sock.settimeout(10)


def segments(plan: Plan, count: int) -> list[bytes]:
    """One flow's data, from the client to the server."""
    client, server = (bytes.fromhex(end.mac.replace(":", "")) for end in plan.links[0].ends[:2])
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 1500, 0, 0x4000, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    # A bridge may have netfilter look at it, and that drops what has a wrong header checksum.
    ip = ip[:10] + ip_checksum(ip).to_bytes(2, "big") + ip[12:]
    head = server + client + b"\x08\x00" + ip
    tcp = struct.Struct("!HHIIBBHHH1460x")
    return [head + tcp.pack(40000, 105, 1460 * n, 1, 0x50, 0x10, 1000, 0, 0) for n in range(count)]


def swapped(frame: bytes) -> bytes:
    """The same frame, back again."""
    macs, addresses, ports = frame[6:12] + frame[:6], frame[30:34] + frame[26:30], frame[36:38] + frame[34:36]
    return macs + frame[12:26] + addresses + ports + frame[38:]


def throughput(one: Plug, other: Plug, frames: list[bytes], count: int) -> float:
    """Frames per second, one way."""
    send, receive = one.sock.send, other.sock.recv
    start, sent, arrived = time.perf_counter(), 0, 0
    while arrived < count:
        while sent < count and sent - arrived < WINDOW:
            send(frames[sent % len(frames)])
            sent += 1
        receive(2048)
        arrived += 1
    return count / (time.perf_counter() - start)


def round_trip(one: Plug, other: Plug, frames: list[bytes]) -> float:
    """Median of 500 round trips of one frame, in microseconds."""
    there, back = frames[0], swapped(frames[0])
    times = []
    for _ in range(500):
        start = time.perf_counter()
        one.sock.send(there)
        other.sock.recv(2048)
        other.sock.send(back)
        one.sock.recv(2048)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def delays(one: Plug, other: Plug, frames: list[bytes]) -> tuple[float, float]:
    """Median and 99th percentile of a 10 ms delay at 5,000 frames/s, in milliseconds."""
    count, gap = 2500, 1 / 5000
    sent: list[float] = []
    found: list[float] = []
    other.sock.setblocking(False)
    start = time.perf_counter()
    while len(found) < count:
        now = time.perf_counter()
        if len(sent) < count and now >= start + len(sent) * gap:
            one.sock.send(frames[0])
            sent.append(now)
        try:
            other.sock.recv(2048)
            found.append(time.perf_counter() - sent[len(found)])
        except BlockingIOError:
            pass
    other.sock.settimeout(10)
    found.sort()
    return statistics.median(found) * 1e3, found[int(count * 0.99)] * 1e3


def cpu_ns(box: Middlebox) -> int:
    """Time that the middlebox's process has been running."""
    assert box.child is not None
    return int(Path(f"/proc/{box.child.pid}/schedstat").read_text().split()[0])


async def measure(lab: Lab, plan: Plan, work: Callable[[Plug, Plug, list[bytes]], None]) -> float:
    """Does the work; CPU microseconds that the middlebox took for a frame, 0 when there is none."""
    frames = segments(plan, 1000)
    async with AsyncExitStack() as stack:
        boxes = [Middlebox(plan, link, lab) for link in plan.links if link.kind == "middlebox"]
        for box in boxes:
            stack.callback(box.close)
            await box.start()
        plugs = [Plug(lab.hosts[name]) for name in ("client", "server")]
        for plug in plugs:
            stack.callback(plug.sock.close)
        await asyncio.to_thread(work, plugs[0], plugs[1], frames)
        spent_ns = sum(cpu_ns(box) for box in boxes)
        outcomes = [await box.finish() for box in boxes]
    assert not any(outcome.error for outcome in outcomes), outcomes
    return spent_ns / 1e3 / max(1, sum(len(outcome.entries) for outcome in outcomes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    enter()
    rates: dict[str, list[float]] = {name: [] for name in GROUND}
    trips: dict[str, list[float]] = {name: [] for name in GROUND}
    cpu: dict[str, list[float]] = {name: [] for name in GROUND}
    kept: list[tuple[float, float]] = []
    with Spawner.start() as spawner, tempfile.TemporaryDirectory() as workdir:
        for number in range(options.rounds * len(GROUND)):
            name = list(GROUND)[number % len(GROUND)]
            plan = plan_of(GROUND[name], number)

            def work(one: Plug, other: Plug, frames: list[bytes], name: str = name) -> None:
                rates[name].append(throughput(one, other, frames, options.frames))
                if "delay" in name:
                    kept.append(delays(one, other, frames))
                else:
                    trips[name].append(round_trip(one, other, frames))

            print("round", number // len(GROUND) + 1, name, file=sys.stderr, flush=True)
            with Lab(plan, spawner, Path(workdir)) as lab:
                cpu[name].append(asyncio.run(measure(lab, plan, work)))
    plain = statistics.median(trips["veth pair"])
    for name, found in rates.items():
        line = f"{name:28} {statistics.median(found):9,.0f} frames/s"
        if statistics.median(cpu[name]):
            line += f"   CPU {statistics.median(cpu[name]):5.1f} us/frame"
        if trips[name]:
            trip = statistics.median(trips[name])
            line += f"   round trip {trip:6.1f} us, {trip - plain:+6.1f} us"
        print(line)
    median, tail = (statistics.median(values) for values in zip(*kept, strict=True))
    print(f"a delay of 10 ms at 5,000 frames/s: {median:.3f} ms, 99th percentile {tail:.3f} ms")


if __name__ == "__main__":
    main()
