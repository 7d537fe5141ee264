"""Putting messages in the order that a SORT asks for (RFC 5256, RFC 5957).

Invariants: criteria count in the order given; REVERSE turns round only the criterion it stands before;
messages that all criteria find equal stay in the order of the mailbox; sorting is done in steps of some
milliseconds, so that other tasks get their turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mssante.imap.rules.steps import Steps, sorted_in_steps


@dataclass(frozen=True, slots=True)
class Column:
    """One criterion's values, one for each message, in the order of the mailbox. Texts are already in the
    form that their collation compares."""

    values: Sequence[int | str]
    reverse: bool


def in_order(columns: Sequence[Column], count: int) -> Steps[list[int]]:
    """The places 0 to `count` - 1 in the order of `columns`, of which the first counts most."""
    # Sorting keeps the order of equal values, so sorting by the last column first gives that order.
    places = list(range(count))
    for column in reversed(columns):
        places = yield from sorted_in_steps(places, column.values.__getitem__, reverse=column.reverse)
    return places
