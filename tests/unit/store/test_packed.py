"""Sets of numbers as runs: the same numbers, however written."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mssante.store.packed import Runs

numbers = st.lists(st.integers(1, 60) | st.integers(1, 2**32 - 1))


def _expanded(runs: Runs) -> list[int]:
    return [n for low, high in runs.stretches for n in range(low, high + 1)]


@given(st.lists(st.integers(1, 60)))
def test_runs_hold_exactly_the_numbers_given(given_numbers: list[int]) -> None:
    assert _expanded(Runs.of(given_numbers)) == sorted(set(given_numbers))


@given(numbers)
def test_runs_are_ascending_apart_and_never_empty(given_numbers: list[int]) -> None:
    stretches = Runs.of(given_numbers).stretches
    assert all(low <= high for low, high in stretches)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(stretches))


def test_a_range_is_one_run_whatever_its_length() -> None:
    assert Runs.of(range(1, 2**32)).stretches == ((1, 2**32 - 1),)
    assert Runs.of(range(1, 10, 2)).stretches == ((1, 1), (3, 3), (5, 5), (7, 7), (9, 9))
    assert not Runs.of(range(5, 5))
    assert not Runs.of([])


def test_runs_are_told_as_a_sequence_set() -> None:
    assert str(Runs.of([9, 1, 2, 3, 7])) == "1:3,7,9"
