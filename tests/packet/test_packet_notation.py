"""The one-line notation: written, read, and both ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.notation import Isn, format_segment, made_payload, parse_line
from tcpharness.packet.segment import decode, flags_value

LINES = [
    "0.000000 client.40000 > server.105: S 100:100(0) win 9 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 7>",
    "12.345678 server.105 > client.40000: S. 100:100(0) ack 101 win 65535",
    "0.000000 client.40000 > server.105: P. 1:11(10) ack 1 win 502 <nop,nop,TS val 7 ecr 3>",
    "0.000001 client.40000 > server.105: . 11:11(0) ack 1 win 0 <nop,nop,sack 2 {20:30}{40:50}>",
    "0.000000 client.40000 > server.105: .U 4294967295:9(10) ack 1 win 1 urg 5",
    "0.000000 client.40000 > server.105: none 1:1(0) win 0",
    "0.000000 client.40000 > server.105: FP. 1:1(0) ack 9 win 3 <unknown-254 0xf989,eol>",
]
NAMES = {"10.0.0.1": "client", "10.0.0.2": "server"}


def addresses(line: str) -> str:
    return line.replace("client", "10.0.0.1").replace("server", "10.0.0.2")


@pytest.mark.parametrize("line", LINES)
def test_a_line_comes_back_as_it_was(line: str) -> None:
    assert format_segment(parse_line(addresses(line)), names=NAMES) == line


@given(
    flags=st.integers(0, 511), seq=st.integers(0, 2**32 - 1), ack=st.integers(0, 2**32 - 1),
    win=st.integers(0, 65535), length=st.integers(0, 40), time_us=st.integers(0, 10**9),
)  # fmt: skip
def test_any_segment_comes_back(flags: int, seq: int, ack: int, win: int, length: int, time_us: int) -> None:
    spec = Frame("10.0.0.1", "10.0.0.2", 40000, 105, seq, ack if flags & 16 else 0, flags, win,
                 payload=made_payload(seq, length))  # fmt: skip
    segment = decode(encode(spec), time_ns=time_us * 1000, frame=1)
    back = parse_line(format_segment(segment))
    assert (back.flags, back.seq, back.ack, back.win, back.payload, back.time_ns) == (
        segment.flags, segment.seq, segment.ack, segment.win, segment.payload, segment.time_ns
    )  # fmt: skip


def test_the_short_form_leaves_the_hosts_out() -> None:
    first, second = parse_line("0.1 > P. 1:11(10) ack 1"), parse_line("0.25 < . 1:1(0) ack 11 win 7")
    assert (first.src, first.sport, first.dst, first.dport) == ("10.0.0.1", 40000, "10.0.0.2", 105)
    assert (second.src, second.dport, second.ack, second.win) == ("10.0.0.2", 40000, 11, 7)
    assert (first.time_ns, second.time_ns) == (100_000_000, 250_000_000)


def test_numbers_are_relative_when_told_to() -> None:
    segment = parse_line("0.0 > P. 1001:1011(10) ack 501")
    text = format_segment(segment, isn=Isn(own=1000, other=500), start_ns=0)
    assert text.endswith("P. 1:11(10) ack 1 win 1000")


def test_what_stands_in_brackets_is_taken_over() -> None:
    segment = parse_line('0.0 > P. 1:4(3) ack 1 [ttl 3, id 12, tos 3, df off, payload "abc, d", snap 60]')
    assert (segment.ttl, segment.id, segment.tos, segment.df, segment.cap_len) == (3, 12, 3, False, 60)
    assert parse_line('0.0 > P. 1:4(3) ack 1 [payload "a,b"]').payload == b"a,b"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "is no segment"),
        ("0.0 > P. 1:12(10) ack 1", "does not add up"),
        ("0.0 > . 1:1(0) ack 1 <bogus 3>", "option 'bogus 3' is not known"),
        ("0.0 > . 1:1(0) ack 1 [weight 3]", "is not understood"),
    ],
)
def test_what_is_not_understood_is_said(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_line(line)


def test_what_is_not_tcp_is_its_kind(golden: Callable[[str, str], None]) -> None:
    arp = decode(b"\xff" * 6 + b"\2" * 6 + b"\x08\x06" + b"\0" * 28, time_ns=1_500_000)
    assert format_segment(arp) == "0.001500 arp, 42 bytes"
    spec = Frame("10.0.0.1", "10.0.0.2", 1, 2, flags=flags_value("S"), offset=4)
    lines = [format_segment(arp), format_segment(decode(encode(spec)))]
    golden("packet_odd_lines", "\n".join(lines) + "\n")
