"""Route netlink, as much as a lab needs: requests in batches, the kernel's own words when it refuses.

A lab is some twenty requests. Sent one by one through a library they cost more than the kernel's
whole work; here all of a namespace's go out in one datagram and are answered in one pass.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

# include/uapi/linux/netlink.h
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_ACK_TLVS = 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSGERR_ATTR_MSG = 1
TYPE_MASK = 0x3FFF  # the two bits above say "nested" and "network byte order"

# include/uapi/linux/rtnetlink.h
RTM_NEWLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWNEIGH = 16, 20, 21, 28
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # length, type
ERROR = struct.Struct("=i")
BATCH = 100  # requests: the answers to more would not fit into a socket's receive buffer
REPLY_BYTES = 64 * 1024


class Refused(Exception):
    """The kernel's answer to one request: `about` is what the caller called it."""

    def __init__(self, about: object, number: int, words: str) -> None:
        reason = os.strerror(number)
        super().__init__(f"{reason}: {words}" if words else reason)
        self.about = about
        self.errno = number


@dataclass(frozen=True, slots=True)
class Request:
    kind: int
    flags: int
    body: bytes
    about: object = None  # what a refusal is about; handed back in Refused


class Namespace(Protocol):
    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket: ...


class RouteSocket:
    """A route netlink socket of a namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._sock = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._sequence = 0

    def do(self, requests: list[Request]) -> None:
        """Has the kernel do all of them, in order. Raises Refused for the first that it refuses."""
        for first in range(0, len(requests), BATCH):
            self._do_batch(requests[first : first + BATCH])

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """The payload of every message in the kernel's answer."""
        self._send([Request(kind, NLM_F_DUMP, body)], NLM_F_REQUEST)
        while True:
            for answer, _flags, _sequence, payload in self._messages():
                if answer in (NLMSG_DONE, NLMSG_ERROR):
                    return
                yield payload

    def close(self) -> None:
        self._sock.close()

    def _do_batch(self, batch: list[Request]) -> None:
        first = self._send(batch, NLM_F_REQUEST | NLM_F_ACK)
        refused: Refused | None = None
        answered = 0
        while answered < len(batch):
            for answer, flags, sequence, payload in self._messages():
                if answer != NLMSG_ERROR or not first <= sequence < first + len(batch):
                    continue
                answered += 1
                (negative,) = ERROR.unpack_from(payload)
                if negative and refused is None:
                    words = _words(payload) if flags & NLM_F_ACK_TLVS else ""
                    refused = Refused(batch[sequence - first].about, -negative, words)
        if refused is not None:
            raise refused

    def _send(self, batch: list[Request], flags: int) -> int:
        """Sends all in one datagram; the sequence number of the first."""
        first = self._sequence + 1
        parts: list[bytes] = []
        for request in batch:
            self._sequence += 1
            length = HEADER.size + len(request.body)
            parts += (
                HEADER.pack(length, request.kind, request.flags | flags, self._sequence, 0),
                request.body,
                bytes(-length % 4),
            )
        self._sock.send(b"".join(parts))
        return first

    def _messages(self) -> Iterator[tuple[int, int, int, bytes]]:
        """(type, flags, sequence, payload) of every message in one datagram."""
        data = self._sock.recv(REPLY_BYTES)
        at = 0
        while at + HEADER.size <= len(data):
            length, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
            yield kind, flags, sequence, data[at + HEADER.size : at + length]
            at += (length + 3) & ~3

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def attribute(kind: int, value: bytes) -> bytes:
    length = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits."""
    return struct.pack("=HHI", 8, kind, value)


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    """What `data` holds, by type."""
    found: dict[int, bytes] = {}
    at = 0
    while at + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, at)
        if length < ATTRIBUTE.size:
            break
        found[kind & TYPE_MASK] = data[at + ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found


def _words(payload: bytes) -> str:
    """What the kernel says besides the errno. With CAP_ACK the request's body is not between."""
    attached = attributes(payload[ERROR.size + HEADER.size :])
    return attached.get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode("utf-8", "replace")
