"""What is kept of messages, and which folders they lie in.

Invariants: a `uids` argument is any sequence of UIDs, such as `range(low, high + 1)`; it means those that
exist.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NewType, overload

from mssante.crypto import SealedKey
from mssante.model import BlobId, MessageId, ModSeq, Uid

MessageNumber = NewType("MessageNumber", int)  # in order of arrival; never used twice
FlagMask = NewType("FlagMask", int)  # bits of model.Flag; keyword n is bit 8 + n
Uids = Sequence[int]
SECONDS_PER_DAY = 86_400


class FlagsRow(NamedTuple):
    """A message in a folder, as FETCH FLAGS tells it."""

    uid: Uid
    flags: FlagMask
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class FlagsRows(Sequence[FlagsRow]):
    """Many FlagsRow as three columns: 100,000 tuples would cost a tenth of a second, and the garbage
    collector as much again. When they answer a change, `own` is the modseq of that change (0 when nothing
    changed) and `before` the folder's modseq until then: whoever knew the folder up to `before` knows it up
    to `own` now."""

    uids: array[int] = field(default_factory=lambda: array("Q"))
    flags: array[int] = field(default_factory=lambda: array("Q"))
    modseqs: array[int] = field(default_factory=lambda: array("Q"))
    own: int = 0
    before: int = 0

    def __len__(self) -> int:
        return len(self.uids)

    @overload
    def __getitem__(self, at: int) -> FlagsRow: ...
    @overload
    def __getitem__(self, at: slice) -> FlagsRows: ...
    def __getitem__(self, at: int | slice) -> FlagsRow | FlagsRows:
        if isinstance(at, slice):
            return FlagsRows(self.uids[at], self.flags[at], self.modseqs[at])
        return FlagsRow(Uid(self.uids[at]), FlagMask(self.flags[at]), ModSeq(self.modseqs[at]))

    def then(self, later: FlagsRows) -> FlagsRows:
        """The answer to two changes, one after the other, of messages with ascending UIDs. If somebody else
        changed the folder between them, it is one that nobody can build on: `before` is then newer than what
        was known, and `own` is 0."""
        alone = later.before == (self.own or self.before)
        return FlagsRows(
            self.uids + later.uids,
            self.flags + later.flags,
            self.modseqs + later.modseqs,
            own=later.own or self.own if alone else 0,
            before=self.before if alone else later.before,
        )

    def __iter__(self) -> Iterator[FlagsRow]:
        return map(FlagsRow._make, zip(self.uids, self.flags, self.modseqs, strict=True))


class FlagsMode(StrEnum):
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


class Place(NamedTuple):
    """What is known of a message in a folder without opening it: its identifier, and the day it came
    there."""

    uid: Uid
    message_id: MessageId
    saved_day: int


class SealedMessage(NamedTuple):
    """A message as a listing needs it. A named tuple, for speed: a listing makes one for each row."""

    uid: Uid
    number: MessageNumber
    message_id: MessageId
    blob_id: BlobId
    listing_epoch: int | None  # as in Deposit
    summary_ct: bytes
    header_ct: bytes | None


class SealedDek(NamedTuple):
    """A message's DEK, with the columns of its row. `small_ct` is the content, if it was asked for and is a
    single chunk."""

    number: MessageNumber
    epoch: int
    suite: int
    form: str
    ct: bytes
    small_ct: bytes | None

    @property
    def sealed_key(self) -> SealedKey:
        return SealedKey.stored(self.epoch, self.suite, self.form, self.ct)
