"""A middlebox, as main sees it: started, asked, ended. Its work is done in forward.py's process."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tcpharness.evidence import LinkOutcome
from tcpharness.fault.craft import build_template
from tcpharness.fault.facts import flow_facts
from tcpharness.fault.ledger import load
from tcpharness.lab.forward import Order
from tcpharness.lab.spawner import Child, LabProcesses
from tcpharness.lab.wire import Message, Wire
from tcpharness.packet.address import address_bytes
from tcpharness.scenario.model import Fault
from tcpharness.scenario.plan import LinkPlan, Plan

ENTRY = "tcpharness.lab.forward:main"
ANSWER_S = 10.0  # a process that has not answered by then is as good as dead
IDLE_S = 5.0  # how long delayed frames may keep the run from its end

OnFired = Callable[[str, Sequence[tuple[str, str]]], None]
Templates = dict[tuple[str, int], dict[int, bytes]]


class Namespace(Protocol):
    @property
    def fd(self) -> int: ...


class MiddleboxLab(Protocol):
    """What a middlebox needs of a lab."""

    @property
    def middleboxes(self) -> Mapping[str, tuple[Namespace, Mapping[str, str]]]: ...

    processes: LabProcesses


class Middlebox:
    """One link's middlebox. `close()` at any time; the others in the order they are written here."""

    def __init__(
        self, plan: Plan, link: LinkPlan, lab: MiddleboxLab, seed: int = 0, *, ring: bool | None = None
    ) -> None:
        self.link = link
        self.child: Child | None = None
        self._plan = plan
        self._lab = lab
        self._seed = seed
        self._ring = ring
        self._ledger = os.memfd_create("ledger", os.MFD_CLOEXEC)
        self._on_fired: list[OnFired] = []
        self._wire: Wire | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._answers: dict[str, asyncio.Future[Message | None]] = {}

    def on_fired(self, call: OnFired) -> None:
        """Called with a fault's name the first time that it fires, and with the (endpoint, signal)
        pairs that it kills whenever it does."""
        self._on_fired.append(call)

    def reach(self, fault: str) -> None:
        """A fault of another link has fired, for those here that come after it."""
        if self._wire is not None:
            self._wire.say(do="reach", fault=fault)

    def cut(self, down: bool) -> None:
        """The link carries nothing from here on, or carries frames again."""
        if self._wire is not None:
            self._wire.say(do="cut", down=down)

    async def start(self) -> None:
        """Returns when it forwards. Raises OSError when it cannot."""
        order = await self._order()
        namespace, _ = self._lab.middleboxes[self.link.name]
        ours, theirs = socket.socketpair()
        with theirs:
            fds = [theirs.fileno(), self._ledger]
            self.child = self._lab.processes.call(ENTRY, pickle.dumps(order), fds, namespace.fd)
        self._wire = Wire(ours)
        ready = self._expect("ready")
        self._hearing = asyncio.create_task(self._hear(self._wire))
        if await self._wait(ready) is None:
            raise OSError(f"the middlebox of link {self.link.name} did not start{self._why()}")

    async def idle(self) -> bool:
        """Returns when no frame is on its way in it; False when there still was one after IDLE_S."""
        answer = self._ask("idle")
        await asyncio.wait({answer}, timeout=IDLE_S)
        return answer.done()

    async def stop(self) -> None:
        """What is on its way goes; nothing that comes later does, though it is noted."""
        await self._wait(self._ask("stop"))

    async def finish(self) -> LinkOutcome:
        """Its ledger; the process ends."""
        answer = await self._wait(self._ask("finish"))
        if answer is None:
            return LinkOutcome(
                self.link.name, error=f"the middlebox of link {self.link.name} has died{self._why()}"
            )
        _, ports = self._lab.middleboxes[self.link.name]
        with open(self._ledger, "rb", closefd=False) as file:
            file.seek(0)
            entries = load(file.read(), tuple(ports), answer["epoch_ns"])
        return LinkOutcome(self.link.name, entries, answer["fired"], answer["error"])

    def close(self) -> None:
        """Lets go of it; its process ends by itself when nobody is there to talk to it."""
        if self._hearing is not None:
            self._hearing.cancel()
        if self._wire is not None:
            self._wire.close()
        if self._ledger >= 0:
            os.close(self._ledger)
            self._ledger = -1

    # --- the order

    async def _order(self) -> Order:
        faults = tuple(f for f in self._plan.case.faults if f.link == self.link.name)
        templates: Templates = {}
        if any(action.do == "inject" for fault in faults for action in fault.do):
            # In a thread: importing scapy takes half a second, and other cases go on meanwhile.
            templates = await asyncio.to_thread(build_templates, faults)
        _, ports = self._lab.middleboxes[self.link.name]
        ends = {end.host: end for end in self.link.ends}
        return Order(
            faults=faults,
            ports=tuple(
                (
                    host,
                    port,
                    bytes.fromhex(ends[host].mac.replace(":", "")),
                    address_bytes(ends[host].address),
                )
                for host, port in ports.items()
            ),
            mtu=self.link.mtu,
            delay_ns=self.link.delay_ns,
            impairments=dict(self.link.impairments),
            flows=flow_facts(self._plan),
            templates=templates,
            offload=any(host.offload for host in self._plan.hosts if host.name in ports),
            seed=f"{self._seed} {self.link.name}",
            ring=self._ring,
        )

    # --- the channel

    def _expect(self, did: str) -> asyncio.Future[Message | None]:
        self._answers[did] = asyncio.get_running_loop().create_future()
        return self._answers[did]

    def _ask(self, what: str) -> asyncio.Future[Message | None]:
        answer = self._expect(what)
        if self._hearing is None or self._hearing.done() or self._wire is None:
            answer.set_result(None)
        else:
            self._wire.say(do=what)
        return answer

    async def _wait(self, answer: asyncio.Future[Message | None]) -> Message | None:
        """None when it has died, or does not answer."""
        done, _ = await asyncio.wait({answer}, timeout=ANSWER_S)
        return answer.result() if done else None

    async def _hear(self, wire: Wire) -> None:
        while (message := await wire.hear()) is not None:
            if message["did"] == "fired":
                kills = [(endpoint, number) for endpoint, number in message["kills"]]
                for call in self._on_fired:
                    call(message["fault"], kills)
            else:
                _settle(self._answers.pop(message["did"], None), message)
        for answer in self._answers.values():
            _settle(answer, None)

    def _why(self) -> str:
        error = self.child.error if self.child is not None else None
        return f": {error}" if error else ""


def _settle(answer: asyncio.Future[Message | None] | None, message: Message | None) -> None:
    if answer is not None and not answer.done():
        answer.set_result(message)


def build_templates(faults: Sequence[Fault]) -> Templates:
    """Of every injecting action, by fault and place: a crafted segment for each family."""
    return {
        (fault.name, place): {version: build_template(action, version) for version in (4, 6)}
        for fault in faults
        for place, action in enumerate(fault.do)
        if action.do == "inject"
    }
