"""Who waits is woken: after the commit, of his own mailbox, on other hosts too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from mssante.database import Database
from mssante.model import MailboxId, SpecialUse
from mssante.reasons import Refused
from mssante.store import FlagsMode, MailStore
from mssante.store.mail_store import MIGRATIONS
from mssante.store.notifier import Notifier
from tests.support.postgres import Postgres
from tests.unit.store.building import AUDIT, VERIFIER, House, acceptance, deposit, submission


async def woken(waiting: asyncio.Task[None]) -> bool:
    """Whether a waiter was woken by what is done already."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return waiting.done()


async def test_every_change_wakes_the_mailbox_s_readers_and_nobody_else(house: House) -> None:
    mailbox, other, queue = await house.mailbox(), await house.mailbox(), await house.queue()
    folder = (await house.folder(mailbox)).id
    archive = (await house.folder(mailbox, SpecialUse.ARCHIVE)).id
    store = house.store
    changes = (
        lambda: house.one(mailbox),
        lambda: store.messages.store_flags(folder, [1], FlagsMode.ADD, 1),
        lambda: store.messages.copy(folder, [1], archive),
        lambda: store.messages.move(folder, [1], archive),
        lambda: store.messages.expunge(archive, [1], deleted_only=False),
        lambda: store.folders.create(mailbox, b"tag", b"ct"),
    )
    with store.subscribe(mailbox) as changed, store.subscribe(other) as quiet:
        unmoved = asyncio.create_task(quiet.wait())
        for change in changes:
            waiting = asyncio.create_task(changed.wait())
            assert not await woken(waiting)
            await change()
            assert await woken(waiting)
        await store.accept(submission(queue, bytes(32)))
        assert not await woken(unmoved)
        unmoved.cancel()


async def test_a_runner_is_woken_by_a_message_to_send(house: House) -> None:
    queue = await house.queue()
    with house.store.subscribe(queue) as changed:
        await house.store.accept(submission(queue, bytes(32)))
        await asyncio.wait_for(changed.wait(), 5)


async def test_what_changed_before_the_wait_is_not_lost_and_told_once(house: House) -> None:
    mailbox = await house.mailbox()
    with house.store.subscribe(mailbox) as changed:
        await house.one(mailbox)
        await house.one(mailbox)
        await asyncio.wait_for(changed.wait(), 5)
        again = asyncio.create_task(changed.wait())
        assert not await woken(again)
        again.cancel()


async def test_what_changed_nothing_wakes_nobody(house: House) -> None:
    full, key = await house.mailbox(quota_kib=5), os.urandom(32)
    await house.store.accept(acceptance(deposit(full), dedup_key=key))
    with house.store.subscribe(full) as changed:
        waiting = asyncio.create_task(changed.wait())
        with pytest.raises(Refused):
            await house.one(full)
        await house.store.messages.store_flags((await house.folder(full)).id, [99], FlagsMode.ADD, 1)
        assert not await woken(waiting)
        waiting.cancel()


async def test_what_is_kept_is_told_though_the_caller_went_away(house: House) -> None:
    mailbox = await house.mailbox()
    folder = (await house.folder(mailbox)).id
    with house.store.subscribe(mailbox) as changed:
        for change in (house.one(mailbox), house.store.messages.store_flags(folder, [1], FlagsMode.ADD, 1)):
            caller = asyncio.ensure_future(change)
            await asyncio.sleep(0)
            caller.cancel()
            await asyncio.gather(caller, return_exceptions=True)
            assert caller.cancelled()
            await asyncio.wait_for(changed.wait(), 5)
    assert (await house.store.folders.counts(folder)).unseen == 0


async def test_a_subscription_ends_with_its_context() -> None:
    notifier, mailbox = Notifier(), MailboxId(os.urandom(16))
    with notifier.subscribe(mailbox) as first, notifier.subscribe(mailbox) as second:
        assert first is not second
    assert notifier._waiting == {}
    notifier.tell([mailbox])


@pytest.fixture
async def two_hosts(postgres_mail_url: str) -> AsyncIterator[tuple[House, House]]:
    houses = []
    for _ in range(2):
        database = await Database.open(postgres_mail_url, purpose="mail", migrations_package=MIGRATIONS)
        house = House(None, database)  # type: ignore[arg-type]  # the store follows
        house.store = await MailStore.start(
            database, clock=house.clock, audit=AUDIT.public, verifier=VERIFIER
        )
        houses.append(house)
    yield houses[0], houses[1]
    for house in houses:
        await house.store.close()
        await house.database.close()


async def test_a_delivery_on_one_host_wakes_a_session_on_the_other(two_hosts: tuple[House, House]) -> None:
    here, there = two_hosts
    mailbox, other = await here.mailbox(), await here.mailbox()
    with there.store.subscribe(mailbox) as changed:
        await here.one(mailbox)
        await asyncio.wait_for(changed.wait(), 5)
        folder = (await there.folder(mailbox)).id
        assert await there.uids(folder) == [1]
        with there.store.subscribe(other) as quiet:
            unmoved = asyncio.create_task(quiet.wait())
            await here.store.messages.store_flags(folder, [1], FlagsMode.ADD, 1)
            await asyncio.wait_for(changed.wait(), 5)
            assert not await woken(unmoved)
            unmoved.cancel()


async def test_after_a_broken_connection_everybody_looks_again(
    two_hosts: tuple[House, House], postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mssante.store.notifier.LISTEN_AGAIN_SECONDS", 0)
    here, there = two_hosts
    mailbox = await here.mailbox()
    with there.store.subscribe(mailbox) as changed:
        ours = "application_name = 'mssante session'"
        postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
        await asyncio.wait_for(changed.wait(), 5)  # woken for nothing: something may have been missed
        await here.one(mailbox)
        await asyncio.wait_for(changed.wait(), 5)


async def test_two_hosts_deliver_to_one_mailbox_without_sharing_a_uid(
    two_hosts: tuple[House, House],
) -> None:
    here, there = two_hosts
    boxes = [await here.mailbox() for _ in range(3)]
    key = os.urandom(32)
    answers = await asyncio.gather(
        *(
            host.store.accept(acceptance(*map(deposit, order)))
            for _ in range(10)
            for host, order in ((here, boxes), (there, boxes[::-1]))
        ),
        *(host.store.accept(acceptance(deposit(boxes[0]), dedup_key=key)) for host in two_hosts * 5),
    )
    assert [answer.duplicate for answer in answers].count(True) == 9
    for box in boxes:
        uids = sorted(p.uid for answer in answers for p in answer.placements if p.mailbox == box)
        assert uids == list(range(1, 22 if box == boxes[0] else 21))
    assert await here.store.verify(audit=AUDIT) == []
