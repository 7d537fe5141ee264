"""Sealed things for the store's tests: random octets, since the store opens nothing."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import TypedDict, Unpack

from mssante.clock import ManualClock
from mssante.crypto import (
    AuditSecretKey,
    EnvelopeForm,
    MailboxStatement,
    PublicKey,
    SealedKey,
    SignedStatement,
    StatementVerifier,
    Suite,
)
from mssante.crypto.statement import StatementSigner
from mssante.database import Database
from mssante.model import (
    Address,
    BlobId,
    FolderId,
    MailboxId,
    MailboxKind,
    MailboxStatus,
    MessageId,
    SpecialUse,
)
from mssante.store import Acceptance, Accepted, Deposit, MailboxRow, MailStore, Outbound, QueueRecipientNew
from mssante.store.records import Folder

AUDIT = AuditSecretKey(bytes(range(32)))
PEER = '{"peer":"ab12","list":7,"crl":9}'
DAY = 20_000
_numbers = itertools.count(1)


def deposit(
    mailbox: MailboxId,
    folder: SpecialUse | FolderId | None = SpecialUse.INBOX,
    *,
    chunks: int = 1,
    early: int = 0,
    size_kib: int = 4,
    flags: int = 0,
    blob: BlobId | None = None,
    content: bytes | None = None,
) -> Deposit:
    """A message for one mailbox; its first `early` chunks are taken to be appended already."""
    return Deposit(
        mailbox=mailbox,
        folder=folder,
        message_id=MessageId(os.urandom(16)),
        blob_id=blob or BlobId(os.urandom(16)),
        sealed_key=SealedKey(1, Suite.MLKEM768_X25519, EnvelopeForm.SEALED, os.urandom(1200)),
        chunk_count=chunks,
        pending_chunks=tuple((n, content or os.urandom(200)) for n in range(early, chunks)),
        summary_ct=os.urandom(300),
        header_ct=os.urandom(400),
        day=DAY,
        size_kib=size_kib,
        flags=flags,
    )


def acceptance(*deposits: Deposit, dedup_key: bytes | None = None, detail: str = PEER) -> Acceptance:
    return Acceptance(dedup_key=dedup_key, deposits=deposits, outbound=None, journal_detail=detail)


def submission(queue: MailboxId, *destinations: bytes, next_at: int = 0) -> Acceptance:
    """A message for the queue, with one recipient for each destination tag."""
    return Acceptance(
        dedup_key=None,
        deposits=(),
        outbound=Outbound(
            deposit=deposit(queue, None),
            envelope_ct=b"sealed envelope",
            recipients=tuple(
                QueueRecipientNew(destination_tag=tag, address_ct=b"sealed address", next_at=next_at)
                for tag in destinations
            ),
        ),
        journal_detail='{"person":"dr.durand"}',
    )


SIGNER = StatementSigner(bytes(range(32)))
VERIFIER = StatementVerifier(SIGNER.public)


def signed(row: MailboxRow, epoch: int = 1) -> SignedStatement:
    """A mailbox's key, as a broker signs it."""
    key = PublicKey(row.id, epoch, Suite.MLKEM768_X25519, os.urandom(1216))
    return SIGNER.sign(MailboxStatement(row.identity, key))


class How(TypedDict, total=False):
    """What `deposit` is told of each message of a mailbox."""

    chunks: int
    early: int
    size_kib: int
    flags: int


@dataclass
class House:
    """A mail store with its database and a clock that moves only when told."""

    store: MailStore
    database: Database
    clock: ManualClock = field(default_factory=ManualClock)

    @property
    def now(self) -> int:
        return int(self.clock.now().timestamp())

    async def mailbox(
        self,
        *,
        kind: MailboxKind = MailboxKind.PER,
        quota_kib: int | None = None,
        status: MailboxStatus = MailboxStatus.ACTIVE,
    ) -> MailboxId:
        id = MailboxId(os.urandom(16))
        address = None if kind is MailboxKind.QUEUE else Address.parse(f"box{next(_numbers)}@a.mssante.test")
        row = MailboxRow(
            id=id, address=address, kind=kind, created_at=self.now, quota_kib=quota_kib, status=status
        )
        await self.store.accounts.add(row, signed(row))
        return id

    async def queue(self) -> MailboxId:
        return await self.mailbox(kind=MailboxKind.QUEUE)

    async def folder(self, mailbox: MailboxId, role: SpecialUse = SpecialUse.INBOX) -> Folder:
        return next(folder for folder in await self.store.folders.all(mailbox) if folder.role is role)

    async def fill(self, mailbox: MailboxId, count: int, **how: Unpack[How]) -> FolderId:
        """Puts `count` messages into INBOX; its id."""
        for _ in range(count):
            await self.store.accept(acceptance(deposit(mailbox, **how)))
        return (await self.folder(mailbox)).id

    async def one(self, mailbox: MailboxId, **how: Unpack[How]) -> Accepted:
        return await self.store.accept(acceptance(deposit(mailbox, **how)))

    async def count(self, table: str) -> int:
        """Rows in a table."""
        return await self.database.read(
            lambda connection: int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())
        )

    async def uids(self, folder: FolderId) -> list[int]:
        return list((await self.store.folders.numbers(folder)).uids)
