"""Conditions to wait for: `client blocked`, `lost fired`."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario.compound import Key, Table
from tcpharness.scenario.model import Until
from tcpharness.scenario.problem import listed, unknown
from tcpharness.scenario.shape import Named, Scope, Unknown
from tcpharness.scenario.yaml_tree import Node

ENDPOINT_STATES = ("blocked", "established", "closed", "done", "listening")


def _until(node: Node, scope: Scope) -> Any:
    subject, _, state = node.value.strip().rpartition(" ")
    subject = subject.strip()
    if not subject or state not in (*ENDPOINT_STATES, "fired"):
        raise Unknown(f"{node.describe()} is no condition; expected {UNTIL_EXPECTED}")
    kind = "fault" if state == "fired" else "endpoint"
    known = scope.outline.names(kind)
    if known is not None and subject not in known:
        raise Unknown(unknown(kind, subject, known))
    return Until(subject, state, scope.place(node))  # type: ignore[arg-type]


UNTIL_EXPECTED = f'"ENDPOINT STATE" (states: {listed(ENDPOINT_STATES)}) or "FAULT fired"'
UNTIL = Named(UNTIL_EXPECTED, _until, {"type": "string", "pattern": " "})
PAUSE_UNTIL = Table(
    "pause",
    {"until": Key(UNTIL, "An endpoint's state, or a fault that has fired.", required=True)},
    lambda fields: {"until": fields.get("until")},
)
