"""docs/vocabulary.md and `explain`: every word with which something can be made to go wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcpharness.packet.notation import parse_line
from tcpharness.report.explain import explain
from tcpharness.report.glossary_faults import PARTS
from tcpharness.report.glossary_scripts import SEGMENTS, STEPS
from tcpharness.report.vocabulary import keys_of, vocabulary
from tcpharness.scenario.event_keys import CONDITION_KEYS, LAB_VERBS
from tcpharness.scenario.fault_keys import ACTION, FIELD_KEYS, MATCH_KEYS, STATES
from tcpharness.scenario.impair_keys import IMPAIRMENT_KEYS
from tcpharness.scenario.load import load
from tcpharness.scenario.network_keys import ROUTE_METRICS
from tcpharness.scenario.script_keys import STEP_KEYS

PAGE = Path(__file__).parents[2] / "docs" / "vocabulary.md"
EXAMPLES = re.findall(r"\| `((?:when|do|links): .*?)` \|$", vocabulary(), re.MULTILINE)
SCENARIO = """\
scenario: An example
hosts: {{client: , server: , router: {{forward: on}}}}
links: [[client, server], [client, router]]
endpoints:
  server: {{on: server, listen: 105, process: true}}
  client: {{on: client, connect: server}}
faults:
  - {{name: first, link: client-server, when: {{from: client, nth: 1}}, do: {{delay: 1ms}}}}
  - {{name: cut, link: client-server, when: {{from: client, nth: 1}}, do: {{delay: 1ms}}}}
  - {{name: shown, link: client-server, {what}}}
expect: {{endpoints: {{client: {{}}}}}}
"""

SCRIPTED = """\
scenario: An example
hosts: [client, server]
links: [[client, server]]
endpoints:
  server: {{on: server, listen: 105}}
  peer:
    on: client
    connect: server
    script:
      - send: S 0:0(0)
      - expect: S. 0:0(0) ack 1
      - {step}
expect: {{endpoints: {{server: {{}}}}}}
"""


def test_the_page_is_made_of_the_tables(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text(vocabulary())
    assert PAGE.read_text() == vocabulary()


KINDS = {
    **dict.fromkeys(MATCH_KEYS, "match of a fault"),
    **dict.fromkeys(ACTION.verbs, "action of a fault"),
    **dict.fromkeys(LAB_VERBS, "action on the lab"),
    **dict.fromkeys(("stop", "continue"), "action on the lab"),
    **dict.fromkeys(CONDITION_KEYS, "condition of an event"),
}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        *KINDS.items(),
        *((word, "impairment of a link") for word in IMPAIRMENT_KEYS),
        *((word, "script word") for word in STEP_KEYS),
    ],
)
def test_every_word_is_on_the_page_and_is_explained_as_what_it_is(word: str, kind: str) -> None:
    assert f"| `{word}` | " in vocabulary()
    assert f"{word} ({kind}; docs/" in explain(word)


@pytest.mark.parametrize("action", [*ACTION.verbs, *(w for w in IMPAIRMENT_KEYS if w not in ACTION.verbs)])
def test_every_part_of_a_word_is_on_the_page(action: str) -> None:
    """But header fields and a route's metrics, which have tables of their own."""
    shape = ACTION.verbs[action].shape if action in ACTION.verbs else IMPAIRMENT_KEYS[action].shape
    parts = keys_of(shape)
    for part in parts:
        if part not in (*FIELD_KEYS, *ROUTE_METRICS) or part in PARTS.get(action, ()):
            assert f"| `{action}: {part}` | " in vocabulary()


@pytest.mark.parametrize("word", [*STATES, "next", "rcv_nxt", "in_window", "out_of_window", "strip", "has"])
def test_values_are_explained(word: str) -> None:
    assert word in explain(word)


@pytest.mark.parametrize("step", STEPS.values())
def test_every_step_loads(step: str) -> None:
    assert len(load(SCRIPTED.format(step=step), "x.yaml")) == 1


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_loads(example: str) -> None:
    kind = example.split(":")[0]
    if kind == "links":
        text = f"scenario: A\nhosts: [client, server]\n{example}\n"
        text += "expect: {counters: {client: {TcpOutRsts: 0}}}\n"
    elif kind == "when":
        text = SCENARIO.format(
            what=f"{example}, do: {'{down: client-server}' if 'wait' in example else 'drop'}"
        )
    else:
        text = SCENARIO.format(what=f"when: {{from: client, data: 2}}, {example}")
    assert len(load(text, "x.yaml")) == 1


@pytest.mark.parametrize(
    "written", [s for s, _ in SEGMENTS if not re.search(r"icmp|\?|no |last|=|\{|<mss,", s)]
)
def test_segments_are_in_the_notation(written: str) -> None:
    assert parse_line(f"0.000 > {written}").is_tcp
