"""The store's transactions: each runs to its end, then the sessions concerned are told.

What writes many rows is done in slices, each a transaction of its own whose caller says how many `rows` it
writes: then letters and other people's commands pass between two of them (database.writer).

Invariants: a change that was committed is told to the sessions of its mailbox, even if the caller was
cancelled meanwhile, and only after the commit; everything one `read` sees comes from one snapshot. Every
method raises Passing when the database does not answer or is too busy, besides what the function given to it
raises.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection

from mssante import limits
from mssante.clock import Clock
from mssante.crypto import AuditPublicKey
from mssante.database import Announcement, Database
from mssante.model import BlobId, MailboxId
from mssante.reasons import Passing
from mssante.store import blobs
from mssante.store.ledger import Ledger
from mssante.store.line_keys import LineKeys
from mssante.store.notifier import Notifier
from mssante.store.presence import Presence
from mssante.store.records import Settled
from mssante.tasks import Unbroken

T = TypeVar("T")
P = TypeVar("P")


class Transactions:
    """Runs transactions over one database, with the time of `clock`. `line_keys` seal the journal's lines.
    `presence` says whether we, and the others who share the queue, are there.
    `shredded` says that bytes of shredded messages may still lie in the write-ahead log. It is True at the
    start, because an earlier process may have left some there."""

    def __init__(self, database: Database, clock: Clock, audit: AuditPublicKey) -> None:
        self.database = database
        self.line_keys = LineKeys(database, audit)
        self.clock = clock
        self.notifier = Notifier()
        self.presence = Presence(clock)
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

    async def write_quietly(self, fn: Callable[[Connection], T], *, rows: int = 1) -> T:
        """Runs `fn` in a transaction that changes nothing that a session could see, so nobody is told."""
        return await self.database.write(fn, rows=rows)

    async def write_at_leisure(self, fn: Callable[[Connection], T]) -> T:
        """As `write_quietly`, for what is useful but may be left out: raises Passing soon where the database
        is busy, so that no letter waits for it."""
        return await self.database.write_at_leisure(fn)

    async def write(self, change: Callable[[Ledger], T], *, rows: int = 1) -> T:
        """Runs `change` in a transaction, then wakes the sessions of the mailboxes that got a new modseq and
        erases what the transaction left over."""
        now, origin = self.now, self.notifier.origin

        async def write_and_tell() -> T:
            line_key = await self.line_keys.of_day(now)

            def transaction(connection: Connection) -> tuple[T, Sequence[MailboxId], Sequence[BlobId]]:
                ledger = Ledger(connection, now=now, line_key=line_key, origin=origin)
                result = change(ledger)
                ledger.close()
                return result, ledger.changed, ledger.left_over

            result, changed, left_over = await self.database.write(transaction, rows=rows)
            self.notifier.tell(changed)
            await self._erase_if_possible(left_over)
            return result

        return await self._unbroken.run(write_and_tell())

    async def unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        """Does several transactions that belong together: they go on when the caller is cancelled."""
        return await self._unbroken.run(work)

    async def erase(self, given_up: Sequence[BlobId]) -> None:
        """Deletes the content of messages that are not kept (any more), some mebibytes in each
        transaction."""
        while given_up:
            some = partial(blobs.erase, blobs=given_up)
            given_up = await self.write_quietly(some, rows=limits.CHUNKS_ERASED_AT_ONCE)

    async def _erase_if_possible(self, given_up: Sequence[BlobId]) -> None:
        try:
            await self.erase(given_up)
        except Passing:
            pass  # what was asked for is committed; the next sweep erases the rest

    async def write_together(
        self,
        handler: Callable[[Connection, list[P]], list[Settled]],
        payload: P,
        announced: Announcement | None = None,
        *,
        rows: int,
    ) -> Settled:
        """Runs `handler` for `payload` and for what others gave it meanwhile, in one transaction, and then
        wakes the sessions of the mailboxes that this payload changed, and erases what it left over."""

        async def write_and_tell() -> Settled:
            settled = await self.database.write_many(handler, payload, announced=announced, rows=rows)
            self.notifier.tell(settled.changed)
            await self._erase_if_possible(settled.left_over)
            return settled

        return await self._unbroken.run(write_and_tell())
