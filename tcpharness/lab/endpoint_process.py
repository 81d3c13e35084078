"""The process of an endpoint with `process: true`: plays one script by the same code as the event loop does.
And that of a scripted peer, which has no other.

It is started in its host's namespace, in the lab's PID namespace, and talks to its other half
(far_endpoint.py), which has the real stage.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from contextlib import suppress
from dataclasses import asdict

from tcpharness.lab.endpoint import Connector, Listener
from tcpharness.lab.script import Script
from tcpharness.lab.scripted import Part, ScriptedPeer
from tcpharness.lab.stage import NeverHeld
from tcpharness.lab.wire import Message, Wire
from tcpharness.scenario.model import Until


class FarStage:
    """The child's side of the stage: the parent has the real one."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waits: list[asyncio.Future[str | None]] = []

    def reach(self, subject: str, state: str) -> None:
        self._wire.say(did="reach", subject=subject, state=state)

    def leave(self, subject: str, state: str) -> None:
        self._wire.say(did="leave", subject=subject, state=state)

    async def wait(self, until: Until, deadline_ns: int | None = None) -> None:
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waits.append(future)
        number = len(self._waits) - 1
        self._wire.say(did="wait", number=number, subject=until.subject, state=until.state)
        never = await future
        if never is not None:
            raise NeverHeld(never)

    def held(self, number: int, never: str | None) -> None:
        if not self._waits[number].done():
            self._waits[number].set_result(never)


class Here:
    """The namespace that this process is in."""

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        return socket.socket(family, kind, proto)


class Player:
    """The child's side: plays one script and reports."""

    def __init__(self, script: Script | Part, wire: Wire) -> None:
        self._wire = wire
        self._stage = FarStage(wire)
        self._actor: Listener | Connector | ScriptedPeer
        if isinstance(script, Part):
            self._actor = ScriptedPeer(script, Here(), self._stage, self._note)
        else:
            kind = Listener if script.endpoint.kind == "listen" else Connector
            self._actor = kind(script, Here(), self._stage, self._note)
        self._play: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until it has played and the parent has heard so, or the parent is gone."""
        actor = self._actor
        await actor.prepare(0)
        self._wire.say(did="prepared", error=actor.outcome.error, error_text=actor.outcome.error_text)
        hearing = asyncio.ensure_future(self._wire.hear())
        while True:
            tasks = {hearing} | ({self._play} if self._play else set())
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._play is not None and self._play.done():
                self._play.result()
                break
            message = hearing.result()
            if message is None:
                return
            self._told(message)
            hearing = asyncio.ensure_future(self._wire.hear())
        self._say_ended()
        while await hearing is not None:
            hearing = asyncio.ensure_future(self._wire.hear())

    def _told(self, message: Message) -> None:
        actor = self._actor
        if message["do"] == "play":
            self._play = asyncio.create_task(actor.play())
        elif message["do"] == "no_more_clients":
            actor.no_more_clients()
        elif message["do"] == "held":
            self._stage.held(message["number"], message["never"])
        elif message["do"] == "expire":
            self._wire.say(did="unfinished", text=actor.waiting_for(), connections=self._connections())

    def _say_ended(self) -> None:
        outcome = self._actor.outcome
        self._wire.say(
            did="ended",
            error=outcome.error,
            error_text=outcome.error_text,
            connections=self._connections(),
            took=outcome.took,
        )

    def _note(self, index: int) -> None:
        connection = self._actor.connections[index]
        self._wire.say(
            did="connection", index=index, outcome=asdict(connection.outcome), doing=connection.doing
        )

    def _connections(self) -> list[Message]:
        return [asdict(outcome) for outcome in self._actor.outcome.connections]


async def _main(script: Script | Part, sock: socket.socket) -> None:
    wire = Wire(sock)
    try:
        await Player(script, wire).run()
    finally:
        wire.close()


def main(payload: bytes, fds: list[int]) -> int:
    """The child's entry: plays a pickled Script or Part, talking over the one socket in `fds`."""
    script: Script | Part = pickle.loads(payload)
    if isinstance(script, Part):
        with suppress(PermissionError):
            os.nice(-20)
    asyncio.run(_main(script, socket.socket(fileno=fds[0])))
    return 0
