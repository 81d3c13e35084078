"""The kernel's tracepoints, as main sees them: one tracer for all cases of a run (tracer.py's process)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from tcpharness.evidence import Trace, TraceEvent
from tcpharness.lab.spawner import LabProcesses, Spawner
from tcpharness.lab.wire import Message, Wire

ENTRY = "tcpharness.lab.tracer:main"
# A dead process is known at once; a busy machine may keep a live one waiting.
READY_S, ANSWER_S = 30.0, 60.0


class Tracing:
    """`await start()` once; `watch` and `take` for each case; `await close()` at the end."""

    def __init__(self) -> None:
        self.refused: str | None = "tracing was never started"  # why there are no tracepoints here
        self.notes: list[str] = []
        self.events: list[str] = []
        self._processes: LabProcesses | None = None
        self._wire: Wire | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._waiting: dict[tuple[str, object], asyncio.Future[Message]] = {}
        self._enabling = asyncio.Lock()
        self._demanded: dict[str, set[int]] = {}  # tracepoint that only some ask for -> those cases

    async def start(self, spawner: Spawner) -> None:
        """Returns when it traces, or when it is known why it can't."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._processes = spawner.lab()
                self._processes.call(ENTRY, b"", [theirs.fileno()], None)
            except OSError as error:
                ours.close()
                self.refused = f"its process can't be started: {error.strerror}"
                return
        self._wire = Wire(ours)
        self._hearing = asyncio.create_task(self._hear(self._wire))
        ready = await self._answer("ready", None, READY_S)
        if ready is None:
            self.refused = "its process did not answer"
        else:
            self.refused = ready.get("refused")
            self.notes, self.events = ready.get("notes", []), ready.get("events", [])

    async def watch(self, case: int, addresses: Iterable[str], wanted: Sequence[str]) -> None:
        """From here on events with these addresses are its. `wanted`: tracepoints that it asks for."""
        if self.refused is not None or self._wire is None:
            return
        async with self._enabling:
            for event in wanted:
                if event not in self.events:
                    await self._enable(self._wire, event)
                if event in self._demanded:
                    self._demanded[event].add(case)
        answer = self._answer("watch", case, ANSWER_S)
        self._wire.say(do="watch", case=case, addresses=list(addresses))
        if await answer is None:
            self.refused = "its process does not answer"

    async def _enable(self, wire: Wire, event: str) -> None:
        answer = self._answer("enable", event, ANSWER_S)
        wire.say(do="enable", event=event)
        told = await answer
        if told is not None and told["done"]:
            self.events.append(event)
            self._demanded[event] = set()

    def _forget(self, wire: Wire, case: int) -> None:
        """What was traced for this case only is traced no longer."""
        for event, cases in list(self._demanded.items()):
            cases.discard(case)
            if not cases:
                del self._demanded[event]
                self.events.remove(event)
                wire.say(do="disable", event=event)

    async def take(self, case: int) -> Trace:
        """All that there was of a case; it is not watched any longer."""
        if self.refused is not None or self._wire is None:
            return Trace(refused=self.refused)
        answer = self._answer("take", case, ANSWER_S)
        self._wire.say(do="take", case=case)
        told = await answer
        if told is None:
            self.refused = "its process has died"
            return Trace(refused=self.refused)
        traced = list(self.events)
        async with self._enabling:
            self._forget(self._wire, case)
        events = [TraceEvent(t, n, _end(h), _end(o), r, e) for t, n, h, o, r, e in told["events"]]
        notes = [*self.notes, *(["its addresses were another case's as well"] if told["shared"] else [])]
        return Trace(None, traced, events, told["lost"], bool(told["shared"]), notes)

    async def close(self) -> None:
        """Ends it, so that it can take its instance away; then whatever is left of it."""
        if self._wire is not None and self.refused is None:
            answer = self._answer("end", None, ANSWER_S)
            self._wire.say(do="end")
            await answer
        if self._hearing is not None:
            self._hearing.cancel()
        if self._wire is not None:
            self._wire.close()
        if self._processes is not None:
            self._processes.close()

    def _answer(self, did: str, about: object, within_s: float) -> asyncio.Future[Message | None]:
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[did, about] = future
        return asyncio.ensure_future(self._within(future, within_s))

    async def _within(self, future: asyncio.Future[Message], within_s: float) -> Message | None:
        done, _ = await asyncio.wait({future}, timeout=within_s)
        return future.result() if done and not future.cancelled() else None

    async def _hear(self, wire: Wire) -> None:
        while (message := await wire.hear()) is not None:
            key: tuple[str, Any] = message["did"], message.get("case", message.get("event"))
            future = self._waiting.pop(key, None)
            if future is not None and not future.done():
                future.set_result(message)
        for future in self._waiting.values():
            future.cancel()


def _end(pair: Sequence[Any]) -> tuple[str, int]:
    return str(pair[0]), int(pair[1])
