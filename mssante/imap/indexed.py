"""What an index of words may say to a SEARCH before any message is opened.

Invariants: `holds` answers what the opened message would, or None; needles are folded.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Protocol

from mssante.imap.folding import fold
from mssante.imap.search import Field, Key, Text, leaves


class Area(Enum):
    """Where a needle is looked for. FIELD: in one field of the header, which the index does not tell apart
    from the others, so it only says where it is not."""

    TEXT = "header and body"
    BODY = "body"
    FIELD = "field"


class Indexed(Protocol):
    """The index's answers to the questions of one search."""

    def holds(self, number: int, needle: str, area: Area) -> bool | None:
        """Whether the message `number` holds `needle`; None: it must be opened."""


def area_of(key: Text | Field) -> Area:
    if isinstance(key, Field):
        return Area.FIELD
    return Area.TEXT if key.header else Area.BODY


def questions(key: Key) -> Iterator[tuple[str, Area]]:
    """What a search asks an index; some perhaps twice."""
    for leaf in leaves(key):
        if isinstance(leaf, Text | Field) and (needle := fold(leaf.needle)):
            yield needle, area_of(leaf)
