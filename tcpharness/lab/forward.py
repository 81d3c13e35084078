"""The middlebox's own process: frames in, the engine's decisions out. No asyncio, one thread, one loop.

A stall here would forge retransmission timeouts, so the process does nothing else, asks for a
real-time priority, collects no garbage, and drains its ports batch by batch.

It talks to middlebox.py over a socket, in JSON lines:

    {"do": "idle"}      answered when no frame is on its way here any more; held ones are let go
    {"do": "stop"}      everything that is on its way goes; what still comes is noted and consumed
    {"do": "finish"}    the ledger is written to its descriptor, and the process ends
    {"do": "reach", "fault": ...}    a fault of another link has fired, or an endpoint is in some state
    {"do": "cut", "down": ...}       the link carries nothing from here on, or carries frames again

and says {"did": ...} of each, besides "ready", and "fired" the first time that each fault fires and
whenever a process is to be killed.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import select
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tcpharness.fault.engine import Engine, Fired, Port, Send
from tcpharness.fault.facts import FlowFacts
from tcpharness.fault.ledger import digest_of
from tcpharness.fault.offload import VNET, wire_frames
from tcpharness.lab.packet_port import BATCH, PacketPort, interface_drops
from tcpharness.lab.timerfd import Timer
from tcpharness.scenario.impairment import Impairment
from tcpharness.scenario.model import Fault

READ_LEN = 65536


@dataclass(frozen=True, slots=True)
class Order:
    """What a middlebox is to do, as its process is told."""

    faults: tuple[Fault, ...]
    ports: tuple[tuple[str, str, bytes, bytes], ...]  # host, port's interface, the host's MAC, its address
    mtu: int
    delay_ns: int
    impairments: Mapping[str, Impairment]  # by sending host
    flows: Mapping[str, FlowFacts]
    templates: Mapping[tuple[str, int], Mapping[int, bytes]]
    offload: bool  # some host leaves checksums and segmentation to its device
    seed: str
    ring: bool | None = None  # how frames are received; None: as privileges allow


class Forwarder:
    """The loop. `ports` and the engine's ports are the same, in the same order."""

    def __init__(self, order: Order, control: socket.socket, ledger: int) -> None:
        self._control = control
        self._ledger = ledger
        self._offload = order.offload
        self._engine = Engine(
            order.faults,
            [Port(host, mac, address) for host, _, mac, address in order.ports],
            delay_ns=order.delay_ns,
            flows=order.flows,
            templates=order.templates,
            impairments=order.impairments,
            seed=order.seed,
            epoch_ns=time.time_ns() - time.monotonic_ns(),
        )
        self._ports = [
            PacketPort(name, order.mtu, offload=order.offload, ring=order.ring)
            for _, name, _, _ in order.ports
        ]
        self._timer = Timer()
        self._heard = b""
        self._told: set[str] = set()
        self._idle_asked = False
        self._is_over = False

    def run(self) -> None:
        """Until it is told to finish, or nobody is there to tell it anything."""
        poll = select.epoll()
        for fd in (self._control.fileno(), self._timer.fd, *(port.fd for port in self._ports)):
            poll.register(fd, select.EPOLLIN)
        numbers = {port.fd: number for number, port in enumerate(self._ports)}
        control, engine = self._control.fileno(), self._engine
        self._say("ready")
        while not self._is_over:
            self._timer.set(engine.next_deadline())
            is_quiet = True
            for fd, _ in poll.poll():
                if fd in numbers:
                    is_quiet = self._receive(numbers[fd]) < BATCH and is_quiet
                elif fd == control:
                    self._obey()
            if not engine.is_idle:
                self._send(engine.due(time.monotonic_ns()))
            if self._idle_asked:
                self._answer_idle(is_quiet)

    # --- frames

    def _receive(self, number: int) -> int:
        """One batch from one port; how many there were."""
        port, ports, decide, now_ns = self._ports[number], self._ports, self._engine.frame, time.monotonic_ns
        frames = port.receiver.take()
        if self._offload:
            for received in frames:
                self._take_super(number, received)
        else:
            for frame in frames:
                for out, sent in decide(now_ns(), number, frame):
                    ports[out].send(sent)
        if self._engine.has_fired:
            self._tell(self._engine.take_fired())
        return len(frames)

    def _take_super(self, number: int, received: bytes) -> None:
        """What a device would have made of it, each in its own right."""
        frames = wire_frames(received)
        sent = received[VNET.size :]
        digest = None if frames == [sent] else digest_of(sent)
        for frame in frames:
            self._send(self._engine.frame(time.monotonic_ns(), number, frame, digest))

    def _send(self, sends: Iterable[Send]) -> None:
        for out, frame in sends:
            self._ports[out].send(frame)

    def _drain(self) -> None:
        for number in range(len(self._ports)):
            while self._receive(number) == BATCH:
                pass

    # --- the control channel

    def _say(self, did: str, **more: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # then its end is the next thing we read
            self._control.sendall(json.dumps({"did": did, **more}).encode() + b"\n")

    def _tell(self, many: Iterable[Fired]) -> None:
        for fired in many:
            if fired.kills or fired.changes or fired.fault not in self._told:
                self._told.add(fired.fault)
                self._say(
                    "fired", fault=fired.fault, kills=fired.kills, number=fired.number, digest=fired.digest
                )

    def _obey(self) -> None:
        heard = self._control.recv(READ_LEN)
        if not heard:
            self._is_over = True
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["do"] == "reach":
                self._engine.reach(message["fault"])
            elif message["do"] == "cut":
                self._engine.cut(message["down"])
            else:
                ORDERS[message["do"]](self)

    def _ask_idle(self) -> None:
        self._drain()
        self._send(self._engine.let_go(time.monotonic_ns()))
        self._idle_asked = True

    def _answer_idle(self, is_quiet: bool) -> None:
        if is_quiet and self._engine.is_idle:
            self._idle_asked = False
            self._say("idle")

    def _stop(self) -> None:
        self._drain()
        self._send(self._engine.flush())
        self._engine.stop()
        self._say("stop")

    def _finish(self) -> None:
        self._drain()
        self._send(self._engine.flush())
        with open(self._ledger, "wb", closefd=False) as file:
            file.write(self._engine.ledger.dump())
        self._is_over = True
        self._say("finish", fired=self._engine.fired, epoch_ns=self._engine.epoch_ns, error=self._problem())

    def _problem(self) -> str | None:
        """A loss of our own, which would make every other witness a liar."""
        problems = [port.problem for port in self._ports if port.problem]
        dropped = interface_drops()
        for port in self._ports:
            lost = port.lost() + dropped.get(port.interface, 0)
            if lost:
                problems.append(f"{lost} frames were lost at {port.interface}: the machine was too busy")
        return "; ".join(problems) or None


ORDERS = {"idle": Forwarder._ask_idle, "stop": Forwarder._stop, "finish": Forwarder._finish}


def main(payload: bytes, fds: list[int]) -> int:
    """The process's entry, in its namespace: a pickled Order; descriptors for control and ledger."""
    # Ahead of others, but not real-time: that would wake us for every single frame, at twice the cost.
    with suppress(PermissionError):
        os.nice(-20)
    gc.disable()
    Forwarder(pickle.loads(payload), socket.socket(fileno=fds[0]), fds[1]).run()
    return 0
