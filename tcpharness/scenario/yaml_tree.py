"""YAML text to a tree of nodes that know their line and column. Data only, and bounded.

The rules, all of them because a scenario may come from a stranger:
- YAML 1.2 scalars: `true` and `false` are booleans; `on`, `off`, `yes`, `no` are text, and so
  are dates and `12:30`. (PyYAML's own loaders follow YAML 1.1, where `{on: server}` is `{True: ...}`.)
- No tags at all, one document, text in UTF-8, no tabs for indentation, no merge keys.
- The tree's size counts what aliases repeat, so ten lines cannot become a billion nodes.

Only PyYAML's parser is used, which yields events; composing is ours, without recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from tcpharness.scenario.place import Place
from tcpharness.scenario.problem import MOST_PROBLEMS, Problem, ScenarioErrors, quoted

MOST_BYTES = 1 << 20
MOST_NODES = 10_000
MOST_DEPTH = 40

# YAML 1.2 core schema, section 10.3.2.
NULL = frozenset({"", "~", "null", "Null", "NULL"})
TRUE = frozenset({"true", "True", "TRUE"})
FALSE = frozenset({"false", "False", "FALSE"})
INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(?i:inf)|\.(?i:nan)")

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# YAML 1.2 section 5.1. Not compiled until needed: a set this wide takes 10 ms.
UNPRINTABLE = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]"
TAB_INDENT = re.compile(r"^( *)\t[ \t]*[^\s]", re.MULTILINE)

Kind = Literal["scalar", "list", "mapping"]
Scalar = Literal["null", "boolean", "integer", "number", "text"]


@dataclass(slots=True, eq=False)
class Node:
    """One value with its place. A node that an alias repeats is shared, not copied."""

    kind: Kind
    line: int
    column: int
    value: str = ""  # scalar: the text as written
    plain: bool = False  # scalar: without quotes, so that it may be a number
    items: Sequence[Node] = ()
    pairs: Sequence[tuple[Node, Node]] = ()
    size: int = 1  # nodes, what aliases repeat counted every time

    def scalar(self) -> Scalar:
        """What a scalar is by YAML 1.2's core schema."""
        if not self.plain:
            return "text"
        if self.value in NULL:
            return "null"
        if self.value in TRUE or self.value in FALSE:
            return "boolean"
        if INTEGER.fullmatch(self.value):
            return "integer"
        return "number" if FLOAT.fullmatch(self.value) else "text"

    def is_null(self) -> bool:
        return self.kind == "scalar" and self.plain and self.value in NULL

    def describe(self) -> str:
        """The node in a message: `a list`, `the number 5`, `"text"`."""
        if self.kind != "scalar":
            return f"a {self.kind}"
        kind = self.scalar()
        if kind == "null":
            return "nothing"
        return quoted(self.value) if kind == "text" else f"the {kind} {self.value[:40]}"

    def plain_value(self) -> Any:
        """As dicts, lists and Python scalars, the way a JSON Schema validator wants it."""
        if self.kind == "list":
            return [item.plain_value() for item in self.items]
        if self.kind == "mapping":
            return {key.value: value.plain_value() for key, value in self.pairs}
        return PYTHON[self.scalar()](self.value)


PYTHON: dict[str, Any] = {
    "null": lambda text: None,
    "boolean": lambda text: text in TRUE,
    "integer": lambda text: int(text) if text.lstrip("+-").isdigit() else int(text, 0),
    "number": float,
    "text": str,
}


@dataclass(slots=True, eq=False, repr=False)
class Tree:
    root: Node | None  # None: an empty file, or one in which nothing can be relied on
    problems: list[Problem]


def read_tree(text: str | bytes, file: str, wanted: str = "a scenario") -> Tree:
    """The tree of a file, and what is wrong with it as YAML; `wanted` is what it should be. Never raises."""
    try:
        decoded = _decoded(text, file)
        return _Composer(decoded, file, wanted).compose()
    except ScenarioErrors as errors:
        return Tree(None, errors.problems)


def _decoded(text: str | bytes, file: str) -> str:
    start = Place(file, 1, 1)
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise ScenarioErrors([Problem(start, f"{size} bytes are too many; expected at most 1 MiB")])
    if isinstance(text, bytes):
        text = _utf8(text, file)
    text = text.removeprefix("\ufeff")
    unprintable = CONTROL.search(text) if text.isascii() else re.search(UNPRINTABLE, text)
    if unprintable:
        at = _place(file, text, unprintable.start())
        code = ord(unprintable.group())
        raise ScenarioErrors([Problem(at, f"character U+{code:04X} is not allowed; expected printable text")])
    return text


