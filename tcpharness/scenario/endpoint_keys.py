"""The keys of `endpoints`: what a host runs, its steps and its socket options."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from tcpharness.scenario.compound import ByKind, Fields, Key, ListOf, Made, MapOf, OneVerb, Table, Verb
from tcpharness.scenario.model import Endpoint, Place, SocketOptions, Step, Target
from tcpharness.scenario.network_keys import HOST, PORT, SIZE, TIME
from tcpharness.scenario.outline import ENDPOINT_KINDS
from tcpharness.scenario.problem import listed, quoted, unknown
from tcpharness.scenario.script_check import check_script
from tcpharness.scenario.script_keys import MOST_ADDRESSES, PORTS, SCRIPT
from tcpharness.scenario.shape import SWITCH, TEXT, WRONG, Named, Scalar, Scope, Unknown, integer, pattern
from tcpharness.scenario.until import PAUSE_UNTIL
from tcpharness.scenario.yaml_tree import Node

SECOND_NS = 1_000_000_000

ENDPOINT_NAME = pattern(
    r"[A-Za-z_](?:[A-Za-z0-9 _-]{0,38}[A-Za-z0-9_-])?",
    "a name of letters, digits, spaces, - and _ that begins with a letter",
)


# --- socket options


def _whole_seconds(fields: Fields, key: str, default_s: int) -> int | None:
    """The kernel counts these times in seconds (tcp(7)); None when it cannot."""
    time_ns: int = fields.get(key, default_s * SECOND_NS)
    if time_ns % SECOND_NS or time_ns < SECOND_NS:
        fields.wrong(key, f"{key} is counted in seconds by the kernel; expected whole seconds, such as 1s")
        return None
    return time_ns


def _keepalive(fields: Fields) -> Any:
    idle, interval = _whole_seconds(fields, "idle", 7200), _whole_seconds(fields, "interval", 75)
    return WRONG if idle is None or interval is None else (idle, interval, fields.get("count", 9))


def _system_times(on: bool, at: Place, scope: Scope) -> tuple[int, int, int] | None:
    return (0, 0, 0) if on else None


KEEPALIVE = Table(
    "keepalive",
    {
        "idle": Key(TIME, "Silence before the first probe, in whole seconds (default: 7200s)."),
        "interval": Key(TIME, "Between probes, in whole seconds (default: 75s)."),
        "count": Key(
            integer(1, 127), "Probes without an answer before the connection is given up (default: 9)."
        ),
    },
    _keepalive,
)


def _options(fields: Fields) -> Any:
    given = fields.only(
        "rcvbuf", "sndbuf", "nodelay", "quickack", "keepalive", "mss", "congestion", "ttl", "tos"
    )
    linger = fields.get("linger")
    if linger and linger % SECOND_NS:
        return fields.wrong("linger", "linger is counted in seconds by the kernel; expected whole seconds")
    return SocketOptions(user_timeout_ns=fields.get("user_timeout"), linger_ns=linger, **given)


OPTIONS = Table(
    "set",
    {
        "rcvbuf": Key(SIZE, "SO_RCVBUF; the kernel doubles it, and its window is about half."),
        "sndbuf": Key(SIZE, "SO_SNDBUF."),
        "nodelay": Key(SWITCH, "TCP_NODELAY: small segments are not held back."),
        "quickack": Key(SWITCH, "TCP_QUICKACK: no delayed ACKs, until the kernel decides otherwise."),
        "keepalive": Key(
            ByKind(scalar=Made(SWITCH, _system_times), mapping=KEEPALIVE),
            "SO_KEEPALIVE, with its times; on: with those of the system.",
        ),
        "user_timeout": Key(TIME, "TCP_USER_TIMEOUT: unacknowledged data ends the connection after this."),
        "mss": Key(integer(88, 32767), "TCP_MAXSEG."),
        "congestion": Key(pattern(r"[a-z0-9_]{1,15}", "a congestion control's name"), "TCP_CONGESTION."),
        "linger": Key(TIME, "SO_LINGER, in whole seconds; 0 makes close() a reset."),
        "ttl": Key(integer(1, 255), "IP_TTL or the IPv6 hop limit."),
        "tos": Key(integer(0, 255), "IP_TOS or the IPv6 traffic class."),
    },
    _options,
)


# --- steps


def _one_payload(fields: Fields) -> Any:
    """Exactly one of text, file and size, as the model's fields."""
    given = [key for key in ("text", "file", "size") if key in fields]
    if len(given) != 1:
        return fields.scope.wrong(fields.at, f"{len(given)} payloads; expected one of text, file, size")
    value = fields.get(given[0])
    return {given[0]: value.encode() if given[0] == "text" else value}


