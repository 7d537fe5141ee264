"""The key store as a whole: what was put back, deleted, added or never proved is noticed, on both systems."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.clock import ManualClock
from mssante.crypto import MailboxStatement, PublicKey, Suite
from mssante.crypto.envelope import draw_key_pair
from mssante.database import Database
from mssante.keys import KeyBroker, RootKey, tables
from mssante.keys.integrity import ALTERED, FOREIGN, FOREIGN_FLOOR, NO_FLOOR, RESTART, UNPROVED, StrangeRow
from mssante.keys.proof import ACCESS_COLUMNS, PERSON_COLUMNS
from mssante.model import MailboxId, PersonId, Secret
from mssante.observe.event import Event, add_sink
from mssante.observe.events import KeyRowRefused, KeyStoreRefused
from mssante.reasons import Passing, Reason, Refused
from tests.support.key_floor import FloorInMemory
from tests.unit.keys.naming import named, outbox

ALICE, BOB, EVE = PersonId("alice@a.test"), PersonId("bob@a.test"), PersonId("eve@a.test")
PASSWORD = Secret("correct horse")
MAILBOX, QUEUE = MailboxId(b"A" * 16), MailboxId(b"Q" * 16)
Copy = dict[str, list[dict[str, Any]]]
Restart = Callable[[], Awaitable[KeyBroker]]
Rows = list[dict[str, Any]]


@pytest.fixture
async def restart(
    database: Database, root: RootKey, clock: ManualClock, floor: FloorInMemory
) -> AsyncIterator[Restart]:
    """Starts another broker over the same store, as after a restart."""
    begun: list[KeyBroker] = []

    async def again() -> KeyBroker:
        begun.append(await KeyBroker.start(database, root=root, clock=clock, floor=floor.keeper))
        return begun[-1]

    yield again
    for each in begun:
        each.close()


@pytest.fixture
async def filled(broker: KeyBroker) -> KeyBroker:
    """Settled, with a mailbox, an outbox, and two people who may open the mailbox."""
    await broker.settle()
    await broker.create_mailbox(named(MAILBOX))
    await broker.create_mailbox(outbox(QUEUE))
    for person in (ALICE, BOB):
        await broker.create_person(person, PASSWORD)
        await broker.grant(person, MAILBOX)
    return broker


@pytest.fixture
def events() -> Any:
    seen: list[Event] = []
    forget = add_sink(seen.append)
    yield seen
    forget()


async def copied(database: Database) -> Copy:
    """The whole store, as a copy of it holds it."""
    return await database.read(
        lambda connection: {
            table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for table in tables.metadata.sorted_tables
        }
    )


async def put_back(database: Database, copy: Copy) -> None:
    def job(connection: Connection) -> None:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(sa.delete(table))
        for table in tables.metadata.sorted_tables:
            if copy[table.name]:
                connection.execute(sa.insert(table), copy[table.name])

    await database.write(job)


async def run(database: Database, *statements: sa.Executable) -> None:
    def job(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    await database.write(job)


async def opens_nothing(broker: KeyBroker, person: PersonId = ALICE) -> None:
    with pytest.raises(Passing) as trouble:
        await broker.authenticate(person, PASSWORD)
    assert trouble.value.reason is Reason.KEYS_UNAVAILABLE
    with pytest.raises(Refused):
        await broker.create_person(EVE, PASSWORD)


async def test_an_older_copy_of_the_whole_store_is_named_at_start_and_opens_nothing(
    filled: KeyBroker, database: Database, restart: Restart, events: list[Event]
) -> None:
    before = await copied(database)
    await filled.revoke(BOB, MAILBOX)
    await put_back(database, before)
    again = await restart()
    assert "an older copy: it is at change 8, and change 9 was made already" in again.trouble
    assert "mssante keys accept" in again.trouble
    await opens_nothing(again, BOB)
    assert [event.why for event in events if isinstance(event, KeyStoreRefused)] == [again.trouble]


async def test_an_older_copy_put_back_while_we_run_ends_what_is_open(
    filled: KeyBroker, database: Database
) -> None:
    ring = await filled.open(await filled.authenticate(ALICE, PASSWORD), MAILBOX)
    queue = await filled.open_queue(QUEUE)
    before = await copied(database)
    await filled.revoke(BOB, MAILBOX)
    await filled.recheck()
    assert ring.alive
    await put_back(database, before)
    await filled.recheck()
    assert "older copy" in filled.trouble
    assert not ring.alive
    await opens_nothing(filled)
    assert queue.alive  # what waits to be sent rests on no row of people
    assert (await filled.open_queue(QUEUE)).alive


async def test_a_broker_that_fell_between_the_change_and_the_mark_starts_again(
    filled: KeyBroker, restart: Restart, floor: FloorInMemory
) -> None:
    mark = floor.mark
    await filled.revoke(BOB, MAILBOX)
    assert floor.mark != mark
    floor.mark = mark  # as if the commit had been the last thing done
    again = await restart()
    assert again.trouble == ""
    assert floor.mark is not None
    assert mark is not None
    assert floor.mark[0] == mark[0] + 1


async def test_what_changes_nothing_moves_neither_the_counter_nor_the_mark(
    filled: KeyBroker, restart: Restart, floor: FloorInMemory
) -> None:
    mark = floor.mark
    await filled.create_mailbox(named(MAILBOX))
    with pytest.raises(Refused):
        await filled.revoke(EVE, MAILBOX)
    with pytest.raises(Refused):
        await filled.suspend(EVE)
    await filled.recheck()
    assert filled.trouble == ""
    assert floor.mark == mark
    assert (await restart()).trouble == ""


async def test_a_broker_that_fell_before_the_first_mark_starts_again(
    broker: KeyBroker, restart: Restart, floor: FloorInMemory
) -> None:
    floor.mark = None
    again = await restart()
    assert again.trouble == ""
    assert again.unsettled


@pytest.mark.parametrize(
    "statement",
    [
        sa.delete(tables.access).where(tables.access.c.person == BOB),
        sa.update(tables.access).where(tables.access.c.person == BOB).values(role="read"),
        sa.update(tables.person).where(tables.person.c.person == BOB).values(password_changed=7),
        sa.update(tables.person).where(tables.person.c.person == BOB).values(mac=None),
    ],
    ids=["deleted", "role", "date", "proof"],
)
async def test_a_row_deleted_or_changed_is_noticed_at_start(
    filled: KeyBroker, database: Database, restart: Restart, statement: sa.Executable
) -> None:
    await run(database, statement)
    again = await restart()
    assert again.trouble == ALTERED
    await opens_nothing(again)


async def test_a_row_that_somebody_added_opens_nothing_and_stops_nobody(
    filled: KeyBroker, database: Database, restart: Restart, events: list[Event]
) -> None:
    (alice,) = [row for row in (await copied(database))["person"] if row["person"] == ALICE]
    await run(database, sa.insert(tables.person).values({**alice, "person": EVE}))
    again = await restart()
    assert again.trouble == ""
    with pytest.raises(Passing):
        await again.authenticate(EVE, PASSWORD)
    assert (await again.open(await again.authenticate(ALICE, PASSWORD), MAILBOX)).alive
    assert (await again.check()).strange == (StrangeRow("person", EVE),)
    assert [each.person for each in await again.people()] == [ALICE, BOB]
    told = [event for event in events if isinstance(event, KeyRowRefused)]
    assert told == [KeyRowRefused(table="person", person=EVE)]  # once, however often it is met
    with pytest.raises(Refused, match="not written by our key broker"):
        await again.change_password(EVE, PASSWORD)


async def test_two_grants_exchanged_between_people_open_nothing(
    filled: KeyBroker, database: Database, restart: Restart
) -> None:
    """Their roles differ; the rows with their proofs are ours, but for the names in them."""
    await filled.revoke(BOB, MAILBOX)
    a = tables.access.c
    await run(
        database,
        sa.update(tables.access).where(a.person == BOB).values(id=90),
        sa.update(tables.access).where(a.person == ALICE).values(person=BOB),
        sa.update(tables.access).where(a.id == 90).values(person=ALICE),
    )
    with pytest.raises(Refused):
        await filled.open(await filled.authenticate(BOB, PASSWORD), MAILBOX)
    assert (await restart()).trouble == ALTERED


async def test_an_older_row_of_ours_put_back_is_noticed_at_the_next_look(
    filled: KeyBroker, database: Database, restart: Restart
) -> None:
    """The clock of these tests stands still while rows are looked at, so no rest is needed after it."""
    before = {row["id"]: row for row in (await copied(database))["access"]}
    await filled.revoke(BOB, MAILBOX)
    (revoked,) = [row["id"] for row in (await copied(database))["access"] if row["revoked"] is not None]
    row = {**before[revoked]}
    await run(database, sa.update(tables.access).where(tables.access.c.id == revoked).values(row))
    await filled.recheck()
    assert filled.trouble == ALTERED
    assert (await restart()).trouble == ALTERED


@pytest.mark.parametrize("known", [True, False], ids=["mark kept", "mark lost"])
async def test_a_store_from_before_the_proofs_is_given_them_once(
    filled: KeyBroker, database: Database, restart: Restart, floor: FloorInMemory, known: bool
) -> None:
    """As the migration leaves it. Where the mail database has a mark, it is an older copy."""
    await run(
        database,
        sa.update(tables.person).values(mac=None, version=None),
        sa.update(tables.access).values(mac=None, version=None),
        sa.delete(tables.register),
        sa.delete(tables.service_key).where(tables.service_key.c.name.in_(["proof", "signing"])),
    )
    if not known:
        floor.mark = None
    again = await restart()
    assert again.trouble == (UNPROVED if known else "")
    if known:
        await opens_nothing(again)
        assert (await again.check()).strange == ()
        await again.accept(dry_run=False)
        again = await restart()
    assert (await again.open(await again.authenticate(BOB, PASSWORD), MAILBOX)).alive
    assert again.unsettled
    assert (await again.check()).trouble == ""


async def test_the_register_or_its_keys_gone_is_noticed(
    filled: KeyBroker, database: Database, restart: Restart
) -> None:
    whole = await copied(database)
    key = tables.service_key
    for statement in (
        sa.delete(tables.register),
        sa.update(tables.register).values(counter=1000),
        sa.delete(key).where(key.c.name == "proof"),
        sa.delete(key).where(key.c.name == "signing"),
        sa.update(key).where(key.c.name == "signing").values(public=b"x" * 32),
    ):
        await run(database, statement)
        again = await restart()
        assert again.trouble == FOREIGN, statement
        await opens_nothing(again)
        await put_back(database, whole)
    assert (await restart()).trouble == ""


async def test_the_mark_gone_or_not_ours_is_noticed(
    filled: KeyBroker, restart: Restart, floor: FloorInMemory
) -> None:
    kept = floor.mark
    assert kept is not None
    floor.mark = None
    assert (await restart()).trouble == NO_FLOOR
    floor.mark = (kept[0] - 1, kept[1])
    assert (await restart()).trouble == FOREIGN_FLOOR
    floor.mark = kept
    assert (await restart()).trouble == ""


async def test_an_older_copy_is_taken_when_an_operator_says_so_and_the_newer_one_is_then_the_older(
    filled: KeyBroker, database: Database, restart: Restart
) -> None:
    before = await copied(database)
    await filled.revoke(BOB, MAILBOX)
    newer = await copied(database)
    await put_back(database, before)
    again = await restart()
    assert (await again.accept(dry_run=True)).removed == ()
    assert again.trouble
    await again.accept(dry_run=False)
    assert again.trouble == ""
    assert (await again.open(await again.authenticate(BOB, PASSWORD), MAILBOX)).alive
    assert (await restart()).trouble == ""
    await put_back(database, newer)
    assert "older copy" in (await restart()).trouble


async def test_accepting_removes_what_is_not_ours_and_keeps_the_rest(
    filled: KeyBroker, database: Database, restart: Restart
) -> None:
    await run(database, sa.update(tables.person).where(tables.person.c.person == BOB).values(status="x"))
    again = await restart()
    said = await again.accept(dry_run=True)
    assert (said.why, said.removed) == (ALTERED, (StrangeRow("person", BOB),))
    await again.accept(dry_run=False)
    found = await copied(database)
    assert {row["person"] for row in (*found["person"], *found["access"])} == {ALICE}
    again = await restart()
    assert again.trouble == ""
    assert (await again.open(await again.authenticate(ALICE, PASSWORD), MAILBOX)).alive
    with pytest.raises(Refused, match="nothing to accept"):
        await again.accept(dry_run=False)


async def test_an_older_version_s_mailbox_is_signed_only_with_the_key_that_is_its_own(
    broker: KeyBroker, database: Database
) -> None:
    signed = await broker.create_mailbox(named(MAILBOX))
    box = await broker.create_mailbox(outbox(QUEUE))
    _, public = draw_key_pair()
    theirs, nobody = PublicKey(MAILBOX, 1, Suite.MLKEM768_X25519, public), MailboxId(b"N" * 16)
    good = [signed.statement, box.statement]
    bad = [
        MailboxStatement(named(MAILBOX), theirs),
        MailboxStatement(outbox(MAILBOX), signed.statement.key),
        MailboxStatement(named(nobody), PublicKey(nobody, 1, Suite.X25519, public)),
    ]
    assert [each.statement for each in await broker.sign_as_found([*bad, *good])] == good
    # Nor where somebody wrote their key into both databases.
    await run(database, sa.update(tables.epoch).values(public=public))
    assert await broker.sign_as_found([MailboxStatement(named(MAILBOX), theirs)]) == []
    with pytest.raises(Passing):
        await broker.create_mailbox(named(MAILBOX))


def test_every_column_of_a_proved_row_is_under_its_proof() -> None:
    for table, columns in ((tables.person, PERSON_COLUMNS), (tables.access, ACCESS_COLUMNS)):
        assert {column.name for column in table.c} == {*columns, "mac"}


@pytest.mark.parametrize("name", ["dedup", "known-pairs", "audit"])
async def test_a_service_key_taken_away_is_named_and_not_drawn_anew(
    filled: KeyBroker, database: Database, restart: Restart, name: str
) -> None:
    """A new audit key would seal the journal on, and what it said before could not be read by anybody."""
    await run(database, sa.delete(tables.service_key).where(tables.service_key.c.name == name))
    gone = await copied(database)
    for _ in range(2):
        again = await restart()
        assert again.trouble == FOREIGN
        await opens_nothing(again)
    assert await copied(database) == gone
    accepted = await again.accept(dry_run=False)
    assert accepted.why == FOREIGN
    assert again.trouble == RESTART, "this process was given another key"
    assert (await restart()).trouble == ""
