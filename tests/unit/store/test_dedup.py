"""The keys of letters that came before: how long they are believed, and those that an earlier version left.
What is one letter and what is two: tests/unit/delivery/test_retries.py."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from mssante.limits import QUEUE_DAYS_MAX
from mssante.store import tables
from tests.unit.store.building import House, acceptance, deposit


async def test_a_key_is_swept_once_no_peer_retries_any_more(house: House) -> None:
    mailbox, key = await house.mailbox(), os.urandom(32)
    await house.store.accept(acceptance(deposit(mailbox), dedup_key=key))
    house.clock.advance(timedelta(days=QUEUE_DAYS_MAX))
    assert (await house.store.sweep()).dedup_keys == 0
    house.clock.advance(timedelta(days=1))
    assert (await house.store.sweep()).dedup_keys == 1


async def test_an_expunged_letter_comes_again_in_a_batch_of_retries_once(house: House) -> None:
    mailbox, key = await house.mailbox(), os.urandom(32)
    letter = replace(acceptance(deposit(mailbox), dedup_key=key), comes_again=True)
    accepted = await house.store.accept(letter)
    await house.store.messages.expunge(accepted.placements[0].folder, [1], deleted_only=False)
    again = [replace(letter, deposits=(deposit(mailbox),)) for _ in range(3)]
    outcomes = [await house.store.accept(each) for each in again]
    assert [outcome.duplicate for outcome in outcomes] == [False, True, True]
    assert {outcome.kept for outcome in outcomes} == {(again[0].deposits[0].message_id,)}
    assert await house.count("dedup") == 1


async def test_a_key_of_an_earlier_version_is_believed_where_no_letter_need_be_there(house: House) -> None:
    """Such a row names no letter. Our own queue and people who submit are not answered anew for that."""
    mailbox = await house.mailbox()
    submitted, brought = (acceptance(deposit(mailbox), dedup_key=os.urandom(32)) for _ in range(2))
    brought = replace(brought, comes_again=True)
    for each in (submitted, brought):
        await house.store.accept(each)
    await house.database.write(lambda c: c.execute(update(tables.dedup).values(message_id=None)))
    for each, duplicate in ((submitted, True), (brought, False)):
        again = await house.store.accept(replace(each, deposits=(deposit(mailbox),)))
        assert again.duplicate is duplicate
