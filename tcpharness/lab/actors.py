"""All endpoints of a scenario together: servers first, then clients, until all have ended.

When the clients have ended, listeners that still wait for a connection are let go as soon as none
can be on its way any more, and server programs are told to end when nobody talks to them.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tcpharness.evidence import EndpointOutcome
from tcpharness.lab.endpoint import Actor, Connector, Listener
from tcpharness.lab.far_endpoint import FarEndpoint
from tcpharness.lab.program import Program
from tcpharness.lab.script import address_of, write_scripts
from tcpharness.lab.scripted import part_of
from tcpharness.lab.socket_table import Namespace, Row, SocketTable
from tcpharness.lab.spawner import LabProcesses
from tcpharness.lab.stage import Stage
from tcpharness.peer.numbers import Side
from tcpharness.scenario.model import Endpoint
from tcpharness.scenario.plan import Plan

READY_NS = 10_000_000_000  # how long servers may take to get ready
POLL_S = 0.004  # at first; doubled up to
POLL_MAX_S = 0.032
TALK_NS = 1_000_000_000  # how long a server program may go on talking after everybody else has ended


class LabNamespace(Namespace, Protocol):
    @property
    def fd(self) -> int: ...


class EndpointLab(Protocol):
    """What endpoints need of a lab."""

    @property
    def hosts(self) -> Mapping[str, LabNamespace]: ...
    @property
    def hosts_file(self) -> Path: ...

    processes: LabProcesses


class Actors:
    """`async with Actors(...) as actors: await actors.start(); outcomes = await actors.finish(deadline)`."""

    def __init__(self, plan: Plan, lab: EndpointLab, stage: Stage, seed: int, base_dir: Path) -> None:
        self._plan = plan
        self.lab = lab
        self._stage = stage
        self._base_dir = base_dir
        self._seed = seed
        self._scripts = write_scripts(plan, seed, self._files())
        self._actors: dict[str, Actor] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        self._actors = {e.name: self._cast(e) for e in self._plan.case.endpoints}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def start(self, deadline_ns: int | None = None) -> None:
        """Returns when all listeners listen and all server programs are ready, or have said why not."""
        by = deadline_ns or time.monotonic_ns() + READY_NS
        # Programs after listeners: a port that a listener has is not a program's readiness.
        for programs in (False, True):
            async with asyncio.TaskGroup() as group:
                for actor in self._actors.values():
                    if (actor.outcome.kind == "run") == programs:
                        group.create_task(actor.prepare(by))
        self._play(leads=False)

    async def finish(self, deadline_ns: int) -> dict[str, EndpointOutcome]:
        """Starts the clients and waits for everybody, at most until the (monotonic) deadline."""
        self._play(leads=True)
        try:
            async with asyncio.timeout(max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9)):
                await self._wait_all([name for name, actor in self._actors.items() if actor.leads])
                await self._dismiss_servers()
        except TimeoutError:
            late = [self._actors[name] for name in self._unended()]
            for actor, text in zip(late, await asyncio.gather(*(a.expire() for a in late)), strict=True):
                actor.outcome.unfinished = text
        await self._close()
        return {name: actor.outcome for name, actor in self._actors.items()}

    def kill(self, endpoint: str, number: int | str = signal.SIGKILL) -> None:
        """Sends a signal (`9` or `KILL`) to an endpoint that is a process or a program."""
        if isinstance(number, str):
            number = signal.Signals["SIG" + number.removeprefix("SIG")]
        actor = self._actors[endpoint]
        if not actor.kill(number):
            actor.outcome.error = "not a process"
            actor.outcome.error_text = f"{endpoint} cannot be killed: it needs `process: true`"

    async def wait_killed(self, endpoint: str, number: int | str) -> None:
        """The same, and the process has got it when this returns."""
        self.kill(endpoint, number)
        await self.wait_signalled(endpoint)

    async def wait_signalled(self, endpoint: str) -> None:
        """Returns when the endpoint's process has got every signal that was sent to it."""
        await self._actors[endpoint].wait_signalled()

    # --- the parts

    def _files(self) -> dict[str, bytes]:
        steps = [step for endpoint in self._plan.case.endpoints for step in endpoint.steps]
        names = {step.file for step in steps if step.file is not None}
        found = {name: self._base_dir / name for name in names}
        return {name: path.read_bytes() for name, path in found.items() if path.is_file()}

    def _cast(self, endpoint: Endpoint) -> Actor:
        namespace = self.lab.hosts[endpoint.on]
        if endpoint.kind == "run":
            processes, hosts_file = self.lab.processes, str(self.lab.hosts_file)
            return Program(endpoint, namespace, processes, self._stage, self._base_dir, hosts_file)
        if endpoint.kind == "script":
            remote = Side(*address_of(endpoint, self._plan)) if endpoint.target is not None else None
            part = part_of(endpoint, self._plan, remote, self._seed)
            return FarEndpoint(part, namespace.fd, self.lab.processes, self._stage)
        script = self._scripts[endpoint.name]
        if endpoint.process:
            return FarEndpoint(script, namespace.fd, self.lab.processes, self._stage)
        return (Listener if endpoint.kind == "listen" else Connector)(script, namespace, self._stage)

    def _play(self, *, leads: bool) -> None:
        for name, actor in self._actors.items():
            if actor.leads == leads:
                self._tasks[name] = asyncio.create_task(actor.play(), name=f"endpoint {name}")

    def _unended(self) -> list[str]:
        return [name for name, task in self._tasks.items() if not task.done()]

    async def _wait_all(self, names: list[str]) -> None:
        for name in names:
            await asyncio.shield(self._tasks[name])

    async def _dismiss_servers(self) -> None:
        with ExitStack() as stack:
            tables = [stack.enter_context(SocketTable(ns)) for ns in self.lab.hosts.values()]
            pause_s, since_ns, dismissed = POLL_S, time.monotonic_ns(), set[str]()
            while waiting := self._unended():
                staying = [name for name in waiting if name not in dismissed]
                rows = [row for table in tables for row in table.rows()] if staying else []
                for name in staying:
                    if self._may_go(name, rows, time.monotonic_ns() - since_ns):
                        self._actors[name].no_more_clients()
                        dismissed.add(name)
                if any(self._is_listener(name) for name in waiting):
                    since_ns = time.monotonic_ns()
                tasks = [self._tasks[name] for name in waiting]
                await asyncio.wait(tasks, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
                pause_s = min(POLL_MAX_S, pause_s * 2)
        await self._wait_all(list(self._tasks))

    def _is_listener(self, name: str) -> bool:
        return self._actors[name].outcome.kind == "listen"

    def _may_go(self, name: str, rows: list[Row], alone_ns: int) -> bool:
        """A listener: no connection to it is still being opened, or may be opened by what a client has
        left behind. A program: every other endpoint has ended and nobody is talking to it."""
        if self._actors[name].outcome.kind == "script":
            return True  # it goes on with those that it talks to
        port = next(e.port for e in self._plan.case.endpoints if e.name == name)
        if self._is_listener(name):
            # What a script that has ended left half open will never be opened.
            gone = {a for n, own in self._plan.scripted.items() if n not in self._unended() for a in own}
            opening = [r for r in rows if r.lport == port and r.state == "SYN_RECV" and r.remote not in gone]
            # In FIN_WAIT2 the server has acknowledged everything: that connection has been opened.
            return not opening and not [r for r in rows if r.rport == port and r.state != "FIN_WAIT2"]
        if any(self._is_listener(other) for other in self._unended()):
            return False
        return alone_ns > TALK_NS or not [r for r in rows if port in (r.lport, r.rport)]

    async def _close(self) -> None:
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(actor.close() for actor in self._actors.values()))
