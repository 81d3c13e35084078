"""`matrix` and `ip`: one file, several cases, each with its values put where `${name}` stands.

A scalar that is nothing but `${name}` becomes the value itself, a number where that is one; inside
other text the value's text is put. `$${` is a literal `${`.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from tcpharness.scenario.place import Place
from tcpharness.scenario.problem import NAME_PATTERN, Problem, quoted, unknown
from tcpharness.scenario.yaml_tree import Node

MOST_CASES = 200
MOST_CASE_NODES = 200_000  # cases times nodes: bounds the work that a small file can ask for
MOST_TEXT = 1 << 20

USE = re.compile(r"\$\$\{|\$\{([^}]*)\}")
NAME = re.compile(NAME_PATTERN)


@dataclass(slots=True, eq=False, repr=False)
class Axis:
    """One name of the matrix and its values, scalars."""

    name: str
    key: Node
    values: list[Node]


@dataclass(slots=True, eq=False, repr=False)
class Matrix:
    axes: list[Axis] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def cases(self) -> list[dict[str, Node]]:
        """The values of every case, in order; one case without values when there is no matrix."""
        names = [axis.name for axis in self.axes]
        every = itertools.product(*(axis.values for axis in self.axes))
        return [dict(zip(names, values, strict=True)) for values in every]

    def bracket(self, values: dict[str, Node]) -> str:
        """`[ip=6,mss=536]`, of the names that have several values."""
        shown = [f"{a.name}={values[a.name].value}" for a in self.axes if len(a.values) > 1]
        return f"[{','.join(shown)}]" if shown else ""


def read_matrix(root: Node, file: str) -> Matrix:
    """The axes of a scenario: `ip` first, then `matrix` in its order."""
    matrix = Matrix()
    sections = {key.value: (key, value) for key, value in root.pairs}
    if "ip" in sections:
        _add(matrix, *sections["ip"], file)
    if "matrix" in sections:
        _add_section(matrix, sections["matrix"][1], file)
    total = 1
    for axis in matrix.axes:
        total *= len(axis.values)
        if total > MOST_CASES or total * root.size > MOST_CASE_NODES:
            _wrong(matrix, file, axis.key, f"the matrix makes too many cases; expected at most {MOST_CASES}")
            break
    return matrix


def _add_section(matrix: Matrix, node: Node, file: str) -> None:
    if node.kind != "mapping":
        expected = "expected a mapping of names to lists of values"
        _wrong(matrix, file, node, f"{node.describe()} cannot stand here; {expected}")
        return
    for key, values in node.pairs:
        if not NAME.fullmatch(key.value):
            _wrong(matrix, file, key, f"{quoted(key.value)} is no name; expected letters, digits, - and _")
        _add(matrix, key, values, file)


def _add(matrix: Matrix, key: Node, node: Node, file: str) -> None:
    values = node.items if node.kind == "list" else [node]
    before = len(matrix.problems)
    if any(axis.name == key.value for axis in matrix.axes):
        _wrong(matrix, file, key, f"duplicate key {quoted(key.value)}; it is given at the top already")
    if not values:
        _wrong(matrix, file, node, f"no value for {quoted(key.value)}; expected a list of values")
    seen: set[str] = set()
    for value in values:
        if value.kind != "scalar" or value.is_null():
            _wrong(
                matrix, file, value, f"{value.describe()} cannot be a matrix value; expected a number or text"
            )
        elif value.value in seen:
            _wrong(matrix, file, value, f"{quoted(value.value)} twice; expected different values")
        elif key.value == "ip" and value.value not in ("4", "6"):
            _wrong(matrix, file, value, f"{value.describe()} is no IP version; expected one of 4, 6")
        seen.add(value.value)
    if len(matrix.problems) == before:
        matrix.axes.append(Axis(key.value, key, list(values)))


def _wrong(matrix: Matrix, file: str, node: Node, text: str) -> None:
    matrix.problems.append(Problem(Place(file, node.line, node.column), text))


@dataclass(slots=True, eq=False, repr=False)
class Substitution:
    """The tree of one case. Nodes keep the places where they are used."""

    values: dict[str, Node]
    file: str
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    length: int = 0  # of all text that values were put into

    def apply(self, node: Node) -> Node:
        """Recursive; the tree's depth is bounded."""
        if node.kind == "scalar":
            return self._scalar(node) if "${" in node.value else node
        if node.kind == "list":
            items = [self.apply(item) for item in node.items]
            return Node("list", node.line, node.column, items=items, size=node.size)
        return self._mapping(node)

    def _mapping(self, node: Node) -> Node:
        pairs: list[tuple[Node, Node]] = []
        seen: set[str] = set()
        for key, value in node.pairs:
            new = self.apply(key)
            if new.value in seen:
                self._wrong(key, f"duplicate key {quoted(new.value)}, once the matrix is filled in")
                continue
            seen.add(new.value)
            pairs.append((new, value if key.value == "matrix" else self.apply(value)))
        return Node("mapping", node.line, node.column, pairs=pairs, size=node.size)

    def _scalar(self, node: Node) -> Node:
        whole = USE.fullmatch(node.value)
        if whole and whole[1] in self.values:
            value = self.values[whole[1]]
            self.used.add(whole[1])
            return Node("scalar", node.line, node.column, value.value, value.plain)
        text = USE.sub(lambda use: self._text(use, node), node.value)
        self.length += len(text)
        if self.length > MOST_TEXT:
            self._wrong(node, "the matrix makes too much text; expected shorter values, or fewer uses")
            return node
        return Node("scalar", node.line, node.column, text, node.plain)

    def _text(self, use: re.Match[str], node: Node) -> str:
        if use[1] is None:
            return "${"
        if use[1] not in self.values:
            self._wrong(node, unknown("matrix name", use[1], self.values))
            return use[0]
        self.used.add(use[1])
        return self.values[use[1]].value

    def _wrong(self, node: Node, text: str) -> None:
        self.problems.append(Problem(Place(self.file, node.line, node.column), text))
