"""mssante.loans: never more is lent than there is, and all of it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.loans import MemoryShare
from mssante.reasons import Passing, Reason


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60))))
def test_never_more_is_lent_than_there_is(asked: list[tuple[int, int]]) -> None:
    share = MemoryShare(100)
    loans = [share.loan() for _ in range(4)]
    held = [0, 0, 0, 0]
    for which, octets in asked:
        others = sum(held) - held[which]
        assert loans[which].hold(octets) == (octets <= held[which] or others + octets <= 100)
        if octets <= held[which] or others + octets <= 100:
            held[which] = octets
        assert share.lent == sum(held) <= 100
    for loan in loans:
        loan.end()
        loan.end()
    assert share.lent == 0


def test_what_cannot_be_lent_is_refused_for_now() -> None:
    share = MemoryShare(10)
    one, other = share.loan(), share.loan()
    one.require(8)
    with pytest.raises(Passing) as passing:
        other.require(3)
    assert passing.value.reason is Reason.LIMIT_REACHED
    one.end()
    other.require(10)
