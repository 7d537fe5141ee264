"""What a mailbox was a moment ago: enough for a first judgement, never longer than it is said to be."""

from __future__ import annotations

import os
from datetime import timedelta

from sqlalchemy import Connection, update

from mssante.model import Address, MailboxId, MailboxKind, MailboxStatus
from mssante.store import MailboxRow, tables
from tests.unit.store.building import House, signed


async def test_a_mailbox_is_looked_up_once_in_ten_seconds(house: House) -> None:
    mailbox = await house.mailbox()
    key = await address_key(house, mailbox)

    def on_another_host(connection: Connection) -> None:
        connection.execute(update(tables.mailbox).values(quota_kib=7))

    assert await house.store.accounts.cached_mailbox(key) == await house.store.accounts.by_id(mailbox)
    await house.database.write(on_another_host)
    before = await house.store.accounts.cached_mailbox(key)
    house.clock.advance(timedelta(seconds=10))
    after = await house.store.accounts.cached_mailbox(key)
    assert before is not None
    assert after is not None
    assert (before.quota_kib, after.quota_kib) == (None, 7)


async def test_what_this_process_changes_is_seen_at_once(house: House) -> None:
    mailbox = await house.mailbox()
    key = await address_key(house, mailbox)
    await house.store.accounts.cached_mailbox(key)
    await house.store.accounts.set_status(mailbox, MailboxStatus.SUSPENDED)
    await house.store.accounts.set_quota(mailbox, 7)
    found = await house.store.accounts.cached_mailbox(key)
    assert found is not None
    assert (found.status, found.quota_kib) == (MailboxStatus.SUSPENDED, 7)


async def test_a_mailbox_made_after_it_was_asked_for_is_found(house: House) -> None:
    address = Address.parse("new@a.mssante.test")
    assert await house.store.accounts.cached_mailbox(address.key) is None
    id = MailboxId(os.urandom(16))
    row = MailboxRow(id=id, address=address, kind=MailboxKind.PER, created_at=house.now, quota_kib=None)
    await house.store.accounts.add(row, signed(row))
    assert await house.store.accounts.cached_mailbox(address.key) == await house.store.accounts.by_id(id)


async def address_key(house: House, mailbox: MailboxId) -> str:
    address = (await house.store.accounts.by_id(mailbox)).address
    assert address is not None
    return address.key
