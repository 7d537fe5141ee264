"""The values the store takes and gives.

Invariants: whatever ends in `_ct` is sealed before it comes here and leaves sealed; times are whole
seconds since 1970, days are days since 1970; a `uids` argument is any sequence of UIDs: `range(low,
high + 1)` for a stretch, whatever of it exists is meant.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NewType, overload

from mssante.crypto import SealedKey
from mssante.model import (
    Address,
    BlobId,
    FolderId,
    MailboxId,
    MailboxKind,
    MailboxStatus,
    MessageId,
    ModSeq,
    SpecialUse,
    Uid,
)

MessageNumber = NewType("MessageNumber", int)  # order of arrival in this database; never comes back
RecipientId = NewType("RecipientId", int)
FlagMask = NewType("FlagMask", int)  # bits of model.Flag; keyword n is bit 8 + n

Uids = Sequence[int]
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRow:
    """A BAL. `address` None is the queue's mailbox: nobody can write to it. `quota_kib` None: no bound."""

    id: MailboxId
    address: Address | None
    kind: MailboxKind
    created_at: int
    quota_kib: int | None
    status: MailboxStatus = MailboxStatus.ACTIVE
    used_kib: int = 0
    modseq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder without a sealed name is called after its `role`. Messages above `recent_uid` are recent:
    no session that may write has heard of them (RFC 3501 §2.3.2)."""

    id: FolderId
    mailbox: MailboxId
    role: SpecialUse | None
    name_tag: bytes | None
    name_ct: bytes | None
    uidvalidity: int
    uidnext: Uid
    subscribed: bool
    modseq: ModSeq
    recent_uid: Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderName:
    """A sealed name for a folder: `tag` is the mailbox's keyed hash of it, equal for equal names. `former`
    is the name it had, tag and ciphertext: to stay subscribed if it was."""

    folder: FolderId
    tag: bytes
    ct: bytes
    former: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Keyword:
    """An IMAP keyword of a mailbox, its name sealed; its flag is bit 8 + `number`."""

    number: int
    name_ct: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """One message for one mailbox, sealed. `pending_chunks` are those not yet appended: (n, ct).

    `folder` None only for the queue's mailbox, whose messages lie in no folder. `listing_epoch`: of the
    listing key the summary is under, None when it is under the DEK (crypto.Closed)."""

    mailbox: MailboxId
    folder: SpecialUse | FolderId | None
    message_id: MessageId
    blob_id: BlobId
    sealed_key: SealedKey
    chunk_count: int
    pending_chunks: tuple[tuple[int, bytes], ...] = field(repr=False)
    summary_ct: bytes = field(repr=False)
    header_ct: bytes = field(repr=False)
    day: int
    size_kib: int
    flags: int = 0
    listing_epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRecipientNew:
    """A recipient to be reached: `destination_tag` (32 bytes) groups those of one domain."""

    destination_tag: bytes
    address_ct: bytes
    next_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A message for the queue's mailbox; `envelope_ct` is its sender and options, sealed."""

    deposit: Deposit
    envelope_ct: bytes
    recipients: tuple[QueueRecipientNew, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Everything one 250 promises: kept together or not at all. `dedup_key` names the message: a mailbox that
    has it already gets no second copy of it.

    `journal_detail` is a small JSON object without content: {"peer": fingerprint, "list": generation,
    "crl": number, …} for a peer, {"person": name, …} otherwise (invariant 7 of `verify`)."""

    dedup_key: bytes | None
    deposits: tuple[Deposit, ...]
    outbound: Outbound | None
    journal_detail: str


class Placed(NamedTuple):
    """Where a deposit came to lie."""

    mailbox: MailboxId
    folder: FolderId
    uid: Uid
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Accepted:
    """`duplicate`: every mailbox has this very message already; nothing was written now."""

    duplicate: bool
    placements: tuple[Placed, ...]


class FlagsRow(NamedTuple):
    """A message in a folder, as FETCH FLAGS tells it."""

    uid: Uid
    flags: FlagMask
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class FlagsRows(Sequence[FlagsRow]):
    """Many FlagsRow as three columns: 100,000 tuples cost a tenth of a second, and the collector as much.
    Of a change that answers with them, `own` is the modseq, 0 when nothing changed, and `before` the folder's
    modseq until then: who knows the folder up to `before` knows it up to `own` now."""

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

    def __iter__(self) -> Iterator[FlagsRow]:
        return map(FlagsRow._make, zip(self.uids, self.flags, self.modseqs, strict=True))


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a folder after a modseq: `present` are new or changed, both in ascending UID;
    `recent_uid` as in Folder."""

    present: FlagsRows
    expunged: Sequence[int]
    modseq: ModSeq
    recent_uid: int = 0


class Place(NamedTuple):
    """What is known of a message in a folder without opening it: which it is, and the day it came there."""

    uid: Uid
    message_id: MessageId
    saved_day: int


class SealedMessage(NamedTuple):
    """A message as listed. A named tuple, for speed: a listing makes one of these for each row."""

    uid: Uid
    number: MessageNumber
    message_id: MessageId
    blob_id: BlobId
    listing_epoch: int | None  # as in Deposit
    summary_ct: bytes
    header_ct: bytes | None


class SealedDek(NamedTuple):
    """A message's DEK as its row has it; `small_ct` is its content if that was asked for and is one chunk."""

    number: MessageNumber
    epoch: int
    suite: int
    form: str
    ct: bytes
    small_ct: bytes | None

    @property
    def sealed_key(self) -> SealedKey:
        return SealedKey.stored(self.epoch, self.suite, self.form, self.ct)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCounts:
    """What STATUS tells of a folder (RFC 3501 §6.3.10, RFC 8438)."""

    messages: int
    unseen: int
    deleted: int
    uidnext: Uid
    uidvalidity: int
    modseq: ModSeq
    size_kib: int
    deleted_kib: int
    recent: int


class FlagsMode(StrEnum):
    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


class RecipientState(StrEnum):
    """Every queued recipient is in exactly one of these (invariant 6); the last three are final."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        return self not in (RecipientState.PENDING, RecipientState.IN_FLIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRecipient:
    """A recipient leased to the caller until `leased_until`. `attempts` counts this one; `asked_for`:
    somebody wants it made now, whatever is known of the destination."""

    id: RecipientId
    mailbox: MailboxId
    number: MessageNumber
    message_id: MessageId
    blob_id: BlobId
    chunks: int
    size_kib: int
    sealed_key: SealedKey
    created_at: int
    envelope_ct: bytes = field(repr=False)
    destination_tag: bytes
    address_ct: bytes = field(repr=False)
    attempts: int
    asked_for: bool
    leased_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRecipient:
    id: RecipientId
    state: RecipientState
    attempts: int
    next_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """A message still in the queue, as an operator may see it: no address, no content."""

    number: MessageNumber
    message_id: MessageId
    created_at: int
    size_kib: int
    recipients: tuple[QueuedRecipient, ...]


class JournalKind(StrEnum):
    """What a mailbox's journal tells (project format)."""

    CREATED = "created"  # the mailbox
    STATUS = "status"
    KEY = "key"  # a new epoch
    ACCEPTED = "accepted"  # a message, before its 250
    QUEUED = "queued"  # a message to be sent on
    COPIED = "copied"
    MOVED = "moved"
    EXPUNGED = "expunged"  # a placement; the message lies elsewhere still
    SHREDDED = "shredded"  # the last placement, and with it DEK, metadata and content
    OUTCOME = "outcome"  # of a queued recipient
    FOLDER_CREATED = "folder_created"
    FOLDER_RENAMED = "folder_renamed"
    FOLDER_DELETED = "folder_deleted"


class JournalEntry(NamedTuple):
    """One line of a mailbox's journal; `hash` closes the chain up to it. As its row stands in the table."""

    mailbox: MailboxId
    n: int
    at: int
    kind: str
    message_id: MessageId | None
    folder_id: FolderId | None
    uid: Uid | None
    detail: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class JournalMark:
    """How far a mailbox's journal had come: kept elsewhere, it betrays a database put back in time."""

    n: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenInvariant:
    """A broken invariant: its number in docs/findings.md, invariants, where, and in which words."""

    invariant: int
    problem: str
    mailbox: str = ""
    message: str = ""
    folder: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep took away. `log_emptied` False: shredded bytes may still lie in the write-ahead log."""

    blobs: int
    dedup_keys: int
    log_emptied: bool
