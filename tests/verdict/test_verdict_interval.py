"""Exact intervals, against published values and the closed forms at the ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpharness.verdict.interval import at_least, at_most, clopper_pearson


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (5, 10, 0.1871, 0.8129),
        (1, 2, 0.0126, 0.9874),
        (81, 263, 0.2527, 0.3676),  # Agresti and Coull's and Newcombe's examples
        (15, 148, 0.0578, 0.1617),
        (1, 29, 0.0009, 0.1776),
        (300, 2000, 0.1346, 0.1664),
    ],
)
def test_known_values(hits: int, trials: int, low: float, high: float) -> None:
    assert clopper_pearson(hits, trials) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize("trials", [1, 10, 20, 500])
def test_none_and_all_have_a_closed_form(trials: int) -> None:
    edge = 0.025 ** (1 / trials)
    assert clopper_pearson(0, trials) == pytest.approx((0, 1 - edge))
    assert clopper_pearson(trials, trials) == pytest.approx((edge, 1))


def test_nothing_tried_says_nothing() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "trials"), [(3, 2), (-1, 2)])
def test_what_cannot_be_is_refused(hits: int, trials: int) -> None:
    with pytest.raises(ValueError, match="can't be"):
        clopper_pearson(hits, trials)


@given(st.integers(1, 300), st.data(), st.sampled_from([0.9, 0.95, 0.99]))
def test_each_end_leaves_its_half_of_the_tail(trials: int, data: st.DataObject, level: float) -> None:
    hits = data.draw(st.integers(0, trials))
    low, high = clopper_pearson(hits, trials, level)
    assert low <= hits / trials <= high
    if hits:
        assert at_least(hits, trials, low) == pytest.approx((1 - level) / 2)
    if hits < trials:
        assert at_most(hits, trials, high) == pytest.approx((1 - level) / 2)
