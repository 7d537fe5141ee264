"""queue.*: letters on their way out. No address is shown: the queue is sealed, to the operator too."""

from __future__ import annotations

from datetime import UTC, datetime

from mssante.control.operations import Arguments, Parts, Result
from mssante.model import Malformed
from mssante.store.records import MessageNumber


async def listing(parts: Parts, arguments: Arguments) -> Result:
    """Each recipient still waited for, by message."""
    recipients = [
        {
            "message": message.number,
            "id": message.message_id.hex(),
            "size_kib": message.size_kib,
            "since": _moment(message.created_at),
            "state": recipient.state.value,
            "attempts": recipient.attempts,
            "next_attempt": None
            if recipient.state.final
            else _moment(max(recipient.next_at, message.created_at)),
        }
        for message in await parts.store.queue.messages()
        for recipient in message.recipients
    ]
    return {"recipients": recipients}


async def retry(parts: Parts, arguments: Arguments) -> Result:
    """Makes the recipients of one message, or all that wait, due now."""
    number = arguments.get("message")
    if number is not None and not isinstance(number, int):
        raise Malformed("a message is named by its number in queue list")
    due = await parts.store.queue.retry(None if number is None else MessageNumber(number))
    return {"due_now": due}


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
