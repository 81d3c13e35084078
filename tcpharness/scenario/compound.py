"""Shapes made of shapes: lists, mappings of names, mappings with known keys, words with an argument.

The law of shape.py holds here too: `read` never raises; what is wrong is told and gives `WRONG`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tcpharness.scenario.model import Place
from tcpharness.scenario.problem import listed, quoted, unknown
from tcpharness.scenario.shape import MATRIX_VALUE, WRONG, Json, Scope, Shape, Wrong
from tcpharness.scenario.yaml_tree import Node

MOST_MEMBERS = 500  # of a list or a mapping of names; checks between them take their square


@dataclass(frozen=True, eq=False, repr=False)
class Made(Shape):
    """What another shape reads, made into something else."""

    shape: Shape
    make: Callable[[Any, Place, Scope], Any]  # value, place of its name or of itself

    @property
    def expected(self) -> str:  # type: ignore[override]
        return self.shape.expected

    def read(self, node: Node, scope: Scope) -> Any:
        at = scope.name_at or scope.place(node)
        value = self.shape.read(node, scope)
        return WRONG if value is WRONG else self.make(value, at, scope)

    def schema(self, defs: Json) -> Json:
        return self.shape.schema(defs)


@dataclass(frozen=True, eq=False, repr=False)
class ByKind(Shape):
    """Different shapes for a scalar, a list and a mapping."""

    scalar: Shape | None = None
    list: Shape | None = None
    mapping: Shape | None = None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple(shape for shape in (self.scalar, self.list, self.mapping) if shape is not None)

    @property
    def expected(self) -> str:  # type: ignore[override]
        return " or ".join(shape.expected for shape in self.shapes)

    def read(self, node: Node, scope: Scope) -> Any:
        shape: Shape | None = getattr(self, node.kind)
        if shape is None or (node.is_null() and self.scalar is None):
            return self.mismatch(node, scope)
        return shape.read(node, scope)

    def schema(self, defs: Json) -> Json:
        return {"anyOf": [shape.schema(defs) for shape in self.shapes]}


@dataclass(frozen=True, eq=False, repr=False)
class ListOf(Shape):
    """A list; with `single`, one value may stand for a list of one."""

    item: Shape
    expected: str
    least: int = 0
    single: bool = False
    check: Callable[[Sequence[Any], Scope], None] | None = None  # of those that are right by themselves

    def read(self, node: Node, scope: Scope) -> Any:
        if node.kind != "list" and not self.single:
            return self.mismatch(node, scope)
        nodes = node.items if node.kind == "list" else [node]
        if len(nodes) > MOST_MEMBERS:
            return scope.wrong(node, f"{len(nodes)} members; expected at most {MOST_MEMBERS}")
        if len(nodes) < self.least:
            return scope.wrong(node, f"{len(nodes)} of at least {self.least}; expected {self.expected}")
        values = [self.item.read(item, scope) for item in nodes]
        right = tuple(value for value in values if value is not WRONG)
        if self.check is not None:
            self.check(right, scope)
        return right if len(right) == len(values) else WRONG

    def schema(self, defs: Json) -> Json:
        item = self.item.schema(defs)
        several: Json = {"type": "array", "items": item, "minItems": self.least}
        return {"anyOf": [item, several]} if self.single else several


@dataclass(frozen=True, eq=False, repr=False)
class Key:
    """One key of a mapping: its value's shape and what it means."""

    shape: Shape
    about: str
    required: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class MapOf(Shape):
    """A mapping of names; every value is read under its name (`Scope.name`)."""

    key: Shape
    value: Shape
    expected: str
    special: Mapping[str, Key] = field(default_factory=dict)  # words that are no names
    nullable: bool = False
    name: str = ""  # in the schema, where it is referred to

    def read(self, node: Node, scope: Scope) -> Any:
        if node.kind != "mapping" and not (self.nullable and node.is_null()):
            return self.mismatch(node, scope)
        if len(node.pairs) > MOST_MEMBERS:
            return scope.wrong(node, f"{len(node.pairs)} members; expected at most {MOST_MEMBERS}")
        found: dict[str, Any] = {}
        outer = scope.name, scope.name_at
        right = [self._read_pair(key, value, found, scope) for key, value in node.pairs]
        scope.name, scope.name_at = outer
        return found if all(right) else WRONG

    def _read_pair(self, key: Node, value: Node, found: dict[str, Any], scope: Scope) -> bool:
        special = self.special.get(key.value)
        name = key.value if special else self.key.read(key, scope)
        if name in found:
            scope.wrong(key, f"{quoted(key.value)} is {quoted(name)}, which is already there")
        scope.name = key.value if name is WRONG else name
        scope.name_at = scope.place(key)
        found[scope.name] = (special.shape if special else self.value).read(value, scope)
        return name is not WRONG and found[scope.name] is not WRONG

    def schema(self, defs: Json) -> Json:
        if self.name and self.name in defs:
            return {"$ref": f"#/$defs/{self.name}"}
        json: Json = {
            "type": ["object", "null"] if self.nullable else "object",
            "additionalProperties": self.value.schema(defs),
        }
        if self.special:
            json["properties"] = _properties(self.special, defs)
        if not self.name:
            return json
        defs[self.name] = json
        return {"$ref": f"#/$defs/{self.name}"}


