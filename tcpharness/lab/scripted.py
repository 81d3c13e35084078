"""An endpoint without a kernel: plays its script over a packet socket of its host's interface.

Its addresses are no kernel's, so nothing but the script answers there. What it sends leaves the
interface as any frame of the host does: captures, middlebox and ledger see it. It is played in a
process of its own (endpoint_process.py), ahead of others, so that it answers at once as a kernel does.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random
from struct import Struct

from tcpharness.evidence import ConnectionOutcome, EndpointOutcome
from tcpharness.lab.connection import Conditions
from tcpharness.lab.packet_port import (
    LINK_HEADER,
    PACKET_STATISTICS,
    QUEUE_LEN,
    SO_RCVBUFFORCE,
    SOL_PACKET,
    TWO_COUNTS,
)
from tcpharness.lab.socket_table import Namespace
from tcpharness.lab.stage import NeverHeld
from tcpharness.packet.link import ETHERTYPES
from tcpharness.packet.segment import Segment, decode
from tcpharness.peer.conversation import Conversation
from tcpharness.peer.numbers import Numbers, Side
from tcpharness.scenario.model import Endpoint, Place, Until
from tcpharness.scenario.plan import Plan, next_hop

FIRST_PORT = 40000  # of a script's own ports, where it does not say
BATCH = 64  # conversations begun in one turn
MACS_LEN = 12
SO_TIMESTAMPNS = 35  # asm-generic/socket.h
TIMESPEC = Struct("=qq")
ANCILLARY_LEN = socket.CMSG_SPACE(TIMESPEC.size)
Key = tuple[Side, Side]  # own, the other's


@dataclass(frozen=True, slots=True)
class Part:
    """One script's part, worked out before anything opens; it travels to the process that plays it."""

    endpoint: Endpoint
    addresses: tuple[str, ...]  # its own
    interface: str
    mac: str
    mtu: int
    names: dict[str, str]  # of everybody's addresses
    remote: Side | None  # whom a connecting one opens
    next_hop: str | None  # the MAC on the way there
    seed: str

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def at(self) -> Place:
        return self.endpoint.at

    @property
    def host(self) -> str:
        return self.endpoint.on

    @property
    def leads(self) -> bool:
        return self.remote is not None


def part_of(endpoint: Endpoint, plan: Plan, remote: Side | None, seed: int) -> Part:
    """What a script needs to know of the plan."""
    home = next(host for host in plan.hosts if host.name == endpoint.on).interfaces[0]
    names = {own: name for name, several in plan.scripted.items() for own in several}
    return Part(
        endpoint=endpoint,
        addresses=plan.scripted[endpoint.name],
        interface=home.name,
        mac=home.mac,
        mtu=home.mtu,
        names=names | {i.address: host.name for host in plan.hosts for i in host.interfaces},
        remote=remote,
        next_hop=next_hop(plan, endpoint.on, remote.address) if remote is not None else None,
        seed=f"{seed} {endpoint.name}",
    )