def _size_step(size: int, at: Place, scope: Scope) -> Any:
    return {"size": size} if size else scope.wrong(at, "no byte at all; expected a size from 1 B")


SIZED = Made(SIZE, _size_step)
PAYLOAD_TEXT = Key(TEXT, "These bytes, in UTF-8.")
PAYLOAD_SIZE = Key(Made(SIZE, lambda size, at, scope: size or _size_step(size, at, scope)), "So many bytes.")

SEND = ByKind(
    scalar=SIZED,
    mapping=Table(
        "send",
        {
            "text": PAYLOAD_TEXT,
            "file": Key(TEXT, "The content of a file; its path begins where the scenario's file is."),
            "size": PAYLOAD_SIZE,
        },
        _one_payload,
    ),
)


def _to_eof(node: Node, scope: Scope) -> dict[str, int]:
    if node.value == "eof":
        return {}
    size: int = quantity_or_eof(node.value)
    if size == 0:
        raise ValueError("is no byte at all; expected a size from 1 B, or eof")
    return {"size": size}


def quantity_or_eof(text: str) -> int:
    from tcpharness.scenario.quantity import size_bytes

    try:
        return size_bytes(text)
    except ValueError as error:
        raise ValueError(f"{error}, or eof") from None


RECEIVE_PATTERN = r"^(eof|[0-9]+(\.[0-9]+)? ?(B|kB|KiB|MB|MiB|GiB))$"
RECEIVE = ByKind(
    scalar=Scalar("eof or a size such as 10 KiB", _to_eof, {"type": "string", "pattern": RECEIVE_PATTERN}),
    mapping=Table("receive", {"text": PAYLOAD_TEXT, "size": PAYLOAD_SIZE}, _one_payload),
)

PAUSE = ByKind(
    scalar=Made(TIME, lambda time_ns, at, scope: {"wait_ns": time_ns}),
    mapping=PAUSE_UNTIL,
)


def _step(verb: str, value: Any, at: Place, scope: Scope) -> Any:
    given = {"options": value} if verb == "set" else value or {}
    return Step(do=verb, at=at, **given)  # type: ignore[arg-type]


STEP = OneVerb(
    "step",
    {
        "send": Verb(
            SEND, "Sends seeded bytes of this size (the receiver verifies them), a text, or a file."
        ),
        "receive": Verb(RECEIVE, "Reads so many bytes, a text, or until the other side has finished (eof)."),
        "pause": Verb(PAUSE, "Waits for a time, or until something is so."),
        "shutdown": Verb(None, "Sends FIN and keeps reading."),
        "close": Verb(None, "Closes the connection."),
        "abort": Verb(None, "Closes it with a reset."),
        "set": Verb(OPTIONS, "Sets socket options from here on."),
    },
    _step,
)

# step -> what cannot follow it, and why
IMPOSSIBLE_AFTER: dict[str, tuple[frozenset[str], str]] = {
    "close": (
        frozenset({"send", "receive", "shutdown", "close", "abort", "set"}),
        "the connection is closed by then",
    ),
    "abort": (
        frozenset({"send", "receive", "shutdown", "close", "abort", "set"}),
        "the connection is aborted by then",
    ),
    "shutdown": (frozenset({"send", "shutdown"}), "this side has finished by then"),
    "receive eof": (frozenset({"receive"}), "the other side has finished by then"),
}


