"""Endpoints with `process: true`, as the event loop sees them: an Actor that is played elsewhere.

Both sides talk over one socket in JSON lines. The child (endpoint_process.py) says which conditions
it has reached and what has become of its connections; the parent answers what it waits for, and
says when to go on. A child that is killed has said all it knew up to its last step.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import time
from typing import Any

from tcpharness.evidence import ConnectionOutcome, EndpointOutcome
from tcpharness.lab.program import GONE_S, signal_name
from tcpharness.lab.script import Script
from tcpharness.lab.scripted import Part
from tcpharness.lab.spawner import Child, LabProcesses
from tcpharness.lab.stage import NeverHeld, Stage
from tcpharness.lab.wire import Message, Wire
from tcpharness.peer.mismatch import Mismatch
from tcpharness.scenario.model import Place, Until

ENTRY = "tcpharness.lab.endpoint_process:main"
LAST_WORD_S = 0.5  # for a child to say what it was waiting for


class FarEndpoint:
    """The parent's side: an Actor whose connections are in another process."""

    def __init__(self, script: Script | Part, netns: int, processes: LabProcesses, stage: Stage) -> None:
        self.outcome = EndpointOutcome(script.name, script.host, script.endpoint.kind)
        self.leads = script.leads
        self._script = script
        self._netns = netns
        self._processes = processes
        self._stage = stage
        self._child: Child | None = None
        self._exit: asyncio.Task[int] | None = None
        self._wire: Wire | None = None
        self._listening: asyncio.Task[None] | None = None
        self._prepared = asyncio.Event()
        self._waits: set[asyncio.Task[None]] = set()
        self._doing = ""
        self._unfinished: asyncio.Future[str] | None = None

    async def prepare(self, deadline_ns: int) -> None:
        """Returns when the child listens, or when the outcome says why it does not."""
        ours, theirs = socket.socketpair()
        with theirs:
            payload = pickle.dumps(self._script)
            try:
                self._child = self._processes.call(ENTRY, payload, [theirs.fileno()], self._netns)
            except OSError as error:
                ours.close()
                self._fail(
                    "not started", f"no process on host {self._script.host}: {error.strerror or error}"
                )
                return
        self._exit = asyncio.create_task(self._child.wait())
        self._wire = Wire(ours)
        self._listening = asyncio.create_task(self._listen(self._wire))
        ready = asyncio.ensure_future(self._prepared.wait())
        left_s = max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9)
        await asyncio.wait({ready, self._listening}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            self._fail("not ready", f"its process on host {self._script.host} did not get ready")

    async def play(self) -> None:
        try:
            if self._wire is not None and self._listening is not None and self._exit is not None:
                self._wire.say(do="play")
                await asyncio.shield(self._listening)  # until the child has had its last word, or is gone
                self._note_exit(await asyncio.shield(self._exit))
        finally:
            self._stage.reach(self.outcome.name, "closed")
            self._stage.reach(self.outcome.name, "done")

    def no_more_clients(self) -> None:
        self._say(do="no_more_clients")

    async def expire(self) -> str:
        self._unfinished = asyncio.get_running_loop().create_future()
        self._say(do="expire")
        try:
            async with asyncio.timeout(LAST_WORD_S):
                return await self._unfinished
        except TimeoutError:
            return f"{self._doing} (its process does not answer)"

    def kill(self, number: int) -> bool:
        if self._child is not None:
            self._child.kill(number)
        return True

    async def wait_signalled(self) -> None:
        if self._child is not None:
            await self._child.wait_signalled()

    async def close(self) -> None:
        for task in (self._listening, *self._waits):
            if task is not None:
                task.cancel()
        if self._wire is not None:
            self._wire.close()
        if self._child is not None and self._exit is not None:
            if not self._exit.done():
                self._child.kill(signal.SIGKILL)
            await asyncio.wait({self._exit}, timeout=GONE_S)

    # --- what the child says

    async def _listen(self, wire: Wire) -> None:
        while (message := await wire.hear()) is not None:
            getattr(self, f"_heard_{message['did']}")(message)
            if message["did"] == "ended":
                break
        wire.close()  # which the child waits for, so that its last word is not lost

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
        self.outcome.took = message["took"]
        self.outcome.connections = [_connection(each) for each in message["connections"]]
        self._doing = ""

    def _take_own(self, message: Message) -> None:
        self.outcome.error, self.outcome.error_text = message["error"], message["error_text"]

    def _note_exit(self, status: int) -> None:
        self.outcome.exit_status = status
        if status < 0:
            name = signal_name(-status)
            doing = f" during {self._doing}" if self._doing else ""
            self._fail(name, f"killed by {name}{doing}")
        elif status > 0 and self.outcome.error is None:
            why = self._child.error if self._child is not None else None
            self._fail("crashed", f"its process ended with status {status}" + (f": {why}" if why else ""))

    def _fail(self, error: str, text: str) -> None:
        self.outcome.error, self.outcome.error_text = error, text

    def _say(self, **message: Any) -> None:
        if self._wire is not None:
            self._wire.say(**message)


def _connection(said: Message) -> ConnectionOutcome:
    """A connection's outcome from JSON, which knows no tuples."""
    for end in ("local", "remote"):
        said[end] = tuple(said[end]) if said[end] else None
    if said["mismatch"]:
        wrong = said["mismatch"]
        wrong |= {"at": Place(**wrong["at"]), "packets": tuple(wrong["packets"])}
        said["mismatch"] = Mismatch(**wrong)
    return ConnectionOutcome(**said)
