"""From where people signed in: kept across restarts, shared by processes, proved, bounded, not in clear."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.clock import ManualClock
from mssante.database import Database
from mssante.keys import KeyBroker, RootKey, known_pairs
from mssante.keys.tables import known_pair
from mssante.limits import KNOWN_PAIR_DAYS_MAX, KNOWN_PAIRS_PER_PERSON_MAX
from mssante.model import PersonId, Secret
from mssante.reasons import Passing, Reason, Refused
from tests.support.key_floor import FloorInMemory

ALICE, BOB = PersonId("alice@a.test"), PersonId("bob@a.test")
PASSWORD = Secret("a good password")
HERE, THERE = "192.0.2.1", "198.51.100.7"


def _rows(connection: Connection) -> list[dict[str, object]]:
    return [dict(row) for row in connection.execute(sa.select(known_pair)).mappings()]


@pytest.fixture
async def alice(broker: KeyBroker) -> KeyBroker:
    """With Alice and Bob, and Alice has signed in from HERE."""
    for person in (ALICE, BOB):
        await broker.create_person(person, PASSWORD)
    await broker.authenticate(ALICE, PASSWORD, remote=HERE)
    return broker


async def test_only_this_person_at_this_address_is_known(alice: KeyBroker) -> None:
    assert await alice.knows(ALICE, HERE)
    assert not await alice.knows(ALICE, THERE)
    assert not await alice.knows(BOB, HERE)
    with pytest.raises(Refused):
        await alice.authenticate(BOB, Secret("wrong"), remote=HERE)
    assert not await alice.knows(BOB, HERE)


async def test_an_ipv6_host_is_known_by_its_network(alice: KeyBroker) -> None:
    await alice.authenticate(ALICE, PASSWORD, remote="2001:db8:1:2::1")
    assert await alice.knows(ALICE, "2001:db8:1:2:ffff::9")
    assert not await alice.knows(ALICE, "2001:db8:1:3::1")


async def test_another_process_and_the_next_start_know_it_too(
    alice: KeyBroker, database: Database, root: RootKey, clock: ManualClock, floor: FloorInMemory
) -> None:
    elsewhere = await KeyBroker.start(database, root=root, clock=clock, floor=floor.keeper)
    assert await elsewhere.knows(ALICE, HERE)
    await elsewhere.authenticate(BOB, PASSWORD, remote=THERE)
    assert await alice.knows(BOB, THERE)
    elsewhere.close()


async def test_the_table_tells_neither_people_nor_addresses(alice: KeyBroker, database: Database) -> None:
    (row,) = await database.read(_rows)
    octets = b"".join(bytes(each) for each in row.values() if isinstance(each, bytes | memoryview))
    assert b"alice" not in octets
    assert HERE.encode() not in octets
    assert row["day"] == (ManualClock().at - ManualClock().at.replace(year=1970)).days


@pytest.mark.parametrize("changed", ["person_mark", "place_mark", "day", "proof"])
async def test_a_row_that_was_not_written_with_our_key_counts_for_nothing(
    alice: KeyBroker,
    database: Database,
    root: RootKey,
    clock: ManualClock,
    *,
    floor: FloorInMemory,
    changed: str,
) -> None:
    """Who writes the database cannot make a guesser known: by a later day, a copied or an invented row."""
    await alice.authenticate(BOB, PASSWORD, remote=THERE)
    wanted = known_pairs.KnownPairs(database, key=b"k" * 32, clock=clock)._pair(BOB, HERE)
    other: dict[str, object] = {
        "person_mark": wanted[0],
        "place_mark": wanted[1],
        "day": 30_000,
        "proof": b"p" * 32,
    }
    before = await database.read(_rows)
    await database.write(
        lambda connection: (
            connection.execute(
                sa.update(known_pair)
                .where(known_pair.c.place_mark == before[0]["place_mark"])
                .values({changed: other[changed]})
            ).rowcount
        )
    )
    again = await KeyBroker.start(database, root=root, clock=clock, floor=floor.keeper)
    known = [await again.knows(person, at) for person in (ALICE, BOB) for at in (HERE, THERE)]
    assert known.count(True) == 1
    again.close()


async def test_a_pair_ages_and_is_written_once_a_day(
    alice: KeyBroker, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    real = database.write_at_leisure

    async def counted(fn: object) -> object:
        written.append(fn)
        return await real(fn)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "write_at_leisure", counted)
    for _ in range(3):
        await alice.authenticate(ALICE, PASSWORD, remote=HERE)
    assert written == []
    clock.advance(timedelta(days=KNOWN_PAIR_DAYS_MAX - 1))
    assert await alice.knows(ALICE, HERE)
    await alice.authenticate(ALICE, PASSWORD, remote=HERE)
    assert len(written) == 1
    clock.advance(timedelta(days=KNOWN_PAIR_DAYS_MAX))
    assert not await alice.knows(ALICE, HERE)
    await alice.authenticate(ALICE, PASSWORD, remote=THERE)
    assert len(await database.read(_rows)) == 1  # the old row went


async def test_one_person_s_addresses_push_out_their_oldest_and_nobody_else_s(
    alice: KeyBroker, database: Database, clock: ManualClock
) -> None:
    most = KNOWN_PAIRS_PER_PERSON_MAX
    for n in range(most + 5):
        clock.advance(timedelta(days=1))
        await alice.authenticate(BOB, PASSWORD, remote=f"198.51.100.{n}")
    assert len(await database.read(_rows)) == most + 1
    alice._known._remembered.clear()
    assert await alice.knows(ALICE, HERE)
    assert not await alice.knows(BOB, "198.51.100.4")
    assert await alice.knows(BOB, "198.51.100.5")


async def test_a_busy_database_costs_nobody_a_sign_in(
    alice: KeyBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(_: object) -> None:
        raise Passing(Reason.STORAGE_FULL)

    monkeypatch.setattr(database, "write_at_leisure", busy)
    assert (await alice.authenticate(ALICE, PASSWORD, remote=THERE)).alive
    assert not await alice.knows(ALICE, THERE)
