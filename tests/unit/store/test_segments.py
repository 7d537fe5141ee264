"""mssante.store.index: what knows a message's words is gone with it, and holds only what is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from mssante.database import Database
from mssante.model import MailboxId, SpecialUse
from mssante.reasons import Passing, Reason, Refused
from mssante.store import MailStore
from mssante.store.index import SealedSegment
from mssante.store.mail_store import MIGRATIONS
from tests.unit.store.building import AUDIT, VERIFIER, House


def segment(id_: int, epoch: int = 1) -> SealedSegment:
    return SealedSegment(id_, epoch, os.urandom(5000))


async def numbers(house: House, mailbox: MailboxId) -> list[int]:
    return list((await house.store.index.places((await house.folder(mailbox)).id)).numbers)


async def ids(house: House, mailbox: MailboxId) -> list[int]:
    return [head.id for head in await house.store.index.heads(mailbox)]


async def unindexed(house: House, mailbox: MailboxId, after: int = 0, most: int = 100) -> list[int]:
    folder = (await house.folder(mailbox)).id
    return await house.store.index.unindexed(folder, after=after, most=most)


async def test_what_is_put_is_read_and_its_messages_are_indexed(house: House) -> None:
    mailbox, other = await house.mailbox(), await house.mailbox()
    await house.fill(mailbox, 5)
    await house.fill(other, 1)
    of = await numbers(house, mailbox)
    first, second = segment(2**63 - 1), segment(7)
    assert await house.store.index.put(mailbox, first, of[:2])
    assert await house.store.index.put(mailbox, second, of[3:4])
    assert await unindexed(house, mailbox) == [3, 5]
    assert await unindexed(house, mailbox, after=3) == [5]
    assert await unindexed(house, mailbox, most=1) == [3]
    assert [tuple(head) for head in await house.store.index.heads(mailbox)] == [
        (7, 1, 1),
        (2**63 - 1, 1, 2),
    ]
    assert await house.store.index.heads(other) == []
    read = await house.store.index.sealed([7, 2**63 - 1, 99])
    assert sorted((each.id, each.ct) for each in read) == [(7, second.ct), (2**63 - 1, first.ct)]


async def test_shredding_one_message_takes_its_segment_and_no_other(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 6)
    of = await numbers(house, mailbox)
    for n in range(3):
        assert await house.store.index.put(mailbox, segment(n + 1), of[2 * n : 2 * n + 2])
    await house.store.messages.expunge(folder, [3], deleted_only=False)
    assert await ids(house, mailbox) == [1, 3]
    assert await unindexed(house, mailbox) == [4]
    assert await house.count("index_entry") == 4


async def test_a_message_copied_or_moved_stays_indexed_until_its_last_placement_goes(house: House) -> None:
    mailbox = await house.mailbox()
    folder, archive = await house.fill(mailbox, 2), await house.folder(mailbox, SpecialUse.ARCHIVE)
    assert await house.store.index.put(mailbox, segment(1), await numbers(house, mailbox))
    await house.store.messages.copy(folder, [1], archive.id)
    await house.store.messages.move(folder, [2], archive.id)
    assert await house.store.index.unindexed(archive.id, after=0, most=9) == []
    await house.store.messages.expunge(folder, [1], deleted_only=False)
    assert await ids(house, mailbox) == [1]
    await house.store.messages.expunge(archive.id, [1], deleted_only=False)
    assert await ids(house, mailbox) == []


async def test_a_segment_is_replaced_whole_or_not_at_all(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 4)
    of = await numbers(house, mailbox)
    put = house.store.index.put
    assert await put(mailbox, segment(1), of[:2])
    assert not await put(mailbox, segment(2), of[1:3]), "a message is in one segment"
    assert not await put(mailbox, segment(2), of, instead_of=[1, 9]), "9 is gone"
    assert not await put(await house.mailbox(), segment(2), of[2:]), "another mailbox's messages"
    assert not await put(await house.mailbox(), None, instead_of=[1]), "another mailbox's segment"
    assert await ids(house, mailbox) == [1]
    assert await put(mailbox, segment(2), of, instead_of=[1])
    assert await ids(house, mailbox) == [2]
    await house.store.messages.expunge(folder, [1], deleted_only=False)
    assert not await put(mailbox, segment(3), of), "a message was shredded meanwhile"
    assert await put(mailbox, segment(4), of[1:])
    assert await put(mailbox, None, instead_of=[4])
    assert await unindexed(house, mailbox) == [2, 3, 4]


async def test_an_index_costs_no_quota_and_moves_no_modseq(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 2)
    before = await house.store.accounts.by_id(mailbox), await house.store.folders.by_id(folder)
    assert await house.store.index.put(mailbox, segment(1), await numbers(house, mailbox))
    assert (await house.store.accounts.by_id(mailbox), await house.store.folders.by_id(folder)) == before


async def test_of_what_was_forgotten_no_octet_stays_in_the_file(house: House, tmp_path: Path) -> None:
    if house.database.dialect != "sqlite":
        pytest.skip("PostgreSQL keeps them until VACUUM (threat model)")
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 4)
    of, kept, gone = await numbers(house, mailbox), segment(1), segment(2)
    assert await house.store.index.put(mailbox, kept, of[:2])
    assert await house.store.index.put(mailbox, gone, of[2:])
    await house.store.messages.expunge(folder, [3], deleted_only=False)
    assert (await house.store.sweep()).log_emptied

    def lies_there(sealed: SealedSegment) -> bool:
        files = b"".join(file.read_bytes() for file in tmp_path.glob("mail.db*") if file.is_file())
        return any(sealed.ct[at : at + 64] in files for at in range(0, 4900, 64))

    assert lies_there(kept)
    assert not lies_there(gone)


async def test_an_unknown_mailbox_has_no_index(house: House) -> None:
    assert await house.store.index.heads(MailboxId(bytes(16))) == []
    with pytest.raises(Refused) as refusal:
        await house.store.index.put(MailboxId(bytes(16)), segment(1))
    assert refusal.value.reason is Reason.MAILBOX_UNKNOWN


async def test_of_two_hosts_that_index_the_same_one_wins(house: House, postgres_mail_url: str) -> None:
    if house.database.dialect != "postgresql":
        pytest.skip("SQLite has one process")
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 40)
    of = await numbers(house, mailbox)
    database = await Database.open(postgres_mail_url, purpose="mail", migrations_package=MIGRATIONS)
    other = await MailStore.start(database, clock=house.clock, audit=AUDIT.public, verifier=VERIFIER)

    async def fill(store: MailStore, own: int) -> None:
        parts: Sequence[Sequence[int]] = [of[n : n + 4] for n in range(0, 40, 4)]
        for n, part in enumerate(parts, 1):
            with suppress(Passing):  # the other has the mailbox: a comfort does not wait
                await store.index.put(mailbox, segment(own + n), part)

    async def shred() -> int:
        return len(await house.store.messages.expunge(folder, range(1, 41, 7), deleted_only=False))

    try:
        _, _, gone = await asyncio.gather(fill(house.store, 0), fill(other, 100), shred())
    finally:
        await other.close()
        await database.close()
    kept = await ids(house, mailbox)
    assert 0 < len(kept) <= 10
    assert gone == 6
    left = set(await numbers(house, mailbox))
    lacking = await unindexed(house, mailbox)
    assert await house.count("index_entry") == len(left) - len(lacking)
