"""The kernel's canary: real sockets of a host, for those who watch its kernel instead of frames.

Counters, sockets and tracepoints know nothing of a frame between addresses of nobody. So when all of a
scenario has been read, sockets of the host get into each condition over a cable of their own:

    canary0      198.18.NN.250, the host's end (IPv6: 2001:2:0:NN::fa)
    canary1      where 198.19.NN.250 is answered for, here; its kernel takes none of these frames

They stay in it until the monitors have been asked once more. What one says of these addresses, or says
now and did not before, is what it hears.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from tcpharness.lab import links, routes, sysctl, tcp_info
from tcpharness.lab.netlink import Refused, Request, RouteSocket
from tcpharness.lab.netns import NetNs
from tcpharness.lab.offload import Offloads
from tcpharness.lab.scripted import Wire
from tcpharness.packet.canary import KERNEL_INTERFACE, kernel_addresses
from tcpharness.packet.encode import Frame, encode, in_ethernet
from tcpharness.packet.icmp import icmp_error
from tcpharness.packet.segment import ACK, PSH, RST, SYN, Segment, decode
from tcpharness.scenario.plan import RoutePlan

HOST_END, FAR_END = KERNEL_INTERFACE, "canary1"
HOST_INDEX, FAR_INDEX = 900, 901
HOST_MAC, FAR_MAC, NOBODY_MAC = "02:63:61:6e:61:00", "02:63:61:6e:61:01", "02:63:61:6e:61:fa"
MTU, MSS, LEAST_MTU = 1500, 1000, {4: 552, 6: 1280}
PREFIX_LEN = {4: 24, 6: 64}
WHOLE = {4: 32, 6: 128}
METRICS: dict[str, int | str] = {"rto_min": 5_000_000, "quickack": 1}  # ns: nobody waits for its timers
# What a scenario may have set otherwise, so that a condition would never come.
CALM = {
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_fastopen": "1",
    "net.ipv4.tcp_syn_retries": "6",
    "net.ipv4.tcp_synack_retries": "5",
    "net.ipv4.tcp_abort_on_overflow": "0",
    "net.ipv4.tcp_retries2": "15",
}
PATIENCE_S = 5.0
POLL_S = 0.001
TCP_FASTOPEN_NO_COOKIE, MSG_FASTOPEN = 34, 0x20000000  # <linux/tcp.h>, <linux/socket.h>
# Ports of nobody, by how it answers there; and of the host's.
SILENT, DEAF, FULL, REFUSING, RESETTING = 1, 2, 3, 4, 5
ASKING, CROWDING = 6, 7  # from where it opens connections itself
NO_ONES = 9  # of the host's, where nobody listens
ISN = 1_000_000
Answer = Callable[["Nobody", Segment], None]


class Failed(Exception):
    """The canary can't be had; the text says why."""


