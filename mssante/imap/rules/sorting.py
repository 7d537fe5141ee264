"""Putting messages in the order that a SORT asks for (RFC 5256, RFC 5957).

Invariants: criteria count in the order given, REVERSE turns one of them only, and what they leave equal
stays in the order of the mailbox; sorting is done in steps of some milliseconds, so that others may go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mssante.imap.rules.steps import Steps, sorted_in_steps


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
