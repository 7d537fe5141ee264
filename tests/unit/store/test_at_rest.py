"""docs/at-rest.md says of each column of both databases how it lies there; what lies there bears it out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection, inspect, text

from mssante.clock import ManualClock
from mssante.crypto import PublicKey, Suite, passwords
from mssante.crypto.padding import padded_length
from mssante.database import Database
from mssante.delivery.reception import Reception, Recipient, Trace
from mssante.keys import MIGRATIONS as KEY_MIGRATIONS
from mssante.keys import KeyBroker, RootKey
from mssante.keys.epochs import OpenEpoch
from mssante.limits import PADDING_STEP_OF_CONTENT, PADDING_STEP_OF_TEXT
from mssante.model import Address, MailboxId, MailboxKind, MessageSource, PeerIdentity, PersonId
from mssante.store import MailboxRow, MailStore
from mssante.store.mail_store import MIGRATIONS
from tests.support.key_floor import floor_in
from tests.support.postgres import Postgres

PAGE = Path(__file__).parents[3] / "docs" / "at-rest.md"
LINE = re.compile(r"^\| `(\w+)\.(\w+)` \| (\w+) \| ", re.MULTILINE)
STATES = {"sealed", "keyed", "random", "hash", "clear"}
ONE_LENGTH = {("dek", "ct"), ("journal_key", "ct")}  # keys: nothing to pad
SENDER, RECIPIENT = "temoin.ecrit@a.mssante.test", "temoin.lit@a.mssante.test"
AROUND = {"name_ct": 32, "detail": 29}  # octets around the padded text; elsewhere nonce and tag
NONCE_AND_TAG, TAG = 28, 16


def written(section: str) -> dict[tuple[str, str], str]:
    """The columns of a section of the page, each with its state."""
    (part,) = [part for part in PAGE.read_text().split("\n## ") if part.startswith(section)]
    lines = LINE.findall(part)
    assert len({line[:2] for line in lines}) == len(lines), "a column has two lines"
    assert {state for *_, state in lines} <= STATES
    return {(table, column): state for table, column, state in lines}


def columns(connection: Connection, schema: str | None = None) -> set[tuple[str, str]]:
    inspector = inspect(connection)
    return {
        (table, column["name"])
        for table in inspector.get_table_names(schema)
        for column in inspector.get_columns(table, schema)
    }


@pytest.fixture(params=["sqlite", "postgresql"])
async def databases(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Database, Database]]:
    """Both databases as an operator's migrations make them."""
    if request.param == "sqlite":
        urls = [f"sqlite:///{tmp_path / name}" for name in ("mail.db", "keys.db")]
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        urls = [postgres.url()] * 2
    mail = await Database.open(urls[0], purpose="mail", migrations_package=MIGRATIONS)
    keys = await Database.open(urls[1], purpose="keys", migrations_package=KEY_MIGRATIONS, schema="keys")
    yield mail, keys
    await mail.close()
    await keys.close()


async def test_every_column_has_its_line_and_every_line_its_column(
    databases: tuple[Database, Database],
) -> None:
    mail, keys = databases
    assert await mail.read(columns) == written("The mail database").keys()
    schema = "keys" if keys.dialect == "postgresql" else None
    assert await keys.read(lambda c: columns(c, schema)) == written("The key store").keys()


async def test_a_column_without_a_line_is_noticed(databases: tuple[Database, Database]) -> None:
    mail, _ = databases
    await mail.write(lambda c: c.execute(text("ALTER TABLE message ADD COLUMN subject TEXT")) and None)
    assert await mail.read(columns) - written("The mail database").keys() == {("message", "subject")}


class Office:
    """An operator with two mailboxes of ours, whose people write to each other."""

    def __init__(self, mail: Database, store: MailStore, reception: Reception, clock: ManualClock) -> None:
        self.mail = mail
        self.store = store
        self.reception = reception
        self.now = int(clock.now().timestamp())

    async def receive(
        self, content: bytes, to: MailboxId, *, queued: bool = False, trace: Trace | None = None
    ) -> None:
        trace = trace or Trace(
            source=MessageSource.SUBMISSION, person=PersonId(SENDER), detail={"queued": "x"}
        )
        sender, recipient = Address.parse(SENDER), Address.parse(RECIPIENT)
        if queued:
            intake = await self.reception.enqueue(sender=sender, recipients=[recipient], trace=trace)
        else:
            intake = await self.reception.deposit(
                sender=sender, recipients=[Recipient(to, recipient)], trace=trace
            )
        await intake.write(content)
        await intake.commit()

    async def dump(self) -> dict[tuple[str, str], list[object]]:
        """Every value of the mail database, by column."""

        def read(connection: Connection) -> dict[tuple[str, str], list[object]]:
            found: dict[tuple[str, str], list[object]] = {}
            for table, column in columns(connection):
                rows = connection.execute(text(f'SELECT "{column}" FROM "{table}"'))
                values = [row[0] for row in rows if row[0] is not None]
                found[table, column] = [
                    bytes(each) if isinstance(each, (bytes, memoryview)) else each for each in values
                ]
            return found

        return await self.mail.read(read)


