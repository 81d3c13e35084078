"""Monitors that watch a host: started before the traffic, asked and ended after it.

In the host's network namespace, with its /proc and /sys, in a PID namespace of their own. Ready by their
own word; what they do not say before the deadline is an error with their last words, never a guess.
"""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tcpharness.evidence import MonitorOutcome
from tcpharness.lab.netns import NetNs
from tcpharness.lab.socket_table import SocketTable
from tcpharness.lab.spawner import Child, Spawner
from tcpharness.monitor.canary import part_kernel
from tcpharness.monitor.command import filled, write_files
from tcpharness.monitor.post import Post
from tcpharness.monitor.process import Ground, ending, judged, wait_end
from tcpharness.monitor.room import MonitorRoom
from tcpharness.monitor.rounds import Rounds
from tcpharness.monitor.words import STDERR, STDOUT, fail, take
from tcpharness.scenario.monitor import Command, Ready

POLL_S = 0.005
END_S = 10.0  # between its signal and SIGKILL


class Trouble(Exception):
    """It can't do its work; the text says why."""


class LiveMonitor:
    """One monitor on one host: start(), finish(); close() whatever happened. Trouble is in the outcome."""

    def __init__(self, post: Post, namespace: NetNs, hosts_file: Path, spawner: Spawner) -> None:
        self.post = post
        self.outcome: MonitorOutcome = post.outcome()
        self._namespace = namespace
        self._hosts_file = hosts_file
        self._spawner = spawner
        self._ground: Ground | None = None
        self._child: Child | None = None
        self._rounds = Rounds(post.description)
        self._asking: asyncio.Task[None] | None = None
        self._words = post.words()
        self._asked = 0

    async def start(self, room: MonitorRoom) -> None:
        """Returns when it is ready, or the outcome says why it is not."""
        description = self.post.description
        self.outcome.lacking = await room.lacking(description)
        if self.outcome.lacking is not None:
            return
        self.post.empty_folder()
        self.outcome.version = await room.version(description)
        command = description.live or description.ask
        assert command is not None
        self.outcome.command = " ".join(filled(command, self._words))
        try:
            await self._start()
        except Trouble as trouble:
            fail(self.outcome, str(trouble), self.post.folder)
        except OSError as error:
            fail(self.outcome, f"it can't be started: {error}", self.post.folder)
        self.outcome.started_ns = time.time_ns()

    async def finish(self) -> MonitorOutcome:
        """Waits until it has taken in what has passed, asks it, ends it, and reads what it has written."""
        await self._guarded(self._conclude)
        await self._guarded(self._finish)
        return self.outcome

    async def conclude(self) -> None:
        """Waits and asks it as finish() does; it goes on watching, for the kernel's canary."""
        await self._guarded(self._conclude)

    async def prove(self, no_canary: str | None) -> MonitorOutcome:
        """Asks it of the kernel's canary, which holds now, or could not be had, and ends it."""
        self.outcome.no_canary = no_canary
        await self._guarded(self._prove)
        return self.outcome

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        """What goes wrong is the outcome's, and the end of it."""
        if self._ground is None or self.outcome.error is not None:
            return
        started = time.monotonic_ns()
        self._words["ended"] = f"{time.time():.6f}"
        try:
            await step()
        except Trouble as trouble:
            fail(self.outcome, str(trouble), self.post.folder)
        except OSError as error:
            fail(self.outcome, f"it can't be asked: {error}", self.post.folder)
        self.outcome.duration_ns += time.monotonic_ns() - started

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        if self._ground is not None:
            self._ground.processes.close()

    # --- starting

    async def _start(self) -> None:
        post, description = self.post, self.post.description
        self._ground = Ground(self._spawner.lab(), self._namespace.fd, self._hosts_file)
        write_files(description, post.folder, self._words)
        deadline = time.monotonic() + description.timeout_ns / 1e9
        if description.setup is not None and (status := await self._run(description.setup, "setup.")) != 0:
            said = read(post.folder / f"setup.{STDERR}").strip()[-300:]
            raise Trouble(f"its setup ended with status {status}: {said or 'it said nothing'}")
        for number, beside in enumerate(description.beside, 1):
            prefix = f"beside-{number}."
            child = self._ground.spawn(
                filled(beside.run, self._words), post.folder, description, prefix=prefix
            )
            await self._wait_ready(child, beside.ready, deadline, prefix)
        if description.live is not None:
            self._child = self._ground.spawn(filled(description.live, self._words), post.folder, description)
            assert description.ready is not None
            await self._wait_ready(self._child, description.ready, deadline, "")
        if description.every_ns:
            self._asking = asyncio.create_task(self._keep_asking(description.every_ns / 1e9))

    async def _wait_ready(self, child: Child, ready: Ready, deadline: float, prefix: str) -> None:
        """Raises Trouble when it ends before, or is not ready in time."""
        while not await self._is_ready(ready, prefix):
            if child.exited:
                why = child.error or f"it ended {ending(child.status or 0)} before it was ready"
                raise Trouble(f"{prefix}{why}")
            if time.monotonic() > deadline:
                raise Trouble(f"{prefix}it was not ready in time: expected {wanted(ready)}")
            await asyncio.sleep(POLL_S)

    async def _is_ready(self, ready: Ready, prefix: str) -> bool:
        folder = self.post.folder
        if ready.output is not None:
            said = (folder / f"{prefix}{name}" for name in (STDOUT, STDERR))
            return any(re.search(ready.output, read(file)) for file in said)
        if ready.file is not None:
            return any(folder.glob(ready.file))
        if ready.port is not None:
            with SocketTable(self._namespace) as table:
                return ready.port in table.listening()
        assert ready.command is not None
        return (await self._run(ready.command, "ready.")) == 0

    async def _run(self, command: Command, prefix: str) -> int | None:
        """One run of a small command, its output anew; the status."""
        assert self._ground is not None
        folder, description = self.post.folder, self.post.description
        for name in (STDOUT, STDERR):
            (folder / f"{prefix}{name}").unlink(missing_ok=True)
        child = self._ground.spawn(filled(command, self._words), folder, description, prefix=prefix)
        ended = await wait_end(child, description, folder)
        return ended.status if not child.error else None

    # --- asking

    async def _keep_asking(self, every_s: float) -> None:
        while True:
            due = time.monotonic() + every_s
            await self._ask_into(self.outcome)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _ask_into(self, outcome: MonitorOutcome) -> None:
        """Every word is read by itself; the outcome gets what was not so the time before."""
        text = await self._ask()
        self._rounds.take(text, time.time_ns(), self.post.folder, outcome)

    async def _ask(self) -> str:
        """What it says now. Raises Trouble."""
        ask = self.post.description.ask
        assert ask is not None
        status = await self._run(ask, "ask.")
        if status not in self.post.description.status:
            said = read(self.post.folder / f"ask.{STDERR}").strip()[-300:]
            raise Trouble(f"asked, it ended with status {status}: {said or 'it said nothing'}")
        return read(self.post.folder / f"ask.{STDOUT}")

    # --- ending

    async def _conclude(self) -> None:
        if self._asking is not None:
            await self._stop_asking(self._asking)
        self._still_there()
        await self._settle()
        if self.post.description.ask is not None:
            await self._ask_into(self.outcome)

    async def _finish(self) -> None:
        await self._end()
        if self.post.description.ask is None:
            take(self.post.description, self.post.folder, self.outcome)

    async def _prove(self) -> None:
        """What is new now is not the scenario's: it goes into an outcome of its own."""
        description, before = self.post.description, self._rounds.answer
        self._still_there()
        await self._settle()
        if description.ask is not None:
            again = replace(self.outcome, findings=[])
            await self._ask_into(again)
            self.outcome.error = again.error
        await self._finish()
        after = self.outcome.findings if description.ask is None else self._rounds.answer
        part_kernel(self.outcome, description, before, after)

    async def _stop_asking(self, asking: asyncio.Task[None]) -> None:
        """Raises what asking has raised."""
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking

    def _still_there(self) -> None:
        if self._child is not None and self._child.exited:
            raise Trouble(f"it ended {ending(self._child.status or 0)} while it should have watched")

    async def _settle(self) -> None:
        """Raises Trouble."""
        settled = self.post.description.settled
        deadline = time.monotonic() + self.post.description.timeout_ns / 1e9
        while settled is not None and await self._run(settled, "settled.") != 0:
            self._still_there()
            if time.monotonic() > deadline:
                said = read(self.post.folder / f"settled.{STDERR}").strip()[-300:]
                raise Trouble(
                    f"it had not taken in all that passed in time: {said or 'settled says nothing'}"
                )
            await asyncio.sleep(POLL_S)

    async def _end(self) -> None:
        if self._child is None:
            return
        number = signal.Signals[f"SIG{self.post.description.signal}"]
        self._child.kill(number)
        try:
            async with asyncio.timeout(END_S):
                status = await self._child.wait()
        except TimeoutError:
            self._child.kill(signal.SIGKILL)
            raise Trouble(f"it did not end within {END_S:g} s of {number.name}") from None
        self.outcome.status = status
        ended = judged(self._child, status, self.post.description, self.post.folder, number)
        if ended.problem:
            raise Trouble(ended.problem)


def wanted(ready: Ready) -> str:
    """What was waited for, in words."""
    if ready.output is not None:
        return f"output with /{ready.output}/"
    if ready.file is not None:
        return f"the file {ready.file}"
    return f"port {ready.port}" if ready.port is not None else "status 0 of its command"


def read(path: Path) -> str:
    """What is there of a file that may not be."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
