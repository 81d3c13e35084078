"""The watch over the hosts' sockets, as main sees it: started, ended. sampler.py's process does the work."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Protocol

from tcpharness.evidence import ConnectionOutcome, Evidence, Sampling, SocketHistory
from tcpharness.lab.inet_diag import ENDED_GROUPS, NETLINK_SOCK_DIAG
from tcpharness.lab.sampler import Order
from tcpharness.lab.spawner import LabProcesses
from tcpharness.lab.wire import Wire

ENTRY = "tcpharness.lab.sampler:main"
INTERVAL_NS = 5_000_000
ANSWER_S = 60.0  # a dead process is known at once; a busy machine may keep a live one waiting
UNSPECIFIED = ("0.0.0.0", "::", "")
MOST_HOSTS = 28  # as many descriptors as a message to the spawner may carry


class Namespace(Protocol):
    @property
    def fd(self) -> int: ...
    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket: ...


class SamplingLab(Protocol):
    @property
    def hosts(self) -> Mapping[str, Namespace]: ...

    processes: LabProcesses


class Watch:
    """`start()`, `finish()` when all has come to rest; `close()` at any time."""

    def __init__(self, lab: SamplingLab, interval_ns: int = INTERVAL_NS) -> None:
        self._lab = lab
        self._interval_ns = interval_ns
        self._result = os.memfd_create("sockets", os.MFD_CLOEXEC)
        self._wire: Wire | None = None
        self._notes: list[str] = []
        self._unseen: dict[str, str] = {}

    async def start(self) -> None:
        """Returns when it watches. Raises OSError when its process can't be started."""
        hosts = list(self._lab.hosts.items())
        if len(hosts) > MOST_HOSTS:
            self._notes.append(f"the sockets of {len(hosts) - MOST_HOSTS} hosts were not watched: too many")
            self._unseen = {name: f"only {MOST_HOSTS} hosts can be watched" for name, _ in hosts[MOST_HOSTS:]}
        hosts = hosts[:MOST_HOSTS]
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as stack:
            fds, hears_ends = [theirs.fileno(), self._result], True
            for _, namespace in hosts:
                dumps, ends = _netlink(namespace), _netlink(namespace)
                stack.callback(dumps.close)
                stack.callback(ends.close)
                hears_ends = self._hear_ends(ends) and hears_ends
                fds += [dumps.fileno(), ends.fileno()]
            order = Order(
                hosts=tuple(name for name, _ in hosts),
                namespaces=tuple(os.fstat(namespace.fd).st_ino for _, namespace in hosts),
                hears_ends=hears_ends,
                interval_ns=self._interval_ns,
                main=os.getpid(),
            )
            self._lab.processes.call(ENTRY, pickle.dumps(order), fds, None)
        self._wire = Wire(ours)
        if await self._hear() is None:
            self._notes.append("the sampler of sockets did not start")

    def _hear_ends(self, sock: socket.socket) -> bool:
        try:
            sock.bind((0, ENDED_GROUPS))
        except OSError as error:
            self._notes.append(f"the kernel does not tell of sockets that end: {error.strerror}")
            return False
        return True

    async def look(self) -> None:
        """Returns when it has looked, at whoever listens as well."""
        if self._wire is not None:
            self._wire.say(do="look")
            await self._hear()

    async def finish(self) -> tuple[Sampling, list[SocketHistory]]:
        """All sockets that there were, and how closely they were watched."""
        if self._wire is not None:
            self._wire.say(do="finish")
            if await self._hear() is not None:
                with open(self._result, "rb", closefd=False) as file:
                    file.seek(0)
                    sampling, histories = pickle.load(file)
                sampling.notes = [*self._notes, *sampling.notes]
                sampling.unseen |= self._unseen
                return sampling, histories
        return Sampling(notes=[*self._notes, "the sampler of sockets has died"]), []

    async def _hear(self) -> object:
        assert self._wire is not None
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._wire.hear()
        except TimeoutError:
            return None

    def close(self) -> None:
        """Lets go of it; its process ends by itself when nobody is there to talk to it."""
        if self._wire is not None:
            self._wire.close()
        if self._result >= 0:
            os.close(self._result)
            self._result = -1


def _netlink(namespace: Namespace) -> socket.socket:
    return namespace.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG)


# --- whose socket it is


def name_endpoints(evidence: Evidence, listening: Mapping[tuple[str, int], str]) -> None:
    """Gives each socket the endpoint that it is of: by its addresses, a listener by its (host, port)."""
    owners: dict[tuple[str, End, End | None], str] = {}
    ports: dict[tuple[str, int], list[tuple[str, ConnectionOutcome]]] = {}
    for endpoint in evidence.endpoints.values():
        for c in endpoint.connections:
            if c.local is not None:
                owners[endpoint.host, c.local, c.remote] = endpoint.name
                ports.setdefault((endpoint.host, c.local[1]), []).append((endpoint.name, c))
    for history in evidence.sockets:
        if history.listens:
            history.endpoint = listening.get((history.host, history.local[1]))
            continue
        history.endpoint = owners.get((history.host, _plain(history.local), _plain(history.remote)))
        if history.endpoint is None:
            _by_port(history, ports.get((history.host, history.local[1]), ()))


End = tuple[str, int]


def _by_port(history: SocketHistory, had_it: Sequence[tuple[str, ConnectionOutcome]]) -> None:
    """The endpoint of one that was never connected, or that the kernel showed only when it had let go of its
    ends (an abort): by its port, where only one connection had it; and its ends, as that one knew them."""
    fits = [
        (name, c) for name, c in had_it if c.remote in (None, _plain(history.remote)) or _is_wiped(history)
    ]
    if len(fits) == 1:
        history.endpoint, connection = fits[0]
        history.local = connection.local or history.local
        history.remote = connection.remote or history.remote


def _is_wiped(history: SocketHistory) -> bool:
    return not history.remote[1] or _plain(history.local)[0] in UNSPECIFIED


def _plain(end: tuple[str, int]) -> tuple[str, int]:
    """An IPv4 address that a socket of both families has, as IPv4 writes it."""
    return end[0].removeprefix("::ffff:"), end[1]
