"""Are a link's impairments what they are said to be, and the same again with the same seed?

    PYTHONPATH=tests/lab python bench/impairments.py [--rounds 3]

Frames go through the middlebox of a real link, from one packet socket to another. Exit status 1 when one
of the figures is not what is wanted:

- a delay of 10 ms at 5,000 frames/s: within 0.5 ms at the median of the rounds' medians;
- a rate of 20 Mbit/s, five seconds' worth of frames waiting: within 2 %;
- a loss of 1 % of 100,000 frames: within the binomial distribution's 99.9 % interval, and exactly the same
  frames in a second run with the same seed.
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
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from middlebox import Plug, segments

from tcpharness.evidence import LinkOutcome
from tcpharness.lab.build import Lab
from tcpharness.lab.door import enter
from tcpharness.lab.middlebox import Middlebox
from tcpharness.lab.spawner import Spawner
from tcpharness.scenario.load import load
from tcpharness.scenario.plan import Plan, make_plan

LOSS_FRAMES = 100_000
LOST = range(898, 1105)  # 0.05th and 99.95th percentile of the binomial distribution, n = 100,000, p = 0.01
RATE_BITS, RATE_S = 20_000_000, 5
FRAME_LEN = 1514
DELAY_FRAMES, DELAY_PACE = 5000, 5000
PACE = 10_000  # frames a second, where all have to get through
SO_TIMESTAMPNS = 35  # include/uapi/asm-generic/socket.h
TIMESPEC = struct.Struct("qq")

Work = Callable[[Plug, Plug, list[bytes]], None]


def plan_of(link: str, number: int) -> Plan:
    text = f"scenario: x\nhosts: [client, server]\nlinks: [{{join: [client, server], {link}}}]\n"
    (case,) = load(text + 'expect: {counters: {client: {TcpInSegs: "0.."}}}\n', "x.yaml")
    return make_plan(case, number)


async def through(
    spawner: Spawner, link: str, number: int, work: Work, seed: int = 1, rest: list[bytes] | None = None
) -> LinkOutcome:
    """Does the work at both ends of such a link; the ledger. `rest`: what has not been received then."""
    plan = plan_of(link, number)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        lab = stack.enter_context(Lab(plan, spawner, Path(directory)))
        box = Middlebox(plan, plan.links[0], lab, seed)
        stack.callback(box.close)
        await box.start()
        plugs = [Plug(lab.hosts[name]) for name in ("client", "server")]
        for plug in plugs:
            stack.callback(plug.sock.close)
        await asyncio.to_thread(work, plugs[0], plugs[1], segments(plan, 1000))
        await box.idle()
        plugs[1].sock.setblocking(False)
        with suppress(BlockingIOError):
            while rest is not None:
                rest.append(plugs[1].sock.recv(2048))
        return await box.finish()


def arrival(plug: Plug) -> int:
    """When the next frame was at the interface, as the kernel has it: CLOCK_REALTIME, in nanoseconds."""
    _, told, _, _ = plug.sock.recvmsg(2048, 64)
    seconds, nanoseconds = TIMESPEC.unpack(told[0][2])
    return int(seconds * 1_000_000_000 + nanoseconds)


# --- the three


async def delay(spawner: Spawner, rounds: int, link: str) -> float:
    """Median of the rounds' medians, in milliseconds, from send() to the receiving interface's timestamp."""
    found: list[float] = []

    def work(one: Plug, other: Plug, frames: list[bytes]) -> None:
        other.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sent: list[int] = []
        due = time.perf_counter()
        while len(sent) < DELAY_FRAMES:
            if (now := time.perf_counter()) >= due:
                # Never faster, to catch up with what a busy machine has cost: that would measure bursts.
                due = max(due + 1 / DELAY_PACE, now)
                sent.append(time.time_ns())
                one.sock.send(frames[0])
        times = []
        for was_sent in sent:
            times.append(arrival(other) - was_sent)
        found.append(statistics.median(times) / 1e6)

    for number in range(rounds):
        await through(spawner, link, number, work)
    return statistics.median(found)


async def rate(spawner: Spawner) -> float:
    """Bits per second that arrive of five seconds' worth waiting in the queue; by the receiver's clock."""
    times: list[int] = []
    count = RATE_S * RATE_BITS // (8 * FRAME_LEN)

    def work(one: Plug, other: Plug, frames: list[bytes]) -> None:
        other.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        due = time.perf_counter()
        for number in range(count):
            while (now := time.perf_counter()) < due:
                pass
            due = max(due + 1 / PACE, now)
            one.sock.send(frames[number % len(frames)])
        times.extend(arrival(other) for _ in range(count))

    await through(spawner, f"from: {{client: {{rate: {RATE_BITS}bit, queue: {count} packets}}}}", 20, work)
    return (count - 1) * FRAME_LEN * 8 * 1e9 / (times[-1] - times[0])


async def loss(spawner: Spawner, number: int) -> tuple[int, ...]:
    """Which of the frames are lost, by their place, as the ledger and the receiver have it."""
    received: list[bytes] = []

    def work(one: Plug, other: Plug, frames: list[bytes]) -> None:
        other.sock.setblocking(False)
        head, due, sent = frames[0][:38], time.perf_counter(), 0
        while sent < LOSS_FRAMES:
            if (now := time.perf_counter()) >= due:
                due = max(due + 1 / PACE, now)
                one.sock.send(head + (1 + sent * 1460).to_bytes(4, "big") + frames[0][42:])
                sent += 1
            with suppress(BlockingIOError):
                received.append(other.sock.recv(2048))

    link = "from: {client: {loss: 1%}}"
    outcome = await through(spawner, link, number, work, seed=7, rest=received)
    assert outcome.error is None, outcome.error
    lost = tuple(e.number for e in outcome.entries if "loss" in e.acts)
    assert len(outcome.entries) == LOSS_FRAMES, f"{len(outcome.entries)} frames reached the middlebox"
    assert len(received) == LOSS_FRAMES - len(lost), "the receiver and the ledger disagree"
    return lost


async def measure(rounds: int, spawner: Spawner) -> bool:
    right = True

    def tell(what: str, shown: str, holds: bool) -> None:
        nonlocal right
        right = right and holds
        print(f"{what:48} {shown:28} {'ok' if holds else 'NOT WHAT IS WANTED'}", flush=True)

    for link in ("delay: 10ms", "delay: 10ms, duplicate: 0.000001%"):
        ms = await delay(spawner, rounds, link)
        tell(f"{link}, 5,000 frames/s", f"{ms:.3f} ms", abs(ms - 10) <= 0.5)
    bits = await rate(spawner)
    tell(
        f"rate {RATE_BITS / 1e6:.0f} Mbit/s over {RATE_S} s",
        f"{bits / 1e6:.3f} Mbit/s",
        abs(bits / RATE_BITS - 1) <= 0.02,
    )
    runs = [await loss(spawner, 30 + n) for n in range(2)]
    tell(f"loss of 1 % of {LOSS_FRAMES:,} frames", f"{len(runs[0])} lost", len(runs[0]) in LOST)
    tell(
        "the same frames with the same seed", f"{len(set(runs[0]) ^ set(runs[1]))} differ", runs[0] == runs[1]
    )
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    enter()
    spawner = Spawner.start()
    try:
        return 0 if asyncio.run(measure(args.rounds, spawner)) else 1
    finally:
        spawner.close()


if __name__ == "__main__":
    sys.exit(main())
