"""Sequence sets against plain sets of numbers."""

from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.imap.grammar import sets
from mssante.imap.grammar.lexer import NUMBER_MAX, Cursor
from mssante.imap.grammar.sets import SequenceSet
from tests.unit.imap.spoken import fastest

ends = st.integers(1, 30) | st.just("*")
elements = st.lists(st.tuples(ends, ends) | st.tuples(ends), min_size=1, max_size=6)


def parsed(text: str) -> SequenceSet:
    return sets.parse(Cursor(text.encode()))


@given(elements, st.sets(st.integers(1, 40)))
def test_positions_are_those_of_the_members(parts: list[tuple[int | str, ...]], numbers: set[int]) -> None:
    text = ",".join(":".join(map(str, part)) for part in parts)
    uids = array("I", sorted(numbers))
    last = max(numbers, default=0)
    wanted = set()
    for part in parts:
        low, high = sorted(last if end == "*" else int(end) for end in (part[0], part[-1]))
        wanted |= {number for number in numbers if low <= number <= high}
    found = [uids[at] for places in parsed(text).positions(uids) for at in places]
    assert found == sorted(wanted)


@given(elements)
def test_intervals_are_sorted_disjoint_and_not_adjacent(parts: list[tuple[int | str, ...]]) -> None:
    text = ",".join(":".join(map(str, part)) for part in parts)
    intervals = parsed(text).resolve(20)
    assert all(low <= high for low, high in intervals)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(intervals))


@given(st.sets(st.integers(1, 60)))
def test_what_is_rendered_reads_back(numbers: set[int]) -> None:
    if numbers:
        text = sets.render(sorted(numbers)).decode()
        low_high = parsed(text).intervals
        assert {number for low, high in low_high for number in range(low, high + 1)} == numbers
        assert SequenceSet.of(numbers) == parsed(text)
    else:
        assert sets.render([]) == b""


def test_rendering_is_short() -> None:
    assert sets.render([1, 2, 3, 5, 7, 8]) == b"1:3,5,7:8"
    assert sets.render(range(1, 100_001)) == b"1:100000"


def test_a_star_is_the_last_number_and_a_range_above_it_still_holds_it() -> None:  # RFC 3501 §9
    uids = [3, 5, 9]
    assert parsed("*").positions(uids) == [range(2, 3)]
    assert parsed("50:*").positions(uids) == [range(2, 3)]
    assert parsed("*:4").positions(uids) == [range(1, 3)]
    assert parsed("*").positions([]) == []
    assert parsed("1:*").resolve(0) == ()


@pytest.mark.parametrize(
    ("text", "last", "exceeds"),
    [
        ("1:3", 3, False), ("1:4", 3, True), ("4", 3, True), ("*", 3, False), ("*", 0, True),
        ("3:*", 3, False), ("4:*", 3, True), ("1:*", 0, True), (f"{NUMBER_MAX}", 3, True),
    ],
)  # fmt: skip
def test_a_number_that_no_message_has_is_noticed(text: str, last: int, exceeds: bool) -> None:
    assert parsed(text).exceeds(last) is exceeds


def test_the_widest_and_the_most_broken_set_cost_little_on_100_000_messages() -> None:
    uids = array("I", range(1, 200_001, 2))
    wide, broken = parsed("1:4294967295"), parsed(sets.render(range(1, 20_000, 2)).decode())
    assert wide.positions(uids) == [range(100_000)]
    assert sum(map(len, broken.positions(uids))) == 10_000
    assert fastest(lambda: (wide.positions(uids), broken.positions(uids))) < 0.050
