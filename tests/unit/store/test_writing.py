"""Flags, copies, moves and expunges, in sets; UIDs and modseqs that only grow."""

from __future__ import annotations

import asyncio
from array import array

import pytest

from mssante.limits import KIB, PLACE_OCTETS
from mssante.model import Flag, FolderId, ModSeq, SpecialUse
from mssante.store import FlagsMode, MailStore
from mssante.store.records import Changes, FlagsRows, JournalKind
from tests.unit.store.building import House, acceptance, deposit

SEEN, DELETED, KEYWORD = Flag.SEEN.value, Flag.DELETED.value, 1 << 61


async def _flags(store: MailStore, folder: FolderId) -> dict[int, int]:
    numbers = await store.folders.numbers(folder)
    return dict(zip(numbers.uids, numbers.flags, strict=True))


async def test_flags_are_added_removed_and_replaced(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 3, flags=SEEN)
    store = house.store
    rows = await store.messages.store_flags(folder, [1, 2], FlagsMode.ADD, KEYWORD)
    assert [(row.uid, row.flags) for row in rows] == [(1, SEEN | KEYWORD), (2, SEEN | KEYWORD)]
    await store.messages.store_flags(folder, range(2, 2**32), FlagsMode.REMOVE, SEEN)
    await store.messages.store_flags(folder, [1], FlagsMode.REPLACE, DELETED)
    assert await _flags(store, folder) == {1: DELETED, 2: KEYWORD, 3: 0}


async def test_scattered_uids_are_all_meant_and_absent_ones_passed_over(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 12)
    wanted = [11, 2, 2, 3, 5, 8, 40, 99]
    rows = await house.store.messages.store_flags(folder, wanted, FlagsMode.ADD, SEEN)
    assert [row.uid for row in rows] == [2, 3, 5, 8, 11]
    assert {uid for uid, flags in (await _flags(house.store, folder)).items() if flags} == {2, 3, 5, 8, 11}


async def test_flags_that_stay_as_they_are_keep_their_modseq(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 3)
    before = (await house.store.folders.by_id(folder)).modseq
    (row,) = await house.store.messages.store_flags(folder, [2], FlagsMode.ADD, SEEN)
    assert row.modseq == before + 1
    again = await house.store.messages.store_flags(folder, [2], FlagsMode.ADD, SEEN)
    assert list(again) == [row]
    assert (await house.store.folders.by_id(folder)).modseq == before + 1


async def test_unchangedsince_leaves_alone_what_changed_meanwhile(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 4)
    known = (await house.store.folders.by_id(folder)).modseq
    await house.store.messages.store_flags(folder, [2], FlagsMode.ADD, SEEN)
    rows = await house.store.messages.store_flags(
        folder, range(1, 5), FlagsMode.ADD, DELETED, unchangedsince=known
    )
    assert [row.uid for row in rows] == [1, 3, 4]
    assert (await _flags(house.store, folder))[2] == SEEN


async def test_no_uids_change_nothing(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 1)
    assert not await house.store.messages.store_flags(folder, [], FlagsMode.ADD, SEEN)
    assert not await house.store.messages.store_flags(folder, range(5, 5), FlagsMode.ADD, SEEN)
    assert await house.store.messages.copy(folder, [77], folder) == []
    assert await house.store.messages.expunge(folder, []) == []
    assert await house.store.messages.summaries(folder, []) == []


