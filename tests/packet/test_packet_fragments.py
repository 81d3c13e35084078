"""TCP segments in IP fragments: whatever their order, the segment is the one that was sent."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.packet import checksum
from tcpharness.packet.encode import MAC_DST, MAC_SRC, Frame, encode, tcp_bytes
from tcpharness.packet.fragments import MOST_BYTES, MOST_DATAGRAMS, Fragments
from tcpharness.packet.segment import Segment, decode

MACS = MAC_DST + MAC_SRC
SECOND = 1_000_000_000
V4 = Frame("10.0.0.1", "10.0.0.2", 40000, 105, seq=7, ack=9, flags=0x18, win=500, payload=bytes(range(200)))
V6 = replace(V4, src="fd00::1", dst="fd00::2")
TIMESTAMP = bytes((1, 1, 8, 10)) + pack("!II", 7, 8)


def piece(
    frame: Frame, at: int, end: int, *, more: bool | None = None, number: int = 77, df: bool = False
) -> bytes:
    """Bytes at..end of the TCP segment as an Ethernet frame."""
    tcp = tcp_bytes(frame)
    mf = end < len(tcp) if more is None else more
    body = tcp[at:end]
    if ":" in frame.src:
        head = encode(frame)[14:54]
        extension = pack("!BBHI", 6, 0, at | mf, number)
        return MACS + b"\x86\xdd" + head[:4] + pack("!HB", 8 + len(body), 44) + head[7:] + extension + body
    bits = df << 14 | mf << 13 | at // 8
    head = encode(frame)[14:34]
    head = head[:2] + pack("!HHH", 20 + len(body), number, bits) + head[8:10] + b"\0\0" + head[12:]
    return MACS + b"\x08\0" + head[:10] + pack("!H", checksum.ip_checksum(head)) + head[12:] + body


def pieces(frame: Frame, *borders: int) -> list[bytes]:
    ends = [*borders, len(tcp_bytes(frame))]
    return [piece(frame, at, end) for at, end in zip([0, *borders], ends, strict=True)]


def taken(fragments: Fragments, *frames: bytes, step_ns: int = 0) -> list[Segment | None]:
    found = []
    for number, data in enumerate(frames, 1):
        found.append(fragments.take(decode(data, time_ns=number * step_ns, frame=number)))
    return found


def same(found: Segment | None, frame: Frame) -> bool:
    assert found is not None
    whole = decode(encode(frame))
    names = (
        "src",
        "dst",
        "sport",
        "dport",
        "seq",
        "ack",
        "flags",
        "win",
        "tsval",
        "payload",
        "payload_len",
        "ttl",
    )
    return all(getattr(found, name) == getattr(whole, name) for name in names)


@pytest.mark.parametrize("frame", [V4, V6, replace(V4, options=TIMESTAMP)], ids=["4", "6", "options"])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_in_any_order_the_segment_is_the_one_that_was_sent(frame: Frame, order: tuple[int, ...]) -> None:
    parts = pieces(frame, 24, 104)
    fragments = Fragments()
    first, second, found = taken(fragments, *(parts[n] for n in order), step_ns=5)
    assert first is second is None
    assert same(found, frame)
    assert found is not None
    assert (found.pieces, found.frame, found.time_ns, found.whole) == (3, 3, 15, True)
    assert checksum.verdict(found).word == "correct"
    assert checksum.ip_verdict(found).word in ("correct", "unverified")
    assert (fragments.waiting, fragments.held, fragments.given_up) == ({}, 0, [])


@given(st.sets(st.integers(1, 27)), st.randoms())
def test_cut_anywhere(cuts: set[int], random: object) -> None:
    parts = pieces(V4, *(8 * cut for cut in sorted(cuts)))
    random.shuffle(parts)  # type: ignore[attr-defined]
    if len(parts) > 1:
        *waiting, found = taken(Fragments(), *parts)
        assert waiting == [None] * (len(parts) - 1)
        assert same(found, V4)


def test_a_header_in_two_pieces_is_not_malformed() -> None:
    tiny = decode(piece(V4, 0, 8))
    assert (tiny.is_tcp, tiny.malformed) == (False, None)
    assert same(taken(Fragments(), *pieces(V4, 8))[1], V4)


def test_copies_bring_nothing_new() -> None:
    first, second, third = pieces(V4, 24, 104)
    found = taken(Fragments(), first, first, second, third)
    assert found[:3] == [None, None, None]
    assert same(found[3], V4)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (piece(V4, 16, 56), "bytes 16 to 56 overlap another fragment in part"),
        (piece(V4, 64, 128), "bytes 64 to 128 overlap another fragment in part"),
        (piece(V4, 104, 120, more=False), "the last fragment ends at byte 120, another one at 144"),
        (
            piece(V4, 0, 32, more=True)[:20] + b"\x3f\xff" + piece(V4, 0, 32)[22:],
            "more than an IP packet can hold",
        ),
    ],
)
def test_fragments_that_contradict_each_other_are_all_dropped(bad: bytes, why: str) -> None:
    fragments = Fragments()
    begin = [piece(V4, 0, 24), piece(V4, 120, 144)]
    rest = [piece(V4, 24, 120), piece(V4, 144, 220)]
    assert taken(fragments, *begin, bad, *rest) == [None] * 5
    (told,) = fragments.given_up
    assert why in told.conflict
    assert (told.frame, fragments.held) == (3, 0)


def test_a_second_end_is_a_contradiction() -> None:
    fragments = Fragments()
    assert taken(fragments, piece(V4, 104, 220), piece(V4, 40, 48, more=False)) == [None, None]
    assert fragments.given_up[0].conflict == "a fragment up to byte 48 of a packet that ended at 220"


@pytest.mark.parametrize(("frame", "seconds"), [(V4, 30), (V6, 60)], ids=["4", "6"])
def test_a_wait_ends_by_the_captures_clock(frame: Frame, seconds: int) -> None:
    first, last = pieces(frame, 104)
    fragments = Fragments()
    assert fragments.take(decode(first, time_ns=0)) is None
    assert same(fragments.take(decode(last, time_ns=seconds * SECOND)), frame)
    assert fragments.take(decode(first, time_ns=0, frame=9)) is None
    assert fragments.take(decode(last, time_ns=seconds * SECOND + 1)) is None
    assert [(d.frame, d.conflict, d.seen) for d in fragments.given_up] == [(9, "", 104)]


def test_of_what_has_no_beginning_nothing_is_told() -> None:
    fragments = Fragments()
    taken(fragments, piece(V4, 104, 220))
    fragments.end()
    assert (fragments.given_up, fragments.waiting, fragments.held) == ([], {}, 0)


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    fragments = Fragments()
    taken(fragments, *(piece(V4, 0, 24, number=n) for n in range(MOST_DATAGRAMS + 5)))
    assert len(fragments.waiting) == MOST_DATAGRAMS
    assert [d.frame for d in fragments.given_up] == [1, 2, 3, 4, 5]
    large = replace(V4, payload=b"x" * 60000)
    fragments = Fragments()
    taken(fragments, *(piece(large, 0, 60000, number=n) for n in range(200)))
    assert MOST_BYTES - 60000 <= fragments.held <= MOST_BYTES
    assert fragments.held == sum(d.held for d in fragments.waiting.values())


def test_of_snapped_fragments_what_was_captured_is_there() -> None:
    first, second, third = pieces(V4, 104, 160)
    fragments = Fragments()
    for number, data in enumerate((first, second[:60], third)):
        found = fragments.take(decode(data[:60], frame=number, wire_len=len(data)))
    assert found is not None
    assert (found.payload, found.payload_len, found.whole) == (bytes(range(6)), 200, False)
    assert found.malformed is None


def test_the_tunnel_and_the_vlan_stay() -> None:
    first, last = (
        MACS
        + b"\x81\0\0\x05\x08\0"
        + pack("!BBHHHBBH", 0x45, 0, 20 + len(p) - 14, 1, 0, 64, 4, 0)
        + b"\1" * 8
        + p[14:]
        for p in pieces(V4, 104)
    )
    found = taken(Fragments(), first, last)[1]
    assert same(found, V4)
    assert found is not None
    assert (found.tunnel, found.vlans) == ("ipip", (5,))


def test_two_packets_at_once() -> None:
    one, other = pieces(V4, 104), [piece(V4, 0, 56, number=78), piece(V4, 56, 220, number=78)]
    found = taken(Fragments(), one[0], other[1], one[1], other[0])
    assert found[:2] == [None, None]
    assert same(found[2], V4)
    assert same(found[3], V4)
