"""What comes in: everything that one 250 promises, and where it was put."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mssante.crypto import SealedKey
from mssante.model import BlobId, FolderId, MailboxId, MessageId, ModSeq, SpecialUse, Uid
from mssante.reasons import Declined


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """One message for one mailbox, sealed. `pending_chunks` are the chunks not written yet, as (n, ct).

    `folder` is None only for the queue's mailbox, whose messages lie in no folder. `listing_epoch` is the
    epoch of the listing key that the summary is sealed under; None when that is the DEK (crypto.Closed)."""

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
    """A recipient to be reached. Those of one domain have the same `destination_tag` (32 bytes)."""

    destination_tag: bytes
    address_ct: bytes
    next_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A message for the queue's mailbox; `envelope_ct` is its sender and options, sealed. The tags (32 bytes)
    are those of the person and of the mailbox that it counts for."""

    deposit: Deposit
    envelope_ct: bytes
    recipients: tuple[QueueRecipientNew, ...]
    person_tag: bytes | None = None
    sender_tag: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Everything that one 250 promises, kept together or not at all. `dedup_key` identifies the message, so
    that a mailbox that has it already gets no second copy. With `comes_again` it gets one once its reader has
    expunged the first; without, never.

    `journal_detail` is a small JSON object without content: {"peer": fingerprint, "list": generation,
    "crl": number, …} for a peer, {"person": name, …} otherwise (invariant 7 of `verify`)."""

    dedup_key: bytes | None
    deposits: tuple[Deposit, ...]
    outbound: Outbound | None
    journal_detail: str
    comes_again: bool = False


class Placed(NamedTuple):
    """Where a deposit was put."""

    mailbox: MailboxId
    folder: FolderId
    uid: Uid
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to an Acceptance. With `duplicate`, every mailbox had this message already and nothing was
    written. `kept`: for each deposit, the queue's last, the letter that its mailbox has now: this one, or the
    one that came before."""

    duplicate: bool
    placements: tuple[Placed, ...]
    kept: tuple[MessageId, ...]


class Settled(NamedTuple):
    """What became of an acceptance that was judged together with others, whom to tell, and which contents
    were written early and are not kept."""

    outcome: Accepted | Declined
    changed: tuple[MailboxId, ...]
    left_over: tuple[BlobId, ...]
