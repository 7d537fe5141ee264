"""A house for IMAP scenarios: a store, a broker and an IMAP server on loopback, over real sockets and TLS."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mssante.clock import Clock, SystemClock
from mssante.crypto import passwords
from mssante.database import Database
from mssante.imap.server.persons import Persons
from mssante.imap.server.port import ImapServer
from mssante.imap.server.session import SessionBounds
from mssante.keys import MIGRATIONS, PURPOSE, KeyBroker, RootKey
from mssante.keys.ring import Role
from mssante.model import Address, FolderId, MailboxId, MailboxKind, PersonId, Secret, SpecialUse
from mssante.net.places import Caps
from mssante.net.throttle import Throttle
from mssante.observe.event import Event, add_sink
from mssante.observe.events import Crashed
from mssante.sealing import MessageSealer
from mssante.store import Acceptance, Deposit, MailboxRow, MailStore
from mssante.store.mail_store import MIGRATIONS as MAIL_MIGRATIONS
from mssante.store.records import Placed
from mssante.trust.tls import user_server_context
from tests.support.imap.client import ImapClient
from tests.support.smtp.house import credentials, pki
from tests.support.started import started

PASSWORD = "correct horse"
MARIE = "marie@operateur-a.test"
_WHO = '{"person":"test"}'


def client_tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki().anchors))
    context.check_hostname = False
    return context


@dataclass
class ImapHouse:
    """`server` is 143 with STARTTLS, `implicit` is 993: same service, same throttle."""

    store: MailStore
    database: Database
    broker: KeyBroker
    clock: Clock
    server: ImapServer
    implicit: ImapServer
    tls: ssl.SSLContext = field(default_factory=client_tls)
    events: list[Event] = field(default_factory=list)

    async def mailbox(
        self,
        address: str = MARIE,
        *,
        kind: MailboxKind = MailboxKind.PER,
        quota_kib: int | None = None,
        owner: str | None = None,
    ) -> MailboxId:
        """A mailbox, and a person (of the same name unless `owner`) who may do everything with it."""
        row = MailboxRow(
            id=MailboxId(secrets.token_bytes(16)),
            address=Address.parse(address),
            kind=kind,
            created_at=int(self.clock.now().timestamp()),
            quota_kib=quota_kib,
        )
        await self.store.accounts.add(row, await self.broker.create_mailbox(row.identity))
        person = PersonId(owner or address)
        if person not in {each.person for each in await self.broker.people()}:
            await self.person(person)
        await self.broker.grant(person, row.id)
        return row.id

    async def person(self, name: str, password: str = PASSWORD) -> PersonId:
        await self.broker.create_person(PersonId(name), Secret(password))
        return PersonId(name)

    async def grant(self, person: str, mailbox: MailboxId, role: Role = Role.FULL) -> None:
        await self.broker.grant(PersonId(person), mailbox, role)

    async def deliver(
        self,
        mailbox: MailboxId,
        *contents: bytes,
        folder: SpecialUse | FolderId = SpecialUse.INBOX,
        when: datetime | None = None,
        flags: int = 0,
    ) -> tuple[Placed, ...]:
        """Letters that reception has taken in, in one transaction."""
        row = await self.store.accounts.by_id(mailbox)
        key = await self.store.accounts.public_key(mailbox, row.address)
        deposits = []
        for content in contents:
            sealer = MessageSealer(key)
            chunks = sealer.feed(content)
            sealed, last = await sealer.finish(internal_date=when or self.clock.now())
            deposits.append(
                Deposit(
                    mailbox=mailbox,
                    folder=folder,
                    message_id=sealed.message_id,
                    blob_id=sealed.blob_id,
                    sealed_key=sealed.sealed_key,
                    chunk_count=sealed.chunk_count,
                    pending_chunks=tuple(enumerate([*chunks, *last])),
                    summary_ct=sealed.summary_ct,
                    header_ct=sealed.header_ct,
                    day=sealed.day,
                    size_kib=sealed.size_kib,
                    flags=flags,
                )
            )
        acceptance = Acceptance(dedup_key=None, deposits=tuple(deposits), outbound=None, journal_detail=_WHO)
        return (await self.store.accept(acceptance)).placements

    async def folder(self, mailbox: MailboxId, role: SpecialUse = SpecialUse.INBOX) -> FolderId:
        return next(each.id for each in await self.store.folders.all(mailbox) if each.role is role)

    async def connect(self, *, here: str | None = None) -> ImapClient:
        """Inside TLS, not logged in. `here` is the client's address: any of 127.0.0.0/8."""
        return await ImapClient.open(self.implicit.port, self.tls, here=here)

    async def clear(self) -> ImapClient:
        """Before STARTTLS."""
        return await ImapClient.open(self.server.port)

    async def login(self, user: str = MARIE, password: str = PASSWORD) -> ImapClient:
        client = await self.connect()
        await client.login(user, password)
        return client

    async def selected(self, folder: str = "INBOX", *, user: str = MARIE) -> ImapClient:
        client = await self.login(user)
        await client.ok(f'SELECT "{folder}"')
        return client

    def told(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def _root_key(file: Path) -> RootKey:
    return RootKey.load(file) if file.exists() else RootKey.create(file)


async def _databases(
    stack: AsyncExitStack, folder: Path, mail_url: str | None, keys_url: str | None
) -> tuple[Database, Database]:
    """The mail's and the keys', closed with `stack`."""
    mail = await Database.open(
        mail_url or f"sqlite:///{folder / 'mail.db'}", purpose="mail", migrations_package=MAIL_MIGRATIONS
    )
    stack.push_async_callback(mail.close)
    keys = await Database.open(
        keys_url or f"sqlite:///{folder / 'keys.db'}", purpose=PURPOSE, migrations_package=MIGRATIONS
    )
    stack.push_async_callback(keys.close)
    return mail, keys


@asynccontextmanager
async def imap_house(
    folder: Path,
    *,
    mail_url: str | None = None,
    keys_url: str | None = None,
    clock: Clock | None = None,
    bounds: SessionBounds | None = None,
    caps: Caps | None = None,
    message_octets_max: int | None = None,
    real_passwords: bool = False,
    guessing_slowed: bool = True,
    verified: bool = True,
) -> AsyncIterator[ImapHouse]:
    """Serving until the context ends; then its invariants are checked, unless `verified` is False.

    Two houses on one `mail_url` (PostgreSQL) and one `keys_url` are two processes of one operator."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        if not real_passwords:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(passwords, "PASSWORD_MEMORY_KIB", 64)
            patch.setattr(passwords, "PASSWORD_ITERATIONS", 1)
        mail, keys = await _databases(stack, folder, mail_url, keys_url)
        broker, store = await started(stack, mail, keys, root=_root_key(folder / "root.key"), clock=clock)
        context = user_server_context(credentials("operator-a"))
        persons = Persons()
        throttle = Throttle(
            clock, known=broker.knows, **({} if guessing_slowed else {"delay_seconds_max": 0.0})
        )

        def server(name: str, *, implicit: bool) -> ImapServer:
            more = {} if message_octets_max is None else {"message_octets_max": message_octets_max}
            return ImapServer(
                name=name,
                hostname="imap.operateur-a.test",
                store=store,
                broker=broker,
                clock=clock,
                tls=lambda: context,
                implicit_tls=implicit,
                bounds=bounds,
                persons=persons,
                throttle=throttle,
                caps=caps or Caps(per_address=1000, pre_tls_per_address=1000),
                **more,
            )

        clear, implicit = server("imap", implicit=False), server("imaps", implicit=True)
        house = ImapHouse(store, mail, broker, clock, clear, implicit)
        stack.callback(add_sink(house.events.append))
        for each in (clear, implicit):
            await each.open("127.0.0.1", 0)
            stack.push_async_callback(each.close, 1)
        yield house
        if verified:
            assert await store.verify(audit=broker.audit_key()) == []


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[ImapHouse]:
    """With Marie's mailbox. No bug may have met a boundary."""
    async with imap_house(tmp_path) as made:
        await made.mailbox(MARIE)
        yield made
        crashes = made.told(Crashed)
        assert crashes == [], crashes


def letter(number: int = 1, *, subject: str | None = None, body: str = "Bonjour\r\n") -> bytes:
    """A small letter, different for each number."""
    return (
        f"From: =?utf-8?q?Dr_Andr=C3=A9?= <dr.andre{number}@operateur-b.test>\r\n"
        f"To: marie@operateur-a.test\r\nSubject: {subject or f's{number}'}\r\n"
        f"Date: {datetime(2026, 1, 1 + number % 28, tzinfo=UTC):%a, %d %b %Y %H:%M:%S} +0000\r\n"
        f"Message-ID: <{number}@operateur-b.test>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}"
    ).encode()
