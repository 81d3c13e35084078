"""What each endpoint is to do, worked out before anything opens: addresses, bytes, who sends what to whom.

A script is plain data (it travels to a process endpoint as it is) and holds all that a connection
needs; nothing here touches a socket.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tcpharness.lab.payload import Seeded, Stream
from tcpharness.scenario.model import Endpoint, Place, Step
from tcpharness.scenario.plan import Plan

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
ANY = {4: "0.0.0.0", 6: "::"}


@dataclass(frozen=True, slots=True)
class Script:
    """One endpoint's part."""

    endpoint: Endpoint
    ip: int
    remote: tuple[str, int]  # connect: the address; listen: the wildcard address and the port
    steps: tuple[Step, ...]
    parts: tuple[int | bytes | None, ...]  # per step: seeded bytes to send, or these; None: file missing
    stream: Stream  # all that it sends on each connection
    candidates: tuple[Stream, ...]  # what may arrive; empty: unknown, only counted
    foreign: bool  # a program may be on the other side as well

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def at(self) -> Place:
        return self.endpoint.at

    @property
    def host(self) -> str:
        return self.endpoint.on

    @property
    def opening(self) -> str:
        return self.endpoint.kind

    @property
    def leads(self) -> bool:
        return self.endpoint.kind == "connect"


def write_scripts(plan: Plan, seed: int, files: Mapping[str, bytes]) -> dict[str, Script]:
    """A script for each endpoint of kind listen or connect. `files` are the contents that steps send;
    a file that is not in it becomes ENOENT at its step."""
    case = plan.case
    ours = [e for e in case.endpoints if e.kind in ("listen", "connect")]
    parts = {e.name: tuple(_part(step, files) for step in steps_of(e)) for e in ours}
    streams = {e.name: Stream(Seeded(seed, e.name), _sent(parts[e.name])) for e in ours}
    return {
        e.name: Script(
            endpoint=e,
            ip=case.ip,
            remote=address_of(e, plan),
            steps=steps_of(e),
            parts=parts[e.name],
            stream=streams[e.name],
            candidates=tuple(streams[peer.name] for peer in peers_of(e, plan)),
            foreign=any(other.kind == "run" and other.port is None for other in case.endpoints),
        )
        for e in ours
    }


def steps_of(endpoint: Endpoint) -> tuple[Step, ...]:
    """Its steps; without any, a listener reads to the end of file and a client closes at once."""
    if endpoint.steps or endpoint.kind == "connect":
        return endpoint.steps
    return (Step("receive", endpoint.at),)


def _part(step: Step, files: Mapping[str, bytes]) -> int | bytes | None:
    if step.do != "send":
        return 0
    if step.file is not None:
        return files.get(step.file)
    return step.size if step.text is None else step.text


def _sent(parts: tuple[int | bytes | None, ...]) -> list[int | bytes]:
    return [part for part in parts if part is not None]


def target_of(endpoint: Endpoint, plan: Plan) -> Endpoint | None:
    """The endpoint that a connect endpoint reaches, if it is one of the case's."""
    target, endpoints = endpoint.target, plan.case.endpoints
    if target is None:
        return None
    if target.endpoint is not None:
        return next((e for e in endpoints if e.name == target.endpoint), None)
    hosts = {target.host} | {name for name, address in plan.names.items() if address == target.host}
    hosts |= {end.host for link in plan.links for end in link.ends if end.address == target.host}
    if target.host in (*LOOPBACK.values(), "localhost"):
        hosts.add(endpoint.on)
    # A script is reached by its name alone: its address is not its host's.
    kernels = [e for e in endpoints if e.kind != "script"]
    return next((e for e in kernels if e.port == target.port and e.on in hosts), None)


def peers_of(endpoint: Endpoint, plan: Plan) -> list[Endpoint]:
    """The endpoints of ours whose bytes may arrive here."""
    if endpoint.kind == "connect":
        peer = target_of(endpoint, plan)
        return [peer] if peer is not None and peer.kind == "listen" else []
    clients = [e for e in plan.case.endpoints if e.kind == "connect"]
    return [e for e in clients if (target := target_of(e, plan)) and target.name == endpoint.name]


def address_of(endpoint: Endpoint, plan: Plan) -> tuple[str, int]:
    """Where to connect (the loopback address within a host), or what to listen on."""
    ip, target = plan.case.ip, endpoint.target
    if endpoint.kind == "listen" or target is None:
        return ANY[ip], endpoint.port or 0
    reached = target_of(endpoint, plan)
    port = target.port or (reached.port if reached else None) or 0
    if reached is not None and reached.name in plan.scripted:
        return plan.scripted[reached.name][0], port
    host = reached.on if target.endpoint is not None and reached else target.host or ""
    if host in (endpoint.on, "localhost"):
        return LOOPBACK[ip], port
    return plan.names.get(host, host), port


def describe(step: Step) -> str:
    """A step as the scenario writes it: `receive: eof`, `send: 1024 bytes`, `pause: until client blocked`."""
    if step.until is not None:
        return f"{step.do}: until {step.until.subject} {step.until.state}"
    if step.wait_ns is not None:
        return f"{step.do}: {step.wait_ns / 1e6:g} ms"
    if step.text is not None:
        return f"{step.do}: {step.text.decode(errors='backslashreplace')!r}"
    if step.file is not None:
        return f"{step.do}: file {step.file}"
    if step.size is not None:
        return f"{step.do}: {step.size} bytes"
    return f"{step.do}: eof" if step.do == "receive" else step.do
