"""A mailbox comes out of the store as the broker signed it, or not at all, on both systems."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mssante.limits import MAILBOXES_PROVEN_AT_ONCE
from mssante.model import MailboxId
from mssante.store import MailboxRow, proving, tables
from mssante.store.key_floor import KeyFloorDoor
from mssante.store.proving import UnprovenMailbox
from tests.unit.store.building import SIGNER, House

_b, _k = tables.mailbox.c, tables.mailbox_key.c


async def run(house: House, *statements: sa.Executable) -> None:
    def job(connection: sa.Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    await house.database.write(job)


async def two(house: House) -> tuple[MailboxRow, MailboxRow]:
    accounts = house.store.accounts
    return await accounts.by_id(await house.mailbox()), await accounts.by_id(await house.mailbox())


def addressed(mailbox: MailboxId, row: MailboxRow | None) -> sa.Update:
    address = row.address if row is not None else None
    values = {"address": str(address), "address_key": address.key} if address else {}
    aside = {"address": "aside@a.mssante.test", "address_key": "aside@a.mssante.test"}
    return sa.update(tables.mailbox).where(_b.id == mailbox).values(values or aside)


async def test_addresses_exchanged_are_neither_s(house: House) -> None:
    one, other = await two(house)
    assert one.address is not None
    await run(house, addressed(one.id, None), addressed(other.id, one), addressed(one.id, other))
    accounts = house.store.accounts
    for asked in (
        accounts.mailbox(one.address.key),
        accounts.cached_mailbox(one.address.key),
        accounts.by_id(one.id),
        accounts.public_key(one.id, one.address),
        accounts.public_key(other.id, one.address),
    ):
        with pytest.raises(UnprovenMailbox):
            await asked
    assert {each.mailbox for each in await accounts.unproven()} == {one.id, other.id}
    await run(house, addressed(other.id, None), addressed(one.id, one), addressed(other.id, other))
    assert await accounts.unproven() == []


async def test_a_key_is_given_out_for_its_own_address_alone(house: House) -> None:
    one, other = await two(house)
    accounts = house.store.accounts
    for _ in range(2):  # read, then remembered
        assert (await accounts.public_key(one.id, one.address)).mailbox == one.id
        for address in (other.address, None):
            with pytest.raises(UnprovenMailbox):
                await accounts.public_key(one.id, address)


async def test_a_mailbox_without_its_key_waits_and_is_not_unknown(house: House) -> None:
    one, _ = await two(house)
    await run(house, sa.delete(tables.mailbox_key).where(_k.mailbox_id == one.id))
    with pytest.raises(UnprovenMailbox):
        await house.store.accounts.by_id(one.id)
    (found,) = await house.store.accounts.unproven()
    assert (found.mailbox, found.statement) == (one.id, None)


async def test_mailboxes_without_a_signature_are_found_and_signed(house: House) -> None:
    """As a version before signatures left them."""
    one, other = await two(house)
    await run(house, sa.update(tables.mailbox_key).values(signature=None))
    found = await house.store.accounts.unproven()
    assert {each.mailbox for each in found} == {one.id, other.id}
    await house.store.accounts.sign(
        [SIGNER.sign(each.statement) for each in found if each.statement is not None]
    )
    assert await house.store.accounts.unproven() == []
    assert await house.store.accounts.by_id(one.id) == one


async def test_every_mailbox_is_looked_at_some_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {await house.mailbox() for _ in range(7)}
    assert MAILBOXES_PROVEN_AT_ONCE > 7
    monkeypatch.setattr("mssante.store.proving._EVERY", _some(2))
    monkeypatch.setattr("mssante.store.proving._AFTER", _some(2).where(_b.id > sa.bindparam("after")))
    await run(house, sa.update(tables.mailbox_key).values(signature=b"x" * 64))
    assert {each.mailbox for each in await house.store.accounts.unproven()} == made


def _some(count: int) -> sa.Select[tuple[object, ...]]:
    return proving.with_newest_key().order_by(_b.id).limit(count)


async def test_the_key_store_s_mark_is_one_row_that_moves(house: House) -> None:
    door = KeyFloorDoor(house.database)
    assert await door.read() is None
    await door.keep(1, b"first")
    await door.keep(2**40, b"second")
    assert await door.read() == (2**40, b"second")
    assert await house.count("key_floor") == 1