async def test_a_copy_keeps_flags_and_order_and_costs_the_quota_a_place_only(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 4, flags=SEEN)
    to = (await house.folder(mailbox, SpecialUse.ARCHIVE)).id
    assert await house.store.messages.copy(folder, [4, 2], to) == [(2, 1), (4, 2)]
    assert await house.store.messages.copy(folder, [1], to) == [(1, 3)]
    assert await _flags(house.store, to) == {1: SEEN, 2: SEEN, 3: SEEN}
    row = await house.store.accounts.by_id(mailbox)
    assert (row.used_kib, row.places) == (16 + 7 * PLACE_OCTETS // KIB, 7)
    originals = await house.store.messages.summaries(folder, [2, 4])
    copies = await house.store.messages.summaries(to, [1, 2])
    assert [m.message_id for m in originals] == [m.message_id for m in copies]


async def test_a_copy_into_its_own_folder_is_a_second_message(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 2)
    assert await house.store.messages.copy(folder, range(1, 2**32), folder) == [(1, 3), (2, 4)]
    assert await house.store.messages.move(folder, [1], folder) == [(1, 5)]
    assert await house.uids(folder) == [2, 3, 4, 5]


async def test_a_move_leaves_nothing_behind_and_shreds_nothing(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 5)
    to = (await house.folder(mailbox, SpecialUse.TRASH)).id
    assert await house.store.messages.move(folder, [1, 3, 5, 9], to) == [(1, 1), (3, 2), (5, 3)]
    assert await house.uids(folder) == [2, 4]
    assert await house.uids(to) == [1, 2, 3]
    assert await house.count("message") == 5


async def test_expunge_takes_only_what_is_deleted(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 6)
    await house.store.messages.store_flags(folder, [1, 4, 6], FlagsMode.ADD, DELETED)
    assert await house.store.messages.expunge(folder, [3, 4, 5]) == [4]
    assert await house.store.messages.expunge(folder) == [1, 6]
    assert await house.store.messages.expunge(folder, [2, 3], deleted_only=False) == [2, 3]
    assert await house.uids(folder) == [5]


async def test_a_uid_never_comes_back(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 3)
    await house.store.messages.expunge(folder, range(1, 4), deleted_only=False)
    assert (await house.one(mailbox)).placements[0].uid == 4
    await house.store.messages.expunge(folder, [4], deleted_only=False)
    assert (await house.store.folders.counts(folder)).uidnext == 5


async def test_a_message_placed_twice_is_shredded_with_the_last_placement(house: House) -> None:
    mailbox = await house.mailbox()
    given = deposit(mailbox, chunks=3)
    await house.store.accept(acceptance(given))
    folder, to = (await house.folder(mailbox)).id, (await house.folder(mailbox, SpecialUse.SENT)).id
    await house.store.messages.copy(folder, [1], to)
    await house.store.messages.expunge(folder, [1], deleted_only=False)
    assert len(await house.store.messages.chunks(given.blob_id, 0, 9)) == 3
    await house.store.messages.expunge(to, [1], deleted_only=False)
    for table in ("message", "dek", "header", "chunk", "placement"):
        assert await house.count(table) == 0, table
    assert (await house.store.accounts.by_id(mailbox)).used_kib == 0
    kinds = [entry.kind for entry in await house.store.journal.entries(mailbox)]
    assert kinds == [
        JournalKind.CREATED,
        JournalKind.ACCEPTED,
        JournalKind.COPIED,
        JournalKind.EXPUNGED,
        JournalKind.SHREDDED,
    ]
    assert (await house.store.journal.entries(mailbox))[-1].message_id == given.message_id


async def test_a_message_placed_twice_in_one_expunge_is_shredded_once(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 1)
    await house.store.messages.copy(folder, [1], folder)
    assert await house.store.messages.expunge(folder, range(1, 3), deleted_only=False) == [1, 2]
    assert (await house.store.accounts.by_id(mailbox)).used_kib == 0
    assert await house.count("message") == 0


async def test_a_long_expunge_is_cut_into_slices(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mssante.limits.EXPUNGED_AT_ONCE", 3)
    mailbox = await house.mailbox()
    made = await house.store.folders.create(mailbox, b"tag", b"sealed")
    folder = await house.fill(mailbox, 7)
    await house.store.messages.copy(folder, range(1, 8), made.id)
    assert await house.store.messages.expunge(folder, range(1, 8), deleted_only=False) == list(range(1, 8))
    await house.store.folders.delete(made.id)
    assert await house.count("message") == 0


async def test_changes_tell_what_is_new_changed_and_gone(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 4)
    numbers = await house.store.folders.numbers(folder)
    assert await house.store.folders.changes(folder, numbers.modseq) == Changes(
        FlagsRows(), (), numbers.modseq
    )
    await house.store.messages.store_flags(folder, [2], FlagsMode.ADD, SEEN)
    await house.one(mailbox)
    await house.store.messages.expunge(folder, [1, 3], deleted_only=False)
    changes = await house.store.folders.changes(folder, numbers.modseq)
    assert [(row.uid, row.flags) for row in changes.present] == [(2, SEEN), (5, 0)]
    assert list(changes.expunged) == [1, 3]
    assert changes.modseq == (await house.store.folders.by_id(folder)).modseq
    assert await house.store.folders.changes(folder, changes.modseq) == Changes(
        FlagsRows(), (), changes.modseq
    )
    everything = await house.store.folders.changes(folder, ModSeq(0))
    assert [row.uid for row in everything.present] == [2, 4, 5]


async def test_a_move_is_a_change_in_both_folders(house: House) -> None:
    mailbox = await house.mailbox()
    folder, to = await house.fill(mailbox, 2), (await house.folder(mailbox, SpecialUse.TRASH)).id
    before = [(await house.store.folders.by_id(f)).modseq for f in (folder, to)]
    await house.store.messages.move(folder, [1], to)
    assert (await house.store.folders.changes(folder, before[0])).expunged == array("Q", [1])
    assert [row.uid for row in (await house.store.folders.changes(to, before[1])).present] == [1]


async def test_counts_are_those_of_the_folder(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 4)
    await house.store.messages.store_flags(folder, [1, 2], FlagsMode.ADD, SEEN)
    await house.store.messages.store_flags(folder, [2, 3, 4], FlagsMode.ADD, DELETED)
    counts = await house.store.folders.counts(folder)
    assert (counts.messages, counts.unseen, counts.deleted, counts.size_kib) == (4, 2, 3, 16)
    assert counts.uidnext == 5
    empty = await house.store.folders.counts((await house.folder(mailbox, SpecialUse.JUNK)).id)
    assert (empty.messages, empty.unseen, empty.deleted, empty.size_kib) == (0, 0, 0, 0)


async def test_writers_at_once_keep_modseqs_and_uids_apart(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 10)
    to = (await house.folder(mailbox, SpecialUse.ARCHIVE)).id
    await asyncio.gather(
        *(house.one(mailbox) for _ in range(10)),
        *(
            house.store.messages.store_flags(folder, range(1, 6), FlagsMode.ADD, 1 << bit)
            for bit in range(8, 16)
        ),
        *(house.store.messages.copy(folder, [uid], to) for uid in range(1, 6)),
        *(house.store.messages.move(folder, [uid], to) for uid in range(6, 9)),
        house.store.messages.expunge(folder, [9, 10], deleted_only=False),
    )
    assert await house.uids(to) == list(range(1, 9))
    inbox = await house.uids(folder)
    assert inbox == [1, 2, 3, 4, 5, *range(11, 21)]
    flags = await _flags(house.store, folder)
    assert all(flags[uid] == 0xFF00 for uid in range(1, 6))


async def test_who_changed_flags_need_not_be_told_of_it_again(house: House) -> None:
    folder = await house.fill(await house.mailbox(), 4)
    before = (await house.store.folders.numbers(folder)).modseq
    theirs = await house.store.messages.store_flags(folder, [1], FlagsMode.ADD, 4)
    ours = await house.store.messages.store_flags(folder, [2, 3], FlagsMode.ADD, 1)
    assert (theirs.own, ours.own) == (before + 1, before + 2)
    assert (theirs.before, ours.before) == (before, before + 1)  # who had heard of theirs has heard of all
    assert (await house.store.folders.changes(folder, ModSeq(ours.own))).modseq == ours.own
    nothing = await house.store.messages.store_flags(folder, [2, 3], FlagsMode.ADD, 1)
    assert (nothing.own, nothing.before) == (0, ours.own)
