"""Frames to segments: every field, broken ones, and sequence numbers that wrap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.packet.checksum import ip_verdict, verdict
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.notation import options_bytes
from tcpharness.packet.segment import (
    decode,
    flags_text,
    flags_value,
    seq_add,
    seq_diff,
    seq_le,
    seq_lt,
)

TOP = (1 << 32) - 1
SYN_OPTIONS = options_bytes("mss 1460,sackOK,TS val 11 ecr 22,nop,wscale 7")


def frame(**fields: object) -> Frame:
    spec = Frame("10.0.0.1", "10.0.0.2", 40000, 105)
    for name, value in fields.items():
        setattr(spec, name, value)
    return spec


@pytest.mark.parametrize(("src", "dst"), [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")])
def test_every_field_comes_back(src: str, dst: str) -> None:
    fields = {
        "src": src,
        "dst": dst,
        "sport": 40000,
        "dport": 105,
        "seq": TOP,
        "ack": 7,
        "win": 512,
        "urg": 3,
    }
    fields |= {"flags": flags_value("S."), "ttl": 17, "tos": 0x2E, "reserved": 5}
    spec = frame(**fields, payload=b"hello", options=SYN_OPTIONS)
    segment = decode(encode(spec), time_ns=5, frame=3)
    assert {name: getattr(segment, name) for name in fields} == fields
    assert (segment.mss, segment.sack_ok, segment.tsval, segment.tsecr, segment.wscale) == (
        1460,
        True,
        11,
        22,
        7,
    )
    assert (segment.payload, segment.payload_len, segment.offset) == (b"hello", 5, 10)
    assert (segment.time_ns, segment.frame, segment.is_tcp, segment.malformed) == (5, 3, True, None)
    assert segment.next_seq == 5  # -1 + SYN + 5 bytes
    assert verdict(segment).word == "correct"
    assert segment.src_mac == "02:00:00:00:00:01"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"offset": 4}, "data offset 4 is below 5"),
        ({"offset": 15}, "points past the segment of 20 bytes"),
        ({"options": b"\x02\x08\x00\x00"}, "option 2 of 8 bytes runs past the header"),
        ({"options": b"\x05\x01\x00\x00"}, "option 5 has length 1"),
        ({"ip_len": 30}, "TCP in 10 bytes"),
        ({"ip_len": 19}, "total length 19 is below the header"),
        ({"ip_len": 400}, "the IP length says 400 bytes, the frame has 40"),
    ],
)
def test_what_is_malformed_says_why(fields: dict[str, object], says: str) -> None:
    found = decode(encode(frame(**fields))).malformed or ""
    assert says in found


def test_a_snapped_frame_is_not_malformed() -> None:
    data = encode(frame(payload=b"x" * 500, options=SYN_OPTIONS))
    for length in range(14, len(data)):
        segment = decode(data[:length], wire_len=len(data))
        assert segment.malformed is None, length
        assert segment.is_tcp == (length >= 54), length
        if segment.is_tcp:
            assert segment.payload_len == 500
            assert verdict(segment).word == "unverified"


def test_link_padding_is_no_payload() -> None:
    segment = decode(encode(frame()) + b"\0" * 6)
    assert (segment.payload_len, segment.payload, segment.whole) == (0, b"", True)


@given(st.binary(max_size=200), st.sampled_from((0, 1, 12, 101, 113, 228, 276, 999)))
def test_no_bytes_raise(data: bytes, linktype: int) -> None:
    segment = decode(data, linktype)
    assert segment.is_tcp or segment.kind
    verdict(segment)
    ip_verdict(segment)


@given(st.data())
def test_no_damage_to_a_frame_raises(data: st.DataObject) -> None:
    whole = bytearray(encode(frame(payload=b"abc", options=SYN_OPTIONS)))
    for _ in range(4):
        whole[data.draw(st.integers(12, len(whole) - 1))] = data.draw(st.integers(0, 255))
    segment = decode(bytes(whole))
    assert segment.payload_len >= 0
    assert len(segment.payload) <= len(whole)


@pytest.mark.parametrize(
    ("a", "b", "ahead"), [(1, 0, 1), (0, TOP, 1), (TOP, 0, -1), (5, 5, 0), (1 << 31, 1, (1 << 31) - 1)]
)
def test_sequence_numbers_wrap(a: int, b: int, ahead: int) -> None:
    assert seq_diff(a, b) == ahead
    assert (seq_lt(a, b), seq_le(a, b)) == (ahead < 0, ahead <= 0)
    assert seq_add(b, ahead) == a


@pytest.mark.parametrize("text", ["S", "S.", "FP.", "R.", "none", "SEW", "FSRP.UEWe"])
def test_flags_are_tcpdumps_letters(text: str) -> None:
    assert flags_text(flags_value(text)) == text


def test_a_letter_that_is_no_flag_is_named() -> None:
    with pytest.raises(ValueError, match="'x' is no TCP flag"):
        flags_value("Sx")


@pytest.mark.parametrize(
    ("fields", "word", "how"),
    [
        ({}, "correct", ""),
        ({"cksum": "bad"}, "incorrect", ""),
        ({"cksum": "offload"}, "offload", "partial"),
        ({"cksum": 0}, "offload", "zeroed"),
        ({"mf": True}, "unverified", "not a whole TCP segment"),
    ],
)
def test_tcp_checksums_are_told_apart(fields: dict[str, object], word: str, how: str) -> None:
    found = verdict(decode(encode(frame(payload=b"abc", **fields))))
    assert (found.word, found.how) == (word, how)


def with_source_route(pointer: int) -> bytes:
    """To 10.0.0.2 first, then to 10.0.0.9, for which the sender has computed the sum (RFC 1122 4.2.3.8)."""
    whole = encode(Frame("10.0.0.1", "10.0.0.9", 4, 5, 1, 1, 0x10, 9))
    head = bytearray(whole[14:34])
    head[0], head[3], head[16:20] = 0x47, 48, bytes((10, 0, 0, 2))
    return whole[:14] + bytes(head) + bytes((1, 131, 7, pointer, 10, 0, 0, 9)) + whole[34:]


def with_routing_header(left: int) -> bytes:
    """To fe80::2 first, then to fe80::9, for which the sender has computed the sum (RFC 8200 8.1)."""
    whole = encode(Frame("fe80::1", "fe80::9", 4, 5, 1, 1, 0x10, 9))
    head = bytearray(whole[14:54])
    head[5], head[6], head[39] = 20 + 24, 43, 2
    return whole[:14] + bytes(head) + bytes((6, 2, 2, left, 0, 0, 0, 0)) + whole[38:54] + whole[54:]


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (with_source_route(4), "correct"),
        (with_source_route(8), "incorrect"),  # used up: the destination is the last one
        (with_routing_header(1), "correct"),
        (with_routing_header(0), "incorrect"),
    ],
)
def test_a_sum_covers_the_final_destination(frame: bytes, word: str) -> None:
    assert verdict(decode(frame)).word == word


@pytest.mark.parametrize(("cksum", "word"), [(None, "correct"), ("bad", "incorrect"), (0, "offload")])
def test_ip_checksums_are_told_apart(cksum: int | str | None, word: str) -> None:
    segment = decode(encode(frame(ip_cksum=cksum)))
    assert ip_verdict(segment).word == word
    assert ip_verdict(segment).right == decode(encode(frame())).ip_cksum


def test_ipv6_has_no_header_checksum() -> None:
    assert ip_verdict(decode(encode(frame(src="fd00::1", dst="fd00::2")))).word == "unverified"
