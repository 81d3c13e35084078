"""One frame that goes on as two: what each of them says, and that together they say the same."""

from __future__ import annotations

import pytest
from talk import Talk

from tcpharness.packet.checksum import ip_verdict, verdict
from tcpharness.packet.fragments import Fragments
from tcpharness.packet.segment import decode

BOTH = pytest.mark.parametrize("ip", [4, 6])


def sent(do: str, line: str = "P. 1 abcdefgh", ip: int = 4, **fields: object) -> list[bytes]:
    talk = Talk(f"{{when: {{from: client, len: '1..'}}, do: {do}}}", ip)
    talk.opens()
    return [data for _, data in talk.frame("client", line, **fields)]


def said(frames: list[bytes], ip: int = 4) -> list[str]:
    return [Talk("", ip).text(data) for data in frames]


# --- split


@BOTH
@pytest.mark.parametrize(
    ("do", "line", "pieces"),
    [
        ("{split: 3}", "P. 1 abcdefgh", [". 1 abc", "P. 4 defgh"]),
        ("{split: {at: 7}}", "FP. 1 abcdefgh", [". 1 abcdefg", "FP. 8 h"]),
        ("{split: {at: 3, swapped: on}}", "P. 1 abcdefgh", ["P. 4 defgh", ". 1 abc"]),
        ("{split: {at: 5, overlap: 2}}", "P. 1 abcdefgh", [". 1 abcde", "P. 4 defgh"]),
        ("{split: {at: 2, overlap: 99}}", "P. 1 abcdefgh", [". 1 ab", "P. 1 abcdefgh"]),
        ("{split: 4}", "SP 0 abcdefgh", ["S 0 abcd", "P 5 efgh"]),
        ("[duplicate, {split: 3}]", "P. 1 abcdef", [". 1 abc", "P. 4 def", ". 1 abc", "P. 4 def"]),
        ("[{split: 3}, {set: {ttl: 3}}]", "P. 1 abcdef", [". 1 abc", "P. 4 def"]),
        ("[{split: 3}, drop]", "P. 1 abcdef", []),
    ],
)
def test_a_segment_goes_on_as_two(do: str, line: str, pieces: list[str], ip: int) -> None:
    frames = sent(do, line, ip)
    assert said(frames, ip) == pieces
    for data in frames:
        segment = decode(data)
        assert (verdict(segment).word, segment.malformed) == ("correct", None)
        assert ip_verdict(segment).word in ("correct", "unverified")
        assert segment.ttl == (3 if "ttl" in do else 64)


def test_numbers_wrap_and_each_has_an_identification_of_its_own() -> None:
    talk = Talk(
        "{when: {from: client, len: '1..'}, do: {split: 3}}", isn={"client": (1 << 32) - 3, "server": 9}
    )
    talk.opens()
    one, two = (decode(data) for _, data in talk.frame("client", "P. 1 abcdef", id=0xFFFF))
    assert (one.seq, two.seq) == ((1 << 32) - 2, 1)
    assert (one.id, two.id) == (0xFFFF, 0)


@BOTH
def test_a_wrong_checksum_stays_wrong(ip: int) -> None:
    assert [verdict(decode(data)).word for data in sent("[{corrupt: tcp}, {split: 3}]", ip=ip)] == [
        "incorrect"
    ] * 2


@BOTH
@pytest.mark.parametrize("do", ["{split: 8}", "{fragment: 64}"])
def test_where_nothing_is_left_for_the_second_it_does_not_fire(do: str, ip: int) -> None:
    assert said(sent(do, ip=ip), ip) == ["P. 1 abcdefgh"]


# --- fragment


@BOTH
@pytest.mark.parametrize(("do", "order"), [("{fragment: 24}", 1), ("{fragment: {at: 8, swapped: on}}", -1)])
def test_a_packet_goes_on_as_two_fragments_that_are_it_again(do: str, order: int, ip: int) -> None:
    (whole,) = sent("{set: {ttl: 64}}", ip=ip)
    frames = sent(do, ip=ip)
    assert [decode(data).frag_offset > 0 for data in frames] == [order < 0, order > 0]
    fragments = Fragments()
    waiting, joined = (fragments.take(decode(data)) for data in frames)
    assert waiting is None
    assert joined is not None
    assert joined.data[joined.tcp_at : joined.end] == whole[decode(whole).tcp_at :]
    assert verdict(joined).word == "correct"
    assert all(ip_verdict(decode(data)).word in ("correct", "unverified") for data in frames)
