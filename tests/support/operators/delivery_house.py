"""An operator without its sockets: a store, a broker, a queue and what delivers, on SQLite in a folder."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mssante.annuaire.entries import MailboxEntry, TrustAnswer
from mssante.clock import ManualClock
from mssante.crypto import ChunkOpener, Purpose
from mssante.database import Database
from mssante.delivery.couriers import Consignment, Courier, LocalCourier
from mssante.delivery.reception import Reception, Trace
from mssante.delivery.retry import Fate, Outcome
from mssante.delivery.routing import Routing
from mssante.delivery.runner import Runner
from mssante.keys import MIGRATIONS, PURPOSE, KeyBroker, RootKey
from mssante.mime.summary import Summary
from mssante.model import Address, Domain, MailboxId, MailboxKind, MessageSource, PersonId, Secret, SpecialUse
from mssante.reasons import Passing, Reason
from mssante.store import MailboxRow, MailStore
from mssante.store.mail_store import MIGRATIONS as MAIL_MIGRATIONS
from mssante.trust.names import DistinguishedName
from mssante.trust.space import Entry, TrustSpace
from tests.support.started import started

HOME = Domain.parse("chu-a.test")
ELSEWHERE = Domain.parse("cabinet-b.test")
LETTER = b"From: dr.a@chu-a.test\r\nMessage-ID: <1@chu-a.test>\r\nSubject: XDM/1.0/DDM+CR\r\n\r\nBonjour\r\n"


class FakeDirectory:
    """Knows what it is given, and counts the questions; `down` makes it unavailable."""

    def __init__(self) -> None:
        self.entries: dict[str, MailboxEntry] = {}
        self.down = False
        self.asked = 0

    async def mailbox(self, address: Address) -> MailboxEntry | None:
        self.asked += 1
        if self.down:
            raise Passing(Reason.DIRECTORY_UNAVAILABLE)
        return self.entries.get(address.key)

    async def search(self, text: str, limit: int) -> tuple[MailboxEntry, ...]:
        raise NotImplementedError

    async def trust_pairs(self) -> TrustAnswer:
        raise NotImplementedError

    async def aclose(self) -> None: ...


Behaviour = Callable[[Consignment], Mapping[Address, Outcome]]


@dataclass
class FakeCourier:
    """Does to each consignment what `behaviour` says; keeps the content of what it delivers."""

    behaviour: Behaviour = lambda consignment: consignment.all(Outcome(Fate.DELIVERED, None, "250 2.0.0 ok"))
    attempts: list[Consignment] = field(default_factory=list)
    delivered: list[tuple[Address, bytes]] = field(default_factory=list)

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]:
        self.attempts.append(consignment)
        outcomes = self.behaviour(consignment)
        content = b"".join([block async for block in consignment.content()])
        self.delivered += [
            (address, content) for address, outcome in outcomes.items() if outcome.fate is Fate.DELIVERED
        ]
        return outcomes


@dataclass
class House:
    store: MailStore
    broker: KeyBroker
    clock: ManualClock
    queue: MailboxId
    directory: FakeDirectory
    space: TrustSpace
    reception: Reception
    routing: Routing

    async def mailbox(self, address: str, *, quota_kib: int | None = None) -> MailboxId:
        """A mailbox of ours, and a person of the same name who may do everything with it."""
        row = MailboxRow(
            id=MailboxId(secrets.token_bytes(16)),
            address=Address.parse(address),
            kind=MailboxKind.PER,
            created_at=int(self.clock.now().timestamp()),
            quota_kib=quota_kib,
        )
        await self.store.accounts.add(row, await self.broker.create_mailbox(row.identity))
        person = PersonId(address)
        await self.broker.create_person(person, Secret("secret"))
        await self.broker.grant(person, row.id)
        return row.id

    async def inbox(self, address: str) -> list[bytes]:
        """What lies in the INBOX, opened as its owner does."""
        row = await self.store.accounts.mailbox(Address.parse(address).key)
        assert row is not None
        login = await self.broker.authenticate(PersonId(address), Secret("secret"))
        ring = await self.broker.open(login, row.id)
        (folder,) = [f for f in await self.store.folders.all(row.id) if f.role is SpecialUse.INBOX]
        found = []
        for sealed in await self.store.messages.summaries(folder.id, range(1, folder.uidnext)):
            (held,) = await self.store.messages.deks([sealed.number])
            dek = ring.unwrap(sealed.message_id, sealed.blob_id, held.sealed_key)
            summary = Summary.from_bytes(dek.open(Purpose.META, sealed.message_id, sealed.summary_ct))
            opener = ChunkOpener(dek, sealed.blob_id, content_octets=summary.size)
            chunks = await self.store.messages.chunks(sealed.blob_id, 0, opener.count)
            assert len(chunks) == opener.count
            found.append(b"".join(opener.open(n, chunk) for n, chunk in enumerate(chunks)))
        return found

    async def submit(
        self, recipients: Iterable[str], content: bytes = LETTER, *, sender: str | None = "dr.a@chu-a.test"
    ) -> str:
        """A letter into the queue; our id of it."""
        intake = await self.reception.enqueue(
            sender=Address.parse(sender) if sender else None,
            recipients=[Address.parse(each) for each in recipients],
            trace=Trace(
                source=MessageSource.SUBMISSION,
                person=PersonId("dr.a@chu-a.test"),
                helo="pc",
                remote="10.0.0.1",
            ),
        )
        await intake.write(content)
        return (await intake.commit()).id

    def runner(self, remote: Courier, chance: Callable[[], float] = lambda: 0.5) -> Runner:
        return Runner(
            reception=self.reception,
            broker=self.broker,
            routing=self.routing,
            local=LocalCourier(self.reception, self.routing),
            remote=remote,
            chance=chance,
        )

    async def verify(self) -> None:
        """The invariants of what is stored (docs/findings.md)."""
        assert await self.store.verify(audit=self.broker.audit_key()) == []


_TEMPLATE: list[Path] = []


async def _databases(folder: Path, mail_url: str | None) -> tuple[Database, Database]:
    """The mail's and the keys', empty: migrated once in the run, copied after."""
    if _TEMPLATE:
        for name in ("mail.db", "keys.db"):
            shutil.copy(_TEMPLATE[0] / name, folder / name)
    mail = await Database.open(
        mail_url or f"sqlite:///{folder / 'mail.db'}", purpose="mail", migrations_package=MAIL_MIGRATIONS
    )
    keys = await Database.open(
        f"sqlite:///{folder / 'keys.db'}", purpose=PURPOSE, migrations_package=MIGRATIONS
    )
    if not _TEMPLATE and mail_url is None:
        await mail.close()
        await keys.close()
        _TEMPLATE.append(Path(tempfile.mkdtemp(prefix="mssante-template-")))
        for name in ("mail.db", "keys.db"):
            shutil.copy(folder / name, _TEMPLATE[0] / name)
        return await _databases(folder, None)
    return mail, keys


@asynccontextmanager
async def house(
    folder: Path, *, domains: Iterable[Domain] = (HOME,), mail_url: str | None = None
) -> AsyncIterator[House]:
    """Opened, and its invariants checked at the end. The mail is in `mail_url`, if that is given."""
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        mail, keys = await _databases(folder, mail_url)
        stack.push_async_callback(mail.close)
        stack.push_async_callback(keys.close)
        root = RootKey.create(folder / "root.key")
        broker, store = await started(stack, mail, keys, root=root, clock=clock)
        queue = MailboxRow(
            id=MailboxId(secrets.token_bytes(16)),
            address=None,
            kind=MailboxKind.QUEUE,
            created_at=int(clock.now().timestamp()),
            quota_kib=None,
        )
        await store.accounts.add(queue, await broker.create_mailbox(queue.identity))
        reception = Reception(
            store=store, broker=broker, queue=queue.id, clock=clock, hostname="mss.chu-a.test"
        )
        name = DistinguishedName.parse("CN=mss.cabinet-b.test,O=B,C=FR")
        directory = FakeDirectory()
        made = House(
            store=store,
            broker=broker,
            clock=clock,
            queue=queue.id,
            directory=directory,
            space=TrustSpace.from_entries([Entry(ELSEWHERE, name)], source="test"),
            reception=reception,
            routing=Routing(
                domains=frozenset(domains),
                store=store,
                broker=broker,
                directory=directory,
                space=lambda: made.space,
            ),
        )
        yield made
        await made.verify()