def _step_key(step: Step) -> str:
    whole = step.do == "receive" and step.size is None and step.text is None
    return "receive eof" if whole else step.do


def _check_steps(steps: tuple[Step, ...], name: str, scope: Scope) -> None:
    refused: dict[str, str] = {}
    for step in steps:
        if step.do in refused:
            scope.wrong(step.at, f"{step.do} cannot be here: {refused[step.do]}; expected it earlier, or not")
        words, why = IMPOSSIBLE_AFTER.get(_step_key(step), (frozenset(), ""))
        refused |= {word: why for word in words if word not in refused}
        if step.until and step.until.subject == name and step.until.state not in ("established", "fired"):
            scope.wrong(step.until.at, f"{name} would wait for itself; expected another endpoint's state")


# --- endpoints


def _target(node: Node, scope: Scope) -> Target:
    endpoints = scope.outline.endpoints
    if endpoints is None or node.value in endpoints:
        return Target(node.value, None, None)
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^\[\]:]+)):([0-9]{1,6})", node.value)
    if node.value in (scope.outline.hosts or ()):
        return Target(None, node.value, None)  # with `ports`
    if found is None:
        expected = [*endpoints, "HOST:PORT", "[ADDRESS]:PORT"]
        raise Unknown(unknown("endpoint", node.value, expected))
    host, port = found[1] or found[2], int(found[3])
    if not 0 < port < 65536:
        raise Unknown(f"port {port} is out of range; expected a port from 1 to 65535")
    if scope.outline.hosts is not None and host not in scope.outline.hosts:
        _check_literal(host, scope)
    return Target(None, host, port)


def _check_literal(host: str, scope: Scope) -> None:
    try:
        version = ip_address(host).version
    except ValueError:
        raise Unknown(unknown("host", host, scope.outline.hosts or [])) from None
    if version != scope.family:
        raise Unknown(f"{quoted(host)} is IPv{version}, and this case has ip: {scope.family}")


COMMAND = ByKind(
    scalar=Made(TEXT, lambda text, at, scope: ("/bin/sh", "-c", text)),
    list=ListOf(
        Scalar("text", lambda node, scope: node.value, {"type": ["string", "integer"]}),
        "a list of words",
        least=1,
    ),
)

ENDPOINT_KEYS: dict[str, Key] = {
    "on": Key(HOST, "The host it runs on.", required=True),
    "listen": Key(PORT, "Accepts connections at this port."),
    "connect": Key(
        Named("an endpoint, HOST:PORT or [ADDRESS]:PORT", _target, {"type": "string"}),
        "Connects to an endpoint, or to HOST:PORT or [ADDRESS]:PORT.",
    ),
    "run": Key(COMMAND, "Runs a program: a shell command, or a list of words without a shell."),
    "ready": Key(PORT, "run: it is ready when this port listens; others connect to it there."),
    "do": Key(ListOf(STEP, "a list of steps", single=True), "The steps of each connection, in order."),
    "times": Key(integer(1, 100_000), "How many connections to make, or to serve (default: 1)."),
    "set": Key(OPTIONS, "Socket options, set before connect or listen."),
    "from_port": Key(PORT, "connect: the source port."),
    "backlog": Key(integer(0, 65535), "listen: the backlog (default: 128)."),
    "process": Key(SWITCH, "on: in a process of its own, so that a fault can kill it."),
    "script": Key(SCRIPT, "Instead of a kernel: what it expects and sends, on an address of its own."),
    "ports": Key(PORTS, 'script, connect: one conversation with each of these ports, such as "1..200".'),
    "addresses": Key(
        integer(1, MOST_ADDRESSES),
        "script, connect: a conversation from each of so many addresses (default: 1).",
    ),
    "every": Key(TIME, "script, connect: between the starts of two conversations (default: 0)."),
}

