"""docs/vocabulary.md and `explain`: every word with which something can be made to go wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tcpharness.packet.notation import parse_line
from tcpharness.report.explain import explain
from tcpharness.report.glossary_faults import SEGMENTS, vocabulary
from tcpharness.scenario.event_keys import CONDITION_KEYS, LAB_VERBS
from tcpharness.scenario.fault_keys import ACTION, MATCH_KEYS
from tcpharness.scenario.impair_keys import IMPAIRMENT_KEYS
from tcpharness.scenario.load import load
from tcpharness.scenario.script_keys import STEP_KEYS

PAGE = Path(__file__).parents[2] / "docs" / "vocabulary.md"
WORDS = sorted({*MATCH_KEYS, *ACTION.verbs, *LAB_VERBS, *CONDITION_KEYS, *IMPAIRMENT_KEYS})
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


def test_the_page_is_made_of_the_tables(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text(vocabulary())
    assert PAGE.read_text() == vocabulary()


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_on_the_page_and_is_explained(word: str) -> None:
    assert f"| `{word}` | " in vocabulary()
    assert word in explain(word).splitlines()[0].casefold() + explain(word).casefold()


@pytest.mark.parametrize("word", list(STEP_KEYS))
def test_every_step_of_a_script_is_on_the_page(word: str) -> None:
    assert f"| `{word}` | " in vocabulary()


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