def _utf8(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        text = f"byte 0x{data[error.start]:02x} is not UTF-8; expected the file in UTF-8"
        raise ScenarioErrors([Problem(_place(file, before, len(before)), text)]) from None


def _place(file: str, text: str, offset: int) -> Place:
    line = text.count("\n", 0, offset) + 1
    return Place(file, line, offset - (text.rfind("\n", 0, offset) + 1) + 1)


class _Composer:
    """Builds the tree from the parser's events with a stack of its own."""

    def __init__(self, text: str, file: str, wanted: str) -> None:
        self.text = text
        self.file = file
        self.wanted = wanted
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}
        self.open: list[tuple[Node, str | None, list[Node]]] = []  # collection, anchor, children
        self.root: Node | None = None
        self.total = 0
        self.documents = 0
        self.block_lines: list[tuple[int, int]] = []  # of `|` and `>` text, where tabs are content

    def compose(self) -> Tree:
        try:
            for event in _events(self.text):
                self._take(event)
            self._tabs()
        except yaml.YAMLError as error:
            self.root = None
            self._tabs()
            if not self.problems:  # a tab says better why it failed
                self._syntax(error)
        if self.root is None and not self.problems:
            self._problem(1, 1, f"the file is empty; expected {self.wanted}")
        return Tree(self.root, self.problems)

    def _take(self, event: Any) -> None:
        mark: Any = event.start_mark  # PyYAML's types allow None, its parsers never give it
        line, column = mark.line + 1, mark.column + 1
        if isinstance(event, ScalarEvent):
            self._tag(event, line, column)
            node = Node("scalar", line, column, event.value, plain=not event.style)
            if event.style in ("|", ">"):
                last: Any = event.end_mark
                self.block_lines.append((line, last.line + 1))
            self._finish(node, event.anchor)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._tag(event, line, column)
            self._descend(event, line, column)
        elif isinstance(event, AliasEvent):
            self._alias(event, line, column)
        elif isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._fatal(line, column, "a second document begins; expected one scenario per file")
        elif self.open:  # the end of a mapping or list: nothing else comes while one is open
            node, anchor, children = self.open.pop()
            self._close(node, children)
            self._finish(node, anchor)

    def _descend(self, event: Any, line: int, column: int) -> None:
        if len(self.open) >= MOST_DEPTH:
            self._fatal(line, column, f"nested too deeply; expected at most {MOST_DEPTH} levels")
        kind: Kind = "mapping" if isinstance(event, MappingStartEvent) else "list"
        self.open.append((Node(kind, line, column), event.anchor, []))
        if event.anchor:
            self.anchors.pop(event.anchor, None)

    def _alias(self, event: Any, line: int, column: int) -> None:
        target = self.anchors.get(event.anchor)
        if target is not None:
            self._finish(target, None, target.size)
            return
        unfinished = any(anchor == event.anchor for _, anchor, _ in self.open)
        why = "repeats what it is part of" if unfinished else "has no anchor before it"
        self._fatal(line, column, f"alias {quoted('*' + event.anchor)} {why}")

    def _close(self, node: Node, children: list[Node]) -> None:
        node.size += sum(child.size for child in children)
        if node.kind == "list":
            node.items = children
            return
        seen: dict[str, Node] = {}
        node.pairs = pairs = []
        for key, value in zip(children[::2], children[1::2], strict=True):
            if key.kind != "scalar":
                self._problem(key.line, key.column, f"a key is {key.describe()}; expected a name")
            elif key.value in seen:
                text = f"duplicate key {quoted(key.value)}; first on line {seen[key.value].line}"
                self._problem(key.line, key.column, text)
            else:
                seen[key.value] = key
                pairs.append((key, value))

    def _finish(self, node: Node, anchor: str | None, added: int = 1) -> None:
        """A node is whole. `added`: the nodes it adds to the tree; an alias adds all of its target again."""
        if anchor:
            self.anchors[anchor] = node
        self.total += added
        if self.total > MOST_NODES:
            where = self.open[-1][0] if self.open else node
            text = f"too many values, aliases expanded; expected at most {MOST_NODES}"
            self._fatal(where.line, where.column, text)
        if self.open:
            self.open[-1][2].append(node)
        else:
            self.root = node

    def _tag(self, event: Any, line: int, column: int) -> None:
        if event.tag is not None:
            self._problem(line, column, f"tag {quoted(event.tag)} is not allowed; a scenario is plain data")

    def _syntax(self, error: yaml.YAMLError) -> None:
        mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        text = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        began: Any = getattr(error, "context_mark", None)
        if began is not None and began.line + 1 != line:
            text += f" ({getattr(error, 'context', None)} from line {began.line + 1})"
        self._problem(line, column, f"not YAML: {text}{self._hint(line)}")

    def _hint(self, line: int) -> str:
        lines = self.text.split("\n")
        here = lines[line - 1] if line <= len(lines) else ""
        if "${" in here:
            return '; inside { } and [ ] a matrix value is written in quotes: "${name}"'
        return ""

    def _tabs(self) -> None:
        if "\t" not in self.text:
            return
        content = {line for first, last in self.block_lines for line in range(first + 1, last + 1)}
        line, counted = 1, 0
        for tab in TAB_INDENT.finditer(self.text):
            line += self.text.count("\n", counted, tab.start())
            counted = tab.start()
            if line not in content:
                self._problem(line, len(tab.group(1)) + 1, "a tab in the indentation; expected spaces")
            if len(self.problems) >= MOST_PROBLEMS:
                return

    def _problem(self, line: int, column: int, text: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(Place(self.file, line, column), text))

    def _fatal(self, line: int, column: int, text: str) -> None:
        self._problem(line, column, text)
        raise ScenarioErrors(self.problems)


def _events(text: str) -> Iterator[Any]:
    parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        event = parser.get_event()
        while not isinstance(event, StreamEndEvent):
            yield event
            event = parser.get_event()
    finally:
        parser.dispose()
