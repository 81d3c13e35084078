"""The keys of a monitor's description: the same in a file of its own and under `monitors:` of a scenario."""

from __future__ import annotations

import re
from typing import Any

from tcpharness.analysis.finding import LEVELS
from tcpharness.scenario.compound import ByKind, Fields, Key, ListOf, Made, MapOf, Table
from tcpharness.scenario.monitor import (
    Beside,
    Command,
    Description,
    Feed,
    FieldPaths,
    NameRule,
    Option,
    Output,
    Ready,
    Test,
)
from tcpharness.scenario.monitor_check import check_description
from tcpharness.scenario.network_keys import PORT, SIZE, TIME
from tcpharness.scenario.shape import (
    SWITCH,
    TEXT,
    WRONG,
    Named,
    Scalar,
    Scope,
    Unknown,
    choice,
    integer,
    pattern,
)
from tcpharness.scenario.yaml_tree import Node

MONITOR_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}", "a monitor's name of letters, digits, . - and _")
SIGNAL = choice("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL")
LEVEL = choice(*LEVELS)
WORD = Scalar("text", lambda node, scope: node.value, {"type": ["string", "number", "boolean"]})
WORDS = ListOf(WORD, "a text, or a list of texts", least=1, single=True)
ANY_TEXT = Scalar("text", lambda node, scope: node.value, {"type": "string"})

COMMAND = ByKind(
    scalar=Made(TEXT, lambda text, at, scope: Command((text,), True, at)),
    list=Made(ListOf(WORD, "a list of words", least=1), lambda words, at, scope: Command(words, False, at)),
)


def _expression(node: Node, scope: Scope) -> str:
    try:
        re.compile(node.value)
    except re.error as error:
        raise Unknown(f"the regular expression cannot be right: {error}; expected Python's") from None
    return node.value


EXPRESSION = Named("a regular expression", _expression, {"type": "string"})


# --- conditions on a record

COMPARED = re.compile(r"(<=|>=|<|>|!=)\s*(.+)")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def _test(node: Node, scope: Scope) -> Test:
    text, field = node.value, scope.name
    if text in ("present", "absent") and node.plain:
        return Test(field, "present" if text == "present" else "absent")
    if len(text) > 2 and text[0] == text[-1] == "/":
        _expression(Node("scalar", node.line, node.column, text[1:-1]), scope)
        return Test(field, "matches", text[1:-1])
    compared = COMPARED.fullmatch(text)
    if compared is None:
        return Test(field, "is", text)
    if compared[1] == "!=":
        return Test(field, "not", compared[2])
    if not NUMBER.fullmatch(compared[2]):
        raise Unknown(f'{node.describe()} compares with no number; expected such as "{compared[1]} 3"')
    return Test(field, compared[1], compared[2])  # type: ignore[arg-type]


VALUE = Named('a value, present, absent, "> 3" (>=, <, <=, !=) or /a regular expression/', _test, {})
FIELD = pattern(r"[^\s].{0,199}", "the name of a field of the record")
TESTS = Made(
    MapOf(FIELD, VALUE, "a mapping of fields to values", name="record_tests"),
    lambda found, at, scope: tuple(found.values()),
)
ALTERNATIVES = ByKind(
    mapping=Made(TESTS, lambda tests, at, scope: (tests,)),
    list=ListOf(TESTS, "a list of such mappings", least=1),
)


# --- names

RULE = Table(
    "monitor name",
    {
        "own": Key(WORDS, "The monitor's own names for it."),
        "when": Key(ALTERNATIVES, "Field -> value, all of which must hold; or a list of such mappings."),
        "count": Key(WORDS, "The field that says how many there were, or several whose sum does."),
        "level": Key(LEVEL, "How grave it is (default: as the detector of that name)."),
    },
    lambda fields: NameRule(fields.name, **fields.values),
)


class RuleShape(ByKind):
    """Long, or short: its own names, or a mapping of fields to values, or a list of either."""

    def read(self, node: Node, scope: Scope) -> Any:
        name = scope.name
        if node.kind == "mapping" and {key.value for key, _ in node.pairs} & set(RULE.keys):
            return RULE.read(node, scope)
        tests = node.kind == "mapping" or bool(node.items and node.items[0].kind == "mapping")
        read = (ALTERNATIVES if tests else WORDS).read(node, scope)
        if read is WRONG:
            return WRONG
        return NameRule(name, when=read) if tests else NameRule(name, own=read)


NAMES = Made(
    MapOf(
        pattern(r"[^\s].{0,199}", "a finding's name"),
        RuleShape(scalar=WORD, list=ListOf(ByKind(scalar=WORD, mapping=TESTS), "a list"), mapping=RULE),
        "a mapping of names to what they mean in a record",
    ),
    lambda found, at, scope: tuple(found.values()),
)


