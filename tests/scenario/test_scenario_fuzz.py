"""Whatever the bytes, loading gives cases or ScenarioErrors, and cases give a plan."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpharness.scenario.load import ScenarioErrors, load
from tcpharness.scenario.model import Case
from tcpharness.scenario.plan import make_plan

ROOT = Path(__file__).parents[2]
SHIPPED = [path.read_text() for path in sorted((ROOT / "scenarios").rglob("*.yaml"))]
PAGE = (ROOT / "docs" / "language.md").read_text()
WORDS = sorted({word for text in [*SHIPPED, PAGE] for word in text.replace("{", " { ").split()})


def survives(text: str | bytes) -> int:
    """How many cases there are; 0 when the text is refused, with a reason."""
    cases: list[Case] = []
    try:
        cases = load(text, "fuzz.yaml", findings={})
    except ScenarioErrors as errors:
        refused = str(errors)
    assert cases or refused
    for case in cases:
        make_plan(case, 3)
    return len(cases)


def mutated(text: str, rng: random.Random) -> str:
    """One to four edits: a character, a word, or a line, put in, taken out or exchanged."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        end = min(len(text), at + rng.choice([0, 1, 1, 2, 5, 20]))
        new = rng.choice(["", rng.choice(WORDS), rng.choice("{}[]:,&*!|>'\"#\t\n -$%@`~0.")])
        text = text[:at] + new + text[end:]
    return text


@pytest.mark.parametrize("seed", range(20))
def test_mutated_scenarios(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        survives(mutated(rng.choice(SHIPPED), rng))


def test_words_in_any_place() -> None:
    """Each value of a scenario replaced by each of a few strange ones."""
    strange = [
        "~",
        "[]",
        "{}",
        "[{}]",
        "{a: 1}",
        "[[[1]]]",
        "-1",
        "true",
        '""',
        "1e999",
        "0x",
        "a: b",
        "*a",
        "&a b",
    ]
    lines = max(SHIPPED, key=len).split("\n")
    for number, line in enumerate(lines):
        key, colon, _ = line.partition(": ")
        for value in strange if colon else []:
            survives("\n".join([*lines[:number], f"{key}: {value}", *lines[number + 1 :]]))


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes(data: bytes) -> None:
    assert survives(data) == 0


@given(
    st.recursive(
        st.text(max_size=8) | st.integers() | st.none() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "scenario",
                        "hosts",
                        "links",
                        "endpoints",
                        "faults",
                        "expect",
                        "when",
                        "do",
                        "matrix",
                        "ip",
                        "a",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=25,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_tree(value: object) -> None:
    survives(json.dumps({"scenario": "A", "hosts": ["a"], "value": value}))
    if isinstance(value, dict):
        survives(json.dumps({"scenario": "A", "hosts": ["a", "b"], "links": [["a", "b"]], **value}))


MANY = 1600
LAB = "scenario: A\nhosts: [a, b]\nlinks: [[a, b]]\nexpect: {findings: {a: {}}}\n"
HOSTILE = {
    "unknown keys": LAB + "".join(f"k{n}: 1\n" for n in range(MANY)),
    "unknown endpoints": LAB
    + "endpoints:\n"
    + "".join(f"  e{n}: {{on: a, connect: f{n}}}\n" for n in range(MANY)),
    "one port": LAB + "endpoints:\n" + "".join(f"  e{n}: {{on: a, listen: 80}}\n" for n in range(499)),
    "hosts": f"scenario: A\nhosts: {[f'h{n}' for n in range(MANY)]}\nexpect: {{findings: {{}}}}\n",
    "links": "scenario: A\nhosts: [a, b]\nlinks:\n" + "- [a, b]\n" * MANY + "expect: {findings: {}}\n",
    "one long link": f"scenario: A\nhosts: [a, b]\nlinks: [{['a'] * MANY}]\nexpect: {{findings: {{}}}}\n",
    "steps": LAB + "endpoints: {e: {on: a, listen: 80, do: [" + "recv: 1," * MANY + "]}}\n",
    "text of the matrix": LAB + f"matrix: {{x: [{'x' * 100_000}]}}\nabout: [" + '"${x}y",' * MANY + "]\n",
    "cases": LAB + f"matrix: {{x: {list(range(200))}}}\nabout: '${{x}}'\ntags: {['t'] * 400}\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_scenario_costs_little(name: str) -> None:
    start = time.process_time()
    survives(HOSTILE[name])
    # A tenth of this alone; a square of the members would be minutes.
    assert time.process_time() - start < 5