class ScriptedPeer:
    """One script, with each of those that it talks to. `note` hears of each that has ended, by its index."""

    def __init__(
        self,
        part: Part,
        namespace: Namespace,
        stage: Conditions,
        note: Callable[[int], None] = lambda index: None,
    ) -> None:
        self.outcome = EndpointOutcome(part.name, part.host, part.endpoint.kind)
        self.connections: list[Talk] = []
        self._part = part
        self._endpoint = part.endpoint
        self._namespace = namespace
        self._stage = stage
        self._note = note
        self._random = Random(part.seed)
        self._wire: Wire | None = None
        self._talks: dict[Key, Talk] = {}
        self._expected = part.endpoint.times  # conversations
        self._ended = asyncio.Event()

    # --- an actor

    async def prepare(self, deadline_ns: int) -> None:
        """Hears from here on; then a server script is as good as listening."""
        part = self._part
        version = ip_address(part.addresses[0]).version
        self._wire = Wire(self._namespace, part.interface, part.mac, part.mtu, version)
        asyncio.get_running_loop().add_reader(self._wire.sock, self._readable)
        if part.remote is None:
            self._stage.reach(self.outcome.name, "listening")

    async def play(self) -> None:
        try:
            if self._part.remote is not None:
                await self._begin_all(list(self._pairs(self._part.remote)))
            self._look_for_end()
            await self._ended.wait()
        finally:
            self._sum_up()
            self._stage.reach(self.outcome.name, "closed")
            self._stage.reach(self.outcome.name, "done")

    def no_more_clients(self) -> None:
        """Nobody will open another conversation; those that are open go on to their end."""
        if len(self._talks) < self._expected:
            self.outcome.error_text = f"{len(self._talks)} of {self._expected} conversations came"
        self._expected = len(self._talks)
        self._look_for_end()

    def waiting_for(self) -> str:
        self._sum_up()
        doing = [talk.doing for talk in self.connections if not talk.is_over]
        return doing[0] if doing else f"somebody to talk to, at {self._endpoint.at}"

    # --- conversations

    async def _begin_all(self, pairs: list[Key]) -> None:
        """In order, `every` apart; all at once when that is 0."""
        self._expected = len(pairs)
        start_ns = time.monotonic_ns()
        for number, (own, other) in enumerate(pairs):
            wait_ns = start_ns + number * self._endpoint.every_ns - time.monotonic_ns()
            if wait_ns > 0 or number % BATCH == BATCH - 1:
                await asyncio.sleep(max(0, wait_ns) / 1e9)  # others have their turn, too
            self._begin(own, other, self._part.next_hop, time.monotonic_ns())

    def _pairs(self, remote: Side) -> Iterator[Key]:
        endpoint = self._endpoint
        ports, first = endpoint.ports or (remote.port,), endpoint.from_port or FIRST_PORT
        for number, address, port in itertools.product(range(endpoint.times), self._part.addresses, ports):
            yield Side(address, first + number), Side(remote.address, port)

    def _begin(self, own: Side, other: Side, mac: str | None, at_ns: int) -> Talk:
        numbers = Numbers(own, other, self._random.getrandbits(32))
        conversation = Conversation(self._endpoint.script, numbers, self._part.names)
        send = self._sender(mac)
        number = len(self.connections)
        talk = Talk(number, conversation, self._stage, self._changed, send, self._readable)
        self._talks[own, other] = talk
        self.connections.append(talk)
        self.outcome.connections.append(talk.outcome)
        talk.begin(at_ns)
        return talk

    def _sender(self, mac: str | None) -> Callable[[bytes], None]:
        def send(frame: bytes) -> None:
            assert self._wire is not None
            if mac is None:
                raise OSError(errno.ENETUNREACH, f"{self._endpoint.on} has no route there")
            self._wire.send(frame, bytes.fromhex(mac.replace(":", "")))

        return send

    def _readable(self) -> None:
        assert self._wire is not None
        for at_ns, frame in self._wire.take():
            segment = decode(frame)
            if segment.is_tcp and segment.dst in self._part.addresses:
                self._take(segment, at_ns)

    def _take(self, segment: Segment, at_ns: int) -> None:
        own, other = Side(segment.dst, segment.dport), Side(segment.src, segment.sport)
        talk = self._talks.get((own, other))
        if talk is None:
            is_ours = self._part.remote is None and own.port == self._endpoint.port
            if not is_ours or len(self._talks) >= self._expected:
                return
            talk = self._begin(own, other, segment.src_mac, at_ns)
        talk.take(segment, at_ns)

    def _changed(self, talk: Talk) -> None:
        """A conversation has got on: is it established, is it the last that ends?"""
        if talk.conversation.established_ns is not None:
            self._stage.reach(self.outcome.name, "established")
        if talk.is_over:
            self._note(talk.number)
            self._look_for_end()

    def _look_for_end(self) -> None:
        if len(self._talks) >= self._expected and all(talk.is_over for talk in self.connections):
            self._ended.set()

    def _sum_up(self) -> None:
        took = Counter(name for talk in self.connections for name in talk.conversation.taken)
        self.outcome.took = dict(took)
        lost = self._wire.lost() if self._wire is not None else 0
        if lost:
            self.outcome.error = "ENOBUFS"
            self.outcome.error_text = (
                f"{lost} frames were lost before the script saw them: too busy a machine"
            )


