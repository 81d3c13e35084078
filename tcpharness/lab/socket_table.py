"""The TCP sockets of a namespace, as the kernel lists them (NETLINK_SOCK_DIAG, as `ss` does).

/proc/net/tcp says the same, but walks the whole machine's hash table at 5 times the price (1.6 ms
here), which is too much to ask every two milliseconds from a loop that others share.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from tcpharness.lab.inet_diag import (
    ALL_STATES,
    HEADER,
    MESSAGE,
    NETLINK_SOCK_DIAG,
    NLMSG_DONE,
    NLMSG_ERROR,
    STATES,
    error_of,
    messages,
    request,
)

LISTEN_ONLY = 1 << 10
LIVE_STATES = ALL_STATES & ~(1 << 10) & ~(1 << 6) & ~(1 << 7)  # neither LISTEN, TIME_WAIT nor CLOSE

LOOPBACK = ("127.0.0.1", "::1")
POLL_S = 0.002  # at first; doubled up to
POLL_MAX_S = 0.016


class Namespace(Protocol):
    """What endpoints need of a host's network namespace."""

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket: ...


@dataclass(frozen=True, slots=True)
class Row:
    """One TCP socket."""

    state: str
    local: str
    lport: int
    remote: str
    rport: int

    def __str__(self) -> str:
        return f"{self.local}.{self.lport} > {self.remote}.{self.rport} {self.state}"


class SocketTable(AbstractContextManager["SocketTable"]):
    """Asks one namespace, through a socket that was opened in it."""

    def __init__(self, namespace: Namespace) -> None:
        self._sock = namespace.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def rows(self, states: int = LIVE_STATES) -> list[Row]:
        """All sockets, of both families, in one of `states` (a mask of 1 << state)."""
        return list(self._dump(states))

    def listening(self) -> set[int]:
        """The ports that something listens on."""
        return {row.lport for row in self.rows(LISTEN_ONLY)}

    def _dump(self, states: int) -> Iterator[Row]:
        self._sock.send(request(states))
        while True:
            answer = self._sock.recv(65536)
            for kind, start, _ in messages(answer):
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    raise error_of(answer, start)
                yield _row(answer, start + HEADER.size)


def _row(answer: bytes, at: int) -> Row:
    family, state, _, _, sport, dport, src, dst, *_ = MESSAGE.unpack_from(answer, at)
    size = 4 if family == socket.AF_INET else 16
    return Row(
        STATES.get(state, str(state)),
        socket.inet_ntop(family, src[:size]),
        int.from_bytes(sport, "big"),
        socket.inet_ntop(family, dst[:size]),
        int.from_bytes(dport, "big"),
    )


class Hosts(Protocol):
    @property
    def hosts(self) -> Mapping[str, Namespace]: ...


async def settle(
    lab: Hosts, deadline_ns: int, scripted: Collection[str] = (), busy: Collection[str] = ()
) -> list[str]:
    """Waits until no TCP socket of any host is in a state other than LISTEN and TIME_WAIT.

    Those that are half open towards an address of a script stay so, and are not waited for; nor are
    those over lo on the `busy` hosts, where a monitor may talk to itself.
    Returns what was left at the (monotonic) deadline, as `server: 10.0.0.2.105 > ... CLOSE_WAIT`;
    empty when all was quiet.
    """
    with ExitStack() as stack:
        tables = {name: stack.enter_context(SocketTable(ns)) for name, ns in lab.hosts.items()}
        pause_s = POLL_S
        while True:
            left = [
                f"{name}: {row}"
                for name, table in tables.items()
                for row in table.rows()
                if (row.state != "SYN_RECV" or row.remote not in scripted)
                and not (name in busy and row.local.removeprefix("::ffff:") in LOOPBACK)
            ]
            if not left or time.monotonic_ns() >= deadline_ns:
                return left
            await asyncio.sleep(pause_s)
            pause_s = min(POLL_MAX_S, pause_s * 2)
