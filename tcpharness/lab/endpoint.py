"""Endpoints: netcat-style listeners and clients, driven by the event loop.

An actor is prepared (a listener listens), plays (connections go through the endpoint's steps) and
leaves an `EndpointOutcome`. What goes wrong on the network is part of the outcome and never an
exception.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Protocol

from tcpharness.evidence import EndpointOutcome
from tcpharness.lab import socket_options
from tcpharness.lab.connection import Accepted, Conditions, Connection, wait_ready
from tcpharness.lab.script import Script
from tcpharness.lab.socket_table import Namespace

FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


class Actor(Protocol):
    """Anything of a scenario that acts: an endpoint in the loop, in a process, or a program."""

    outcome: EndpointOutcome
    leads: bool  # a client: when all clients have ended, the servers may

    async def prepare(self, deadline_ns: int) -> None:
        """Gets ready: listens, forks, waits for a program's port. Problems go into the outcome."""

    async def play(self) -> None:
        """Returns when it has ended."""

    def no_more_clients(self) -> None:
        """Nobody will connect any more: ends when it has served those it has."""

    async def expire(self) -> str:
        """The deadline has passed: what was it waiting for?"""

    def kill(self, number: int) -> bool:
        """Sends a signal; False when it has no process of its own."""

    async def wait_signalled(self) -> None:
        """Returns when its process has got every signal that was sent."""

    async def close(self) -> None:
        """Lets go of everything, at once; nothing of it is left when this returns."""


class SocketActor:
    """What listeners and clients have in common: a script, connections, and an end."""

    leads = False

    def __init__(
        self,
        script: Script,
        namespace: Namespace,
        stage: Conditions,
        note: Callable[[int], None] = lambda index: None,
    ) -> None:
        self.script = script
        self.outcome = EndpointOutcome(script.name, script.host, script.endpoint.kind)
        self.connections: list[Connection] = []
        self._namespace = namespace
        self._stage = stage
        self._note = note  # called with the index of a connection whose outcome has changed

    def open_socket(self) -> socket.socket:
        """A socket in the host's namespace with the endpoint's options, bound as the endpoint says."""
        ip, endpoint = self.script.ip, self.script.endpoint
        sock = self._namespace.socket(FAMILY[ip], socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ip == 6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            socket_options.apply(sock, endpoint.options, ip)
            if endpoint.kind == "listen":
                sock.bind(self.script.remote)
            elif endpoint.from_port is not None:
                sock.bind(("", endpoint.from_port))
        except OSError as error:
            sock.close()
            raise self._explained(error) from None
        return sock

    def _explained(self, error: OSError) -> OSError:
        code = error.errno or 0
        text = error.strerror or str(error)
        port = self.script.endpoint.port or self.script.endpoint.from_port
        if code == errno.EADDRINUSE:
            text = f"port {port} on host {self.script.host} is already in use"
        elif code == errno.EACCES:
            text = f"port {port} on host {self.script.host} may not be bound: {os.strerror(code)}"
        return OSError(code, text)

    def _new_connection(self) -> Connection:
        index = len(self.connections)
        connection = Connection(
            self.script, self.open_socket, self._stage, lambda: self._note(index), self._one_closed
        )
        self.connections.append(connection)
        self.outcome.connections.append(connection.outcome)
        return connection

    def _one_closed(self) -> None:
        """The endpoint counts as closed when its last connection is, also if it pauses after that."""
        all_there = len(self.connections) == self.script.endpoint.times
        if all_there and all(c.outcome.closed_ns for c in self.connections):
            self._stage.reach(self.script.name, "closed")

    def _ended(self) -> None:
        self._drop()
        self._stage.reach(self.script.name, "closed")
        self._stage.reach(self.script.name, "done")

    def waiting_for(self) -> str:
        """What it does now: of the first connection that has not ended."""
        busy = [connection for connection in self.connections if connection.doing]
        if not busy:
            return ""
        number = f"{len(busy)} of {len(self.connections)} connections: " if len(self.connections) > 1 else ""
        return number + busy[0].waiting_for()

    async def expire(self) -> str:
        return self.waiting_for()

    def kill(self, number: int) -> bool:
        """False: it is part of this process and has none of its own to be killed."""
        return False

    async def wait_signalled(self) -> None:
        """Nothing has been sent."""

    def no_more_clients(self) -> None:
        """Nobody will connect any more."""

    async def close(self) -> None:
        self._drop()

    def _drop(self) -> None:
        for connection in self.connections:
            connection.drop()


class Connector(SocketActor):
    """A client: `times` connections at once, each through all steps."""

    leads = True

    async def prepare(self, deadline_ns: int) -> None:
        """A client has nothing to prepare."""

    async def play(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.script.endpoint.times):
                    group.create_task(self._new_connection().play(None))
        finally:
            self._ended()


class Listener(SocketActor):
    """A server: serves `times` connections, side by side.

    It goes on listening until the last of them has ended, so that a connection too many is accepted
    by the kernel and never served, rather than refused or not as the timing has it.
    """

    def __init__(
        self,
        script: Script,
        namespace: Namespace,
        stage: Conditions,
        note: Callable[[int], None] = lambda index: None,
    ) -> None:
        super().__init__(script, namespace, stage, note)
        self._sock: socket.socket | None = None
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def prepare(self, deadline_ns: int) -> None:
        """Listens, or notes in the outcome why it cannot."""
        try:
            self._sock = self.open_socket()
            self._sock.listen(self.script.endpoint.backlog)
        except OSError as error:
            explained = self._explained(error) if self._sock else error
            self._fail(explained)
            self._ended()
            return
        self._stage.reach(self.script.name, "listening")

    async def play(self) -> None:
        if self.outcome.error:
            return
        try:
            async with asyncio.TaskGroup() as group:
                while len(self.connections) < self.script.endpoint.times:
                    accepted = await self._accept()
                    if accepted is None:
                        break
                    group.create_task(self._new_connection().play(accepted))
        finally:
            self._ended()
        if len(self.connections) < self.script.endpoint.times and not self.outcome.error:
            served = f"{len(self.connections)} of {self.script.endpoint.times}"
            self.outcome.error_text = f"{served} connections came"

    async def _accept(self) -> Accepted | None:
        """The next connection, or None when there will be none."""
        assert self._sock is not None
        while True:
            try:
                sock, peer = self._sock.accept()
            except BlockingIOError:
                if self._stop.done():
                    return None
                await wait_ready(self._sock, stop=self._stop)
            except ConnectionAbortedError:
                continue
            except OSError as error:  # EMFILE and the like
                self._fail(error)
                return None
            else:
                sock.setblocking(False)
                return sock, peer[:2]

    def _fail(self, error: OSError) -> None:
        self.outcome.error = errno.errorcode.get(error.errno or 0, "unknown")
        self.outcome.error_text = error.strerror

    def no_more_clients(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    def waiting_for(self) -> str:
        doing = super().waiting_for()
        if doing:
            return doing
        served, wanted = len(self.connections), self.script.endpoint.times
        return f"listen: connection {served + 1} of {wanted} at {self.script.at}"

    def _drop(self) -> None:
        super()._drop()
        if self._sock is not None:
            self._sock.close()
