"""A mailbox opened by its owner, on SQLite, without a socket."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mssante.clock import ManualClock
from mssante.crypto import passwords
from mssante.database import Database
from mssante.flags import FlagList
from mssante.imap.server.selected import Selected
from mssante.keys import MIGRATIONS, PURPOSE, KeyBroker, RootKey
from mssante.keys.ring import Role
from mssante.mailbox import OpenMailbox, sign_in
from mssante.mailbox.folders import Folders
from mssante.mailbox.reading import Reader
from mssante.mailbox.writing import Writer
from mssante.model import Address, MailboxId, MailboxKind, PersonId, Secret, SpecialUse
from mssante.sealing import Blobs, MessageSealer, deposit
from mssante.store import Acceptance, MailboxRow, MailStore
from mssante.store.mail_store import MIGRATIONS as MAIL_MIGRATIONS
from tests.support.key_floor import floor_in

PASSWORD = Secret("correct horse")


@dataclass
class Desk:
    store: MailStore
    database: Database
    broker: KeyBroker
    clock: ManualClock

    async def mailbox(self, address: str, *people: str, kind: MailboxKind = MailboxKind.PER) -> MailboxId:
        """A mailbox, and grants to everything in it."""
        row = MailboxRow(
            id=MailboxId(secrets.token_bytes(16)),
            address=Address.parse(address),
            kind=kind,
            created_at=0,
            quota_kib=None,
        )
        await self.store.accounts.add(row, await self.broker.create_mailbox(row.identity))
        for person in people:
            await self.grant(person, row.id)
        return row.id

    async def grant(self, person: str, mailbox: MailboxId, role: Role = Role.FULL) -> None:
        if person not in {each.person for each in await self.broker.people()}:
            await self.broker.create_person(PersonId(person), PASSWORD)
        await self.broker.grant(PersonId(person), mailbox, role)

    async def opened(self, user: str, password: Secret = PASSWORD) -> OpenMailbox:
        return await sign_in(
            store=self.store, broker=self.broker, user=user, password=password, remote="127.0.0.1"
        )


class Owner:
    """An open mailbox with what acts on it."""

    def __init__(self, mailbox: OpenMailbox, clock: ManualClock) -> None:
        self.mailbox = mailbox
        self.clock = clock
        self.folders = Folders(mailbox)
        self.reader = Reader(mailbox)
        self.writer = Writer(mailbox, self.folders)

    async def append(self, content: bytes, folder: str = "INBOX", flags: int = 0) -> int:
        """The UID of a message just kept."""
        draft = await self.writer.draft(await self.folders.named(folder), flags, len(content))
        await draft.write(content)
        await draft.finish(self.clock.now())
        (placed,) = await self.writer.keep([draft])
        return placed.uid

    async def deliver(self, content: bytes) -> int:
        """As `append`, by delivery, which knows the mailbox's public key only."""
        store = self.mailbox.store
        key = await store.accounts.public_key(self.mailbox.id, self.mailbox.row.address)
        sealer, blobs = MessageSealer(key), Blobs(store)
        blob = blobs.open(sealer.blob_id)
        await blobs.add(blob, sealer.feed(content))
        sealed, last = await sealer.finish(internal_date=self.clock.now())
        await blobs.add(blob, last)
        deposits = (deposit(sealed, blob, SpecialUse.INBOX),)
        accepted = await store.accept(
            Acceptance(dedup_key=None, deposits=deposits, outbound=None, journal_detail='{"person":"test"}')
        )
        return accepted.placements[0].uid

    async def selected(self, folder: str = "INBOX", *, read_only: bool = False) -> Selected:
        return await Selected.open(self.mailbox.store, await self.folders.named(folder), read_only=read_only)

    async def keyword(self, name: str) -> int:
        """Its bit."""
        mask, _ = await self.writer.mask(FlagList(keywords=(name,)), await self.folders.flag_names())
        return mask


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSWORD_ITERATIONS", 1)
    clock = ManualClock()
    mail = await Database.open(
        f"sqlite:///{tmp_path / 'mail.db'}", purpose="mail", migrations_package=MAIL_MIGRATIONS
    )
    keys = await Database.open(
        f"sqlite:///{tmp_path / 'keys.db'}", purpose=PURPOSE, migrations_package=MIGRATIONS
    )
    root = RootKey.create(tmp_path / "root.key")
    broker = await KeyBroker.start(keys, root=root, clock=clock, floor=floor_in(mail))
    store = await MailStore.start(mail, clock=clock, verifier=broker.verifier, audit=broker.audit_public_key)
    yield Desk(store, mail, broker, clock)
    assert await store.verify(audit=broker.audit_key()) == []
    await store.close()
    broker.close()
    await keys.close()
    await mail.close()


@pytest.fixture
async def owner(desk: Desk) -> Owner:
    await desk.mailbox("marie@a.test", "marie@a.test")
    return Owner(await desk.opened("marie@a.test"), desk.clock)
