"""Quantities: text in, integers out, and errors that say what was expected."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.scenario import quantity as q


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (q.time_ns, "50ms", 50_000_000),
        (q.time_ns, "1.5s", 1_500_000_000),
        (q.time_ns, "0.1s", 100_000_000),
        (q.time_ns, "7 us", 7_000),
        (q.time_ns, "3ns", 3),
        (q.time_ns, "2m", 120_000_000_000),
        (q.time_ns, "0", 0),
        (q.size_bytes, "200 KiB", 204_800),
        (q.size_bytes, "1kB", 1000),
        (q.size_bytes, "1.5 MiB", 1_572_864),
        (q.size_bytes, "2 MB", 2_000_000),
        (q.size_bytes, "1 B", 1),
        (q.rate_bits, "10mbit", 10_000_000),
        (q.rate_bits, "1gbit", 1_000_000_000),
        (q.rate_bits, "9600bit", 9600),
        (q.rate_bits, "64kbit", 64_000),
    ],
)
def test_a_quantity(parse: Callable[[str], int], text: str, value: int) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "low", "high"),
    [
        (q.count, "3", 3, 3),
        (q.count, "3..", 3, None),
        (q.count, "..2", 0, 2),
        (q.count, "1..4", 1, 4),
        (q.count, " 1 .. 4 ", 1, 4),
        (q.size_count, "..64 KiB", 0, 65536),
        (q.size_count, "0", 0, 0),
        (q.time_count, "200ms..2s", 200_000_000, 2_000_000_000),
        (q.rate_count, "1mbit..", 1_000_000, None),
    ],
)
def test_a_range(parse: Callable[[str], Any], text: str, low: int, high: int | None) -> None:
    found = parse(text)
    assert (found.low, found.high, str(found)) == (low, high, text.strip())


@pytest.mark.parametrize(
    ("parse", "text", "why"),
    [
        (q.time_ns, "50", "has no unit; expected a time such as 50ms"),
        (q.time_ns, "50 MS", 'has the unknown unit "MS", did you mean "ms"'),
        (q.time_ns, "5h", 'has the unknown unit "h"; expected a time'),
        (q.time_ns, "0.1ns", "is finer than its smallest unit"),
        (q.time_ns, "-1s", "is not a quantity"),
        (q.time_ns, "99999999999999s", "is too large"),
        (q.time_ns, "9" * 30 + "s", "has too many digits"),
        (q.time_ns, "١s", "is not a quantity"),
        (q.size_bytes, "64KB", 'did you mean "kB"'),
        (q.size_bytes, "", "is not a quantity"),
        (q.rate_bits, "10Mbit", 'did you mean "mbit"'),
        (q.count, "..", "has no bound"),
        (q.count, "4..2", "can never hold, 2 is less than 4"),
        (q.count, "1...2", "is not a count"),
        (q.count, "-1", "is not a count"),
        (q.count, "x", 'expected a count such as 3, "3..", "..2" or "1..4"'),
        (q.size_count, "..64", "has no unit"),
    ],
)
def test_what_is_no_quantity(parse: Callable[[str], Any], text: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert why in str(caught.value)


@given(st.integers(0, 10**9), st.integers(0, 999), st.sampled_from(["s", "ms"]))
def test_decimals_are_exact(whole: int, thousandths: int, unit: str) -> None:
    assert (
        q.time_ns(f"{whole}.{thousandths:03}{unit}") == (whole * 1000 + thousandths) * q.TIMES[unit] // 1000
    )


@given(st.text())
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for parse in (q.time_ns, q.size_count, q.rate_count, q.time_count, q.count):
        with contextlib.suppress(ValueError):
            assert parse(text) is not None
