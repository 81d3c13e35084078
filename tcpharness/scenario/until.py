"""Conditions to wait for: `client blocked`, `lost fired`."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario.compound import Key, Table
from tcpharness.scenario.model import Until
from tcpharness.scenario.outline import ENDPOINT_STATES
from tcpharness.scenario.problem import listed, one_of, quoted, unknown
from tcpharness.scenario.shape import Named, Scope, Unknown
from tcpharness.scenario.yaml_tree import Node


def _until(node: Node, scope: Scope) -> Any:
    subject, _, state = node.value.strip().rpartition(" ")
    subject = subject.strip()
    if not subject or state not in (*ENDPOINT_STATES, "fired"):
        raise Unknown(f"{node.describe()} is no condition; expected {UNTIL_EXPECTED}")
    kind = "fault" if state == "fired" else "endpoint"
    known = scope.outline.names(kind)
    if known is not None and subject not in known:
        raise Unknown(unknown(kind, subject, known))
    if kind == "endpoint" and (never := never_so(subject, state, scope)):
        raise Unknown(never)
    return Until(subject, state, scope.place(node))  # type: ignore[arg-type]


def never_so(endpoint: str, state: str, scope: Scope) -> str:
    """Why waiting for this state would wait for ever; "" when it may come."""
    fact = (scope.outline.endpoints or {}).get(endpoint)
    if fact is None or state in fact.states:
        return ""
    return f"{quoted(endpoint)} is never seen {state}; {one_of(fact.states)}"


UNTIL_EXPECTED = f'"ENDPOINT STATE" (states: {listed(ENDPOINT_STATES)}) or "FAULT fired"'
UNTIL = Named(UNTIL_EXPECTED, _until, {"type": "string", "pattern": " "})
PAUSE_UNTIL = Table(
    "pause",
    {"until": Key(UNTIL, "An endpoint's state, or a fault that has fired.", required=True)},
    lambda fields: {"until": fields.get("until")},
)
