"""The middlebox's own process: frames in, the engine's decisions out. No asyncio, one thread, one loop.

A stall here would forge retransmission timeouts, so the process does nothing else, and asks for a
real-time priority where it may.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tcpharness.fault.engine import Engine, Send
from tcpharness.fault.offload import wire_frames
from tcpharness.scenario.model import Fault

# linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h
SOL_PACKET = 263
PACKET_STATISTICS, PACKET_VNET_HDR, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 6, 15, 20, 23
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 64 << 20
FRAME_MAX = 70_000
BATCH = 64
MARKER = b"\x88\xb5"
VNET_LEN = 10
PLAIN = bytes(VNET_LEN)  # a virtio_net_hdr that promises nothing


@dataclass(frozen=True, slots=True)
class Order:
    """What a middlebox is to do, as its process is told."""

    faults: tuple[Fault, ...]
    ports: tuple[tuple[str, str, bytes], ...]  # host, port's interface, the host's MAC address
    delay_ns: int
    templates: dict[tuple[str, int], bytes]
    flow_names: dict[tuple[bytes, int], str]
    offload: bool  # some host leaves checksums and segmentation to the device


@dataclass(slots=True)
class Port:
    host: str
    sock: socket.socket


class Forwarder:
    """The loop."""

    def __init__(self, order: Order, control: socket.socket, ledger: int) -> None:
        self.order = order
        self.control = control
        self.ledger = ledger
        macs = {host: mac for host, _, mac in order.ports}
        self.engine = Engine(
            order.faults, macs=macs, delay_ns=order.delay_ns, templates=order.templates, flow_names=order.flow_names
        )  # fmt: skip
        self.ports = [Port(host, open_port(name, order.offload)) for host, name, _ in order.ports]
        self.by_host = {port.host: port.sock for port in self.ports}
        self.by_mac = {mac: host for host, mac in macs.items()}
        # Monotonic, but on the scale of the captures' clock.
        self.offset_ns = time.time_ns() - time.monotonic_ns()
        self.stopped = False
        self.finished = False

    def now_ns(self) -> int:
        return time.monotonic_ns() + self.offset_ns

    def run(self) -> None:
        self.say({"ready": True})
        sources: list[Any] = [self.control, *(port.sock for port in self.ports)]
        while not self.finished:
            deadline = self.engine.next_deadline()
            timeout = None if deadline is None else max(0.0, (deadline - self.now_ns()) / 1e9)
            readable = select.select(sources, [], [], timeout)[0]
            if deadline is not None:
                self.send(self.engine.due(self.now_ns()))
            for port in self.ports:
                if port.sock in readable:
                    self.receive(port)
            if self.control in readable:
                self.obey()

    # --- frames

    def receive(self, port: Port) -> None:
        """All that waits at a port, up to a batch, so that no port starves another."""
        for _ in range(BATCH):
            try:
                data = port.sock.recv(FRAME_MAX)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    raise
                return
            for frame in wire_frames(data) if self.order.offload else (data,):
                self.take(port.host, frame)
        return

    def take(self, sender: str, frame: bytes) -> None:
        if frame[12:14] == MARKER:
            return
        now_ns = self.now_ns()
        if self.stopped:
            self.engine.consume(now_ns, sender, frame)
            return
        receiver = self.by_mac.get(frame[:6])
        for host in (receiver,) if receiver else [p.host for p in self.ports if p.host != sender]:
            self.send(self.engine.frame(now_ns, sender, host, frame))
        if self.engine.events:
            self.tell_events()

    def send(self, sends: Sequence[Send]) -> None:
        for one in sends:
            self.put(self.by_host[one.host], PLAIN + one.data if self.order.offload else one.data)

    def put(self, sock: socket.socket, data: bytes) -> None:
        """Never drops: waits until the device takes it."""
        while True:
            try:
                sock.send(data)
                return
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                    raise
                select.select([], [sock], [], 0.001)

    # --- the control channel

    def say(self, message: dict[str, Any]) -> None:
        self.control.sendall(json.dumps(message).encode() + b"\n")

    def tell_events(self) -> None:
        for event in self.engine.events:
            self.say({"fired": event.fault, "kills": event.kills})
        self.engine.events.clear()

    def obey(self) -> None:
        words = self.control.recv(4096).decode().split("\n")
        if words == [""]:
            self.finished = True  # main is gone
        for word in filter(None, words):
            ORDERS[word](self)

    def answer_idle(self) -> None:
        """Idle: nothing waits in the engine, and nothing in the sockets."""
        waiting = select.select([port.sock for port in self.ports], [], [], 0)[0]
        self.say({"idle": self.engine.idle() and not waiting})

    def stop(self) -> None:
        """From here on frames are only noted: whoever still sends can't be part of the run any more."""
        self.send(self.engine.release(self.now_ns()))
        self.stopped = True
        self.say({"stopped": True})

    def finish(self) -> None:
        for port in self.ports:
            self.receive_all(port)
        dropped = sum(drops(port.sock) for port in self.ports)
        error = f"its sockets lost {dropped} frames" if dropped else None
        with open(self.ledger, "wb", closefd=False) as file:
            pickle.dump((self.engine.entries, self.engine.fired, error), file, protocol=5)
        self.finished = True
        self.say({"finished": True})

    def receive_all(self, port: Port) -> None:
        while select.select([port.sock], [], [], 0)[0]:
            self.receive(port)


ORDERS = {"idle": Forwarder.answer_idle, "stop": Forwarder.stop, "finish": Forwarder.finish}


def open_port(interface: str, offload: bool) -> socket.socket:
    """An AF_PACKET socket that sees what comes in at an interface, and sends past its queue."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:  # rootless: as much as the machine allows
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    if offload:
        sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.bind((interface, ETH_P_ALL))
    return sock


def drops(sock: socket.socket) -> int:
    _, dropped = struct.unpack("=II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    return int(dropped)


def main(payload: bytes, fds: list[int]) -> int:
    """The process's entry: the order, and descriptors for the control channel and the ledger."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    control = socket.socket(fileno=fds[0])
    Forwarder(pickle.loads(payload), control, fds[1]).run()
    return 0
