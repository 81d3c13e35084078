"""Blocks of lab numbers: two runs at once have none in common."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tcpharness.lab import numbers
from tcpharness.lab.numbers import LABS, Numbers


@pytest.fixture(autouse=True)
def _of_nobody_else(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Other runs may be on this machine."""
    monkeypatch.setattr(numbers, "NAME", f"\0tcpharness test {id(request)} {{}}")


def test_a_run_alone_counts_from_one() -> None:
    with Numbers() as own:
        assert [own.next() for _ in range(3)] == [(1, 1), (2, 2), (3, 3)]


def test_runs_at_once_have_none_in_common_and_leave_theirs_to_others() -> None:
    with Numbers() as first:
        with Numbers() as second:
            assert (first.next()[1], second.next()[1]) == (1, LABS + 1)
        with Numbers() as third:
            assert third.next()[1] == LABS + 1


def test_a_long_run_stays_in_its_block() -> None:
    with Numbers(), Numbers() as own:
        labs = [own.next() for _ in range(2 * LABS)]
    assert [played for played, _ in labs] == list(range(1, 2 * LABS + 1))
    assert {lab // LABS for _, lab in labs} == {1}
    assert len({lab for _, lab in labs}) == LABS


def test_where_all_are_taken_the_first_is_shared() -> None:
    with ExitStack() as stack:
        for _ in range(numbers.BLOCKS):
            stack.enter_context(Numbers())
        assert stack.enter_context(Numbers()).next() == (1, 1)
