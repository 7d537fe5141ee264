"""One message in the place of another, in one transaction (RFC 8508); what is known of a place."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mssante.model import Flag, SpecialUse, Uid
from mssante.reasons import Reason, Refused
from mssante.store import deposits
from mssante.store.records import SECONDS_PER_DAY, FlagsMode
from tests.unit.store.building import House, acceptance, deposit


async def test_the_old_one_is_shredded_as_the_new_one_is_kept(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 3)
    before = (await house.store.folders.by_id(folder)).modseq
    given = deposit(mailbox, chunks=2)
    accepted = await house.store.messages.replace(folder, Uid(2), acceptance(given))
    (placed,) = accepted.placements
    assert (placed.folder, placed.uid) == (folder, 4)
    changes = await house.store.folders.changes(folder, before)
    assert (list(changes.expunged), [row.uid for row in changes.present]) == ([2], [4])
    assert await house.count("message") == 3
    row = await house.store.accounts.by_id(mailbox)
    assert row.used_kib == sum([4, 4, given.size_kib])


async def test_a_message_that_is_gone_is_replaced_by_none(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 2)
    with pytest.raises(Refused) as refused:
        await house.store.messages.replace(folder, Uid(9), acceptance(deposit(mailbox, chunks=3)))
    assert refused.value.reason is Reason.MESSAGE_GONE
    assert await house.count("message") == 2


async def test_what_cannot_be_kept_takes_nothing_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 2)
    await house.store.accounts.set_quota(mailbox, 9)
    with pytest.raises(Refused) as refused:
        await house.store.messages.replace(folder, Uid(1), acceptance(deposit(mailbox, size_kib=6)))
    assert refused.value.reason is Reason.MAILBOX_FULL
    assert list((await house.store.folders.numbers(folder)).uids) == [1, 2]

    def dies(*arguments: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(deposits, "write", dies)
        with pytest.raises(RuntimeError):
            await house.store.messages.replace(folder, Uid(1), acceptance(deposit(mailbox, size_kib=4)))
    assert list((await house.store.folders.numbers(folder)).uids) == [1, 2]
    assert (await house.store.accounts.by_id(mailbox)).used_kib == 8


async def test_the_place_of_a_message_is_its_identity_and_the_day_it_came(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 2)
    trash = (await house.folder(mailbox, SpecialUse.TRASH)).id
    today = int(house.clock.now().timestamp()) // SECONDS_PER_DAY
    house.clock.advance(timedelta(days=3))
    await house.store.messages.copy(folder, [2], trash)
    there, copied = (
        await house.store.messages.places(folder, range(1, 9)),
        await house.store.messages.places(trash, [1]),
    )
    assert [(place.uid, place.saved_day) for place in there] == [(1, today), (2, today)]
    assert [(place.message_id, place.saved_day) for place in copied] == [(there[1].message_id, today + 3)]
    assert await house.store.messages.places(folder, []) == []


async def test_what_expunge_would_free_is_counted(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 3)
    await house.store.messages.store_flags(folder, [1, 3], FlagsMode.ADD, Flag.DELETED.value)
    assert (await house.store.folders.counts(folder)).deleted_kib == 8
