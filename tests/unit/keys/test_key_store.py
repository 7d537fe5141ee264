"""The key store's tables and what they show to who steals them (K1 for epochs, K13)."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from mssante.clock import ManualClock
from mssante.crypto import Dek
from mssante.database import Database
from mssante.keys import KeyBroker, RootKey
from mssante.keys.tables import epoch, metadata
from mssante.model import BlobId, MailboxId, MessageId, PersonId, Secret
from mssante.reasons import Passing, Reason
from tests.unit.keys.naming import named, outbox

ALICE = PersonId("alice@a.test")
PASSWORD = Secret("CANARY-password")
A, B = MailboxId(b"A" * 16), MailboxId(b"B" * 16)


async def test_the_tables_are_those_the_migrations_make(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: not (kind == "table" and name == "keys_version")},
        )
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []


@pytest.mark.parametrize(
    "columns",
    [
        ("wrapped_mek",),
        ("wrapped_kem_secret",),
        ("wrapped_mek", "wrapped_kem_secret", "public"),  # the whole epoch of another mailbox
    ],
)
async def test_an_epoch_s_secrets_moved_to_another_mailbox_do_not_open(
    broker: KeyBroker, database: Database, columns: tuple[str, ...]
) -> None:
    await broker.create_mailbox(outbox(A))
    await broker.create_mailbox(outbox(B))

    def swap(connection: Connection) -> None:
        source = sa.select(*(epoch.c[column] for column in columns)).where(epoch.c.mailbox_id == A)
        values = dict(connection.execute(source).one()._mapping)
        connection.execute(sa.update(epoch).where(epoch.c.mailbox_id == B).values(values))

    await database.write(swap)
    assert (await broker.open_queue(A)).alive
    with pytest.raises(Passing) as trouble:
        await broker.open_queue(B)
    assert trouble.value.reason is Reason.KEYS_UNAVAILABLE


async def test_an_epoch_renumbered_does_not_open(broker: KeyBroker, database: Database) -> None:
    await broker.create_mailbox(outbox(A))
    await database.write(lambda connection: connection.execute(sa.update(epoch).values(epoch=2)))
    with pytest.raises(Passing):
        await broker.open_queue(A)


async def test_a_destroyed_epoch_opens_nothing(
    broker: KeyBroker, database: Database, clock: ManualClock
) -> None:
    await broker.create_mailbox(outbox(A))
    await database.write(lambda connection: connection.execute(sa.update(epoch).values(destroyed=1)))
    with pytest.raises(Passing):
        await broker.open_queue(A)


async def everything_stored(database: Database) -> bytes:
    def dump(connection: Connection) -> bytes:
        return b"".join(
            value if isinstance(value, bytes) else str(value).encode()
            for table in metadata.sorted_tables
            for row in connection.execute(sa.select(table))
            for value in row
        )

    return await database.read(dump)


async def test_the_store_holds_no_secret_that_opens(
    broker: KeyBroker, database: Database, root: RootKey
) -> None:
    await broker.create_mailbox(named(A))
    await broker.create_person(ALICE, PASSWORD)
    await broker.grant(ALICE, A)
    ring = await broker.open(await broker.authenticate(ALICE, PASSWORD), A)
    stored = await everything_stored(database)
    assert ALICE.encode() in stored  # the scan does see what is there
    opened = ring._epochs[1]
    assert isinstance(opened._kem_secret, bytes)
    for secret in (b"CANARY", opened._mek, opened._kem_secret, broker.dedup_key()):
        assert secret not in stored


async def test_what_a_person_holds_shows_no_key(broker: KeyBroker) -> None:
    await broker.create_mailbox(named(A))
    await broker.create_person(ALICE, PASSWORD)
    await broker.grant(ALICE, A)
    login = await broker.authenticate(ALICE, PASSWORD)
    ring = await broker.open(login, A)
    ring.closed(MessageId(b"m" * 16), BlobId(b"b" * 16), Dek.draw(), b"")
    person = (await broker.people())[0]
    shown = f"{login!r} {ring!r} {ring._epochs!r} {person!r} {ring.grant!r}"
    assert "argon2" not in shown
    assert "CANARY" not in shown
    assert repr(ring._epochs[1]._mek) not in shown