class Talk:
    """One conversation with its timer, its conditions and its outcome."""

    def __init__(
        self,
        number: int,
        conversation: Conversation,
        stage: Conditions,
        changed: Callable[[Talk], None],
        send: Callable[[bytes], None],
        look: Callable[[], None],
    ) -> None:
        self.number = number
        self.conversation = conversation
        self.outcome = ConnectionOutcome(local=conversation.numbers.own, remote=conversation.numbers.remote)
        self._stage = stage
        self._changed = changed
        self._send = send
        self._look = look
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._failed = False

    @property
    def is_over(self) -> bool:
        return self.conversation.is_over or self._failed

    @property
    def doing(self) -> str:
        return self.conversation.doing()

    def begin(self, at_ns: int) -> None:
        self.outcome.opened_ns = at_ns
        self._after(self.conversation.begin(at_ns))

    def take(self, segment: Segment, at_ns: int) -> None:
        if not self.is_over:
            self.conversation.take(segment, at_ns)
            self._after(self.conversation.advance(time.monotonic_ns()))

    def _due(self) -> None:
        self._look()  # a busy loop may be late: what came in time is not to be missed
        if not self.is_over:
            self._after(self.conversation.advance(time.monotonic_ns()))

    def _after(self, frames: list[bytes]) -> None:
        """Sends what there is, and looks when there will be something to do again."""
        try:
            for frame in frames:
                self._send(frame)
        except OSError as error:
            self._failed = True
            self.outcome.error = errno.errorcode.get(error.errno or 0, "unknown")
            self.outcome.error_text = error.strerror
        self._note()
        if self._timer is not None:
            self._timer.cancel()
        at_ns = self.conversation.next_deadline()
        if at_ns is not None and not self.is_over:
            self._timer = asyncio.get_running_loop().call_at(at_ns / 1e9, self._due)
        until = self.conversation.waiting
        if until is not None and (self._waiting is None or self._waiting.done()):
            self._waiting = asyncio.create_task(self._wait(until))
        self._changed(self)

    async def _wait(self, until: Until) -> None:
        try:
            await self._stage.wait(until)
        except NeverHeld as error:
            self._after(self.conversation.give_up(str(error), time.monotonic_ns()))
            return
        self._waiting = None
        self._after(self.conversation.release(time.monotonic_ns()))

    def _note(self) -> None:
        talk, outcome = self.conversation, self.outcome
        outcome.sent_bytes, outcome.received_bytes = talk.sent_bytes, talk.received_bytes
        outcome.closed_ns = talk.ended_ns
        if talk.mismatch is not None:
            outcome.mismatch, outcome.error = talk.mismatch, talk.mismatch.error
            outcome.error_text = f"expected {talk.mismatch.expected}, found {talk.mismatch.actual}"
            outcome.error_step = str(talk.mismatch.at)


class Wire:
    """A packet socket at one interface: what comes in of one IP version, not what goes out.

    A socket for all protocols would get a frame before an older one, tcpdump's, does: a busy machine
    had answers captured before what they answer. Those of one protocol get it after all of those,
    as the kernel's own TCP does.
    """

    def __init__(self, namespace: Namespace, interface: str, mac: str, mtu: int, version: int) -> None:
        self._mac = bytes.fromhex(mac.replace(":", ""))
        self._largest = mtu + LINK_HEADER
        self.sock = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with suppress(PermissionError):  # rootless: the queue is as large as everybody's
            self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_LEN)
        self.sock.bind((interface, ETHERTYPES[version]))

    def take(self) -> Iterator[tuple[int, bytes]]:
        """All that waits, with the (monotonic) times at which it came in."""
        epoch_ns = time.time_ns() - time.monotonic_ns()
        with suppress(BlockingIOError):
            while True:
                frame, notes, _, _ = self.sock.recvmsg(self._largest, ANCILLARY_LEN)
                seconds, rest_ns = TIMESPEC.unpack_from(notes[0][2])
                yield seconds * 1_000_000_000 + rest_ns - epoch_ns, frame

    def send(self, frame: bytes, mac: bytes) -> None:
        """A frame whose Ethernet addresses are still to be filled in. Raises OSError."""
        self.sock.send(mac + self._mac + frame[MACS_LEN:])

    def lost(self) -> int:
        counts: bytes = self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, TWO_COUNTS.size)
        return int(TWO_COUNTS.unpack(counts)[1])
