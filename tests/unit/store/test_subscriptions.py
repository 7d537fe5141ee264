"""Subscriptions outlive their folder (RFC 3501 §6.3.9), on both databases."""

from __future__ import annotations

from mssante.limits import FOLDERS_MAX
from mssante.store import FolderName
from mssante.store import subscriptions as rows
from tests.unit.store.building import House


async def test_a_deleted_folder_stays_subscribed_until_the_client_says_otherwise(house: House) -> None:
    store, mailbox = house.store, await house.mailbox()
    subscribed = await store.folders.create(mailbox, b"a", b"sealed a", subscribed=True)
    unsubscribed = await store.folders.create(mailbox, b"b", b"sealed b")
    for each in (subscribed, unsubscribed):
        await store.folders.delete(each.id)
    assert await store.folders.subscriptions(mailbox) == [b"sealed a"]
    assert await store.folders.end_subscription(mailbox, b"a")
    assert not await store.folders.end_subscription(mailbox, b"a")
    assert await store.folders.subscriptions(mailbox) == []


async def test_a_folder_created_under_a_subscribed_name_is_subscribed(house: House) -> None:
    store, mailbox = house.store, await house.mailbox()
    first = await store.folders.create(mailbox, b"a", b"sealed a", subscribed=True)
    await store.folders.delete(first.id)
    again = await store.folders.create(mailbox, b"a", b"sealed again")
    assert again.subscribed
    assert again.uidvalidity > first.uidvalidity
    assert await store.folders.subscriptions(mailbox) == []


async def test_both_names_of_a_renamed_folder_are_subscribed(house: House) -> None:
    store, mailbox = house.store, await house.mailbox()
    folder = await store.folders.create(mailbox, b"a", b"sealed a", subscribed=True)
    name = FolderName(folder=folder.id, tag=b"b", ct=b"sealed b", former=(b"a", b"sealed a"))
    await store.folders.rename(mailbox, [name])
    assert (await store.folders.by_id(folder.id)).subscribed
    assert await store.folders.subscriptions(mailbox) == [b"sealed a"]
    back = FolderName(folder=folder.id, tag=b"a", ct=b"sealed a", former=(b"b", b"sealed b"))
    await store.folders.rename(mailbox, [back])
    assert await store.folders.subscriptions(mailbox) == [b"sealed b"]


async def test_names_without_a_folder_are_bounded(house: House) -> None:
    mailbox = await house.mailbox()

    def fill(connection: object) -> None:
        for start in (0, FOLDERS_MAX - 5):
            names = [(b"%d" % n, b"sealed") for n in range(start, start + FOLDERS_MAX - 5)]
            rows.keep(connection, mailbox, names)  # type: ignore[arg-type]  # a Connection

    await house.database.write(fill)
    assert len(await house.store.folders.subscriptions(mailbox)) == FOLDERS_MAX
