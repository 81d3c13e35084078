"""A middlebox, as main sees it: started, asked, ended. Its work is done in forward.py's process."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from tcpharness.evidence import LinkOutcome
from tcpharness.fault.craft import build_template
from tcpharness.lab.build import Lab
from tcpharness.lab.forward import Order
from tcpharness.packet.address import address_bytes
from tcpharness.scenario.plan import LinkPlan, Plan

ENTRY = "tcpharness.lab.forward:main"
ANSWER_S = 10.0
IDLE_S = 5.0  # how long delayed frames may keep the run from its end
ASK_AGAIN_S = 0.002

OnFired = Callable[[str, Sequence[tuple[str, str]]], None]


class Middlebox:
    """One link's middlebox."""

    def __init__(self, plan: Plan, link: LinkPlan, lab: Lab) -> None:
        self.link = link
        self._lab = lab
        self._plan = plan
        self._case = plan.case
        self._namespace, self._ports = lab.middleboxes[link.name]
        self._offload = any(h.offload for h in plan.hosts if h.name in self._ports)
        self._ledger = os.memfd_create("ledger", os.MFD_CLOEXEC)
        self._ours, self._theirs = socket.socketpair()
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._on_fired: OnFired = lambda name, kills: None
        self._received = b""

    def on_fired(self, call: OnFired) -> None:
        """Called with the fault's name and the (endpoint, signal) pairs that it kills."""
        self._on_fired = call

    async def start(self) -> None:
        """Returns when it forwards."""
        faults = tuple(f for f in self._case.faults if f.link == self.link.name)
        macs = {end.host: bytes.fromhex(end.mac.replace(":", "")) for end in self.link.ends}
        order = Order(
            faults,
            tuple((host, port, macs[host]) for host, port in self._ports.items()),
            self.link.delay_ns,
            {
                (fault.name, index): build_template(action, self._case.ip)
                for fault in faults for index, action in enumerate(fault.do) if action.do == "inject"
            },
            flow_names(self._plan),
            self._offload,
        )  # fmt: skip
        self._ours.setblocking(False)
        asyncio.get_running_loop().add_reader(self._ours.fileno(), self._hear)
        fds = [self._theirs.fileno(), self._ledger]
        self._child = self._lab.processes.call(ENTRY, pickle.dumps(order), fds, self._namespace.fd)
        self._theirs.close()
        await self._answer()

    async def idle(self) -> None:
        """Returns when no frame waits in it, or after IDLE_S when there always is one."""
        end = time.monotonic() + IDLE_S
        while time.monotonic() < end:
            if (await self._ask("idle"))["idle"]:
                return
            await asyncio.sleep(ASK_AGAIN_S)  # a poll: the frames have deadlines of their own

    async def stop(self) -> None:
        """Nothing passes any more; what still comes is only noted."""
        await self._ask("stop")

    async def finish(self) -> LinkOutcome:
        """Its ledger; the process ends."""
        answer = await self._ask("finish")
        if "dead" in answer:
            return LinkOutcome(
                self.link.name, error=f"its process has died: {self._child.error or 'no word'}"
            )
        with open(self._ledger, "rb", closefd=False) as file:
            file.seek(0)
            entries, fired, error = pickle.load(file)
        return LinkOutcome(self.link.name, entries, fired, error)

    def close(self) -> None:
        if self._ours.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._ours.fileno())
        for end in (self._ours, self._theirs):
            end.close()
        if self._ledger >= 0:
            os.close(self._ledger)
            self._ledger = -1

    # --- the channel

    async def _ask(self, word: str) -> dict[str, Any]:
        try:
            self._ours.send(word.encode() + b"\n")
        except OSError:
            return {"dead": True, "idle": True}
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._answers.get()
        except TimeoutError:
            return {"dead": True, "idle": True}

    def _hear(self) -> None:
        try:
            data = self._ours.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._ours.fileno())
            self._answers.put_nowait({"dead": True, "idle": True})
        *lines, self._received = (self._received + data).split(b"\n")
        for message in map(json.loads, lines):
            if "fired" in message:
                self._on_fired(message["fired"], [(e, s) for e, s in message["kills"]])
            else:
                self._answers.put_nowait(message)


def flow_names(plan: Plan) -> dict[tuple[bytes, int], str]:
    """(client's address, server's port) -> connect endpoint: how `flow:` finds connections."""
    listening = {e.name: e.port for e in plan.case.endpoints}
    found = {}
    for e in plan.case.endpoints:
        if e.kind == "connect" and e.target is not None and e.on in plan.names:
            port = listening.get(e.target.endpoint or "", e.target.port)
            found[address_bytes(plan.names[e.on]), port or 0] = e.name
    return found
