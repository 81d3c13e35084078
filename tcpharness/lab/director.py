"""Events: what is done to the lab while the traffic goes on.

Times count from the moment that the clients start. Conditions are those of the stage; an event that waits
for a frame is a fault of a middlebox, which says when it fires.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from tcpharness.evidence import Event
from tcpharness.lab import firewall, links, routes, sysctl
from tcpharness.lab.actors import Actors
from tcpharness.lab.doctor import find_program
from tcpharness.lab.links import FIRST_INDEX
from tcpharness.lab.middlebox import Middlebox
from tcpharness.lab.netlink import Refused, Request, RouteSocket
from tcpharness.lab.netns import NetNs
from tcpharness.lab.stage import NeverHeld, Stage
from tcpharness.scenario.event import (
    AddressChange,
    CaptureStart,
    Change,
    Cut,
    FirewallChange,
    RouteChange,
    SysctlChange,
)
from tcpharness.scenario.model import Fault, Firewall, Until
from tcpharness.scenario.plan import Interface, Plan, RoutePlan, changed_routes


class Box(Protocol):
    """A middlebox."""

    def reach(self, fault: str) -> None: ...
    def cut(self, down: bool) -> None: ...


class LateCapture(Protocol):
    async def start(self) -> None: ...


class EventLab(Protocol):
    @property
    def hosts(self) -> dict[str, NetNs]: ...


class CannotBeDone(Exception):
    """The kernel, or a tool, refuses an event; the text says whose and why."""


class Director:
    """`start()` with the clients, `stop()` when all have ended; `events`, `waits` and `problems` tell."""

    def __init__(
        self,
        plan: Plan,
        lab: EventLab,
        stage: Stage,
        boxes: Mapping[str, Box],
        captures: Mapping[str, LateCapture],
        kill: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self.events: list[Event] = []
        self.waits: dict[str, str] = {}
        self.problems: list[str] = []
        self._plan = plan
        self._lab = lab
        self._stage = stage
        self._boxes = boxes
        self._captures = captures
        self._kill = kill
        self._start_ns = 0
        self._firewalls = {host.name: host.firewall for host in plan.hosts}
        self._unreachable: set[tuple[str, str]] = set()  # (host, network)
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()  # one change after the other

    def start(self) -> None:
        """From now on."""
        self._start_ns = time.monotonic_ns()
        for fault in self._plan.case.faults:
            if fault.is_event:
                self.begin(self._wait_and_do(fault))
            elif fault.when.endpoint is not None:
                self.begin(self._tell(fault))

    def fired(self, name: str) -> None:
        """A fault has fired, on a frame: what it does to the lab."""
        fault = next(fault for fault in self._plan.case.faults if fault.name == name)
        # Its own link's middlebox has taken that down (or up) already, behind that very frame.
        changes = [c for c in fault.changes if not (isinstance(c, Cut) and c.link == fault.link)]
        if fault.changes:
            self.begin(self._do(fault, changes))

    async def stop(self) -> None:
        """What has not begun never will."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- when

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Goes on beside everything else, until `stop`."""
        self._tasks.append(asyncio.create_task(work))

    async def _wait_and_do(self, fault: Fault) -> None:
        when = fault.when
        try:
            if when.after is not None:
                await self._stage.wait(Until(when.after, "fired", when.at))
            await self._wait_endpoint(fault)
        except NeverHeld as error:
            self.waits[fault.name] = str(error)
            return
        due_ns = self._start_ns + (when.time_ns or 0)
        await asyncio.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        await asyncio.sleep(when.wait_ns / 1e9)
        await self._do(fault, fault.changes)
        for box in self._boxes.values():
            box.reach(fault.name)
        self._stage.reach(fault.name, "fired")

    async def _wait_endpoint(self, fault: Fault) -> None:
        when = fault.when
        if when.endpoint is not None:
            await self._stage.wait(Until(when.endpoint, when.endpoint_state, when.at))  # type: ignore[arg-type]

    async def _tell(self, fault: Fault) -> None:
        """A fault that acts on frames only once an endpoint is in some state."""
        try:
            await self._wait_endpoint(fault)
        except NeverHeld as error:
            self.waits[fault.name] = str(error)
            return
        self._boxes[fault.link].reach(f"{fault.when.endpoint} {fault.when.endpoint_state}")

    # --- what

    async def _do(self, fault: Fault, changes: Sequence[Change]) -> None:
        async with self._turn:
            hosts = tuple(change.host for change in changes if not isinstance(change, Cut | CaptureStart))
            self.events.append(Event(fault.name, time.time_ns(), hosts))
            for action in fault.do if fault.is_event else ():
                if action.do == "kill":
                    # Who hears that it has happened may rely on it.
                    await self._kill(action.endpoint or "", action.signal)
            try:
                for change in changes:
                    await self._change(change)
            except (CannotBeDone, Refused, OSError, ValueError, firewall.FirewallRefused) as error:
                self.problems.append(f"{fault.at}: {fault.name}: {error}")

    async def _change(self, change: Change) -> None:
        if isinstance(change, Cut):
            self._boxes[change.link].cut(change.down)
        elif isinstance(change, CaptureStart):
            if change.vantage not in self._captures:
                raise CannotBeDone(f"nothing is captured at {change.vantage}: it is off")
            await self._captures[change.vantage].start()
        elif isinstance(change, FirewallChange):
            await asyncio.to_thread(self._change_firewall, change)
        elif isinstance(change, SysctlChange):
            self._change_sysctl(change)
        elif isinstance(change, RouteChange):
            self._ask_kernel(change.host, self._route_requests(change))
        else:
            self._ask_kernel(change.host, self._address_requests(change))

    def _change_firewall(self, change: FirewallChange) -> None:
        nft = find_program("nft")
        if nft is None:
            raise CannotBeDone("nft is not installed: apt-get install nftables")
        before = self._firewalls[change.host] or Firewall("accept", (), (), (), change.rules.at)
        self._firewalls[change.host] = after = changed(before, change)
        firewall.install(self._lab.hosts[change.host], after, nft, again=True)

    def _change_sysctl(self, change: SysctlChange) -> None:
        with self._lab.hosts[change.host].entered():
            for name, value in change.values.items():
                try:
                    sysctl.write(name, value)
                except (OSError, ValueError) as error:
                    reason = sysctl.reason(error, value)
                    raise CannotBeDone(f"host {change.host}: sysctl {name}: {reason}") from error

    def _ask_kernel(self, host: str, requests: list[Request]) -> None:
        with RouteSocket(self._lab.hosts[host]) as netlink:
            netlink.do(requests)

    def _route_requests(self, change: RouteChange) -> list[Request]:
        planned = changed_routes(self._plan, change.host, change.route)
        requests: list[Request] = []
        for route in planned:
            key = (change.host, route.dst)
            if ":" in route.dst and key in self._unreachable:
                requests.append(routes.reachable(route))
            (self._unreachable.add if change.unreachable else self._unreachable.discard)(key)
            requests.append(routes.unreachable(route) if change.unreachable else self._route(change, route))
        return requests

    def _route(self, change: RouteChange, route: RoutePlan) -> Request:
        indices = {interface.name: index for index, interface in self._interfaces(change.host)}
        return routes.route(route, indices[route.dev])

    def _address_requests(self, change: AddressChange) -> list[Request]:
        index, interface = next(
            (index, interface)
            for index, interface in self._interfaces(change.host)
            if interface.name == change.interface
        )
        about_route, about_address = (
            (routes.no_own_address, links.no_address) if change.gone else (routes.own_address, links.address)
        )
        requests = [about_address(index, interface.address, interface.prefix_len, interface)]
        if ":" in interface.address:
            requests.append(about_route(interface.address, index))
        return requests

    def _interfaces(self, host: str) -> list[tuple[int, Interface]]:
        planned = next(each for each in self._plan.hosts if each.name == host)
        return list(enumerate(planned.interfaces, FIRST_INDEX))


def changed(before: Firewall, change: FirewallChange) -> Firewall:
    """The ports of a change leave the lists that they were in."""
    new = change.rules
    moved = {*new.open, *new.closed, *new.filtered}

    def ports(was: tuple[int, ...], now: tuple[int, ...]) -> tuple[int, ...]:
        return (*(port for port in was if port not in moved), *now)

    strict = tuple(sorted({*before.strict} - moved | (moved if change.established else set())))
    policy = new.policy if change.policy else before.policy
    return replace(
        before,
        policy=policy,
        open=ports(before.open, new.open),
        closed=ports(before.closed, new.closed),
        filtered=ports(before.filtered, new.filtered),
        strict=strict,
    )


def tell_of_faults(
    box: Middlebox, others: Sequence[Middlebox], stage: Stage, actors: Actors, director: Director
) -> None:
    """A fault that fires is a condition, for endpoints and for faults elsewhere, and may kill a process."""

    def fired(name: str, kills: Sequence[tuple[str, str]] = ()) -> None:
        for endpoint, number in kills:
            actors.kill(endpoint, number)
        if kills:
            director.begin(tell_once_signalled(name, kills))
        else:
            tell(name)

    async def tell_once_signalled(name: str, kills: Sequence[tuple[str, str]]) -> None:
        for endpoint, _ in kills:
            await actors.wait_signalled(endpoint)
        tell(name)

    def tell(name: str) -> None:
        for other in others:
            other.reach(name)
        director.fired(name)
        stage.reach(name, "fired")

    box.on_fired(fired)
