"""Recipients of the queue, who are still to be reached, and their messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

from mssante.crypto import SealedKey
from mssante.model import BlobId, MailboxId, MessageId
from mssante.store.records.messages import MessageNumber

RecipientId = NewType("RecipientId", int)


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
    """A recipient that is leased to the caller until `leased_until`. `attempts` counts the attempt to be made
    now. With `asked_for`, somebody wants it made even if the destination is known not to answer. `created_at`
    is the hour in which the message was queued."""

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
class QueuedEnvelope:
    """The envelope of a message in the queue, and what opens it."""

    number: MessageNumber
    message_id: MessageId
    blob_id: BlobId
    sealed_key: SealedKey
    envelope_ct: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingShare:
    """What one person or one mailbox has in the queue: messages' KiB, and recipients still to be reached."""

    kib: int
    recipients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRecipient:
    id: RecipientId
    state: RecipientState
    attempts: int
    next_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """A message still in the queue, as an operator may see it: no address, no content. `created_at` is the
    hour in which it was queued."""

    number: MessageNumber
    message_id: MessageId
    created_at: int
    size_kib: int
    recipients: tuple[QueuedRecipient, ...]