ALLOWED = {
    "listen": {"on", "listen", "do", "times", "set", "backlog", "process"},
    "connect": {"on", "connect", "do", "times", "set", "from_port", "process"},
    "run": {"on", "run", "ready"},
    "script listen": {"on", "listen", "script", "times"},
    "script connect": {"on", "connect", "script", "times", "from_port", "ports", "addresses", "every"},
}


def _endpoint(fields: Fields) -> Any:
    given = [kind for kind in ENDPOINT_KINDS if kind in fields]
    if len(given) != 1:
        text = f"endpoint {quoted(fields.name)} has {listed(given) or 'nothing to do'}"
        return fields.scope.wrong(fields.at, f"{text}; expected one of {listed(ENDPOINT_KINDS)}")
    kind = given[0]
    role = f"script {kind}" if "script" in fields and f"script {kind}" in ALLOWED else kind
    misplaced = [key for key in fields.nodes if key not in ALLOWED[role]]
    for key in misplaced:
        what = "a script" if role != kind else kind
        fields.wrong(
            key, f"{quoted(key)} means nothing with {what}; expected one of {listed(sorted(ALLOWED[role]))}"
        )
    if "script" in fields:
        check_script(fields.get("script"), kind, fields)
    _check_target(fields)
    _check_port(fields, "ready" if kind == "run" else "listen")
    steps = fields.get("do", () if "script" in fields else _default_steps(kind, fields.at))
    _check_steps(steps, fields.name, fields.scope)
    return WRONG if misplaced else _built(fields, kind, steps)


def _default_steps(kind: str, at: Place) -> tuple[Step, ...]:
    """Without `do`, a listener reads to the end; both sides close."""
    steps = {"listen": (Step("receive", at), Step("close", at)), "connect": (Step("close", at),)}
    return steps.get(kind, ())


def _built(fields: Fields, kind: str, steps: tuple[Step, ...]) -> Endpoint:
    return Endpoint(
        name=fields.name,
        on=fields.get("on"),
        kind="script" if "script" in fields else kind,  # type: ignore[arg-type]
        at=fields.at,
        port=fields.get("listen", fields.get("ready")),
        target=fields.get("connect"),
        command=fields.get("run", ()),
        options=fields.get("set", SocketOptions()),
        steps=steps,
        every_ns=fields.get("every", 0),
        **fields.only("from_port", "backlog", "times", "process", "script", "ports", "addresses"),
    )


def _check_target(fields: Fields) -> None:
    target, endpoints = fields.get("connect"), fields.scope.outline.endpoints
    if target is None or "ports" in fields:
        return
    if target.port is None and target.host is not None:
        fields.wrong(
            "connect", f"{quoted(target.host)} is a host; expected an endpoint, {target.host}:PORT, or ports"
        )
    if target.endpoint is None or not endpoints:
        return
    fact = endpoints[target.endpoint]
    if fact.kind is not None and fact.port is None and fact.kind != "listen":
        remedy = (
            "expected one with listen, or with ready" if fact.kind == "run" else "expected one with listen"
        )
        fields.wrong("connect", f"endpoint {quoted(target.endpoint)} does not listen; {remedy}")


def _check_port(fields: Fields, key: str) -> None:
    if key not in fields:
        return
    for name, fact in (fields.scope.outline.endpoints or {}).items():
        if name == fields.name:
            return
        if (fact.on, fact.port) == (fields.get("on"), fields.get(key)):
            text = f"port {fact.port} of {fact.on} belongs to endpoint {quoted(name)}; expected another port"
            fields.wrong(key, text)
            return


ENDPOINT = Table("endpoint", ENDPOINT_KEYS, _endpoint)
ENDPOINTS = Made(
    MapOf(ENDPOINT_NAME, ENDPOINT, "a mapping of names to endpoints", nullable=True),
    lambda endpoints, at, scope: tuple(endpoints.values()),
)
