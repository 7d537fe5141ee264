"""What a SEARCH asks (RFC 3501 §6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 8474, RFC 8514), as a tree.

Invariants: a tree is what `search_syntax` read, within its bounds; nothing of a client's text ever becomes a
pattern.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum, StrEnum

from mssante.imap.grammar.sets import SequenceSet


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """A system flag's bit is set, or with `present` false is not."""

    bit: int
    present: bool


@dataclass(frozen=True, slots=True)
class HasKeyword:
    name: str
    present: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """Message sequence numbers or, with `uid`, UIDs. `$` is the same by either."""

    messages: SequenceSet
    uid: bool


class When(Enum):
    """BEFORE, ON and SINCE a day; times and zones are disregarded (RFC 3501 §6.4.4)."""

    BEFORE = "BEFORE"
    ON = "ON"
    SINCE = "SINCE"


@dataclass(frozen=True, slots=True)
class Dated:
    """The internal date or, with `sent`, the Date field."""

    when: When
    day: date
    sent: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """The day it came into this folder (RFC 8514 §4.3)."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class Identified:
    """The message of this EMAILID (RFC 8474 §6)."""

    email_id: str


@dataclass(frozen=True, slots=True)
class Within:
    """RFC 5032: received less (`younger`) or more than so many seconds ago."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class Sized:
    """RFC822.SIZE strictly above (`larger`) or below so many octets."""

    octets: int
    larger: bool


@dataclass(frozen=True, slots=True)
class HasField:
    """A header field (lower case) whose decoded text holds `needle`; an empty needle: has the field."""

    name: str
    needle: str


@dataclass(frozen=True, slots=True)
class Text:
    """The body's text or, with `header`, header and body hold `needle`."""

    needle: str
    header: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """Mod-sequence at least `modseq` (RFC 7162 §3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Not:
    key: Key


@dataclass(frozen=True, slots=True)
class Or:
    either: Key
    other: Key


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[Key, ...]


Leaf = (
    All | Flagged | HasKeyword | Numbers | Saved | Identified | Dated | Within | Sized | HasField | Text
    | Changed
)  # fmt: skip
Key = Leaf | Not | Or | And


class Result(StrEnum):
    """RFC 4731 §3.1 result options; SAVE after RFC 5182 §2.1."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"
    SAVE = "SAVE"


@dataclass(frozen=True, slots=True)
class Query:
    """`results` is None for a plain SEARCH response, else what the ESEARCH response tells."""

    key: Key
    results: frozenset[Result] | None = None

    @property
    def saves(self) -> bool:
        """Whether `$` is what it finds from then on (RFC 5182 §2.1)."""
        return self.results is not None and Result.SAVE in self.results

    @property
    def only_saves(self) -> bool:
        """Whether nothing is answered but OK (RFC 5182 §2.1)."""
        return self.results == frozenset({Result.SAVE})

    @property
    def tells_modseq(self) -> bool:
        """Whether the answer carries the highest mod-sequence (RFC 7162 §3.1.5)."""
        return any(isinstance(leaf, Changed) for leaf in leaves(self.key))

    @property
    def by_numbers(self) -> bool:
        """Whether it names sequence numbers, which must not shift meanwhile (RFC 7162 §3.2.10.2)."""
        return any(isinstance(leaf, Numbers) and not leaf.uid for leaf in leaves(self.key))


def leaves(key: Key) -> Iterator[Leaf]:
    """The keys that hold no other."""
    match key:
        case Not(inner):
            yield from leaves(inner)
        case Or(either, other):
            yield from leaves(either)
            yield from leaves(other)
        case And(keys):
            for one in keys:
                yield from leaves(one)
        case _:
            yield key
