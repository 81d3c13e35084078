"""docs/vocabulary.md: every word with which a scenario can make something go wrong, with an example each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tcpharness.report.glossary_faults import ACTIONS, MATCHES, OTHER_FIELDS, PARTS
from tcpharness.report.glossary_lab import CONDITIONS, EVENTS, IMPAIRMENT_PARTS, IMPAIRMENTS
from tcpharness.report.glossary_scripts import SEGMENTS, STEPS
from tcpharness.scenario.compound import ByKind, Key, Made, Table, Verb
from tcpharness.scenario.fault_keys import ACTION, MATCH_KEYS
from tcpharness.scenario.impair_keys import IMPAIRMENT_KEYS
from tcpharness.scenario.script_keys import STEP_KEYS
from tcpharness.scenario.shape import Shape

Row = tuple[str, str, str]  # word, what it means, example


def vocabulary() -> str:
    """The whole page."""
    return "\n".join([*_head(), *_faults(), *_lab(), *_scripts()]) + "\n"


def _head() -> list[str]:
    return [
        "# Vocabulary",
        "",
        "Everything that a scenario can make go wrong, a line and an example each. `tcpharness explain WORD`",
        "says the same. The pages behind the links say what is meant where that could be doubted. This page",
        "is made from the tables that read scenarios; a test holds it to them.",
        "",
    ]


def _table(rows: Iterator[Row], first: str = "word") -> list[str]:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {first} | means | example |", "|---|---|---|"] + [
        f"| `{word}` | {about} | `{example}` |" for word, about, example in cells
    ]


def _faults() -> list[str]:
    known = {**MATCHES, **{c.name: c.watch.removeprefix("when: {").removesuffix("}") for c in CONDITIONS}}
    fields = [(name, key.about, f"{name}: {OTHER_FIELDS.get(name, '7')}") for name, key in MATCH_KEYS.items()]
    matches = [(name, about, known.get(name, example)) for name, about, example in fields]
    return [
        "## Which frame, or when: `when` ([faults.md](faults.md), [time.md](time.md))",
        "",
        *_table((name, about, f"when: {{{example}}}") for name, about, example in matches),
        "",
        "## What is done with it: `do` ([faults.md](faults.md))",
        "",
        *_table((name, ACTION.verbs[name].about, f"do: {example}") for name, example in ACTIONS.items()),
        "",
        *_table(_parts(ACTION.verbs, PARTS, "corrupt", "set", "split", "fragment", "inject", "kill"), "part"),
        "",
        "`set` and `inject` take the header fields above as well.",
        "",
    ]


def _lab() -> list[str]:
    return [
        "## What is done to the lab: `do` as well ([time.md](time.md))",
        "",
        *_table((term.name, term.meaning, _example(term.watch, "do: ")) for term in EVENTS),
        "",
        *_table(_parts(ACTION.verbs, PARTS, "firewall", "route", "address"), "part"),
        "",
        "`route` takes the metrics of a host's routes as well ([language.md](language.md)).",
        "",
        "## What a link does to every frame ([impairments.md](impairments.md))",
        "",
        *_table((term.name, term.meaning, term.watch.split(";")[0]) for term in IMPAIRMENTS),
        "",
        *_table(_parts(IMPAIRMENT_KEYS, IMPAIRMENT_PARTS, *IMPAIRMENT_PARTS), "part"),
        "",
    ]


def _parts(
    tables: Mapping[str, Key] | Mapping[str, Verb], examples: Mapping[str, Mapping[str, str]], *words: str
) -> Iterator[Row]:
    """`inject: seq`, and what the loader's own table says of it."""
    for word in words:
        keys = keys_of(tables[word].shape)
        for part, example in examples[word].items():
            yield f"{word}: {part}", keys[part].about, example


def keys_of(shape: Shape | None) -> dict[str, Key]:
    """The keys of a word that takes a mapping."""
    while not isinstance(shape, Table):
        if isinstance(shape, Made):
            shape = shape.shape
        elif isinstance(shape, ByKind):
            shape = shape.mapping
        else:
            return {}
    return dict(shape.keys)


def _example(watch: str, from_word: str) -> str:
    return watch[watch.index(from_word) :].removesuffix("}]")


def _scripts() -> list[str]:
    return [
        "## What a scripted peer does: steps of `script` ([scripts.md](scripts.md))",
        "",
        *_table((name, key.about, STEPS[name]) for name, key in STEP_KEYS.items()),
        "",
        "## Segments in one line",
        "",
        "| written | means |",
        "|---|---|",
        *(f"| `{written}` | {about} |" for written, about in SEGMENTS),
    ]