# --- the parts

UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
FIELDS = Table(
    "monitor fields",
    {
        "name": Key(WORDS, "Its own name for what it reports; by further ones it is known as well."),
        "time": Key(WORDS, "When: seconds since 1970, or a date by ISO 8601."),
        "unit": Key(choice(*UNITS, values=UNITS), "Of a time that is a number (default: s)."),
        "src": Key(WORDS, "The sender's address."),
        "sport": Key(WORDS, "The sender's port."),
        "dst": Key(WORDS, "The receiver's address."),
        "dport": Key(WORDS, "The receiver's port."),
        "frame": Key(WORDS, "The frame's number in the capture, from 1."),
        "count": Key(WORDS, "How many of them (default: one)."),
        "level": Key(WORDS, "How grave it is, in words that `levels` translates."),
        "text": Key(WORDS, "What it says of it, for people."),
    },
    lambda fields: FieldPaths(
        unit_ns=fields.get("unit", UNITS["s"]), **{k: v for k, v in fields.values.items() if k != "unit"}
    ),
)

HEADER = ByKind(scalar=SWITCH, list=ListOf(WORD, "a list of columns", least=1))


def _output(fields: Fields) -> Any:
    header = fields.get("header", True)
    given = {k: v for k, v in fields.values.items() if k != "header"}
    if not isinstance(header, bool):
        given["columns"], header = header, False
    separator = given.setdefault("separator", "\t" if fields.get("format") == "tsv" else ",")
    if len(separator) != 1:
        return fields.wrong("separator", "it is no single character; expected one such as ';'")
    if fields.get("format") == "lines" and not given.get("pattern"):
        return fields.wrong("format", "lines need a pattern; expected a regular expression with named groups")
    if fields.get("format") in ("csv", "tsv") and not header and not given.get("columns"):
        return fields.wrong("header", "nothing names the columns; expected a list of their names")
    return Output(at=fields.at, header=header, **given)


OUTPUT = Table(
    "monitor output",
    {
        "format": Key(
            choice("jsonl", "json", "csv", "tsv", "keyvalue", "lines", "prometheus"),
            "Its form.",
            required=True,
        ),
        "file": Key(WORDS, "Where it lies, below {out}; may have * in it (default: what it prints)."),
        "optional": Key(SWITCH, "on: a file that is not there is an empty one."),
        "header": Key(HEADER, "csv, tsv: on, or the columns' names where no line says them (default: on)."),
        "separator": Key(ANY_TEXT, "csv: what stands between fields (default: a comma)."),
        "many": Key(TEXT, "What stands between several values of one field."),
        "pattern": Key(
            ListOf(EXPRESSION, "a regular expression, or a list of them", least=1, single=True),
            "lines: with (?P<name>...) for each field; the first that is found counts, other lines don't.",
        ),
        "records": Key(TEXT, "json: the path to its records, such as data.result.*"),
        "only": Key(TESTS, "Field -> value: other records are passed over."),
        "ignore": Key(EXPRESSION, "Lines in which this is found are none of the records."),
    },
    _output,
)

READY_KEYS = {
    "output": Key(EXPRESSION, "It has written this."),
    "file": Key(TEXT, "This file is there, below {out}."),
    "port": Key(PORT, "This port listens on its host."),
    "command": Key(COMMAND, "This command ends with status 0."),
}


def _ready(fields: Fields) -> Any:
    if len(fields.nodes) != 1:
        return fields.scope.wrong(fields.at, "expected exactly one of output, file, port, command")
    return Ready(**fields.values)


READY = ByKind(
    scalar=Made(EXPRESSION, lambda text, at, scope: Ready(output=text)),
    mapping=Table("monitor ready", READY_KEYS, _ready),
)
BESIDE = Table(
    "monitor beside",
    {
        "run": Key(COMMAND, "The program.", required=True),
        "ready": Key(READY, "How it says that it is ready.", required=True),
    },
    lambda fields: Beside(**fields.values),
)

FEED = ByKind(
    mapping=Table(
        "monitor feed",
        {
            "mark": Key(TESTS, "pipe: the record of the frame that ends each capture."),
            "socket": Key(TEXT, "A Unix socket, below {out}, that takes words."),
            "hello": Key(ANY_TEXT, "socket: the first words."),
            "send": Key(
                ANY_TEXT, "socket: the words for a capture, with {pcap} and {out}; it answers with a line."
            ),
            "done": Key(WORDS, "socket: the words that ask how far it is."),
            "idle": Key(EXPRESSION, "socket: what the answers to these have when it is done."),
        },
        lambda fields: _feed(fields),
    ),
)


