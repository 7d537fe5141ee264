"""SORT: its grammar (RFC 5256 §5), and the order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssante.imap.grammar.commands import Request, Sort, Thread
from mssante.imap.grammar.events import Rejected
from mssante.imap.grammar.lexer import Unacceptable
from mssante.imap.grammar.parse import parse
from mssante.imap.grammar.search import All, HasField, Query, Result
from mssante.imap.grammar.sorting import Algorithm, Criterion, SortKey
from mssante.imap.rules.sorting import Column, in_order
from mssante.imap.rules.steps import sorted_in_steps
from mssante.limits import IMAP_SORT_CRITERIA_MAX
from tests.unit.imap.spoken import done, logged_in, only


def spoken(text: bytes) -> object:
    request = parse(text)
    assert isinstance(request, Request)
    return request.command


def test_a_sort_is_read() -> None:
    found = spoken(b"a sort (subject reverse DATE) utf-8 subject cafe")
    assert isinstance(found, Sort)
    assert found.criteria == (Criterion(SortKey.SUBJECT), Criterion(SortKey.DATE, reverse=True))
    assert found.query.key == HasField("subject", "cafe")
    assert found.query.results is None
    assert not found.uid


def test_an_extended_sort_is_read() -> None:
    found = spoken(b"a UID SORT RETURN (MIN COUNT) (REVERSE DISPLAYFROM) US-ASCII ALL")
    assert isinstance(found, Sort)
    assert found.query.results == frozenset({Result.MIN, Result.COUNT})
    assert found.uid


def test_a_thread_is_read() -> None:
    found = spoken(b"a UID THREAD references UTF-8 ALL")
    assert found == Thread(Algorithm.REFERENCES, Query(All()), True)


@pytest.mark.parametrize(
    "text",
    [
        b"a SORT (SUBJECT) ALL",  # RFC 5256 §3: the charset is mandatory
        b"a SORT () UTF-8 ALL",
        b"a SORT SUBJECT UTF-8 ALL",
        b"a SORT (REVERSE) UTF-8 ALL",
        b"a SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        b"a SORT (SUBJECT UTF-8 ALL",
        b"a SORT (BCC) UTF-8 ALL",
        b"a SORT (SUBJECT) UTF-8",
        b"a SORT (SUBJECT) CHARSET UTF-8 ALL",
        b"a THREAD REFS UTF-8 ALL",
        b"a THREAD REFERENCES UTF-8",
        b"a THREAD RETURN () REFERENCES UTF-8 ALL",
    ],
)
def test_what_is_no_sort_and_no_thread_is_bad(text: bytes) -> None:
    with pytest.raises(Unacceptable) as refused:
        parse(text)
    assert refused.value.status in ("BAD", "NO")
    if refused.value.status == "NO":
        assert refused.value.code is not None
        assert refused.value.code.startswith("BADCHARSET")


def test_an_unknown_charset_is_told_with_those_that_are_known() -> None:
    event = only(logged_in(), b"a SORT (DATE) KLINGON ALL\r\n")
    assert isinstance(event, Rejected)
    assert event.status.value == "NO"
    assert event.code is not None
    assert "UTF-8" in event.code


def test_criteria_are_bounded() -> None:
    with pytest.raises(Unacceptable) as refused:
        parse(b"a SORT (%b) UTF-8 ALL" % b" ".join([b"DATE"] * (IMAP_SORT_CRITERIA_MAX + 1)))
    assert refused.value.code == "LIMIT"


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "a", "b"])), max_size=30), st.data())
def test_the_order_is_that_of_all_criteria_then_of_the_mailbox(
    rows: list[tuple[int, str]], data: st.DataObject
) -> None:
    turned = [data.draw(st.booleans()), data.draw(st.booleans())]
    columns = [
        Column([number for number, _ in rows], turned[0]),
        Column([text for _, text in rows], turned[1]),
    ]
    ranks = {text: rank for rank, text in enumerate(["", "a", "b"])}

    def key(place: int) -> tuple[int, int, int]:
        number, rank = rows[place][0], ranks[rows[place][1]]
        return (-number if turned[0] else number, -rank if turned[1] else rank, place)

    assert done(in_order(columns, len(rows))) == sorted(range(len(rows)), key=key)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("count", [0, 1, 3999, 4000, 4001, 12_345, 33_000])
def test_sorting_in_steps_is_sorting(count: int, reverse: bool) -> None:
    chance = random.Random(count)
    values = [chance.randrange(count // 3 + 1) for _ in range(count)]
    found = done(sorted_in_steps(range(count), values.__getitem__, reverse=reverse))
    assert found == sorted(range(count), key=values.__getitem__, reverse=reverse)