class KernelCanary:
    """Of one host: `await canary.play()` returns when all conditions hold, and they do until close()."""

    def __init__(self, namespace: NetNs, number: int, version: int) -> None:
        self._namespace = namespace
        self._version = version
        self._own, self._nobody, self._far = kernel_addresses(number, version)
        self._resources = ExitStack()

    async def play(self) -> None:
        """Raises Failed when a condition does not come about."""
        try:
            self._lay_cable()
            wire = Wire(self._namespace, FAR_END, NOBODY_MAC, MTU, self._version)
        except (OSError, Refused) as error:
            raise Failed(f"its cable can't be laid: {error}") from error
        self._resources.callback(wire.sock.close)
        nobody = Nobody(wire, self._own, self._nobody)
        loop = asyncio.get_running_loop()
        loop.add_reader(wire.sock, nobody.hear)
        self._resources.callback(loop.remove_reader, wire.sock)
        parts = (self._within(name, part(self, nobody)) for name, part in PARTS.items())
        for trouble in await asyncio.gather(*parts, return_exceptions=True):
            if trouble is not None:
                raise trouble

    def close(self) -> None:
        self._resources.close()

    async def _within(self, name: str, part: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await part
        except TimeoutError:
            raise Failed(f"{name} never came about") from None
        except OSError as error:
            raise Failed(f"{name}: {error}") from error

    # --- its cable

    def _lay_cable(self) -> None:
        """Raises OSError or Refused."""
        with self._namespace.entered():
            for name, value in CALM.items():
                with suppress(OSError):  # what this kernel lacks nobody has set
                    sysctl.write(name, value)
        with RouteSocket(self._namespace) as netlink:
            netlink.do(self._requests())
        with self._namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            offloads = Offloads(sock)
            for name in (HOST_END, FAR_END):
                offloads.switch_off(name)
                offloads.settle_carrier(name)

    def _requests(self) -> list[Request]:
        near = links.End(self._namespace.fd, HOST_END, HOST_INDEX, HOST_MAC)
        far = links.End(self._namespace.fd, FAR_END, FAR_INDEX, FAR_MAC)
        about = "the canary's cable"
        requests = [
            links.veth_pair(near, far, MTU, about),
            links.up(HOST_INDEX, about),
            links.up(FAR_INDEX, about),
            links.address(HOST_INDEX, self._own, PREFIX_LEN[self._version], about),
        ]
        if self._version == 6:
            requests.append(routes.own_address(self._own, HOST_INDEX))
        for there in (self._nobody, self._far):
            way = RoutePlan(f"{there}/{WHOLE[self._version]}", None, HOST_END, METRICS, None)
            requests += [links.neighbour(HOST_INDEX, there, NOBODY_MAC, about), routes.route(way, HOST_INDEX)]
        return requests

    # --- the conditions, each by itself

    def _socket(self) -> socket.socket:
        family = socket.AF_INET if self._version == 4 else socket.AF_INET6
        sock = self._namespace.socket(family, socket.SOCK_STREAM)
        self._resources.callback(sock.close)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
        # Ends at once: nothing of it must be sent again into the next scenario's tracepoints.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.bind((self._own, 0))
        return sock

    async def _connected(self, port: int) -> socket.socket:
        sock = self._socket()
        await asyncio.get_running_loop().sock_connect(sock, (self._nobody, port))
        return sock

    async def _backs_off(self, nobody: Nobody) -> None:
        """Data that nobody acknowledges."""
        sock = await self._connected(DEAF)
        sock.send(bytes(100))
        await _until(sock, lambda info: info["backoff"] >= 2 and info["total_retrans"] >= 2)

    async def _is_blocked(self, nobody: Nobody) -> None:
        """More data than there is room for at the other side."""
        sock = await self._connected(FULL)
        sock.send(bytes(32_000))
        await _until(sock, lambda i: i["notsent_bytes"] > 0 and not i["unacked"] and not i.get("snd_wnd"))

    async def _opens_again(self, nobody: Nobody) -> None:
        """A SYN with data, too large, says a router: it is sent again at once, or else after a second."""
        sock = self._socket()
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        with suppress(BlockingIOError):
            sock.sendto(bytes(1300), MSG_FASTOPEN, (self._far, SILENT))
        await _until(sock, lambda info: info["total_retrans"] >= 1)

    async def _is_refused(self, nobody: Nobody) -> None:
        with suppress(ConnectionRefusedError):
            await self._connected(REFUSING)

    async def _is_reset(self, nobody: Nobody) -> None:
        with suppress(ConnectionResetError):
            sock = await self._connected(RESETTING)
            await asyncio.get_running_loop().sock_recv(sock, 1)

    async def _listens(self, nobody: Nobody) -> None:
        """A SYN that comes twice, a receiver without room, a queue that is full; then a closed port."""
        sock = self._socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.listen(0)
        nobody.ask(sock.getsockname()[1])
        await nobody.was_refused.wait()


Part = Callable[[KernelCanary, "Nobody"], Awaitable[None]]
PARTS: dict[str, Part] = {
    "retransmission": KernelCanary._backs_off,
    "zero_window of a receiver elsewhere": KernelCanary._is_blocked,
    "syn_retransmission": KernelCanary._opens_again,
    "connection_refused": KernelCanary._is_refused,
    "reset": KernelCanary._is_reset,
    "synack_retransmission, zero_window, bad_tcp_checksum or a reset of its own": KernelCanary._listens,
}


async def _until(sock: socket.socket, holds: Callable[[dict[str, int]], bool]) -> None:
    while not holds(tcp_info.read(sock)):
        await asyncio.sleep(POLL_S)


@dataclass(slots=True)
class Nobody:
    """The other side: no kernel's, an answer for each port."""

    wire: Wire
    host: str
    own: str
    was_refused: asyncio.Event = field(default_factory=asyncio.Event)  # by the host's closed port
    answers: int = 0  # SYN-ACKs to its own SYN

    def hear(self) -> None:
        for _, frame in self.wire.take():
            segment = decode(frame)
            if segment.is_tcp and segment.src == self.host and segment.dport in ANSWERS:
                ANSWERS[segment.dport](self, segment)

    def ask(self, port: int) -> None:
        """Opens a connection to a listener of the host."""
        self._say(ASKING, port, SYN, ISN)

    # --- as a server

    def say_too_large(self, segment: Segment) -> None:
        version = 6 if ":" in self.own else 4
        about = segment.data[segment.ip_at : segment.end]
        packet = icmp_error("frag_needed", segment.dst, self.host, about, LEAST_MTU[version])
        self._send(in_ethernet(packet, version))

    def accept(self, segment: Segment) -> None:
        if segment.flags & SYN:
            self._say(segment.dport, segment.sport, SYN | ACK, ISN, segment.next_seq)

    def accept_little(self, segment: Segment) -> None:
        self.accept(segment)
        if segment.payload_len:
            self._say(segment.dport, segment.sport, ACK, ISN + 1, segment.next_seq, win=0)

    def refuse(self, segment: Segment) -> None:
        self._say(segment.dport, segment.sport, RST | ACK, 0, segment.next_seq)

    def accept_and_reset(self, segment: Segment) -> None:
        self.accept(segment)
        if not segment.flags & SYN:
            self._say(segment.dport, segment.sport, RST, ISN + 1)

    # --- as a client

    def fill(self, segment: Segment) -> None:
        """Asks twice, opens on the second answer, and sends whatever there is room for."""
        port = segment.sport
        if segment.flags & SYN:
            self.answers += 1
            if self.answers == 1:
                self.ask(port)
                return
            if self.answers > 2:
                return
            self._say(ASKING, port, ACK, ISN + 1, segment.next_seq)
        room = segment.win
        if room:
            payload = bytes(min(room, MSS))
            self._say(ASKING, port, ACK | PSH, segment.ack, segment.next_seq, payload=payload)
        else:
            self._crowd(port)

    def _crowd(self, port: int) -> None:
        self._say(CROWDING, port, SYN, ISN)  # the queue is full
        self._say(CROWDING, NO_ONES, SYN, ISN, cksum="bad")
        self._say(CROWDING, NO_ONES, SYN, ISN)

    def see_refused(self, segment: Segment) -> None:
        if segment.flags & RST:
            self.was_refused.set()

    def _say(
        self, sport: int, dport: int, flags: int, seq: int, ack: int = 0, *,
        win: int = 1000, payload: bytes = b"", cksum: str | None = None,
    ) -> None:  # fmt: skip
        frame = Frame(
            self.own, self.host, sport, dport, seq=seq, ack=ack, flags=flags, win=win,
            payload=payload, cksum=cksum,
        )  # fmt: skip
        self._send(encode(frame))

    def _send(self, frame: bytes) -> None:
        self.wire.send(frame, bytes.fromhex(HOST_MAC.replace(":", "")))


ANSWERS: dict[int, Answer] = {
    SILENT: Nobody.say_too_large,
    DEAF: Nobody.accept,
    FULL: Nobody.accept_little,
    REFUSING: Nobody.refuse,
    RESETTING: Nobody.accept_and_reset,
    ASKING: Nobody.fill,
    CROWDING: Nobody.see_refused,
}
