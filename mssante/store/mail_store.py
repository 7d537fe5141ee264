"""The mail store as the layers above see it: each method one transaction, then whoever waits is told.

Invariants: what a method answered is kept; nothing here opens a ciphertext; errors are Refused and
Passing, besides database.Conflict where a method says so. Methods are documented by the functions they
delegate to; what is added is said here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from weakref import WeakValueDictionary

from mssante import limits
from mssante.clock import Clock
from mssante.crypto import Closed, PublicKey
from mssante.database import Announcement, Database
from mssante.model import (
    BlobId,
    FolderId,
    MailboxId,
    MailboxKind,
    MailboxStatus,
    ModSeq,
    Uid,
)
from mssante.store import (
    accounts,
    blobs,
    folders,
    journal,
    queue,
    reading,
    reception,
    shredding,
    subscriptions,
    sweeping,
    verify,
    writing,
)
from mssante.store.aged_cache import AgedCache
from mssante.store.indexing import Segments
from mssante.store.live import LiveFolder
from mssante.store.notifier import Subscription
from mssante.store.quota_promises import QuotaPromises
from mssante.store.records import (
    Acceptance,
    Accepted,
    BrokenInvariant,
    Changes,
    DueRecipient,
    FlagsMode,
    FlagsRows,
    Folder,
    FolderCounts,
    FolderName,
    JournalEntry,
    JournalMark,
    Keyword,
    MailboxRow,
    MessageNumber,
    Place,
    QueuedMessage,
    RecipientId,
    RecipientState,
    SealedDek,
    SealedMessage,
    Swept,
    Uids,
)
from mssante.store.transactions import Transactions

MIGRATIONS = "mssante.store.migrations"
_EXPUNGE_SLICE = 500  # messages shredded in one transaction: receptions wait no longer than that
_REMEMBERED_MAX = 10_000  # mailboxes, and public keys of 1.2 KiB each
_MAILBOX_SECONDS = 10
_PUBLIC_KEY_SECONDS = 60  # another host may have added an epoch; the old one opens for much longer


class MailStore:
    """Begin with `MailStore.start`, end with `close`; the database is its opener's."""

    def __init__(self, transactions: Transactions) -> None:
        clock = transactions.clock
        self._transactions = transactions
        self._read, self._write = transactions.read, transactions.write
        self._mailboxes = AgedCache[str, MailboxRow](clock, seconds=_MAILBOX_SECONDS, most=_REMEMBERED_MAX)
        self._public_keys = AgedCache[MailboxId, PublicKey](
            clock, seconds=_PUBLIC_KEY_SECONDS, most=_REMEMBERED_MAX
        )
        self.segments = Segments(transactions)
        self.rooms = QuotaPromises()
        self._live = WeakValueDictionary[FolderId, LiveFolder]()  # of folders somebody looks at
        self._shredded = True  # what a process before us shredded may still lie in the log

    @classmethod
    async def start(cls, database: Database, *, clock: Clock) -> MailStore:
        """Over a database opened with MIGRATIONS. Raises Passing."""
        transactions = Transactions(database, clock)
        if database.dialect == "postgresql":
            await transactions.notifier.listen(database)
        else:
            await database.write(queue.release_all)
        return cls(transactions)

    async def close(self) -> None:
        """Before the database is closed."""
        await self._transactions.close()

    @property
    def accepts_writes(self) -> bool:
        """False once a sync has failed: the process must be restarted."""
        return self._transactions.database.accepts_writes

    def subscribe(self, mailbox: MailboxId) -> AbstractContextManager[Subscription]:
        """`with store.subscribe(m) as changed: await changed.wait()`: see Notifier."""
        return self._transactions.notifier.subscribe(mailbox)

    # Accounts

    async def add_mailbox(self, row: MailboxRow, key: PublicKey) -> None:
        await self._write(lambda ledger: accounts.add(ledger, row, key))

    async def add_public_key(self, key: PublicKey) -> None:
        await self._write(lambda ledger: accounts.add_key(ledger, key))
        self._public_keys.forget()

    async def mailbox(self, address_key: str) -> MailboxRow | None:
        return await self._read(lambda c: accounts.by_address(c, address_key))

    async def mailbox_lately(self, address_key: str) -> MailboxRow | None:
        """As `mailbox`, perhaps as it was ten seconds ago if another host changed it, and with `used_kib` of
        then: for a first judgement, when the transaction judges again. Spares a look for each recipient."""
        row = self._mailboxes.known(address_key)
        if row is None:
            row = await self.mailbox(address_key)
            if row is not None:
                self._mailboxes.remember(address_key, row)
        return row

    async def mailbox_by_id(self, mailbox: MailboxId) -> MailboxRow:
        return await self._read(lambda c: accounts.by_id(c, mailbox))

    async def mailboxes(
        self, kind: MailboxKind | None = None, status: MailboxStatus | None = None
    ) -> list[MailboxRow]:
        return await self._read(lambda c: accounts.all_of(c, kind, status))

    async def status_set(self, mailbox: MailboxId, status: MailboxStatus) -> None:
        await self._write(lambda ledger: accounts.set_status(ledger, mailbox, status))
        self._mailboxes.forget()

    async def quota_set(self, mailbox: MailboxId, quota_kib: int | None) -> None:
        await self._write(lambda ledger: accounts.set_quota(ledger, mailbox, quota_kib))
        self._mailboxes.forget()

    async def public_key(self, mailbox: MailboxId) -> PublicKey:
        """The newest epoch's public key, at most a minute late if another host added it."""
        key = self._public_keys.known(mailbox)
        if key is None:
            key = await self._read(lambda c: accounts.public_key(c, mailbox))
            self._public_keys.remember(mailbox, key)
        return key

    # Reception

    async def chunks_append(self, blob: BlobId, first_n: int, sealed: list[bytes]) -> None:
        now = self._transactions.now
        await self._transactions.write_quietly(lambda c: blobs.append_chunks(c, blob, first_n, sealed, now))

    async def blob_abandon(self, blob: BlobId) -> None:
        await self._transactions.write_quietly(lambda c: blobs.abandon(c, [blob]))

    def announce(self) -> Announcement:
        """An `accept` will come soon: others wait a moment, to be committed with it."""
        return self._transactions.database.announce()

    async def accept(self, acceptance: Acceptance, announced: Announcement | None = None) -> Accepted:
        """Keeps everything of `acceptance`, or says why not and takes its early chunks away. Raises
        Refused(MAILBOX_UNKNOWN, MAILBOX_CLOSED, MAILBOX_FULL, FOLDER_UNKNOWN), Passing(MAILBOX_SUSPENDED)."""
        return await self._transactions.accept(acceptance, announced)

    async def replace(self, folder: FolderId, uid: Uid, acceptance: Acceptance) -> Accepted:
        self._shredded = True
        return await self._write(lambda ledger: reception.replace(ledger, folder, uid, acceptance))

    # Reading

    async def folders(self, mailbox: MailboxId) -> list[Folder]:
        return await self._read(lambda c: reading.folders(c, mailbox))

    async def folder(self, folder: FolderId) -> Folder:
        return await self._read(lambda c: reading.folder(c, folder))

    async def keywords(self, mailbox: MailboxId) -> list[Keyword]:
        return await self._read(lambda c: reading.keywords(c, mailbox))

    async def uids(self, folder: FolderId) -> reading.FolderNumbers:
        return await self._read(lambda c: reading.uids(c, folder))

    async def live(self, folder: FolderId) -> LiveFolder:
        """The folder's numbers as they are now, the same object for whoever looks at it meanwhile. Raises
        Refused(FOLDER_UNKNOWN)."""
        known = self._live.get(folder)
        if known is None:
            numbers = await self.uids(folder)
            known = self._live.get(folder)
            if known is None:
                known = self._live[folder] = LiveFolder(numbers)
                return known
        await known.take(await self.changes(folder, known.modseq))
        return known

    async def changes(self, folder: FolderId, since: ModSeq) -> Changes:
        return await self._read(lambda c: reading.changes(c, folder, since))

    async def expunged(self, folder: FolderId, since: ModSeq, up_to: ModSeq) -> Sequence[int]:
        return await self._read(lambda c: reading.expunged(c, folder, since, up_to))

    async def sealed_summaries(
        self, folder: FolderId, uids: Uids, *, header: bool = False, bytes_max: int | None = None
    ) -> list[SealedMessage]:
        return await self._read(
            lambda c: reading.sealed_summaries(c, folder, uids, header=header, bytes_max=bytes_max)
        )

    async def places(self, folder: FolderId, uids: Uids) -> list[Place]:
        return await self._read(lambda c: reading.places(c, folder, uids))

    async def chunks(self, blob: BlobId, first_n: int, count: int) -> list[bytes]:
        return await self._read(lambda c: reading.chunks(c, blob, first_n, count))

    async def deks(self, numbers: Sequence[MessageNumber], *, contents: bool = False) -> list[SealedDek]:
        return await self._read(lambda c: reading.deks(c, numbers, contents=contents))

    async def present(self, numbers: Sequence[MessageNumber]) -> set[MessageNumber]:
        return await self._read(lambda c: reading.present(c, numbers))

    async def counts(self, folder: FolderId) -> FolderCounts:
        return await self._read(lambda c: reading.counts(c, folder))

    async def sealed_bytes(self, mailbox: MailboxId) -> int:
        return await self._read(lambda c: reading.sealed_bytes(c, mailbox))

    # Writing

    async def folder_create(
        self, mailbox: MailboxId, name_tag: bytes, name_ct: bytes, *, subscribed: bool = False
    ) -> Folder:
        return await self._write(
            lambda ledger: folders.create(ledger, mailbox, name_tag, name_ct, subscribed=subscribed)
        )

    async def folder_rename(self, mailbox: MailboxId, names: Sequence[FolderName]) -> None:
        await self._write(lambda ledger: folders.rename(ledger, mailbox, names))

    async def folder_delete(self, folder: FolderId) -> None:
        """Shreds what lies in it alone, some hundred messages to a transaction, then the folder goes."""
        self._shredded = True
        while not await self._write(lambda ledger: folders.delete(ledger, folder, _EXPUNGE_SLICE)):
            pass

    async def folder_subscribe(self, folder: FolderId, *, subscribed: bool) -> None:
        await self._write(lambda ledger: folders.subscribe(ledger, folder, subscribed))

    async def recent_claim(self, folder: FolderId, up_to: Uid) -> int:
        return await self._transactions.write_quietly(lambda c: folders.claim_recent(c, folder, up_to))

    async def subscriptions(self, mailbox: MailboxId) -> list[bytes]:
        """Sealed names that are subscribed and no folder's."""
        return await self._read(lambda c: subscriptions.names(c, mailbox))

    async def subscription_end(self, mailbox: MailboxId, name_tag: bytes) -> bool:
        """For a name that is no folder's; whether it was subscribed."""
        return await self._transactions.write_quietly(lambda c: subscriptions.take(c, mailbox, name_tag))

    async def keyword_add(self, mailbox: MailboxId, name_tag: bytes, name_ct: bytes) -> int:
        return await self._write(lambda ledger: folders.add_keyword(ledger, mailbox, name_tag, name_ct))

    async def flags_store(
        self,
        folder: FolderId,
        uids: Uids,
        mode: FlagsMode,
        mask: int,
        *,
        unchangedsince: ModSeq | None = None,
    ) -> FlagsRows:
        return await self._write(
            lambda ledger: writing.store_flags(
                ledger, folder, uids, mode, mask, unchanged_since=unchangedsince
            )
        )

    async def copy(self, folder: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
        return await self._write(lambda ledger: writing.copy(ledger, folder, uids, to))

    async def move(self, folder: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
        return await self._write(lambda ledger: writing.move(ledger, folder, uids, to))

    async def expunge(
        self, folder: FolderId, uids: Uids | None = None, *, deleted_only: bool = True
    ) -> list[Uid]:
        """Removes the messages with \\Deleted, of `uids` or of all (RFC 4315 §2.1), some hundred to a
        transaction; with `deleted_only` False, all of `uids`. Answers the UIDs gone, ascending."""
        gone: list[Uid] = []
        while True:
            part = await self._write(
                lambda ledger: shredding.expunge_slice(
                    ledger, ledger.open_folder(folder), uids, _EXPUNGE_SLICE, deleted_only=deleted_only
                )
            )
            self._shredded = self._shredded or bool(part)
            gone += part
            if len(part) < _EXPUNGE_SLICE:
                return gone

    async def reseal(self, messages: Sequence[tuple[MessageNumber, Closed]]) -> None:
        """A comfort: raises Passing at once where the database is busy, so that no letter waits for it."""
        await self._transactions.database.write_at_leisure(lambda c: writing.reseal(c, messages))

    # Queue

    async def due(
        self,
        *,
        limit: int,
        exclude: Collection[bytes] = (),
        lease_seconds: int = limits.QUEUE_LEASE_SECONDS,
    ) -> list[DueRecipient]:
        now = self._transactions.now
        return await self._transactions.write_quietly(
            lambda c: queue.lease_due(c, now=now, limit=limit, lease_seconds=lease_seconds, exclude=exclude)
        )

    async def recipient_outcome(
        self,
        recipient: RecipientId,
        *,
        attempts: int,
        state: RecipientState,
        next_at: int = 0,
        reply_ct: bytes | None = None,
    ) -> bool:
        forgotten = await self._write(
            lambda ledger: queue.settle(
                ledger, recipient, attempts=attempts, state=state, next_at=next_at, reply_ct=reply_ct
            )
        )
        self._shredded = self._shredded or forgotten
        return forgotten

    async def queued(self) -> list[QueuedMessage]:
        return await self._read(queue.queued)

    async def retry(self, number: MessageNumber | None = None) -> int:
        return await self._write(lambda ledger: queue.retry(ledger, number))

    async def hasten(self, destination_tag: bytes) -> None:
        now = self._transactions.now
        await self._transactions.write_quietly(lambda c: queue.hasten(c, destination_tag, now))

    # Keeping in order

    async def journal(self, mailbox: MailboxId, *, after: int = 0, most: int = 1000) -> list[JournalEntry]:
        return await self._read(lambda c: journal.entries(c, mailbox, after, most))

    async def journal_heads(self) -> dict[MailboxId, JournalMark]:
        return await self._read(journal.heads)

    async def verify(self, marks: Mapping[MailboxId, JournalMark] | None = None) -> list[BrokenInvariant]:
        now = self._transactions.now
        return await self._read(lambda c: verify.verify(c, now=now, marks=marks))

    async def sweep(self) -> Swept:
        """At start and hourly: abandoned blobs, old dedup keys, and what was shredded out of the log."""
        now, swept = self._transactions.now, 0
        while part := await self._transactions.write_quietly(lambda c: sweeping.sweep_blobs(c, now)):
            swept += part
        keys = await self._transactions.write_quietly(lambda c: sweeping.sweep_dedup(c, now))
        if self._shredded or swept:
            self._shredded = False  # what is shredded from here on is for the next sweep
            if not await self._transactions.database.checkpoint_truncate():
                self._shredded = True
        return Swept(blobs=swept, dedup_keys=keys, log_emptied=not self._shredded)
