"""The payload: the same for both sides at any offset, and wrong bytes are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.lab.payload import BLOCK_LEN, Seeded, Stream, Verifier, first_difference

SEEDED = Seeded(1, "client")


def test_seeded_bytes_depend_on_seed_and_sender_only() -> None:
    assert Seeded(1, "client").read(0, 100) == SEEDED.read(0, 100)
    assert Seeded(2, "client").read(0, 100) != SEEDED.read(0, 100)
    assert Seeded(1, "server").read(0, 100) != SEEDED.read(0, 100)
    # Pinned: a run can be repeated with a later version.
    assert SEEDED.read(0, 12).hex() == "0000000000000000f6834f24"


@given(st.integers(0, 5 * BLOCK_LEN), st.integers(0, 3 * BLOCK_LEN))
def test_any_range_is_the_same_as_of_the_whole(offset: int, length: int) -> None:
    whole = SEEDED.read(0, 8 * BLOCK_LEN)
    assert SEEDED.read(offset, length) == whole[offset : offset + length]


@given(st.lists(st.one_of(st.integers(0, 9000), st.binary(max_size=50))), st.integers(0, 9000))
def test_a_stream_is_its_parts_one_after_the_other(parts: list[int | bytes], offset: int) -> None:
    stream, whole = Stream(SEEDED, parts), bytearray()
    for part in parts:
        whole += part if isinstance(part, bytes) else SEEDED.read(len(whole), part)
    assert stream.length == len(whole)
    assert stream.read(offset, 5000) == whole[offset : offset + 5000]


@pytest.mark.parametrize("wrong", [0, 1, 4095, 4096, 9999])
def test_the_first_wrong_byte_is_named(wrong: int) -> None:
    stream = Stream(SEEDED, [20_000])
    data = bytearray(stream.read(5000, 10_000))
    assert stream.mismatch(5000, data, 10_000) is None
    data[wrong] ^= 1
    data[-1] ^= 2
    assert stream.mismatch(5000, data, 10_000) == 5000 + wrong


def test_blocks_that_moved_are_wrong() -> None:
    stream = Stream(SEEDED, [20 * BLOCK_LEN])
    moved = bytearray(stream.read(BLOCK_LEN, BLOCK_LEN))
    assert stream.mismatch(2 * BLOCK_LEN, moved, BLOCK_LEN) is not None


def test_bytes_beyond_the_end_are_wrong() -> None:
    assert Stream(SEEDED, [b"abc"]).mismatch(1, bytearray(b"bcd"), 3) == 3
    assert Stream(SEEDED, []).mismatch(0, bytearray(b"x"), 1) == 0


def test_first_difference() -> None:
    assert first_difference(b"abc", b"abd") == 2
    assert first_difference(b"abc", b"abcd") == 3


def test_a_verifier_finds_out_which_stream_it_is() -> None:
    one, two = Stream(Seeded(1, "one"), [b"GET ", 100]), Stream(Seeded(1, "two"), [b"GET ", 200])
    verifier = Verifier([one, two])
    assert verifier.expected_bytes is None
    assert verifier.check(0, bytearray(b"GET "), 4) is None
    assert verifier.check(4, bytearray(two.read(4, 50)), 50) is None
    assert verifier.expected_bytes == 204
    assert verifier.check(54, bytearray(one.read(54, 10)), 10) == 54
    assert verifier.check(64, bytearray(b"anything"), 8) is None  # reported once


def test_a_program_on_the_other_side_is_only_counted() -> None:
    assert Verifier([]).check(0, bytearray(b"anything"), 8) is None
    ours = Stream(SEEDED, [100])
    assert Verifier([ours], foreign=True).check(0, bytearray(b"GET /"), 5) is None
    assert Verifier([ours], foreign=False).check(0, bytearray(b"GET /"), 5) == 0
    begun = Verifier([ours], foreign=True)
    assert begun.expected_bytes is None
    assert begun.check(0, bytearray(ours.read(0, 50)), 50) is None
    assert begun.expected_bytes == 100
    assert begun.check(50, bytearray(b"GET /"), 5) == 50  # ours from the start on, so it stays ours
