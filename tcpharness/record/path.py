"""Paths into a record: `alert.signature`, `expr.*.counter.packets`; a field's own name may have dots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def every(value: Any, path: str) -> Iterator[Any]:
    """All values at a path; `*` is each member of a list or a mapping."""
    if not path:
        yield value
        return
    if isinstance(value, dict) and path in value:  # tshark's and nstat's names have dots of their own
        yield value[path]
        return
    step, _, rest = path.partition(".")
    for member in _members(value, step):
        yield from every(member, rest)


def _members(value: Any, step: str) -> Iterable[Any]:
    if step == "*":
        return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        return [value[step]] if step in value else ()
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return [value[int(step)]]
    return ()


def values(record: Any, path: str) -> list[Any]:
    """What stands there, lists of plain values taken apart; nothing where it is missing, null or empty."""
    if type(record) is dict:  # most are plain, one step down at most
        plain = record.get(path)
        if plain is None and path not in record:
            step, _, rest = path.partition(".")
            below = record.get(step)
            if below is None and step != "*":
                return []
            plain = below.get(rest) if type(below) is dict else None
        if type(plain) is str or type(plain) is int:
            return [plain] if plain != "" else []
    found: list[Any] = []
    for value in every(record, path):
        found += value if isinstance(value, list) else [value]
    return [value for value in found if value is not None and value != ""]


def first(record: Any, paths: Iterable[str]) -> Any:
    """The first value at the first path that has one."""
    for path in paths:
        found = values(record, path)
        if found:
            return found[0]
    return None


def text_of(value: Any) -> str:
    """A value as a description writes it: `true`, `3`, `abc`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
