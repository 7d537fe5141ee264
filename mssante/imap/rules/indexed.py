"""What an index of words may say to a SEARCH before any message is opened.

Invariants: pure; what the index says is what the opened message would, or nothing; needles are folded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol

from mssante.imap.grammar.search import All, And, HasField, Key, Not, Or, Text, leaves
from mssante.mime.folding import fold

# Where a needle is looked for. "field": in one field of the header, which the index does not tell apart from
# the others, so it only says where it is not.
Area = Literal["text", "body", "field"]
Numbers = frozenset[int] | set[int]


class Bounds(NamedTuple):
    """Of the messages asked about: those that match, and those that may (the former included)."""

    sure: Numbers
    possible: Numbers


class Indexed(Protocol):
    """The index's answers to the questions of one search."""

    def holds(self, number: int, needle: str, area: Area) -> bool | None:
        """Whether the message `number` holds `needle`; None: it must be opened."""


def area_of(key: Text | HasField) -> Area:
    if isinstance(key, HasField):
        return "field"
    return "text" if key.header else "body"


def questions(key: Key) -> Iterator[tuple[str, Area]]:
    """What a search asks an index; some perhaps twice."""
    for leaf in leaves(key):
        if isinstance(leaf, Text | HasField) and (needle := fold(leaf.needle)):
            yield needle, area_of(leaf)


def asks_words_only(key: Key) -> bool:
    """Whether flags, numbers and dates have no say."""
    return all(isinstance(leaf, Text | HasField) and fold(leaf.needle) for leaf in leaves(key))


def bounds(key: Key, everybody: Numbers, of: Callable[[str, Area], tuple[Numbers, Numbers]]) -> Bounds:
    """What is known of the messages `everybody` by the index alone; `of` answers one question about them."""
    match key:
        case Text() | HasField():
            needle = fold(key.needle)
            return Bounds(*of(needle, area_of(key))) if needle else _unknown(key, everybody)
        case Not(inner):
            sure, possible = bounds(inner, everybody, of)
            return Bounds(everybody - possible, everybody - sure)
        case Or(either, other):
            one, two = bounds(either, everybody, of), bounds(other, everybody, of)
            return Bounds(one.sure | two.sure, one.possible | two.possible)
        case And(keys):
            found = [bounds(each, everybody, of) for each in keys]
            sure = everybody.intersection(*(each.sure for each in found))
            return Bounds(sure, everybody.intersection(*(each.possible for each in found)))
        case _:
            return _unknown(key, everybody)


def _unknown(key: Key, everybody: Numbers) -> Bounds:
    anywhere = isinstance(key, All | Text)  # TEXT "" is in all
    return Bounds(everybody if anywhere else frozenset(), everybody)
