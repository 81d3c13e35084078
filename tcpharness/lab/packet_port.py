"""One interface of a middlebox: every frame that comes in, and any that is to go out.

What comes in waits in the socket's queue, which root makes as large as it likes. Without root the
kernel grants too little of that, and a ring of shared memory takes its place: ready-made, and so
slower to set up, but never smaller than asked for.
"""

from __future__ import annotations

import errno
import mmap
import select
import socket
from pathlib import Path
from struct import Struct
from typing import Protocol

# linux/if_packet.h, asm-generic/socket.h
SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 5, 6, 10
PACKET_VNET_HDR, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 15, 20, 23
TPACKET_V2, TP_STATUS_USER = 1, 1
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33

QUEUE_LEN = 128 << 20  # bytes, the kernel's overhead included; taken only as frames wait
RING_LEN = 16 << 20
BLOCK_LEN = 1 << 18
SLOT_ALIGN = 16
SLOT_HEAD = 96  # struct tpacket2_hdr, sockaddr_ll and alignment, less than this
LARGEST_SUPER = 65536 + 64  # a GSO frame with its headers
LINK_HEADER = 14 + 4  # Ethernet, and a tag
BATCH = 32  # frames per turn: a port with much to do must not keep the others waiting for long
TWO_COUNTS = Struct("=II")
RETRY_S = 0.001
TRY_AGAIN = (errno.EAGAIN, errno.ENOBUFS)


class Receiver(Protocol):
    def take(self) -> list[bytes]:
        """What has come in, at most BATCH frames; fewer: nothing more is waiting."""
        ...


class Queue:
    """The socket's own queue."""

    def __init__(self, sock: socket.socket, largest: int) -> None:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_LEN)
        self._recv = sock.recv
        self._largest = largest

    def take(self) -> list[bytes]:
        frames: list[bytes] = []
        recv, largest = self._recv, self._largest
        try:
            for _ in range(BATCH):
                frames.append(recv(largest))
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # said once when the interface goes down
                raise
        return frames


class Ring:
    """A ring of slots in memory that the kernel fills (TPACKET_V2)."""

    def __init__(self, sock: socket.socket, largest: int, headroom: int) -> None:
        slot = -(-(largest + SLOT_HEAD) // SLOT_ALIGN) * SLOT_ALIGN
        per_block, blocks = BLOCK_LEN // slot, max(1, RING_LEN // BLOCK_LEN)
        sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        request = Struct("=IIII").pack(BLOCK_LEN, blocks, slot, per_block * blocks)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        self._ring = mmap.mmap(sock.fileno(), BLOCK_LEN * blocks)
        self._words = memoryview(self._ring).cast("I")
        self._starts = [b * BLOCK_LEN + s * slot for b in range(blocks) for s in range(per_block)]
        self._next = 0
        self._headroom = headroom  # the virtio_net_hdr lies just before the frame

    def take(self) -> list[bytes]:
        frames: list[bytes] = []
        words, starts = self._words, self._starts
        for _ in range(BATCH):
            start = starts[self._next]
            word = start >> 2
            # tp_status, tp_len, tp_snaplen, tp_mac and tp_net
            if not words[word] & TP_STATUS_USER:
                break
            at = start + (words[word + 3] & 0xFFFF)
            frames.append(self._ring[at - self._headroom : at + words[word + 2]])
            words[word] = 0
            self._next = (self._next + 1) % len(starts)
        return frames


class PacketPort:
    """Opened in the namespace that the caller is in. With `offload`, frames come with a virtio_net_hdr."""

    def __init__(self, interface: str, mtu: int, *, offload: bool, ring: bool | None = None) -> None:
        self.interface = interface
        self.sent = 0
        self.problem: str | None = None
        self._sock = _packet_socket()
        self._sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        if offload:
            self._sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.receiver = self._receiver(LARGEST_SUPER if offload else mtu + LINK_HEADER, offload, ring)
        self._sock.bind((interface, ETH_P_ALL))
        # A socket of its own, which needs no header before what it sends.
        self._out = _packet_socket()
        self._out.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        self._out.bind((interface, 0))

    @property
    def fd(self) -> int:
        return self._sock.fileno()

    def _receiver(self, largest: int, offload: bool, ring: bool | None) -> Receiver:
        if not ring:
            try:
                return Queue(self._sock, largest)
            except PermissionError:
                if ring is not None:
                    raise
        return Ring(self._sock, largest, VNET_LEN if offload else 0)

    def send(self, frame: bytes) -> None:
        """Waits rather than lose it; what can never be sent is told in `problem`."""
        while True:
            try:
                self._out.send(frame)
            except OSError as error:
                if error.errno in TRY_AGAIN:
                    select.select([], [self._out], [], RETRY_S)
                    continue
                self.problem = (
                    f"{self.interface} does not take a frame of {len(frame)} bytes: {error.strerror}"
                )
                return
            self.sent += 1
            return

    def lost(self) -> int:
        """Frames that came in and found no room, here or before they got here."""
        counts: bytes = self._sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, TWO_COUNTS.size)
        return int(TWO_COUNTS.unpack(counts)[1])

    def close(self) -> None:
        self._sock.close()
        self._out.close()


VNET_LEN = 10  # struct virtio_net_hdr


def _packet_socket() -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setblocking(False)
    return sock


def interface_drops() -> dict[str, int]:
    """Of every interface here: frames that it was given, in either direction, and lost."""
    lines = Path("/proc/self/net/dev").read_text().splitlines()[2:]
    found = (line.replace(":", " ").split() for line in lines)
    # name, then bytes packets errs drop fifo frame compressed multicast of both directions
    return {words[0]: int(words[4]) + int(words[12]) for words in found}
