"""What a SEARCH asks (RFC 3501 §6.4.4, RFC 4731, RFC 5032, RFC 5182, RFC 8474, RFC 8514), as a tree.

Invariants: a tree has passed the limits of `search_syntax`, which reads it; no text from a client is ever
used as a pattern.
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
    """A system flag's bit is set or, with `present` false, not set."""

    bit: int
    present: bool


@dataclass(frozen=True, slots=True)
class HasKeyword:
    name: str
    present: bool


@dataclass(frozen=True, slots=True)
class Numbers:
    """Message sequence numbers or, with `uid`, UIDs. For `$` it makes no difference."""

    messages: SequenceSet
    uid: bool


class When(Enum):
    """How a date compares to a day: before it, on it, or on it and after. Times and zones are disregarded
    (RFC 3501 §6.4.4)."""

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
    """The day on which the message came into this folder (RFC 8514 §4.3)."""

    when: When
    day: date


@dataclass(frozen=True, slots=True)
class Identified:
    """The message with this EMAILID (RFC 8474 §6)."""

    email_id: str


@dataclass(frozen=True, slots=True)
class Within:
    """RFC 5032: received at most (`younger`) or at least so many seconds ago."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class Sized:
    """An RFC822.SIZE strictly above (`larger`) or strictly below so many octets."""

    octets: int
    larger: bool


@dataclass(frozen=True, slots=True)
class HasField:
    """The header field `name` (in lower case) has `needle` in its decoded text. With an empty needle it is
    enough that the message has the field."""

    name: str
    needle: str


@dataclass(frozen=True, slots=True)
class Text:
    """`needle` is in the text of the body or, with `header`, in that of the header or the body."""

    needle: str
    header: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A mod-sequence of at least `modseq` (RFC 7162 §3.1.5)."""

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
    """What one SEARCH asks. `results` is None for a plain SEARCH response, else what the ESEARCH response
    tells."""

    key: Key
    results: frozenset[Result] | None = None

    @property
    def saves(self) -> bool:
        """Whether `$` then stands for what this SEARCH finds (RFC 5182 §2.1)."""
        return self.results is not None and Result.SAVE in self.results

    @property
    def only_saves(self) -> bool:
        """Whether the only answer is the tagged OK (RFC 5182 §2.1)."""
        return self.results == frozenset({Result.SAVE})

    @property
    def tells_modseq(self) -> bool:
        """Whether the answer carries the highest mod-sequence (RFC 7162 §3.1.5)."""
        return any(isinstance(leaf, Changed) for leaf in leaves(self.key))

    @property
    def by_numbers(self) -> bool:
        """Whether the keys name sequence numbers, which must not change while the SEARCH is answered (RFC
        7162 §3.2.10.2)."""
        return any(isinstance(leaf, Numbers) and not leaf.uid for leaf in leaves(self.key))


def leaves(key: Key) -> Iterator[Leaf]:
    """The keys inside `key` that contain no other key."""
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
