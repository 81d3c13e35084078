"""The loopback trace with known answers: five packets, ten checksums."""

from __future__ import annotations

import pytest

from tcpharness.packet.checksum import tcp_checksum, verdict
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.notation import options_bytes
from tcpharness.packet.segment import decode, flags_value

Row = tuple[int, int, int, str, int, int, int, str, bytes, int, int]
SYN = "mss 65495,sackOK,TS val 2565023151 ecr {},nop,wscale 7"
STAMP = "nop,nop,TS val {} ecr {}"
A, B = 2565023151, 2565024232
# id, sport, dport, flags, seq, ack, win, options, payload, field, correct
TRACE: list[Row] = [
    (11574, 57840, 105, "S", 3607771753, 0, 43690, SYN.format(0), b"", 0xFE30, 0xF2CE),
    (0, 105, 57840, "S.", 1808500837, 3607771754, 43690, SYN.format(A), b"", 0xFE30, 0x3FFA),
    (11575, 57840, 105, ".", 3607771754, 1808500838, 342, STAMP.format(A, A), b"", 0xFE28, 0x123F),
    (11576, 57840, 105, "P.", 3607771754, 1808500838, 342, STAMP.format(B, A), b"foo\n", 0xFE2C, 0x3880),
    (40761, 105, 57840, ".", 1808500838, 3607771758, 342, STAMP.format(B, B), b"", 0xFE28, 0x09C9),
]
IDS = [f"{row[3]}-{row[2]}" for row in TRACE]


def frame(row: Row, cksum: int | None) -> bytes:
    ip_id, sport, dport, flags, seq, ack, win, options, payload, _, _ = row
    return encode(
        Frame("127.0.0.1", "127.0.0.1", sport, dport, seq, ack, flags_value(flags), win,
              options=options_bytes(options), payload=payload, id=ip_id, cksum=cksum)
    )  # fmt: skip


@pytest.mark.parametrize("row", TRACE, ids=IDS)
def test_the_captured_field_is_recognised_as_left_to_offload(row: Row) -> None:
    found = verdict(decode(frame(row, row[9])))
    assert (found.word, found.how, found.right) == ("offload", "partial", row[10])


@pytest.mark.parametrize("row", TRACE, ids=IDS)
def test_the_right_checksum_comes_out(row: Row) -> None:
    segment = decode(frame(row, None))
    assert segment.cksum == row[10] == tcp_checksum("127.0.0.1", "127.0.0.1", segment.tcp_bytes)
    assert verdict(segment).word == "correct"


@pytest.mark.parametrize("row", TRACE, ids=IDS)
def test_any_other_value_is_incorrect(row: Row) -> None:
    found = verdict(decode(frame(row, row[10] ^ 1)))
    assert (found.word, found.right) == ("incorrect", row[10])
