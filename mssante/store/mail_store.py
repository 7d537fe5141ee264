"""The mail store as the layers above see it: an object for each noun, and what concerns several of them.

Invariants: once a method has returned, what it wrote is committed; nothing here opens a ciphertext; errors
are Refused and Passing, and database.Conflict where a method says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from mssante.clock import Clock
from mssante.crypto import AuditPublicKey, AuditSecretKey, StatementVerifier
from mssante.database import Announcement, Database
from mssante.model import MailboxId
from mssante.reasons import Declined
from mssante.store import dedup, journal, leases, reception, sweeping, verify
from mssante.store.accounts import AccountsDoor
from mssante.store.disk_reserve import DiskReserve
from mssante.store.folders import FoldersDoor
from mssante.store.index import IndexDoor
from mssante.store.journal import JournalDoor
from mssante.store.messages import MessagesDoor
from mssante.store.notifier import Subscription
from mssante.store.queue import QueueDoor
from mssante.store.quota_promises import QuotaPromises
from mssante.store.records import Acceptance, Accepted, BrokenInvariant, JournalMark, Swept
from mssante.store.transactions import Transactions

MIGRATIONS = "mssante.store.migrations"


class MailStore:
    """Begin with `MailStore.start` and end with `close`. Whoever opened the database also closes it.

    What concerns one noun is a method of its attribute: `accounts`, `folders`, `messages`, `queue`,
    `journal`, `index`, `promises` (the quota room that is promised to letters still coming in) and `reserve`
    (the part of the disk that letters may not fill: whoever begins one asks it first). The
    methods here concern several nouns: start and close, who is told of changes, `accept` (one transaction
    writes mailboxes, folders, messages, queue and journal), and what checks or cleans everything (`verify`,
    `sweep`)."""

    def __init__(self, transactions: Transactions, verifier: StatementVerifier, reserve: DiskReserve) -> None:
        self._transactions = transactions
        self.reserve = reserve
        self.accounts = AccountsDoor(transactions, verifier)
        self.folders = FoldersDoor(transactions)
        self.messages = MessagesDoor(transactions, reserve)
        self.queue = QueueDoor(transactions)
        self.journal = JournalDoor(transactions)
        self.index = IndexDoor(transactions)
        self.promises = QuotaPromises()

    @classmethod
    async def start(
        cls,
        database: Database,
        *,
        clock: Clock,
        verifier: StatementVerifier,
        audit: AuditPublicKey,
        disk: Path | None = None,
        reserve_octets: int = 0,
    ) -> MailStore:
        """Starts over a database that was opened with MIGRATIONS. `verifier` knows what the key broker signed
        of mailboxes. `audit` seals what the journal tells, and opens nothing of it. `disk` is the folder of
        the database's file, on whose disk `reserve_octets` stay free. Raises Passing."""
        transactions = Transactions(database, clock, audit)
        store = cls(transactions, verifier, DiskReserve(disk, reserve_octets, database.free_octets))
        if database.dialect == "postgresql":
            await transactions.notifier.listen(database, transactions.presence)
        else:
            await database.write(leases.release_all)
            transactions.presence.began(alone=True)
            await store.messages.finish_copies(all_of_them=True)  # before anybody reads
        return store

    async def close(self) -> None:
        """Waits for the transactions that have begun. To be called before the database is closed."""
        await self._transactions.close()

    @property
    def accepts_writes(self) -> bool:
        """False once a sync has failed: the process must be restarted."""
        return self._transactions.database.accepts_writes

    def subscribe(self, mailbox: MailboxId) -> AbstractContextManager[Subscription]:
        """Hears of changes: `with store.subscribe(m) as changed: await changed.wait()`. See Notifier."""
        return self._transactions.notifier.subscribe(mailbox)

    def announce(self) -> Announcement:
        """Says that an `accept` will come soon, so that others wait a moment and are committed with it."""
        return self._transactions.database.announce()

    async def accept(self, acceptance: Acceptance, announced: Announcement | None = None) -> Accepted:
        """Keeps everything of `acceptance`, or says why not and deletes the chunks that were written early.
        Raises Refused(MAILBOX_UNKNOWN, MAILBOX_CLOSED, MAILBOX_FULL, FOLDER_UNKNOWN, LIMIT_REACHED),
        Passing(MAILBOX_SUSPENDED, STORAGE_UNAVAILABLE)."""
        now, origin = self._transactions.now, self._transactions.notifier.origin
        line_key = await self._transactions.line_keys.of_day(now)
        arrival = reception.Arrival(acceptance, now, line_key, origin)
        settled = await self._transactions.write_together(
            reception.accept_batch, arrival, announced, rows=_rows(acceptance)
        )
        if isinstance(settled.outcome, Declined):
            raise settled.outcome
        return settled.outcome

    async def verify(
        self, marks: Mapping[MailboxId, JournalMark] | None = None, *, audit: AuditSecretKey | None = None
    ) -> list[BrokenInvariant]:
        """Checks everything that is stored and returns the broken invariants, if any. `marks` are journal
        heads that were kept elsewhere (K4). Without `audit` what the journal tells is not looked at. Raises
        Passing."""
        now = self._transactions.now
        return await self._transactions.read(lambda c: verify.verify(c, now=now, marks=marks, audit=audit))

    async def sweep(self) -> Swept:
        """Deletes abandoned blobs and old dedup keys, finishes what long commands left when they were cut
        off, seals the journal lines that an earlier version left in clear, and empties the write-ahead log of
        shredded bytes. To be called at start and every hour. Raises Passing."""
        transactions, now, swept = self._transactions, self._transactions.now, 0
        while old := await transactions.read(lambda c: sweeping.old_blobs(c, now)):
            await transactions.erase(old)
            swept += len(old)
        await self.messages.finish_copies(all_of_them=False)
        await self.folders.finish_deletions()
        keys = 0
        while old_keys := await transactions.read(lambda c: dedup.old(c, now)):
            forget = partial(dedup.forget, keys=old_keys)
            keys += await transactions.write_quietly(forget, rows=len(old_keys))
        if await journal.any_in_clear(transactions):
            line_key, transactions.shredded = await transactions.line_keys.of_day(now), True
            while await transactions.write_quietly(lambda c: journal.seal_some(c, line_key)):
                pass
        if transactions.shredded or swept:
            transactions.shredded = False  # what is shredded after this is for the next sweep
            if not await transactions.database.checkpoint_truncate():
                transactions.shredded = True
        return Swept(blobs=swept, dedup_keys=keys, log_emptied=not transactions.shredded)


def _rows(acceptance: Acceptance) -> int:
    """How many rows an acceptance writes, as batches count them: its letters, or their chunks."""
    deposits = [*acceptance.deposits, *([acceptance.outbound.deposit] if acceptance.outbound else ())]
    return sum(max(1, len(each.pending_chunks)) for each in deposits)
