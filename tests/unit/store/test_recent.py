r"""Which session is the first to hear of a message (RFC 3501 §2.3.2 \Recent), on both databases."""

from __future__ import annotations

import asyncio

from mssante.model import Uid
from tests.unit.store.building import House


async def test_of_two_sessions_that_hear_at_once_one_is_the_first(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 3)
    answers = await asyncio.gather(*(house.store.folders.claim_recent(folder, Uid(3)) for _ in range(8)))
    assert sorted(answers) == [0, 3, 3, 3, 3, 3, 3, 3]


async def test_who_heard_of_less_takes_nothing_back(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 3)
    await house.store.folders.claim_recent(folder, Uid(2))
    assert await house.store.folders.claim_recent(folder, Uid(1)) == 2
    assert await house.store.folders.claim_recent(folder, Uid(3)) == 2
    assert (await house.store.folders.by_id(folder)).recent_uid == 3


async def test_status_counts_what_nobody_has_heard_of(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 3)
    assert (await house.store.folders.counts(folder)).recent == 3
    await house.store.folders.claim_recent(folder, Uid(2))
    assert (await house.store.folders.counts(folder)).recent == 1


async def test_hearing_changes_nothing_a_client_could_see(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 3)
    before = await house.store.folders.numbers(folder)
    await house.store.folders.claim_recent(folder, Uid(3))
    assert (await house.store.folders.changes(folder, before.modseq)).modseq == before.modseq


async def test_a_folder_that_is_gone_has_nothing_recent(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.store.folders.create(mailbox, b"t", b"c")
    await house.store.folders.delete(folder.id)
    assert await house.store.folders.claim_recent(folder.id, Uid(5)) == 5
