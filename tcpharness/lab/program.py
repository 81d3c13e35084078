"""`run:` endpoints: real programs on a host (nc, curl, nginx, iperf3, anything).

One with a `ready:` port is a server: it is ready when something listens on that port in its
namespace, and is told to end (SIGTERM, then SIGKILL) when everybody else has. One without is a
client: it is started with the clients and ends by itself.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Protocol

from tcpharness.evidence import EndpointOutcome
from tcpharness.lab.connection import Conditions
from tcpharness.lab.output import KeptOutput
from tcpharness.lab.socket_table import Namespace, SocketTable
from tcpharness.lab.spawner import Child, LabProcesses
from tcpharness.scenario.model import Endpoint

READY_POLL_S = 0.002
TERM_S = 1.0  # between SIGTERM and SIGKILL
GONE_S = 2.0  # a killed process may take this long to be gone


class HostNamespace(Namespace, Protocol):
    @property
    def fd(self) -> int: ...


def signal_name(number: int) -> str:
    """`SIGKILL`; a real-time signal has a number only."""
    known = {each.value: each.name for each in signal.Signals}
    return known.get(number, f"signal {number}")


class Program:
    """One program, its output and its end."""

    def __init__(
        self,
        endpoint: Endpoint,
        namespace: HostNamespace,
        processes: LabProcesses,
        stage: Conditions,
        base_dir: Path,
        hosts_file: str | None = None,
    ) -> None:
        self.outcome = EndpointOutcome(endpoint.name, endpoint.on, endpoint.kind)
        self.leads = endpoint.port is None
        self._endpoint = endpoint
        self._namespace = namespace
        self._processes = processes
        self._stage = stage
        self._base_dir = base_dir
        self._hosts_file = hosts_file
        self._child: Child | None = None
        self._exit: asyncio.Task[int] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._output = KeptOutput()

    async def prepare(self, deadline_ns: int) -> None:
        """A server: started, and listening on its port, or the outcome says why not."""
        if self.leads:
            return
        with SocketTable(self._namespace) as table:
            if self._endpoint.port in table.listening():
                where = f"port {self._endpoint.port} on host {self._endpoint.on}"
                self._fail("EADDRINUSE", f"{where} is already in use")
                return
            self._start()
            while self._exit is not None:
                if self._endpoint.port in table.listening():
                    self._stage.reach(self.outcome.name, "listening")
                    return
                if self._exit.done() or time.monotonic_ns() > deadline_ns:
                    await self._never_listened(self._exit)
                    return
                await asyncio.wait({self._exit}, timeout=READY_POLL_S)

    async def play(self) -> None:
        try:
            if self.leads:
                self._start()
            if self._exit is not None:
                status = await asyncio.shield(self._exit)
                self._output.drain()
                self._note_exit(status)
        finally:
            self.outcome.output = self._output.text()
            self._stage.reach(self.outcome.name, "closed")
            self._stage.reach(self.outcome.name, "done")

    def no_more_clients(self) -> None:
        """A server is told to end; what it says to that is no failure."""
        if self._child is not None and self._exit is not None and not self._exit.done():
            self.outcome.ended_by_us = True
            self._ending = asyncio.create_task(self._end(self._child, self._exit))

    async def expire(self) -> str:
        command = " ".join(self._endpoint.command)
        return f"run: {command} has not exited at {self._endpoint.at}{self._said()}"

    def kill(self, number: int) -> bool:
        if self._child is not None:
            self._child.kill(number)
        return True

    async def wait_signalled(self) -> None:
        if self._child is not None:
            await self._child.wait_signalled()

    async def close(self) -> None:
        if self._child is not None and self._exit is not None and not self._exit.done():
            self._child.kill(signal.SIGKILL)
        tasks = {task for task in (self._exit, self._ending) if task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=GONE_S)
        self._output.drain()
        self._output.close()
        self.outcome.output = self._output.text()

    # --- the parts

    def _start(self) -> None:
        argv = list(self._endpoint.command)
        if shutil.which(argv[0], path=os.environ.get("PATH")) is None:
            self._fail("ENOENT", f"{argv[0]}: no such program on this machine")
            return
        writing = self._output.open()
        try:
            self._child = self._processes.run(
                argv,
                netns=self._namespace.fd,
                stdout=writing,
                stderr=writing,
                cwd=str(self._base_dir),
                hosts_file=self._hosts_file,
            )
        except OSError as error:
            self._fail("not started", f"{argv[0]} on host {self._endpoint.on}: {error.strerror or error}")
            return
        finally:
            os.close(writing)
        self._exit = asyncio.create_task(self._child.wait())

    async def _never_listened(self, exit_task: asyncio.Task[int]) -> None:
        port = f"port {self._endpoint.port} of host {self._endpoint.on}"
        if exit_task.done():
            self._note_exit(exit_task.result())
            text = f"exited with status {self.outcome.exit_status} before it listened on {port}"
        else:
            text = f"did not listen on {port} in time"
            self.kill(signal.SIGKILL)
            await asyncio.wait({exit_task}, timeout=GONE_S)
        if self.outcome.error is None:
            self._output.drain()
            self._fail("not ready", f"{self._endpoint.command[0]} {text}{self._said()}")

    def _said(self) -> str:
        last = self._output.last_lines()
        return f"; it said: {last}" if last else ""

    def _note_exit(self, status: int) -> None:
        self.outcome.exit_status = status
        if self._child is not None and self._child.error:
            self._fail("not started", f"{self._endpoint.command[0]}: {self._child.error}")
        elif status < 0 and not self.outcome.ended_by_us and self.outcome.error is None:
            name = signal_name(-status)
            self._fail(name, f"killed by {name}")

    def _fail(self, error: str, text: str) -> None:
        self.outcome.error, self.outcome.error_text = error, text

    async def _end(self, child: Child, exit_task: asyncio.Task[int]) -> None:
        child.kill(signal.SIGTERM)
        done, _ = await asyncio.wait({exit_task}, timeout=TERM_S)
        if not done:
            child.kill(signal.SIGKILL)
