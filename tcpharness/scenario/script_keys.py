"""The keys of `script`: what a peer without a kernel expects and sends, and to how many ports."""

from __future__ import annotations

import re
from typing import Any

from tcpharness.packet.line import LIKE, parse
from tcpharness.scenario.compound import ByKind, Fields, Key, ListOf, Made, MapOf, Table
from tcpharness.scenario.model import Count, Place, ScriptStep
from tcpharness.scenario.network_keys import TIME
from tcpharness.scenario.problem import listed, quoted
from tcpharness.scenario.quantity import COUNT as COUNT_EXPECTED
from tcpharness.scenario.quantity import count
from tcpharness.scenario.shape import WRONG, Json, Scalar, Scope, Shape, pattern, quantity
from tcpharness.scenario.until import PAUSE_UNTIL
from tcpharness.scenario.yaml_tree import Node

WITHIN_NS = 5_000_000_000  # how long a script waits for a segment, where it does not say
MOST_ADDRESSES = 150  # of scripts on one link
MOST_CONVERSATIONS = 10_000
MOST_STEPS = 2_000
REPEATS = f"expected one number of times, and at most {MOST_STEPS} steps in all"
ONCE = Count(1, 1, "1")
NOTHING = "nothing"


def _sent(node: Node, scope: Scope) -> Any:
    return parse(node.value, sent=True)


def _expected(node: Node, scope: Scope) -> Any:
    return NOTHING if node.value == NOTHING else parse(node.value, sent=False)


class Later(Shape):
    """A shape that is made of itself: looked up when it is needed."""

    expected = "a list of script steps"

    def read(self, node: Node, scope: Scope) -> Any:
        return SCRIPT.read(node, scope)

    def schema(self, defs: Json) -> Json:
        return SCRIPT.schema(defs)


def _numbered(branches: tuple[Any, ...], at: Place, scope: Scope) -> tuple[tuple[str, Any], ...]:
    return tuple((str(number), steps) for number, steps in enumerate(branches, 1))


ANY_OF = ByKind(
    list=Made(ListOf(Later(), "a list of alternatives, each a list of steps", least=2), _numbered),
    mapping=Made(
        MapOf(
            pattern(r"[A-Za-z_][A-Za-z0-9_ -]{0,39}", "a name of letters, digits, - and _"),
            Later(),
            "a mapping of names to alternatives",
        ),
        lambda branches, at, scope: tuple(branches.items()),
    ),
)
PAUSE = ByKind(
    scalar=Made(TIME, lambda time_ns, at, scope: {"after_ns": time_ns}),
    mapping=PAUSE_UNTIL,
)

VERBS = ("send", "expect", "any of", "repeat", "pause")
# What may stand beside each of them.
BESIDE = {
    "send": ("after", "times"),
    "expect": ("times", "within"),
    NOTHING: ("for",),
    "any of": ("within",),
    "repeat": ("times",),
    "pause": (),
}

STEP_KEYS: dict[str, Key] = {
    "send": Key(
        Scalar(f"a segment, like {LIKE}", _sent, {"type": "string"}),
        "Sends this segment. What it leaves out follows from what was sent and came before.",
    ),
    "expect": Key(
        Scalar(f"a segment, like {LIKE}, or nothing", _expected, {"type": "string"}),
        "Waits for this segment; what it leaves out does not matter. nothing: none comes (with for).",
    ),
    "any of": Key(ANY_OF, "Goes on with the alternative whose first segment comes (counted: took)."),
    "repeat": Key(Later(), "These steps, `times` times, one after the other."),
    "pause": Key(PAUSE, "Waits for a time, or until something is so."),
    "after": Key(TIME, "send: this long after the step before (default: 0)."),
    "times": Key(
        quantity(count, COUNT_EXPECTED, r"^([0-9]+|[0-9]+ ?\.\.|\.\. ?[0-9]+|[0-9]+ ?\.\. ?[0-9]+)$"),
        'How often (default: 1). expect: "1..3" waits for one; two more may come at any time.',
    ),
    "within": Key(TIME, "expect, any of: at the latest after this (default: 5s)."),
    "for": Key(TIME, "expect: nothing: for so long."),
}


