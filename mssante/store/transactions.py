"""The store's transactions: run to their end, then told to whoever waits.

Invariants: what is kept is told, even if the caller went away meanwhile; told only after the commit; on one
snapshot what is read belongs together. Every method raises Passing when the database does not answer or is
too busy, besides what the function given to it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from mssante.clock import Clock
from mssante.database import Announcement, Database
from mssante.model import MailboxId
from mssante.store.ledger import Ledger
from mssante.store.notifier import Notifier
from mssante.store.records import Settled
from mssante.tasks import Unbroken

T = TypeVar("T")
P = TypeVar("P")


class Transactions:
    """Over one database, at the time of `clock`. `shredded`: something that was shredded may still lie in the
    write-ahead log; at the start it may, whatever a process before us did."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.notifier = Notifier()
        self.shredded = True
        self._unbroken = Unbroken("store transaction")

    async def close(self) -> None:
        """Waits for what was begun."""
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
        """Runs `fn` in a transaction that changes nothing a session sees."""
        return await self.database.write(fn)

    async def write_at_leisure(self, fn: Callable[[Connection], T]) -> T:
        """As `write_quietly`, for what is a comfort and no duty: raises Passing at once where the database is
        busy, so that no letter waits for it."""
        return await self.database.write_at_leisure(fn)

    async def write(self, change: Callable[[Ledger], T]) -> T:
        """Runs `change` in a transaction and wakes the sessions of the mailboxes it stepped."""
        now, origin = self.now, self.notifier.origin

        def transaction(connection: Connection) -> tuple[T, Sequence[MailboxId]]:
            ledger = Ledger(connection, now=now, origin=origin)
            result = change(ledger)
            ledger.close()
            return result, ledger.changed

        async def write_and_tell() -> T:
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
        """Runs `handler` for `payload` together with what else is ready for it, in one transaction, and wakes
        the sessions of the mailboxes it changed."""

        async def write_and_tell() -> Settled:
            settled = await self.database.write_many(handler, payload, announced=announced)
            self.notifier.tell(settled.changed)
            return settled

        return await self._unbroken.run(write_and_tell())