@pytest.fixture
async def office(
    databases: tuple[Database, Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Office, MailboxId]]:
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 64)
    mail, keys = databases
    clock = ManualClock()
    clock.advance(timedelta(seconds=4321))  # a second that is not the first of its day, hour or minute
    root = RootKey.create(tmp_path / "root.key")
    broker = await KeyBroker.start(keys, root=root, clock=clock, floor=floor_in(mail))
    store = await MailStore.start(mail, clock=clock, verifier=broker.verifier, audit=broker.audit_public_key)
    boxes = []
    for n, address in enumerate((None, SENDER, RECIPIENT)):
        row = MailboxRow(
            id=MailboxId(bytes([n + 1]) * 16),
            address=Address.parse(address) if address else None,
            kind=MailboxKind.PER if address else MailboxKind.QUEUE,
            created_at=int(clock.now().timestamp()),
            quota_kib=None,
        )
        await store.accounts.add(row, await broker.create_mailbox(row.identity))
        boxes.append(row.id)
    reception = Reception(store=store, broker=broker, queue=boxes[0], clock=clock, hostname="mss.a.test")
    yield Office(mail, store, reception, clock), boxes[2]
    assert await store.verify(audit=broker.audit_key()) == []
    await store.close()
    broker.close()


async def test_letters_of_1000_and_of_1001_octets_lie_there_alike(office: tuple[Office, MailboxId]) -> None:
    operator, mailbox = office
    letter = b"Subject: %s\r\n\r\n%s\r\n"
    for octets, word in ((1000, b"bonjour"), (1001, b"bonsoir")):
        content = letter % (word, b"x" * 2000)
        await operator.receive(content[: octets - 2] + b"\r\n", mailbox)
    dump = await operator.dump()
    for table in ("message", "header", "dek", "chunk", "placement"):
        for (where, column), values in dump.items():
            if where == table and isinstance(values[:1] and values[0], bytes):
                one, other = values
                assert isinstance(one, bytes)
                assert isinstance(other, bytes)
                assert len(one) == len(other), (table, column)
    assert len(set(dump["message", "size_kib"])) == len(set(dump["placement", "size_kib"])) == 1


async def test_what_is_sealed_has_a_length_of_its_class(office: tuple[Office, MailboxId]) -> None:
    operator, mailbox = office
    for octets in (10, 999, 5000, 70_000, 300_001):
        await operator.receive(b"Subject: x\r\n\r\n" + b"y" * octets + b"\r\n", mailbox)
    await operator.receive(b"Subject: z\r\n\r\nz\r\n", mailbox, queued=True)
    await operator.store.folders.create(mailbox, b"t" * 32, _name())
    dump, seen = await operator.dump(), set[str]()
    for (table, column), state in written("The mail database").items():
        if state != "sealed" or (table, column) in ONE_LENGTH:
            continue
        for value in dump[table, column]:
            assert isinstance(value, bytes)
            seen.add(f"{table}.{column}")
            if table == "chunk":
                assert (len(value) - TAG) % PADDING_STEP_OF_CONTENT == 0
            else:
                inside = len(value) - AROUND.get(column, NONCE_AND_TAG)
                assert inside == padded_length(inside, PADDING_STEP_OF_TEXT), (table, column)
    assert seen == {
        *("chunk.ct", "folder.name_ct", "header.ct", "journal.detail", "message.summary_ct"),
        *("outbound.envelope_ct", "queue_recipient.address_ct"),
    }


async def test_who_wrote_to_whom_and_in_which_second_is_not_there(office: tuple[Office, MailboxId]) -> None:
    operator, mailbox = office
    letter = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\n\r\nBonjour\r\n".encode()
    await operator.receive(letter, mailbox, queued=True)
    await operator.receive(letter, mailbox)
    dump = await operator.dump()
    ours = {("mailbox", "address"), ("mailbox", "address_key")}
    for place, values in dump.items():
        told = repr(values)
        assert place in ours or not any(word in told for word in ("temoin", "person")), place
        assert operator.now not in values, place
    assert {value % 60 for value in dump["queue_recipient", "next_at"] if isinstance(value, int)} == {0}


async def test_a_journal_line_s_length_does_not_tell_who_brought_a_letter(
    office: tuple[Office, MailboxId],
) -> None:
    """One of our own, a peer, or the outbox: else a thief of the file could tell letters between two of ours
    from all others, and pair those that follow each other."""
    operator, mailbox = office
    peer = PeerIdentity(dn="CN=b", serial="1", fingerprint="ab" * 32)
    for trace in (
        Trace(
            source=MessageSource.PEER, peer=peer, detail={"list": "2026-05-21T04:00:00+02:00", "crl": 12345}
        ),
        Trace(source=MessageSource.QUEUE, detail={"queued": "ab" * 16}),
        Trace(source=MessageSource.SUBMISSION, person=PersonId(SENDER)),
        Trace(source=MessageSource.SUBMISSION, person=PersonId("secretariat.de.cardiologie." * 3 + SENDER)),
    ):
        await operator.receive(b"Subject: x\r\n\r\ny\r\n", mailbox, trace=trace)
    dump = await operator.dump()
    accepted = [
        len(cast(bytes, detail))
        for kind, detail in zip(dump["journal", "kind"], dump["journal", "detail"], strict=True)
        if kind == "accepted"
    ]
    assert len(accepted) == 4
    assert len(set(accepted)) == 1, accepted


def _name() -> bytes:
    """A folder's name as a session seals it."""
    epoch = OpenEpoch(PublicKey(MailboxId(bytes(16)), 1, Suite.X25519, b""), bytes(32), b"")
    return epoch.seal_name("folder", "Dossier Dumont")
