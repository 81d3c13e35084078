"""A file of monitors: one description, or a list as scenarios have it."""

from __future__ import annotations

import pytest

from tcpharness.scenario.monitor_load import load_monitors
from tcpharness.scenario.problem import ScenarioErrors

ONE = "monitor: ours\nread: 'cat {pcap}'\noutput: {format: jsonl}\nfields: {name: n}\n"


def test_one_description() -> None:
    (use,) = load_monitors(ONE, "x.yaml")
    assert use.description is not None
    assert (use.name, use.description.name) == ("ours", "ours")


def test_a_list_and_a_mapping() -> None:
    assert [use.use for use in load_monitors("monitors: [tshark, suricata]\n", "x.yaml")] == [
        "tshark",
        "suricata",
    ]
    text = "monitors: {ours: {use: suricata, with: {rules: a.rules}, names: {reset: [1, 2]}}}\n"
    (use,) = load_monitors(text, "x.yaml")
    assert (use.name, use.use) == ("ours", "suricata")
    assert use.names is not None
    assert [(rule.name, rule.own) for rule in use.names] == [("reset", ("1", "2"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("monitors: {ours: {use: tshark, reed: x}}\n", 'x.yaml:1:32: unknown key "reed"'),
        ("monitors: {ours: {use: tshark, level: note}}\n", "x.yaml:1:19: it is described here and elsewhere"),
        ("monitors: 7\n", "x.yaml:1:11: "),
        ("monitors: [tshark]\nhosts: [a]\n", 'x.yaml:2:1: unknown key "hosts" in monitors file'),
        ("- tshark\n", "x.yaml:1:1: the file is "),
        ("", "x.yaml"),
        (ONE.replace("jsonl", "xml"), "x.yaml:3:18: "),
    ],
)
def test_mistakes_have_a_place(text: str, said: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        load_monitors(text, "x.yaml")
    assert said in str(caught.value)
