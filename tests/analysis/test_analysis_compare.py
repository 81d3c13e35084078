"""Two captures of one way."""

from __future__ import annotations

from tcpharness.analysis.compare import compare, syns
from tcpharness.packet.notation import parse_line

SYN = "%s 10.0.0.1.4000 > 10.0.0.2.80: S 7:7(0) <mss 1460,sackOK,wscale 7> [ttl %d]"
BARE = "%s 10.0.0.1.4000 > 10.0.0.2.80: S 7:7(0) <mss 1400> [ttl %d]"
ANSWER = "%s 10.0.0.2.80 > 10.0.0.1.4000: S. 9:9(0) ack 8 <mss 1460> [ttl %d]"


def found(a: list[str], b: list[str]) -> list[tuple[bool, str, str, int]]:
    seen = [syns(parse_line(line, frame=number) for number, line in enumerate(each, 1)) for each in (a, b)]
    return [(in_b, each.name, each.kind, each.frame) for in_b, each in compare(*seen)]


def test_whichever_is_given_first_the_farther_one_has_it() -> None:
    near, far = [ANSWER % (5, 63), SYN % (0, 64)], [BARE % (0, 63), ANSWER % (5, 64)]
    assert found(near, far) == [(True, "mss_clamped", "", 1), (True, "option_stripped", "sackOK", 1)]
    assert found(far, near) == [(False, "mss_clamped", "", 1), (False, "option_stripped", "sackOK", 1)]


def test_without_a_hop_between_them_time_tells() -> None:
    assert [each[:2] for each in found([BARE % (1, 64)], [SYN % (0, 64)])] == [
        (False, "mss_clamped"), (False, "option_stripped"),
    ]  # fmt: skip


def test_an_option_that_came_on_the_way_is_not_lost() -> None:
    assert [each[1] for each in found([BARE % (0, 64)], [SYN % (1, 63)])] == ["mss_clamped"]


def test_what_only_one_has_is_not_compared() -> None:
    assert found([SYN % (0, 64)], [ANSWER % (1, 64), (BARE % (0, 63)).replace("7:7", "8:8")]) == []


def test_a_snapped_syn_says_nothing() -> None:
    assert found([SYN % (0, 64)], [(BARE % (0, 63)).replace("ttl", "snap 56, ttl")]) == []
