"""A case's expectations about findings, read as what was there and what was not."""

from __future__ import annotations

import pytest
from verdict_scene import case_of

from tcpharness.scenario.model import Case
from tcpharness.verdict.truth import Stand, concerns_findings, stands

BOTH = ("client", "server")


def case(findings: str) -> Case:
    return case_of(f"findings: {{{findings}}}")


def stand(findings: str) -> Stand:
    return stands(case(f"client: {{{findings}}}"), BOTH)[0]


def told(stand: Stand) -> list[tuple[str, int, int | None]]:
    return [(wish.name, wish.low, wish.high) for wish in stand.wishes]


def test_each_watched_vantage_is_judged_by_itself() -> None:
    found = stands(case("client: {retransmission: 1}, server: {}"), BOTH)
    assert [s.vantages for s in found] == [("client",), ("server",)]
    assert told(found[0]) == [("retransmission", 1, 1)]
    assert told(found[1]) == []


def test_any_is_judged_at_all_captures_without_a_list_of_their_own() -> None:
    found = stands(case("client: {}, any: {gap: 1}"), ("client", "server", "router"))
    assert [s.vantages for s in found] == [("client",), ("server", "router")]


def test_a_vantage_without_a_whole_capture_is_not_judged() -> None:
    assert stands(case("client: {gap: 1}"), ("server",)) == []


def test_lines_of_one_name_add_up() -> None:
    lines = "retransmission: [{kind: fast, count: 1}, {kind: rto, count: 0..2}]"
    assert told(stand(lines.replace("0..2", "'0..2'"))) == [("retransmission", 1, 3)]


def test_alternatives_may_have_been() -> None:
    case_ = case("client: {one_of: [{out_of_order: 1}, {retransmission: 1}]}")
    found = stands(case_, BOTH)[0]
    assert told(found) == [("out_of_order", 0, 1), ("retransmission", 0, 1)]
    assert not found.forbids("out_of_order")


# what is listed, what is reported, whether that is wrong
TABLE = [
    ("", "retransmission", True),
    ("", "duplicate_ack", False),  # a note: nobody's business
    ("duplicate_ack: 0", "duplicate_ack", True),  # but said not to be there
    ("", "our own name", False),
    ("retransmission: 1", "retransmission", False),
    ("retransmission: 1", "syn_retransmission", False),  # a child
    ("syn_retransmission: 1", "retransmission", False),  # the parent's word
    ("retransmission: 1", "out_of_order", True),
    ("retransmission: '0..'", "retransmission", False),
    ("retransmission: 0", "retransmission", True),
    ("retransmission: 0", "spurious_retransmission", True),
    ("retransmission: 0, spurious_retransmission: 1", "spurious_retransmission", False),
    ("connection_refused: 1", "reset", False),  # the same packet, by a broader word
    ("reset: 1", "connection_refused", False),  # a note
    ("reset: 0", "reset", True),
]


@pytest.mark.parametrize(("listed", "name", "wrong"), TABLE)
def test_what_was_not_there(listed: str, name: str, wrong: bool) -> None:
    assert stand(listed).forbids(name) is wrong


def test_who_watches_hosts_is_judged_once_and_silence_needs_every_vantage() -> None:
    (whole,) = stands(case("client: {retransmission: 2}, server: {}"), BOTH, watches_hosts=True)
    assert (whole.vantages, told(whole)) == (BOTH, [("retransmission", 2, 2)])
    assert whole.forbids("zero_window")
    (half,) = stands(case("server: {}"), BOTH, watches_hosts=True)
    assert not half.forbids("retransmission")  # at the client, which nobody watches


def test_the_same_thing_seen_at_two_vantages_was_there_once() -> None:
    (whole,) = stands(case("client: {reset: 1}, server: {reset: 1}"), BOTH, watches_hosts=True)
    assert told(whole) == [("reset", 1, 2)]


def test_failures_about_findings_are_told_from_others() -> None:
    case_ = case("client: {reset: 1, one_of: [{gap: 1}, {retransmission: 1}]}")
    watched = case_.expect.findings[0]
    lines = [*watched.findings, *(line for option in watched.one_of for line in option)]
    assert all(concerns_findings(place, case_) for place in [watched.at, *(line.at for line in lines)])
    assert not concerns_findings(case_.at, case_)
