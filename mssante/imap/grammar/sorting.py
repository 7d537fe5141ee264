"""What a SORT or a THREAD asks (RFC 5256, RFC 5957): criteria in the order given, or an algorithm's name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mssante.imap.grammar.lexer import Beyond, Cursor, Unacceptable
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
    """One sort key; with `reverse` in descending order."""

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


class Algorithm(StrEnum):
    """RFC 5256 §5 thread-alg."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