def _step(fields: Fields) -> Any:
    given = [verb for verb in VERBS if verb in fields]
    if len(given) != 1:
        text = f"a script step with {listed(given) or 'nothing to do'}"
        return fields.scope.wrong(fields.at, f"{text}; expected one of {listed(VERBS)}")
    verb = given[0]
    silent = fields.get("expect") == NOTHING
    allowed = BESIDE[NOTHING if silent else verb]
    for key in fields.nodes:
        if key != verb and key not in allowed:
            what = f"expect: {NOTHING}" if silent else verb
            fields.wrong(
                key, f"{quoted(key)} means nothing with {what}; expected {listed(allowed) or f'{verb} alone'}"
            )
            return WRONG
    return BUILDERS[NOTHING if silent else verb](fields)


def _send(fields: Fields) -> Any:
    times = fields.get("times", ONCE)
    if times.low != times.high or not times.low:
        return fields.wrong("times", f"{times} is no number of times to send; expected one number from 1")
    return ScriptStep("send", fields.at, fields.get("send"), fields.get("after", 0), times=times)


def _expect(fields: Fields) -> Any:
    times = fields.get("times", ONCE)
    if times.high == 0:
        return fields.wrong("times", "0 times is never; expected `expect: nothing`, or the step left out")
    within_ns = fields.get("within", WITHIN_NS)
    return ScriptStep("expect", fields.at, fields.get("expect"), within_ns=within_ns, times=times)


def _silence(fields: Fields) -> Any:
    if not fields.get("for"):
        return fields.wrong("expect", "nothing comes, for how long? expected for: a time such as 200ms")
    return ScriptStep("silence", fields.at, within_ns=fields.get("for"))


def _any_of(fields: Fields) -> Any:
    branches = fields.get("any of")
    quiet = next((steps[0] for _, steps in branches if steps[0].do == "silence"), None)
    if quiet is not None and "within" in fields:
        return fields.wrong("within", "one alternative is nothing, and says for how long; expected no within")
    within_ns = quiet.within_ns if quiet else fields.get("within", WITHIN_NS)
    return ScriptStep("any_of", fields.at, within_ns=within_ns, branches=branches)


def _repeat(fields: Fields) -> Any:
    times, steps = fields.get("times", ONCE), fields.get("repeat")
    if times.low != times.high or not 0 < times.low * len(steps) <= MOST_STEPS:
        key = "times" if "times" in fields else "repeat"
        return fields.wrong(key, f"{times} times {len(steps)} steps; {REPEATS}")
    return steps * times.low


def _flat(steps: tuple[Any, ...], at: Place, scope: Scope) -> Any:
    flat = [one for step in steps for one in (step if isinstance(step, tuple) else (step,))]
    if len(flat) > MOST_STEPS:
        return scope.wrong(at, f"{len(flat)} steps; expected at most {MOST_STEPS}")
    return tuple(flat)


def _pause(fields: Fields) -> Any:
    return ScriptStep("pause", fields.at, **fields.get("pause"))


BUILDERS = {
    "send": _send,
    "expect": _expect,
    NOTHING: _silence,
    "any of": _any_of,
    "repeat": _repeat,
    "pause": _pause,
}

SCRIPT_STEP = Table("script step", STEP_KEYS, _step)
SCRIPT = Made(ListOf(SCRIPT_STEP, "a list of script steps", least=1, single=True), _flat)


# --- ports

RANGE = r"([0-9]{1,5}) ?\.\. ?([0-9]{1,5})"
PORTS_EXPECTED = 'ports such as "1..200", or a list of them'


def _range(node: Node, scope: Scope) -> tuple[int, ...]:
    found = re.fullmatch(RANGE, node.value) or re.fullmatch("([0-9]{1,5})()", node.value)
    if found is None:
        raise ValueError(f"are no ports; expected {PORTS_EXPECTED}")
    first, last = int(found[1]), int(found[2] or found[1])
    if not 1 <= first <= last <= 65535:
        raise ValueError("are no ports; expected a first and a last one, from 1 to 65535")
    return tuple(range(first, last + 1))


PORT_RANGE = Scalar(PORTS_EXPECTED, _range, {"type": ["string", "integer"], "pattern": f"^({RANGE}|[0-9]+)$"})


def _together(ranges: tuple[tuple[int, ...], ...], at: Place, scope: Scope) -> Any:
    ports = [port for each in ranges for port in each]
    if len(set(ports)) < len(ports):
        twice = next(port for n, port in enumerate(ports) if port in ports[:n])
        return scope.wrong(at, f"port {twice} is there twice; expected each once")
    return tuple(ports)


PORTS = Made(ListOf(PORT_RANGE, PORTS_EXPECTED, least=1, single=True), _together)
