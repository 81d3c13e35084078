"""A script's lines: read, compared with what comes, told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.packet.line import parse
from tcpharness.packet.notation import Isn, parse_line
from tcpharness.packet.segment import Segment
from tcpharness.peer.numbers import Numbers, Side

ISN = Isn(own=1000, other=500)


def came(line: str) -> Segment:
    return parse_line("0.0 > " + line)


@pytest.mark.parametrize(
    ("wanted", "line", "differs"),
    [
        ("S. 0:0(0) ack 1", "S. 1000:1000(0) ack 501 win 7 <mss 1460>", []),
        ("S.", "S. 7:7(0) ack 9", []),
        ("S.", "S 7:7(0)", ["flags"]),
        ("P?.", ". 7:7(0) ack 9", []),
        ("P?.", "P. 7:7(0) ack 9", []),
        ("P?.", "F. 7:7(0) ack 9", ["flags"]),
        ("P. 1:6(5) ack 1", "P. 1001:1005(4) ack 502", ["len", "ack"]),
        ("P. 1:6(5) ack 1", "P. 1002:1007(5) ack 501", ["seq"]),
        (". =7:7(0) ack =9", ". 7:7(0) ack 9", []),
        (". -1:-1(0)", ". 999:999(0) ack 1", []),
        (". win 0", ". 1:1(0) ack 1 win 1", ["win"]),
        ("S <mss 1460,sackOK>", "S 0:0(0) <mss 1460,nop,nop,sackOK>", []),
        ("S <mss, TS, no wscale>", "S 0:0(0) <mss 9,TS val 1 ecr 0>", []),
        ("S <mss 1460, no TS>", "S 0:0(0) <mss 9,TS val 1 ecr 0>", ["mss 1460", "no TS"]),
        (". <TS ecr 7>", ". 0:0(0) ack 1 <TS val 1 ecr 7>", []),
        (". <TS ecr 7>", ". 0:0(0) ack 1 <TS val 7 ecr 1>", ["TS ecr 7"]),
        (". <sack 1 {101:201}>", ". 0:0(0) ack 1 <sack 1 {601:701}>", []),
        (". <sack 2 {101:201}{301:401}>", ". 0:0(0) ack 1 <sack 1 {601:701}>", ["sack 2 {101:201}{301:401}"]),
        (". <unknown-254 0xf989>", ". 0:0(0) ack 1 <unknown-254 0xf989>", []),
        ("P. [ttl 3, payload \"ab\"]", 'P. 1:3(2) ack 1 [ttl 3, payload "ab"]', []),
        ("P. [ttl 3, payload \"ab\"]", 'P. 1:3(2) ack 1 [payload "ac"]', ["payload", "ttl 3"]),
    ],
)  # fmt: skip
def test_what_is_left_out_does_not_matter(wanted: str, line: str, differs: list[str]) -> None:
    assert parse(wanted, sent=False).differs(came(line), ISN) == differs


def test_a_damaged_segment_fits_only_where_it_is_asked_for() -> None:
    segment = came(". 1:1(0) ack 1 [cksum bad]")
    assert parse(".", sent=False).differs(segment, ISN, damaged=True) == ["checksum"]
    assert parse(". [cksum bad]", sent=False).differs(segment, ISN, damaged=True) == []
    assert parse(". [cksum bad]", sent=False).differs(came("."), ISN) == ["checksum"]


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("S.", "S. 0:0(0) ack 1", True),
        ("S.", "R.", False),
        ("P?.", "P.", True),
        ("P?.", "F.", False),
        ("P?.", "FP?.", False),
        (". ack 1", ". ack 2", False),
        (". ack 1", ". ack =2", True),
        (". ack 1", ". win 0", True),
        ("S <mss 1460>", "S <mss 9>", False),
        ("S <mss>", "S <mss 9>", True),
        ("S <wscale>", "S <no wscale>", False),
        ("P. 1:6(5)", "P. 1:7(6)", False),
    ],
)
def test_two_lines_overlap_when_one_segment_could_fit_both(one: str, other: str, overlap: bool) -> None:
    first, second = parse(one, sent=False), parse(other, sent=False)
    assert first.overlaps(second) == second.overlaps(first) == overlap


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hello", "is no segment; expected like"),
        ("SS 0:0(0)", "a flag twice"),
        ("P?. 0:0(0)", "leaves the flag P open"),
        ("S 0:1(0)", "does not add up; expected the end 0"),
        ("S win 70000", "at most 65535"),
        ("P. 1:6(5) [payload \"abc\"]", "5 bytes and a payload of 3"),
        ("S <mss>", "without its value"),
        ("S <no mss>", "expected `no` and a name alone"),
        ("S <mss 70000>", "takes more than 2 bytes"),
        ("S <bogus 3>", "which is not known; expected mss N"),
        (". <sack 2 {1:2}>", "as many blocks as it says"),
        ("S <unknown-254 0xzz>", "not hexadecimal"),
        ("S [weight 3]", "fits no header; expected like"),
        ("S [ttl 300]", "has .ttl 300., which fits no header"),
        ("S [ttl x]", "has .ttl x., which fits no header"),
        ("S <sack 4 {1:2}{3:4}{5:6}{7:8},TS val 1 ecr 1>", "44 bytes of options; expected at most 40"),
        ("P. 1:70001(70000)", "expected at most 65455"),
        ("icmp frag_needed", "is incomplete"),
        ("icmp bogus", "unknown ICMP error bogus; expected one of net_unreachable"),
        ("S =99999999999:99999999999(0)", "expected at most"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(line, sent=True)


def test_what_can_only_be_sent_is_not_expected() -> None:
    for line in (". [frag_offset 8]", ". [cksum 0x1234]", "icmp host_unreachable", "S ack 1"):
        with pytest.raises(ValueError):
            parse(line, sent=False)


PARTS = ["S", ".", "P?.", "R", "none", "1:6(5)", "=7:7(0)", "-1:0(1)", "ack 1", "ack =9", "win 0", "urg 5",
         "<mss 1460>", "<TS ecr 7>", "<sack 1 {1:2}>", "<no TS>", "<unknown-9 0xff>", "[ttl 3]", "[id 99999]",
         "[payload \"abc\"]", "icmp", "frag_needed", "mtu 9", "<", "]", "=", "99999999999"]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=7), st.booleans())
def test_any_words_are_a_line_or_refused(words: list[str], sent: bool) -> None:
    try:
        line = parse(" ".join(words), sent=sent)
    except ValueError:
        return
    assert line.overlaps(line)
    if sent:
        numbers = Numbers(Side("10.0.0.1", 1), Side("10.0.0.2", 2), 7, peer_isn=5, peer_nxt=6, last=bytes(40))
        assert numbers.write(line)
    else:
        assert isinstance(line.differs(came(". 1:1(0) ack 1"), ISN), list)
