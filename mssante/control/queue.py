"""queue.*: letters on their way out. No address is shown: the queue is sealed even to the operator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from mssante.control.operations import OperationRequest, Parts
from mssante.store.records import MessageNumber, RecipientState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """A recipient whose delivery is not finished. `id` is our own hexadecimal id of the message, as in the
    log."""

    message: MessageNumber
    id: str
    size_kib: int
    since: datetime
    state: RecipientState
    attempts: int
    next_attempt: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueListing:
    recipients: tuple[QueueEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRetried:
    due_now: int


@dataclass(frozen=True, slots=True)
class ListQueue(OperationRequest[QueueListing]):
    pass


@dataclass(frozen=True, slots=True)
class RetryQueue(OperationRequest[QueueRetried]):
    """`message` None: all that wait."""

    message: MessageNumber | None = None


async def listing(parts: Parts, request: ListQueue) -> QueueListing:
    """Each recipient whose delivery is not finished, by message."""
    recipients = tuple(
        QueueEntry(
            message=message.number,
            id=message.message_id.hex(),
            size_kib=message.size_kib,
            since=_moment(message.created_at),
            state=recipient.state,
            attempts=recipient.attempts,
            next_attempt=None
            if recipient.state.final
            else _moment(max(recipient.next_at, message.created_at)),
        )
        for message in await parts.store.queue.messages()
        for recipient in message.recipients
    )
    return QueueListing(recipients=recipients)


async def retry(parts: Parts, request: RetryQueue) -> QueueRetried:
    """Makes the recipients of one message, or of all that wait, due now."""
    return QueueRetried(due_now=await parts.store.queue.retry(request.message))


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
