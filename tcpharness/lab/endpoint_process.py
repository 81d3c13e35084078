"""Endpoints with `process: true`: the same code in a forked process of the lab, so that it can be killed.

Both sides talk over one socket in JSON lines. The child says which conditions it has reached and
what has become of its connections; the parent answers what it waits for, and says when to go on.
A child that is killed has said all it knew up to its last step.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import signal
import socket
from dataclasses import asdict
from typing import Any

from tcpharness.evidence import ConnectionOutcome, EndpointOutcome
from tcpharness.lab.endpoint import Connector, Listener, SocketActor
from tcpharness.lab.program import Child, Processes
from tcpharness.lab.script import Script
from tcpharness.lab.stage import NeverHeld, Stage
from tcpharness.scenario.model import Until

ENTRY = "tcpharness.lab.endpoint_process:main"
LAST_WORD_S = 0.5  # for a child to say what it was waiting for
LINE_LIMIT = 16 * 1024 * 1024

Message = dict[str, Any]


class Wire:
    """JSON lines over a stream socket, both ways."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Wire:
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=LINE_LIMIT))

    def say(self, **message: Any) -> None:
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> Message | None:
        """The next message; None when the other side is gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        return dict(json.loads(line)) if line.endswith(b"\n") else None

    async def flush(self) -> None:
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


class ProcessEndpoint:
    """The parent's side: an Actor whose connections are in another process."""

    def __init__(self, script: Script, netns: int, processes: Processes, stage: Stage) -> None:
        self.outcome = EndpointOutcome(script.name, script.host, script.endpoint.kind)
        self.leads = script.endpoint.kind == "connect"
        self._script = script
        self._netns = netns
        self._processes = processes
        self._stage = stage
        self._child: Child | None = None
        self._wire: Wire | None = None
        self._listening: asyncio.Task[None] | None = None
        self._prepared = asyncio.Event()
        self._waits: set[asyncio.Task[None]] = set()
        self._doing = ""
        self._unfinished: asyncio.Future[str] | None = None

    async def prepare(self, deadline_ns: int) -> None:
        """Returns when the child listens, or has said why it does not."""
        ours, theirs = socket.socketpair()
        with theirs:
            payload = pickle.dumps(self._script)
            self._child = self._processes.call(ENTRY, payload, [theirs.fileno()], self._netns)
        self._wire = await Wire.over(ours)
        self._listening = asyncio.create_task(self._listen(self._wire))
        ready = asyncio.ensure_future(self._prepared.wait())
        await asyncio.wait({ready, self._listening}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def play(self) -> None:
        assert self._child is not None
        assert self._wire is not None
        assert self._listening is not None
        try:
            self._wire.say(do="play")
            await asyncio.shield(self._listening)  # until the child closes its end
            self._note_exit(await self._child.wait())
        finally:
            self._stage.reach(self.outcome.name, "closed")
            self._stage.reach(self.outcome.name, "done")

    def no_more_clients(self) -> None:
        self._say(do="no_more_clients")

    async def expire(self) -> str:
        self._unfinished = asyncio.get_running_loop().create_future()
        self._say(do="expire")
        try:
            return await asyncio.wait_for(self._unfinished, LAST_WORD_S)
        except TimeoutError:
            return f"{self._doing} (its process does not answer)"

    def kill(self, number: int) -> bool:
        if self._child is not None:
            self._child.kill(number)
        return True

    def close(self) -> None:
        for task in (self._listening, *self._waits):
            if task is not None:
                task.cancel()
        if self._wire is not None:
            self._wire.close()
        if self._child is not None:
            self._child.kill(signal.SIGKILL)

    # --- what the child says

    async def _listen(self, wire: Wire) -> None:
        while (message := await wire.hear()) is not None:
            getattr(self, f"_heard_{message['did']}")(message)

    def _heard_prepared(self, message: Message) -> None:
        self._take_own(message)
        self._prepared.set()

    def _heard_reach(self, message: Message) -> None:
        self._stage.reach(message["subject"], message["state"])

    def _heard_leave(self, message: Message) -> None:
        self._stage.leave(message["subject"], message["state"])

    def _heard_wait(self, message: Message) -> None:
        until = Until(message["subject"], message["state"], self._script.at)
        task = asyncio.create_task(self._answer(message["number"], until))
        self._waits.add(task)
        task.add_done_callback(self._waits.discard)

    async def _answer(self, number: int, until: Until) -> None:
        try:
            await self._stage.wait(until)
        except NeverHeld as error:
            self._say(do="held", number=number, never=str(error))
        else:
            self._say(do="held", number=number, never=None)

    def _heard_connection(self, message: Message) -> None:
        connections, index = self.outcome.connections, message["index"]
        while len(connections) <= index:
            connections.append(ConnectionOutcome())
        connections[index] = _connection(message["outcome"])
        self._doing = message["doing"]

    def _heard_unfinished(self, message: Message) -> None:
        self.outcome.connections = [_connection(each) for each in message["connections"]]
        if self._unfinished is not None and not self._unfinished.done():
            self._unfinished.set_result(message["text"])

    def _heard_ended(self, message: Message) -> None:
        self._take_own(message)
        self.outcome.connections = [_connection(each) for each in message["connections"]]
        self._doing = ""

    def _take_own(self, message: Message) -> None:
        self.outcome.error, self.outcome.error_text = message["error"], message["error_text"]

    def _note_exit(self, status: int) -> None:
        self.outcome.exit_status = status
        if status < 0:
            name = signal.Signals(-status).name
            doing = f" during {self._doing}" if self._doing else ""
            self.outcome.error, self.outcome.error_text = name, f"killed by {name}{doing}"
        elif status > 0 and self.outcome.error is None:
            self.outcome.error = "crashed"
            self.outcome.error_text = f"its process ended with status {status}"

    def _say(self, **message: Any) -> None:
        if self._wire is not None:
            self._wire.say(**message)


def _connection(said: Message) -> ConnectionOutcome:
    """A connection's outcome from JSON, which knows no tuples."""
    for end in ("local", "remote"):
        said[end] = tuple(said[end]) if said[end] else None
    return ConnectionOutcome(**said)


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

    def __init__(self, script: Script, wire: Wire) -> None:
        self._wire = wire
        self._stage = FarStage(wire)
        kind = Listener if script.endpoint.kind == "listen" else Connector
        self._actor: SocketActor = kind(script, Here(), self._stage, self._note)
        self._play: asyncio.Task[None] | None = None

    async def run(self) -> None:
        actor = self._actor
        assert isinstance(actor, Listener | Connector)
        await actor.prepare(0)
        self._wire.say(did="prepared", error=actor.outcome.error, error_text=actor.outcome.error_text)
        obeying = asyncio.create_task(self._obey(actor))
        await obeying

    async def _obey(self, actor: Listener | Connector) -> None:
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
            self._told(actor, message)
            hearing = asyncio.ensure_future(self._wire.hear())
        hearing.cancel()
        self._say_ended()
        await self._wire.flush()

    def _told(self, actor: Listener | Connector, message: Message) -> None:
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
            did="ended", error=outcome.error, error_text=outcome.error_text, connections=self._connections()
        )

    def _note(self, index: int) -> None:
        connection = self._actor.connections[index]
        self._wire.say(
            did="connection", index=index, outcome=asdict(connection.outcome), doing=connection.doing
        )

    def _connections(self) -> list[Message]:
        return [asdict(outcome) for outcome in self._actor.outcome.connections]


async def _main(script: Script, sock: socket.socket) -> None:
    wire = await Wire.over(sock)
    try:
        await Player(script, wire).run()
    finally:
        wire.close()


def main(payload: bytes, fds: list[int]) -> int:
    """The child's entry: plays a pickled Script, talking over the one socket in `fds`."""
    script: Script = pickle.loads(payload)
    asyncio.run(_main(script, socket.socket(fileno=fds[0])))
    return 0
