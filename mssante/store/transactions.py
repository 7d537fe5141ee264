"""The store's transactions: each runs to its end, then the sessions concerned are told.

Invariants: a change that was committed is told to the sessions of its mailbox, even if the caller was
cancelled meanwhile, and only after the commit; everything one `read` sees comes from one snapshot. Every
method raises Passing when the database does not answer or is too busy, besides what the function given to it
raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from mssante.clock import Clock
from mssante.crypto import AuditPublicKey
from mssante.database import Announcement, Database
from mssante.model import MailboxId
from mssante.store.ledger import Ledger
from mssante.store.line_keys import LineKeys
from mssante.store.notifier import Notifier
from mssante.store.records import Settled
from mssante.tasks import Unbroken

T = TypeVar("T")
P = TypeVar("P")


class Transactions:
    """Runs transactions over one database, with the time of `clock`. `line_keys` seal the journal's lines.
    `shredded` says that bytes of shredded messages may still lie in the write-ahead log. It is True at the
    start, because an earlier process may have left some there."""

    def __init__(self, database: Database, clock: Clock, audit: AuditPublicKey) -> None:
        self.database = database
        self.line_keys = LineKeys(database, audit)
        self.clock = clock
        self.notifier = Notifier()
        self.shredded = True
        self._unbroken = Unbroken("store transaction")

    async def close(self) -> None:
        """Waits for the transactions that have begun."""
        await self._unbroken.finish()
        await self.notifier.close()

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock.now().timestamp())

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Runs `fn` on one snapshot."""
        return await self.database.read(fn)

    async def write_quietly(self, fn: Callable[[Connection], T]) -> T:
        """Runs `fn` in a transaction that changes nothing that a session could see, so nobody is told."""
        return await self.database.write(fn)

    async def write_at_leisure(self, fn: Callable[[Connection], T]) -> T:
        """As `write_quietly`, for what is useful but may be left out: raises Passing soon where the database
        is busy, so that no letter waits for it."""
        return await self.database.write_at_leisure(fn)

    async def write(self, change: Callable[[Ledger], T]) -> T:
        """Runs `change` in a transaction and then wakes the sessions of the mailboxes that got a new
        modseq."""
        now, origin = self.now, self.notifier.origin

        async def write_and_tell() -> T:
            line_key = await self.line_keys.of_day(now)

            def transaction(connection: Connection) -> tuple[T, Sequence[MailboxId]]:
                ledger = Ledger(connection, now=now, line_key=line_key, origin=origin)
                result = change(ledger)
                ledger.close()
                return result, ledger.changed

            result, changed = await self.database.write(transaction)
            self.notifier.tell(changed)
            return result

        return await self._unbroken.run(write_and_tell())

    async def write_together(
        self,
        handler: Callable[[Connection, list[P]], list[Settled]],
        payload: P,
        announced: Announcement | None = None,
    ) -> Settled:
        """Runs `handler` for `payload` and for what others gave it meanwhile, in one transaction, and then
        wakes the sessions of the mailboxes that this payload changed."""

        async def write_and_tell() -> Settled:
            settled = await self.database.write_many(handler, payload, announced=announced)
            self.notifier.tell(settled.changed)
            return settled

        return await self._unbroken.run(write_and_tell())
