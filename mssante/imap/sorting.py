"""What a SORT asks (RFC 5256, RFC 5957), and putting messages in that order.

Invariants: criteria count in the order given, REVERSE turns one of them only, and what they leave equal
stays in the order of the mailbox; sorting is done in steps of some milliseconds, so that others may go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mssante.imap.lexer import Beyond, Cursor, Unacceptable
from mssante.imap.steps import Steps, sorted_in_steps
from mssante.limits import IMAP_SORT_CRITERIA_MAX


class SortKey(StrEnum):
    """RFC 5256 §5 sort-key; the last two are of RFC 5957."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One key, in descending order with `reverse`."""

    key: SortKey
    reverse: bool = False


_KEYS = {key.value: key for key in SortKey}


def parse_criteria(cursor: Cursor) -> tuple[Criterion, ...]:
    """RFC 5256 §5 sort-criteria: at most IMAP_SORT_CRITERIA_MAX."""
    cursor.expect(b"(")
    criteria: list[Criterion] = []
    while True:
        if len(criteria) == IMAP_SORT_CRITERIA_MAX:
            raise Beyond("Trop de criteres de tri / Too many sort criteria")
        reverse = cursor.take(b"REVERSE ")
        key = _KEYS.get(cursor.word())
        if key is None:
            raise Unacceptable("Unknown sort criterion")
        criteria.append(Criterion(key, reverse))
        if not cursor.take(b" "):
            cursor.expect(b")")
            return tuple(criteria)


@dataclass(frozen=True, slots=True)
class Column:
    """One criterion's values, the message's place in the mailbox being the place in it. Texts are already
    as their collation compares them."""

    values: Sequence[int | str]
    reverse: bool


def in_order(columns: Sequence[Column], count: int) -> Steps[list[int]]:
    """The places 0 to `count` - 1 in the order of `columns`, the first counting most."""
    places = list(range(count))
    for column in reversed(columns):
        places = yield from sorted_in_steps(places, column.values.__getitem__, reverse=column.reverse)
    return places
