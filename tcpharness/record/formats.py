"""A monitor's output to records: mappings of field names to values, nested where the form is.

What can't be read ends the reading there: the records before it are kept, and the problem names the line.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tcpharness.record.path import every
from tcpharness.scenario.monitor import Output

Record = dict[str, Any]
MOST_RECORDS = 200_000
SHOWN = 120  # characters of a line in a message
PAIR = re.compile(r'([A-Za-z_][\w.:/-]*)=("(?:[^"\\]|\\.)*"|[^\s,;]*)')
LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)\s*(?:\{(.*)\})?\s+(\S+)(?:\s+(\S+))?")


@dataclass(slots=True)
class Records:
    """What was read; `problem` is None when that is everything."""

    records: list[Record] = field(default_factory=list)
    problem: str | None = None
    columns: tuple[str, ...] = ()  # csv, tsv


class Unreadable(Exception):
    """The text says where and why."""


def read_records(output: Output, text: str) -> Records:
    """The records of a text, in its order. Never raises."""
    found = Records()
    try:
        for record in READERS[output.format](output, text):
            if len(found.records) >= MOST_RECORDS:
                raise Unreadable(f"more than {MOST_RECORDS} records")
            found.records.append(record)
    except Unreadable as error:
        found.problem = str(error)
    found.columns = columns_of(output, text)
    return found


def columns_of(output: Output, text: str) -> tuple[str, ...]:
    """The names of a table's columns; none for other forms."""
    if output.format not in ("csv", "tsv") or output.columns:
        return output.columns
    head = next((line for _, line in lines(output, text)), "")
    return tuple(name.strip() for name in next(csv.reader([head], delimiter=output.separator), []))


def lines(output: Output, text: str) -> Iterator[tuple[int, str]]:
    """(number from 1, line), without those that are empty or to be ignored."""
    ignored = re.compile(output.ignore) if output.ignore else None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not (ignored and ignored.search(line)):
            yield number, line.rstrip("\r")


def _jsonl(output: Output, text: str) -> Iterator[Record]:
    for number, line in lines(output, text):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise Unreadable(f"line {number} is no JSON ({_json_error(error)}): {shown(line)}") from None
        yield from _mappings(output, value, f"line {number}")


def _json(output: Output, text: str) -> Iterator[Record]:
    kept = "\n".join(line for _, line in lines(output, text)) if output.ignore else text
    if not kept.strip():
        return
    try:
        value = json.loads(kept)
    except ValueError as error:
        raise Unreadable(f"it is no JSON ({_json_error(error)}), ending in: {shown(kept[-SHOWN:])}") from None
    yield from _mappings(output, value, "the JSON")


def _json_error(error: ValueError) -> str:
    return str(error).partition(":")[0] if isinstance(error, json.JSONDecodeError) else "a number is too long"


def _mappings(output: Output, value: Any, where: str) -> Iterator[Record]:
    found = every(value, output.records) if output.records else value if isinstance(value, list) else [value]
    for each in found:
        if isinstance(each, dict):
            yield each
        elif not output.records:
            raise Unreadable(f"{where} holds {type(each).__name__} {shown(str(each))} where a mapping is due")


def _table(output: Output, text: str) -> Iterator[Record]:
    names = list(output.columns)
    rows = csv.reader((line for _, line in lines(output, text)), delimiter=output.separator)
    for number, row in enumerate(_rows(rows), 1):
        if not names:
            names = [name.strip() for name in row]
            continue
        if len(row) != len(names):
            had = f"record {number} has {len(row)} fields, its header {len(names)}"
            raise Unreadable(f"{had}: {shown(output.separator.join(row))}")
        yield {name: _many(output, value) for name, value in zip(names, row, strict=True) if value != ""}


def _rows(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise Unreadable(str(error)) from None


def _many(output: Output, value: str) -> Any:
    return value.split(output.many) if output.many and output.many in value else value


def _keyvalue(output: Output, text: str) -> Iterator[Record]:
    for number, line in lines(output, text):
        found = {name: _unquoted(value) for name, value in PAIR.findall(line)}
        if not found:
            raise Unreadable(f"line {number} has no key=value: {shown(line)}")
        yield found


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _lines(output: Output, text: str) -> Iterator[Record]:
    patterns = [re.compile(each) for each in output.pattern]
    for _, line in lines(output, text):
        found = next(filter(None, (pattern.search(line) for pattern in patterns)), None)
        if found is not None:
            yield {name: value for name, value in found.groupdict().items() if value is not None}


def _prometheus(output: Output, text: str) -> Iterator[Record]:
    """The text form of metrics: each sample's labels, its name as `metric`, its value, its time in ms."""
    for number, line in lines(output, text):
        if line.startswith("#"):
            continue
        found = SAMPLE.fullmatch(line.strip())
        if found is None:
            raise Unreadable(f"line {number} is no sample: {shown(line)}")
        labels = {name: re.sub(r"\\(.)", r"\1", value) for name, value in LABEL.findall(found[2] or "")}
        timed = {"timestamp": found[4]} if found[4] else {}
        yield {**labels, "metric": found[1], "value": found[3], **timed}


READERS: dict[str, Callable[[Output, str], Iterator[Record]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": _table,
    "tsv": _table,
    "keyvalue": _keyvalue,
    "lines": _lines,
    "prometheus": _prometheus,
}


def shown(text: str) -> str:
    """A piece of a line as it can stand in a message."""
    cut = text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)