def _feed(fields: Fields) -> Any:
    pipe = "mark" in fields
    wanted = {"mark"} if pipe else {"socket", "send"}
    if missing := sorted(wanted - set(fields.nodes)):
        return fields.scope.wrong(
            fields.at, f"feed without {', '.join(missing)}; expected mark, or socket and send"
        )
    if pipe and len(fields.nodes) > 1:
        return fields.wrong("mark", "a feed by standard input has a mark and nothing else")
    if ("done" in fields) != ("idle" in fields):
        return fields.scope.wrong(
            fields.at, "done and idle go together; without them its answer to send is enough"
        )
    return Feed(pipe=pipe, **fields.values)


def _option(fields: Fields) -> Option:
    return Option(fields.get("file"), True)


OPTIONS = MapOf(
    pattern(r"[a-z][a-z0-9_]{0,29}", "an option's name of small letters, digits and _"),
    ByKind(
        scalar=Made(ANY_TEXT, lambda text, at, scope: Option(text)),
        mapping=Table("monitor option", {"file": Key(ANY_TEXT, "A file, and which by default.")}, _option),
    ),
    "a mapping of options to their defaults",
)

FILES = Made(
    MapOf(
        pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", "a file's name, without a folder"),
        TEXT,
        "a mapping of files to their texts",
    ),
    lambda found, at, scope: tuple(found.items()),
)

DESCRIPTION_KEYS: dict[str, Key] = {
    "about": Key(TEXT, "What it is, for people."),
    "program": Key(TEXT, "The program that must be installed."),
    "package": Key(TEXT, "Debian's package that brings it (default: as the program)."),
    "version": Key(COMMAND, "Prints its version."),
    "needs": Key(COMMAND, "Ends with status 0 where the machine can run it; else it is skipped."),
    "setup": Key(COMMAND, "live, ask: run on the host before the traffic; ends with status 0."),
    "read": Key(COMMAND, "Reads a capture: {pcap} is the file, {out} a folder of its own."),
    "live": Key(COMMAND, "Watches an interface, {iface}, of a host, until it is told to end."),
    "ask": Key(COMMAND, "Is run on the host at the end, with a live one still there; what it says counts."),
    "every": Key(TIME, "ask: also every so often while there is traffic."),
    "ready": Key(READY, "live: how it says that it is ready."),
    "beside": Key(ListOf(BESIDE, "a list of {run, ready}", least=1), "live: programs that it needs."),
    "sees": Key(
        choice("frames", "kernel"),
        "live, ask: frames: every one of its interface; kernel: its host's counters, sockets or tracepoints. "
        "So it must report the canary of frames, or of sockets.",
    ),
    "settled": Key(COMMAND, "live: ends with status 0 when what has passed has been taken in."),
    "signal": Key(SIGNAL, "live: what ends it (default: TERM)."),
    "status": Key(
        ListOf(integer(0, 255), "an exit status, or a list of them", least=1, single=True),
        "With which it may exit (default: 0).",
    ),
    "per": Key(choice("run", "session"), "session: one process for all captures (default: run)."),
    "feed": Key(FEED, "per: session: how it is given captures."),
    "timeout": Key(TIME, "It must be done within this (default: 30s)."),
    "most": Key(SIZE, "It may write so much (default: 16 MiB)."),
    "root": Key(SWITCH, "on: it needs real root."),
    "files": Key(FILES, "Files that are written into {out} before it starts."),
    "options": Key(OPTIONS, "What a scenario may set, and the defaults: {name} stands for it."),
    "output": Key(OUTPUT, "What it writes, and where.", required=True),
    "fields": Key(FIELDS, "Where the parts of a finding stand in a record."),
    "names": Key(NAMES, "Detector -> when a record means that. Whatever else keeps its own name."),
    "unproven": Key(
        ListOf(WORD, "a list of names", single=True),
        "Of `names`, those that the canary does not bring out of it: silence about them proves nothing.",
    ),
    "level": Key(LEVEL, "Of findings that say nothing of it (default: warning)."),
    "levels": Key(
        MapOf(FIELD, LEVEL, "a mapping of its words to info, note, warning, error"),
        "Its words for how grave a finding is -> info, note, warning, error.",
    ),
}
RENAMED = {"every": "every_ns", "timeout": "timeout_ns", "most": "most_bytes"}


def description_of(fields: Fields, name: str) -> Any:
    """The description that the fields make; what is not its own is left out."""
    given = {RENAMED.get(k, k): v for k, v in fields.values.items() if k in DESCRIPTION_KEYS}
    made = Description(name=name, at=fields.at, **given)
    return made if check_description(made, fields) else WRONG


MONITOR_FILE = Table(
    "monitor description",
    {"monitor": Key(MONITOR_NAME, "Its name.", required=True), **DESCRIPTION_KEYS},
    lambda fields: description_of(fields, fields.get("monitor")),
)
