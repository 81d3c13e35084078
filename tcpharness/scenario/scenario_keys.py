"""The keys of a scenario file, and the case they make."""

from __future__ import annotations

from typing import Any

from tcpharness.scenario.compound import Fields, Key, ListOf, MapOf, Table
from tcpharness.scenario.endpoint_keys import ENDPOINTS
from tcpharness.scenario.expect_keys import CAPTURES, EXPECT, MONITORS, check_watched
from tcpharness.scenario.fault_keys import FAULTS
from tcpharness.scenario.model import Case, Requires
from tcpharness.scenario.network_keys import HOSTS, LINKS, NAME, TIME
from tcpharness.scenario.script_check import read_places
from tcpharness.scenario.shape import SWITCH, TEXT, Json, Scalar, Scope, Shape, choice, integer, pattern
from tcpharness.scenario.yaml_tree import Node

DEFAULT_TIMEOUT_NS = 30_000_000_000

WORD = pattern(r"[A-Za-z0-9_.+/-]{1,60}", "a word")


class Resolved(Shape):
    """`matrix` and `ip`: they are resolved before a case is read, so only their schema is left."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.expected = shape.expected

    def read(self, node: Node, scope: Scope) -> None:
        return None

    def schema(self, defs: Json) -> Json:
        return self.shape.schema(defs)


VALUE = Scalar("a value", lambda node, scope: node.value, {"type": ["string", "number", "boolean"]})

REQUIRES = Table(
    "requires",
    {
        "programs": Key(ListOf(WORD, "a list of programs", single=True), "Programs that must be installed."),
        "sysctls": Key(ListOf(WORD, "a list of settings", single=True), "Kernel settings that must exist."),
        "root": Key(SWITCH, "on: real root is needed, a user namespace will not do."),
    },
    lambda fields: Requires(at=fields.at, **fields.values),
)

SCENARIO_KEYS: dict[str, Key] = {
    "scenario": Key(TEXT, "The title: one sentence that says what is proved.", required=True),
    "about": Key(TEXT, "What happens and why, for people."),
    "tags": Key(ListOf(WORD, "a list of words", single=True), "Words for --tag."),
    "timeout": Key(TIME, "The whole run must end within this (default: 30s)."),
    "seed": Key(integer(0, (1 << 63) - 1), "Of payloads and random draws (default: drawn, and reported)."),
    "timing": Key(
        choice("kernel"),
        "kernel: its timers decide, so that runs may differ; what is expected holds in all of them.",
    ),
    "time": Key(choice("fast"), "fast: the kernel's long timers are made short."),
    "requires": Key(REQUIRES, "What the machine must have, or the scenario is skipped."),
    "ip": Key(
        Resolved(ListOf(choice("4", "6"), "4, 6 or [4, 6]", single=True)),
        "IP version, or both: a matrix like any other (default: 4).",
    ),
    "matrix": Key(
        Resolved(MapOf(NAME, ListOf(VALUE, "a list of values"), "a mapping of names to lists of values")),
        'Name -> values; one case for every combination, with the value where "${name}" stands.',
    ),
    "hosts": Key(
        HOSTS, "The hosts: a list of names, or a mapping of names to their settings.", required=True
    ),
    "links": Key(LINKS, "The links between them; none for a host that talks to itself over lo."),
    "endpoints": Key(ENDPOINTS, "What runs on the hosts: name -> endpoint."),
    "faults": Key(FAULTS, "What goes wrong on purpose."),
    "capture": Key(CAPTURES, "How tcpdump is run, where the default is not right: vantage -> settings."),
    "monitors": Key(MONITORS, "Monitors under test: a list of names, or a mapping of names to more of them."),
    "expect": Key(EXPECT, "What must be seen, and nothing else.", required=True),
}


def _case(fields: Fields) -> Case:
    captures = fields.get("capture", ())
    check_watched(captures, fields.get("expect"), fields.scope)
    read_places(fields)
    return Case(
        name=fields.get("scenario"),
        id=fields.scope.file,
        file=fields.scope.file,
        about=fields.get("about", ""),
        tags=fields.get("tags", ()),
        values={},
        ip=fields.scope.family,
        seed=fields.get("seed"),
        timeout_ns=fields.get("timeout", DEFAULT_TIMEOUT_NS),
        kernel_timing=fields.get("timing") == "kernel",
        fast=fields.get("time") == "fast",
        requires=fields.get("requires", Requires()),
        hosts=fields.get("hosts"),
        links=fields.get("links", ()),
        endpoints=fields.get("endpoints", ()),
        faults=fields.get("faults", ()),
        captures=captures,
        expect=fields.get("expect"),
        monitors=fields.get("monitors", ()),
        at=fields.at,
    )


SCENARIO: Table = Table("scenario", SCENARIO_KEYS, _case)


def read_case(root: Node, scope: Scope) -> Any:
    return SCENARIO.read(root, scope)
