"""docs/language.md, pages of its parts: examples load, and the tables of keys are those of the loader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tcpharness.scenario.compound import ByKind, Key, ListOf, Made, MapOf, OneVerb, Table, Verb
from tcpharness.scenario.load import load
from tcpharness.scenario.monitor_keys import MONITOR_FILE, RuleShape
from tcpharness.scenario.scenario_keys import SCENARIO, Resolved
from tcpharness.scenario.shape import Shape

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "language.md"
TABLED = (PAGE, DOCS / "monitors.md")
PAGES = ("language.md", "impairments.md", "time.md")
EXAMPLES = [
    (page, example)
    for page in PAGES
    for example in re.findall(r"^```yaml\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
]
TABLE = re.compile(r"(<!-- table: ([a-z ]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

# What a fragment leaves out.
REST = {
    "scenario": "An example",
    "hosts": "[client, server]",
    "links": "[[client, server]]",
    "endpoints": "{server: {on: server, listen: 105}, client: {on: client, connect: server}}",
    "expect": "{findings: {client: {}}}",
}


def completed(example: str) -> str:
    given = set(re.findall(r"^([a-z]+):", example, re.MULTILINE))
    missing = [f"{key}: {value}\n" for key, value in REST.items() if key not in given]
    # A router instead of a direct link has endpoints that nobody asked for.
    return "".join(missing) + example


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
def test_every_example_loads(page: str, example: str) -> None:
    assert load(completed(example), page)


def test_every_page_has_examples() -> None:
    assert {page for page, _ in EXAMPLES} == set(PAGES)


def shapes(shape: Shape | None) -> Iterator[Shape]:
    """The shape and all that it is made of."""
    if shape is None:
        return
    yield shape
    for part in PARTS.get(type(shape), lambda _: ())(shape):
        yield from shapes(part)


PARTS: dict[type, Any] = {
    Table: lambda s: [key.shape for key in s.keys.values()],
    OneVerb: lambda s: [verb.shape for verb in s.verbs.values()],
    Made: lambda s: [s.shape],
    Resolved: lambda s: [s.shape],
    ByKind: lambda s: s.shapes,
    RuleShape: lambda s: s.shapes,
    ListOf: lambda s: [s.item],
    MapOf: lambda s: [s.key, s.value, *(key.shape for key in s.special.values())],
}
TABLES: dict[str, Mapping[str, Key] | Mapping[str, Verb]] = {}
for found in (*shapes(SCENARIO), *shapes(MONITOR_FILE)):
    if isinstance(found, Table):
        TABLES[found.name] = found.keys
    elif isinstance(found, OneVerb):
        TABLES[found.name] = found.verbs

# These three say of themselves all there is, in a sentence of the page.
TOLD = {"send", "receive", "pause", "stall"}
# Those of a link, again.
TOLD |= {"direction"}
# Their header fields are in the table of `when`, once.
FIELDS = set(TABLES["when"]) & set(TABLES["inject"]) - {"to", "from", "flags", "seq", "ack"}


def rendered(name: str) -> str:
    keys = TABLES[name]
    shown = {key: rule for key, rule in keys.items() if name == "when" or key not in FIELDS}
    rows = [f"| `{key}` | {value(rule)} | {cell(rule.about)} |\n" for key, rule in shown.items()]
    return f"| {name} | value | |\n|---|---|---|\n" + "".join(rows)


def value(rule: Key | Verb) -> str:
    """What is expected, where that is short; the others have a table or a sentence of their own."""
    expected = rule.shape.expected if rule.shape else ""
    return cell(expected) if len(expected) <= 80 else "see below"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def test_the_tables_of_keys_are_current(request: pytest.FixtureRequest) -> None:
    for page in TABLED:
        current = TABLE.sub(lambda found: found[1] + rendered(found[2]) + found[4], page.read_text())
        if request.config.getoption("--update-golden"):
            page.write_text(current)
        assert page.read_text() == current, "run pytest --update-golden, then read the diff"


def test_every_table_is_on_a_page() -> None:
    told = {found[1] for page in TABLED for found in TABLE.findall(page.read_text())}
    assert set(TABLES) - TOLD == told
