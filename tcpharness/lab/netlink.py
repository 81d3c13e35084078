"""Route netlink, as a lab needs it: requests in batches, the kernel's own words when it refuses.

A lab is some twenty requests. Sent one by one they cost more than the kernel's whole work; here all of
a namespace's go out in one datagram and are answered in one pass. What a message looks like on the
socket is pyroute2's knowledge: a request has its fields and attributes by name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from pyroute2.netlink import (
    NETLINK_EXT_ACK,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    SOL_NETLINK,
    nlmsg,
)
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

BATCH = 100  # requests: the answers to more would not fit into a socket's receive buffer
REPLY_BYTES = 64 * 1024

Attribute = tuple[str, Any]  # the kernel's name, and the value: text, a number, or nested()


class Refused(Exception):
    """The kernel's answer to one request: `about` is what the caller called it."""

    def __init__(self, about: object, number: int, words: str) -> None:
        reason = os.strerror(number)
        super().__init__(f"{reason}: {words}" if words else reason)
        self.about = about
        self.errno = number


@dataclass(frozen=True, slots=True)
class Request:
    kind: int  # RTM_..., which decides what fields and attributes there are
    flags: int
    fields: Mapping[str, int]
    attributes: list[Attribute]
    about: object = None  # what a refusal is about; handed back in Refused


def nested(*attributes: Attribute) -> dict[str, list[Attribute]]:
    """The value of an attribute that has attributes itself."""
    return {"attrs": list(attributes)}


class Namespace(Protocol):
    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket: ...


class RouteSocket:
    """A route netlink socket of a namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._sock = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._marshal = MarshalRtnl()
        self._sequence = 0

    def do(self, requests: list[Request]) -> None:
        """Has the kernel do all of them, in order. Raises Refused for the first that it refuses."""
        for first in range(0, len(requests), BATCH):
            self._do_batch(requests[first : first + BATCH])

    def dump(self, kind: int) -> Iterator[nlmsg]:
        """Every message in the kernel's answer."""
        every_family = {"family": socket.AF_UNSPEC}  # which pyroute2 does not take for granted
        self._send([Request(kind, NLM_F_DUMP, every_family, [])], NLM_F_REQUEST)
        while True:
            for answer in self._messages():
                if answer["header"]["type"] in (NLMSG_DONE, NLMSG_ERROR):
                    return
                yield answer

    def close(self) -> None:
        self._sock.close()

    def _do_batch(self, batch: list[Request]) -> None:
        first = self._send(batch, NLM_F_REQUEST | NLM_F_ACK)
        refused: Refused | None = None
        answered = 0
        while answered < len(batch):
            for answer in self._messages():
                place = answer["header"]["sequence_number"] - first
                if answer["header"]["type"] != NLMSG_ERROR or not 0 <= place < len(batch):
                    continue
                answered += 1
                if answer["error"] and refused is None:
                    words = answer.get_attr("NLMSGERR_ATTR_MSG", "")
                    refused = Refused(batch[place].about, -answer["error"], words)
        if refused is not None:
            raise refused

    def _send(self, batch: list[Request], flags: int) -> int:
        """Sends all in one datagram; the sequence number of the first."""
        first = self._sequence + 1
        self._sequence += len(batch)
        self._sock.send(b"".join(encoded(one, flags, first + n) for n, one in enumerate(batch)))
        return first

    def _messages(self) -> Iterator[nlmsg]:
        """Every message in one datagram."""
        yield from self._marshal.parse(self._sock.recv(REPLY_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def encoded(request: Request, flags: int, sequence: int) -> bytes:
    """The request as it goes over the socket, its length a multiple of 4."""
    message = MarshalRtnl.msg_map[request.kind]()
    message.update(request.fields, attrs=list(request.attributes))  # encode() puts others in
    message["header"] = {
        "type": request.kind,
        "flags": request.flags | flags,
        "sequence_number": sequence,
    }
    message.encode()
    return bytes(message.data)
