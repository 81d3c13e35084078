"""Scripts that can never go as written: told before anything is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from tcpharness.packet.line import Line
from tcpharness.packet.segment import ACK, SYN
from tcpharness.scenario.compound import Fields
from tcpharness.scenario.model import Endpoint, Host, Link, Place, ScriptStep
from tcpharness.scenario.problem import quoted
from tcpharness.scenario.script_keys import MOST_ADDRESSES, MOST_CONVERSATIONS
from tcpharness.scenario.shape import Scope

FIRST_ADDRESS = 101  # of scripts, in the network of their link
SMALLEST = FIRST_ADDRESS + MOST_ADDRESSES  # addresses that the network must have


@dataclass(frozen=True, slots=True)
class Known:
    """What can have happened by a step, on one way there or another."""

    sent: bool = False
    came: bool = False
    peer_syn: bool = False

    def __or__(self, other: Known) -> Known:
        return Known(self.sent or other.sent, self.came or other.came, self.peer_syn or other.peer_syn)


# --- the steps


def check_script(steps: Sequence[ScriptStep], kind: str, fields: Fields) -> None:
    """One endpoint's script, by itself. `kind`: listen or connect."""
    scope, first = fields.scope, next((s for s in steps if s.do != "pause"), None)
    if kind == "run":
        fields.wrong("script", "a script is no program; expected connect or listen with it")
    elif kind == "listen" and first is not None and first.do in ("send", "silence"):
        scope.wrong(
            first.at,
            "nobody to talk to yet; expected an `expect` first, or connect instead of listen",
        )
    elif kind == "connect" and first is not None and first.do != "send":
        scope.wrong(first.at, "who connects begins; expected a `send` first, or listen instead of connect")
    _walk(steps, Known(), fields.name, scope)


def _walk(steps: Sequence[ScriptStep], known: Known, name: str, scope: Scope) -> Known:
    for step in steps:
        if step.do == "send":
            known = _check_send(step, known, scope)
        elif step.do == "expect":
            known = _check_expect(step, known, scope)
        elif step.do == "any_of":
            _check_branches(step, scope)
            ends = [_walk(branch, known, name, scope) for _, branch in step.branches]
            for end in ends:
                known |= end
        elif step.until is not None and step.until.subject == name and step.until.state != "established":
            scope.wrong(step.until.at, f"{name} would wait for itself; expected another endpoint's state")
    return known


def _check_send(step: ScriptStep, known: Known, scope: Scope) -> Known:
    line = step.line
    assert line is not None
    if line.icmp is not None:
        if not known.came:
            scope.wrong(
                step.at,
                "it is about a segment that came, and none has; expected an `expect` first",
            )
        return known
    relative = line.ack is not None and not line.ack.on_wire
    if not known.peer_syn and (relative or (line.flags & ACK and line.ack is None)):
        text = "ACK before SYN: it acknowledges what the other side cannot have sent by then"
        scope.wrong(
            step.at, f"{text}; expected an `expect` of its SYN first, or `ack =N` for the number on the wire"
        )
    return known | Known(sent=True)


def _check_expect(step: ScriptStep, known: Known, scope: Scope) -> Known:
    line = step.line
    assert line is not None
    if line.flags & ACK and not known.sent:
        text = "ACK before SYN: it acknowledges what this script has not sent by then"
        scope.wrong(step.at, f"{text}; expected a `send` first")
    return known | Known(came=True, peer_syn=bool(line.flags & SYN))


def _check_branches(step: ScriptStep, scope: Scope) -> None:
    """Alternatives are told apart by what comes first, so each waits for another segment."""
    if len(step.branches) < 2:
        scope.wrong(step.at, "any of one; expected two alternatives or more")
    seen: list[tuple[str, Line | None, Place]] = []
    for name, branch in step.branches:
        first = branch[0]
        if first.do not in ("expect", "silence") or (first.do == "expect" and not first.times.low):
            scope.wrong(first.at, "an alternative without a beginning; expected it to begin with an `expect`")
            continue
        for other, line, at in seen:
            if _overlap(first.line, line):
                text = f"overlaps with {quoted(other)} at {at}: one segment could be meant by both"
                scope.wrong(first.at, f"{text}; expected them to differ in a field that both give")
        seen.append((name, first.line, first.at))


def _overlap(line: Line | None, other: Line | None) -> bool:
    if line is None or other is None:
        return line is other  # two times nothing
    return line.overlaps(other)


# --- where they live


def check_places(
    endpoints: Sequence[Endpoint], hosts: Sequence[Host], links: Sequence[Link], scope: Scope
) -> None:
    """A script needs a link, a host whose kernel leaves its addresses alone, and room for them."""
    by_name = {host.name: host for host in hosts}
    taken: dict[str, int] = {}
    for endpoint in endpoints:
        if endpoint.kind != "script" or endpoint.on not in by_name:
            continue
        own = [link for link in links if endpoint.on in link.hosts]
        problem = _place_problem(endpoint, by_name, own)
        if problem is None:
            taken[own[0].name] = taken.get(own[0].name, 0) + endpoint.addresses
            if taken[own[0].name] > MOST_ADDRESSES:
                problem = f"more than {MOST_ADDRESSES} addresses of scripts on one link; expected fewer"
        if problem is not None:
            scope.wrong(endpoint.at, problem)


def _place_problem(endpoint: Endpoint, hosts: dict[str, Host], own: Sequence[Link]) -> str | None:
    host = hosts[endpoint.on]
    if not own:
        return f"host {host.name} has no link, and a script lives on one; expected links with {host.name}"
    forwards = len(own) > 1 if host.forward is None else host.forward
    if forwards:
        return f"host {host.name} forwards, so its kernel meddles; expected forward: off, or another host"
    loud = [name for name in own[0].hosts if name in hosts and hosts[name].offload]
    if loud:
        return f"host {loud[0]} has offload on, so a script sees what no wire carries; expected it off"
    if len(own[0].hosts) >= FIRST_ADDRESS:
        return f"link {own[0].name} has no address left for a script; expected under {FIRST_ADDRESS} hosts"
    address = own[0].addresses.get(host.name)
    if address is not None and ip_network(address, strict=False).num_addresses < SMALLEST:
        return f"{address} leaves no room for a script; expected a network of {SMALLEST} addresses or more"
    count = max(1, len(endpoint.ports)) * endpoint.addresses * endpoint.times
    if count > MOST_CONVERSATIONS:
        return f"{count} conversations; expected at most {MOST_CONVERSATIONS}"
    return None


def read_places(fields: Fields) -> None:
    """`check_places`, where all that it needs could be read."""
    found: list[Any] = [fields.get(key, ()) for key in ("endpoints", "hosts", "links")]
    check_places(found[0], found[1], found[2], fields.scope)