def _properties(keys: Mapping[str, Key], defs: Json) -> Json:
    return {key: {**rule.shape.schema(defs), "description": rule.about} for key, rule in keys.items()}


@dataclass(slots=True, eq=False, repr=False)
class Fields:
    """The values of a mapping that was read, with their places."""

    scope: Scope
    at: Place  # of the name it stands under, or of the mapping itself
    name: str
    values: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, tuple[Node, Node]] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.nodes

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def only(self, *keys: str) -> dict[str, Any]:
        """Those of the keys that are given, ready for a model's constructor."""
        return {key: self.values[key] for key in keys if key in self.values}

    def place(self, key: str) -> Place:
        return self.scope.place(self.nodes[key][1])

    def wrong(self, key: str, text: str) -> Wrong:
        return self.scope.wrong(self.nodes[key][0], text)


@dataclass(frozen=True, eq=False, repr=False)
class Table(Shape):
    """A mapping with known keys. `build` makes the model's object, or reports and returns WRONG."""

    name: str  # in messages and in the schema: "endpoint"
    keys: Mapping[str, Key]
    build: Callable[[Fields], Any]
    nullable: bool = False  # nothing at all is an empty mapping

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"a mapping with {listed(self.keys)}"

    def read(self, node: Node, scope: Scope) -> Any:
        if node.kind != "mapping" and not (self.nullable and node.is_null()):
            return self.mismatch(node, scope)
        fields = Fields(scope, scope.name_at or scope.place(node), scope.name)
        scope.name_at = None  # it is this mapping's, not its parts'
        right = [self._read_key(key, value, fields) for key, value in node.pairs]
        for key, rule in self.keys.items():
            if rule.required and key not in fields.nodes:
                scope.wrong(fields.at, f"{self.name} without {quoted(key)}; expected {rule.shape.expected}")
                right.append(False)
        return self.build(fields) if all(right) else WRONG

    def _read_key(self, key: Node, value: Node, fields: Fields) -> bool:
        rule = self.keys.get(key.value)
        if rule is None:
            fields.scope.wrong(key, unknown("key", key.value, self.keys, f" in {self.name}"))
            return False
        fields.nodes[key.value] = (key, value)
        read = rule.shape.read(value, fields.scope)
        fields.values[key.value] = read
        return read is not WRONG

    def schema(self, defs: Json) -> Json:
        name = self.name.replace(" ", "_")
        if name not in defs:
            defs[name] = {}  # claimed first: a table may contain itself
            required = [key for key, rule in self.keys.items() if rule.required]
            defs[name] = {
                "type": ["object", "null"] if self.nullable else "object",
                "properties": _properties(self.keys, defs),
                "required": required,
                "additionalProperties": False,
            }
        return {"$ref": f"#/$defs/{name}"}


@dataclass(frozen=True, eq=False, repr=False)
class Verb:
    """One thing to do: the shape of what follows it, None when nothing may."""

    shape: Shape | None
    about: str
    bare: bool = False  # the word alone is enough


@dataclass(frozen=True, eq=False, repr=False)
class OneVerb(Shape):
    """A word, or a mapping of exactly one word to its argument: `close`, `send: 1 KiB`."""

    name: str
    verbs: Mapping[str, Verb]
    build: Callable[[str, Any, Place, Scope], Any]

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"{self.name}: {listed(self.verbs)}"

    def read(self, node: Node, scope: Scope) -> Any:
        if node.kind == "mapping" and len(node.pairs) > 1:
            words = listed(key.value for key, _ in node.pairs)
            return scope.wrong(node, f"{words} in one {self.name}; expected one word in each")
        if node.kind == "mapping" and node.pairs:
            return self._argument(*node.pairs[0], scope)
        if node.kind != "scalar" or node.is_null():
            return self.mismatch(node, scope)
        return self._bare(node, scope)

    def _bare(self, node: Node, scope: Scope) -> Any:
        verb = self.verbs.get(node.value)
        if verb is None:
            return scope.wrong(node, unknown(self.name, node.value, self.verbs))
        if not verb.bare and verb.shape is not None:
            return scope.wrong(node, f"{quoted(node.value)} needs a value; expected {verb.shape.expected}")
        return self.build(node.value, None, scope.place(node), scope)

    def _argument(self, key: Node, value: Node, scope: Scope) -> Any:
        verb = self.verbs.get(key.value)
        if verb is None:
            return scope.wrong(key, unknown(self.name, key.value, self.verbs))
        if value.is_null():
            return self._bare(key, scope)
        if verb.shape is None:
            return scope.wrong(value, f"{quoted(key.value)} takes no value; expected the word alone")
        read = verb.shape.read(value, scope)
        return WRONG if read is WRONG else self.build(key.value, read, scope.place(key), scope)

    def schema(self, defs: Json) -> Json:
        words = [word for word, verb in self.verbs.items() if verb.bare or verb.shape is None]
        verbs = {
            word: {**(verb.shape.schema(defs) if verb.shape else {"type": "null"}), "description": verb.about}
            for word, verb in self.verbs.items()
        }
        mapping: Json = {
            "type": "object",
            "properties": verbs,
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        }
        defs[self.name] = {"anyOf": [{"enum": words}, MATRIX_VALUE, mapping] if words else [mapping]}
        return {"$ref": f"#/$defs/{self.name}"}
