"""How an endpoint's connections are known on the wire: what `flow:` in a fault means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpharness.packet.address import address_bytes
from tcpharness.scenario.model import Endpoint, Target
from tcpharness.scenario.plan import Plan

if TYPE_CHECKING:
    from tcpharness.fault.flow import Direction


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """Packed addresses and ports; empty or None: any."""

    clients: frozenset[bytes]
    servers: frozenset[bytes] = frozenset()
    sport: int | None = None
    dport: int | None = None

    def fit(self, direction: Direction) -> bool:
        """True for both directions of such a connection."""
        return self._lead(direction) or (direction.reverse is not None and self._lead(direction.reverse))

    def _lead(self, direction: Direction) -> bool:
        sport, dport = direction.ports
        return (
            direction.src in self.clients
            and (not self.servers or direction.dst in self.servers)
            and self.sport in (None, sport)
            and self.dport in (None, dport)
        )


def flow_facts(plan: Plan) -> dict[str, FlowFacts]:
    """Of every endpoint that connects. Two of one host, to the same port, without `from_port`, look alike."""
    return {
        endpoint.name: _facts(plan, endpoint)
        for endpoint in plan.case.endpoints
        if endpoint.target is not None or endpoint.kind == "run"
    }


def _facts(plan: Plan, endpoint: Endpoint) -> FlowFacts:
    clients = _own(plan, endpoint)
    if endpoint.target is None:  # a program: all that its host starts
        return FlowFacts(clients)
    servers, dport = _target(plan, endpoint.target)
    return FlowFacts(clients, servers, endpoint.from_port, dport)


def _target(plan: Plan, target: Target) -> tuple[frozenset[bytes], int | None]:
    if target.endpoint is not None:
        server = next(e for e in plan.case.endpoints if e.name == target.endpoint)
        return _own(plan, server), server.port
    return _addresses(plan, target.host or ""), target.port


def _own(plan: Plan, endpoint: Endpoint) -> frozenset[bytes]:
    """The addresses of its host; a script has its own."""
    if endpoint.name in plan.scripted:
        return frozenset(map(address_bytes, plan.scripted[endpoint.name]))
    return _addresses(plan, endpoint.on)


def _addresses(plan: Plan, host: str) -> frozenset[bytes]:
    """All of a host, or the one that is written instead of a name."""
    for planned in plan.hosts:
        if planned.name == host:
            return frozenset(address_bytes(interface.address) for interface in planned.interfaces)
    return frozenset((address_bytes(host),)) if host else frozenset()
