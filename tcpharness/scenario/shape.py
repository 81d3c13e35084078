"""The vocabulary of the language: shapes that a YAML value can have.

A shape reads a node into a value, and writes itself as JSON Schema. The tables of keys in the
`*_keys` modules are made of shapes, so what is loaded, what is documented and what an editor
completes come from one place.

Law of this file: `read` never raises (but for TooManyProblems). A mistake goes to the scope with its
place, `WRONG` is returned instead of a value, and reading goes on, so that all mistakes of a file
are told at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tcpharness.scenario import quantity as quantities
from tcpharness.scenario.model import Place
from tcpharness.scenario.outline import Outline
from tcpharness.scenario.problem import MOST_PROBLEMS, Problem, listed, one_of, quoted, unknown
from tcpharness.scenario.yaml_tree import Node

Json = dict[str, Any]


class Wrong:
    """The value of what could not be read; the mistake is already reported."""


WRONG: Final = Wrong()


class TooManyProblems(Exception):
    """Nobody reads on: what is told so far is enough, and the rest may be hostile."""


@dataclass(slots=True, eq=False, repr=False)
class Scope:
    """What reading knows about the case, and where mistakes go."""

    file: str
    outline: Outline
    family: Literal[4, 6]
    problems: list[Problem]
    name: str = ""  # the key under which the value being read stands, in a mapping of names
    name_at: Place | None = None

    def place(self, node: Node) -> Place:
        return Place(self.file, node.line, node.column)

    def wrong(self, at: Node | Place, text: str) -> Wrong:
        place = self.place(at) if isinstance(at, Node) else at
        self.problems.append(Problem(place, text))
        if len(self.problems) >= MOST_PROBLEMS:
            raise TooManyProblems
        return WRONG


class Shape:
    """Base of all shapes. `expected` is how a message describes a right value."""

    expected: str

    def read(self, node: Node, scope: Scope) -> Any:
        raise NotImplementedError

    def schema(self, defs: Json) -> Json:
        """JSON Schema of this shape; named mappings are put into `defs` and referred to."""
        raise NotImplementedError

    def mismatch(self, node: Node, scope: Scope) -> Wrong:
        if node.is_null():
            return scope.wrong(node, f"a value is missing; expected {self.expected}")
        return scope.wrong(node, f"{node.describe()} cannot stand here; expected {self.expected}")


MATRIX_VALUE: Json = {"$ref": "#/$defs/matrix_value"}


@dataclass(frozen=True, eq=False, repr=False)
class Scalar(Shape):
    """One value. `parse` gives it, or raises ValueError with the rest of the sentence."""

    expected: str
    parse: Callable[[Node, Scope], Any]
    json: Json

    def read(self, node: Node, scope: Scope) -> Any:
        if node.kind != "scalar" or node.is_null():
            return self.mismatch(node, scope)
        try:
            return self.parse(node, scope)
        except ValueError as error:
            return scope.wrong(node, f"{node.describe()} {error}")

    def schema(self, defs: Json) -> Json:
        return {"anyOf": [dict(self.json), MATRIX_VALUE]}


def quantity(parse: Callable[[str], Any], expected: str, pattern: str) -> Scalar:
    """A number with a unit, or a range; written as text or as a bare number."""
    json: Json = {"type": ["string", "integer"], "pattern": pattern, "description": expected}
    if parse is not quantities.count:
        json |= {"minimum": 0, "maximum": 0}  # of numbers only 0 needs no unit
    return Scalar(expected, lambda node, scope: parse(node.value), json)


TIME = quantity(quantities.time_ns, quantities.TIME, r"^(0|[0-9]+(\.[0-9]+)? ?(ns|us|ms|s|m))$")


def integer(low: int, high: int, what: str = "a whole number") -> Scalar:
    expected = f"{what} from {low} to {high}"

    def parse(node: Node, scope: Scope) -> int:
        if node.plain and node.scalar() == "integer" and len(node.value) <= 24:
            number: int = node.plain_value()
            if low <= number <= high:
                return number
            raise ValueError(f"is out of range; expected {expected}")
        raise ValueError(f"is not a number; expected {expected}")

    return Scalar(expected, parse, {"type": "integer", "minimum": low, "maximum": high})


def choice(*words: str, values: Mapping[str, Any] | None = None, what: str = "value") -> Scalar:
    """One of some words; `values` says what they mean when not themselves."""

    def parse(node: Node, scope: Scope) -> Any:
        if node.value not in words:
            raise ValueError(f"is not known here{_meant(node.value, words)}; {one_of(words)}")
        return values[node.value] if values else node.value

    # What is a word here is a boolean or a number in an editor's eyes.
    enum: list[Any] = [{"true": True, "false": False, "4": 4, "6": 6}.get(word, word) for word in words]
    return Scalar(f"one of {listed(words)}", parse, {"enum": enum})


def _meant(written: str, words: Sequence[str]) -> str:
    from tcpharness.scenario.problem import nearest

    close = nearest(written, words)
    return f", did you mean {quoted(close)}" if close else ""


def pattern(expression: str, expected: str, convert: Callable[[str], Any] = str) -> Scalar:
    """A word of a certain form."""

    def parse(node: Node, scope: Scope) -> Any:
        if node.scalar() == "boolean" or not re.fullmatch(expression, node.value):
            raise ValueError(f"does not fit; expected {expected}")
        return convert(node.value)

    json: Json = {"type": ["string", "integer"], "pattern": f"^(?:{expression})$", "description": expected}
    return Scalar(expected, parse, json)


def _text(node: Node, scope: Scope) -> str:
    if node.scalar() != "text":
        raise ValueError("is not text; expected text, in quotes where it looks like something else")
    if not node.value.strip():
        raise ValueError("is empty; expected text")
    return node.value


TEXT = Scalar("text", _text, {"type": "string", "minLength": 1})
SWITCH = choice("on", "off", "true", "false", values={"on": True, "off": False, "true": True, "false": False})


def reference(kind: str) -> Scalar:
    """The name of something that this scenario declares (or a finding's, from the catalogue)."""

    def parse(node: Node, scope: Scope) -> str:
        known = scope.outline.names(kind)
        if known is not None and node.value not in known:
            # The whole sentence is ours: it names the word itself.
            raise Unknown(unknown(kind, node.value, known))
        return scope.outline.vantages.get(node.value, node.value) if kind == "vantage" else node.value

    article = "an" if kind == "endpoint" else "a"
    return Named(f"{article} {kind}'s name", parse, {"type": "string"})


class Unknown(ValueError):
    """A name that nothing has; the text is the whole message."""


class Named(Scalar):
    def read(self, node: Node, scope: Scope) -> Any:
        if node.kind != "scalar" or node.is_null():
            return self.mismatch(node, scope)
        try:
            return self.parse(node, scope)
        except Unknown as error:
            return scope.wrong(node, str(error))
