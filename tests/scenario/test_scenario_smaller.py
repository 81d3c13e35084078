"""Smaller scenarios: each proposal is one step, is written as it was, and empties nothing by halves."""

from __future__ import annotations

import pytest

from tcpharness.scenario.load import load
from tcpharness.scenario.smaller import proposals, with_values

TEXT = """\
# a comment
scenario: Much happens
ip: [4, 6]
matrix: {flags: [S, F]}
hosts:
  client: {sysctl: {net.ipv4.tcp_sack: 1}}
  server:
links: [{join: [client, server], delay: 4ms, from: {client: {duplicate: 2%}}}]
endpoints:
  server: {on: server, listen: 105, do: [receive: eof, close]}
  client: {on: client, connect: server, do: [send: 64 KiB, close]}
faults:
  - {name: late, when: {from: client, data: 3}, do: {delay: 8ms}}
  - {name: lost, when: {from: client, data: 12, times: 4}, do: [drop, {inject: {flags: "${flags}"}}]}
  - {name: often, when: {from: server, times: every}, do: {delay: 1ms}}
expect:
  faults: {late: 1, lost: 0.., often: "..3"}
  findings: {client: {}}
"""
ONE = with_values(TEXT, {"ip": "6", "flags": "F"})
BY_NAME = {proposal.about: proposal.text for proposal in proposals(ONE)}


def test_one_case_of_a_matrix() -> None:
    (case,) = load(ONE, "x.yaml")
    assert (case.ip, case.values) == (6, {"ip": "6", "flags": "F"})


def test_a_case_without_values_stays_as_it_is() -> None:
    plain = "scenario: A\nhosts: [a, b]\nlinks: [[a, b]]\nexpect: {}\n"
    assert with_values(plain, {}) == plain


@pytest.mark.parametrize(
    ("about", "gone"),
    [
        ("without fault late", "name: late"),
        ("without fault lost", "name: lost"),
        ("without delay on a link", "delay: 4ms"),
        ("without duplicate on a link", "duplicate"),
        ("without sysctl of client", "sysctl"),
        ("without action 1 of fault lost", "drop"),
        ("without action 2 of fault lost", "inject"),
        ("without endpoint client", "64 KiB"),
    ],
)
def test_removals(about: str, gone: str) -> None:
    assert gone in ONE
    assert gone not in BY_NAME[about]


@pytest.mark.parametrize(
    ("about", "now"),
    [
        ("half of times of fault lost", "times: 2"),
        ("times 1 instead of every of fault often", "times: 1}"),
        ("times 8 instead of every of fault often", "times: 8}"),
        ("half of delay of fault late", "delay: 4ms}}"),
        ("half of delay on a link", "delay: 2ms, from"),
        ("half of duplicate on a link", "duplicate: 1%"),
        ("half of send of client", "send: 32 KiB"),
    ],
)
def test_narrowings(about: str, now: str) -> None:
    assert now not in ONE
    assert now in BY_NAME[about]


def test_every_other_word_stays() -> None:
    lines = [line for line in BY_NAME["without fault late"].splitlines() if line not in ONE.splitlines()]
    assert lines == []


def test_what_is_emptied_goes_and_a_host_stays() -> None:
    assert "delay: 4ms}]" in BY_NAME["without duplicate on a link"]
    assert "client: null" in BY_NAME["without sysctl of client"]


def test_nothing_to_halve_ends_it() -> None:
    text = BY_NAME["half of duplicate on a link"]
    assert not [about for about, _ in proposals(text) if about == "half of duplicate on a link"]


@pytest.mark.parametrize(
    ("fault", "left"), [("lost", "late, often"), ("often", "late, lost"), ("late", "late, lost, often")]
)
def test_what_lets_a_fault_not_fire_goes_with_it(fault: str, left: str) -> None:
    text = BY_NAME[f"without fault {fault}"]
    mentioned = text.split("expect:")[1].split("faults: {")[1].split("}")[0]
    assert [each.split(":")[0] for each in mentioned.split(", ")] == left.split(", ")


def test_expectations_are_never_touched() -> None:
    assert all("findings: {client: {}}" in text for text in BY_NAME.values())
