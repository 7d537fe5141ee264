"""What operations are: the same code answers the control socket of a running server and the CLI alone.

Invariants: an operation takes and gives plain JSON values; it raises Refused or Passing with a detail
meant for the operator; a secret comes in as an argument of its own and goes out never.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mssante.annuaire.directory import Directory
from mssante.clock import Clock
from mssante.config import Config
from mssante.keys.broker import KeyBroker
from mssante.model import Address, Malformed
from mssante.reasons import Reason, Refused
from mssante.store import MailboxRow, MailStore
from mssante.trust.state import TrustState

Arguments = Mapping[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """What operations work on: the open parts of one operator."""

    config: Config
    clock: Clock
    store: MailStore
    broker: KeyBroker
    directory: Directory
    trust: TrustState


Operation = Callable[[Parts, Arguments], Awaitable[Result]]


async def mailbox_named(parts: Parts, arguments: Arguments) -> MailboxRow:
    """The mailbox an operation speaks of. Raises Refused(MAILBOX_UNKNOWN)."""
    address = Address.parse(str(arguments["address"]))
    row = await parts.store.accounts.mailbox(address.key)
    if row is None:
        raise Refused(
            Reason.MAILBOX_UNKNOWN, f"no mailbox {address} here; 'mssante bal list' shows those there are"
        )
    return row


def moment(text: object) -> datetime | None:
    """An optional ISO date or moment with its zone. Raises Malformed."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        raise Malformed("not a date (YYYY-MM-DD, or with time and zone)") from None
    return at if at.tzinfo else at.astimezone()
