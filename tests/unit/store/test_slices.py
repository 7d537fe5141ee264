"""Commands on many messages are done in slices: letters pass between them, and what is cut off is made good.

The slices are made small, so that ten messages are many. A process that is killed is played by a database
whose writer fails at a chosen transaction and is then opened anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from mssante import limits
from mssante.limits import KIB, PLACE_OCTETS
from mssante.model import Flag, FolderId, ModSeq, SpecialUse, Uid
from mssante.reasons import Passing, Reason, Refused
from mssante.store import FlagsMode, MailStore
from mssante.store.records import JournalKind
from tests.unit.store.building import AUDIT, VERIFIER, House, acceptance, deposit

DELETED = Flag.DELETED.value
SLICES = (
    *("FLAGS_STORED_AT_ONCE", "PLACES_COPIED_AT_ONCE", "PLACES_MOVED_AT_ONCE", "EXPUNGED_AT_ONCE"),
    *("EXPUNGED_FORGOTTEN_AT_ONCE",),
)


class Writes:
    """Counts the transactions of a database, on SQLite with the `rows` and the `seconds` of CPU of each, and
    lets some of them fail."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.before: dict[int, Callable[[], object]] = {}
        self.rows: list[int] = []
        self.seconds: list[float] = []
        transact = house.database._writer._transact

        def measured(connection: Connection, fn: Callable[[Connection], Any]) -> Any:
            raw = connection.connection.driver_connection
            before, begun = getattr(raw, "total_changes", 0), time.thread_time()
            answer = fn(connection)
            self.seconds.append(time.thread_time() - begun)
            self.rows.append(getattr(raw, "total_changes", 0) - before)
            return answer

        async def counted(fn: Callable[[Connection], Any], *, patience: float) -> Any:
            self.count += 1
            if self.count in self.before:
                self.before[self.count]()
            return await transact(lambda c: measured(c, fn), patience=patience)

        monkeypatch.setattr(house.database._writer, "_transact", counted)

    def fail(self, *, after: int) -> None:
        """All transactions after so many more fail."""

        def no_more() -> None:
            raise Passing(Reason.STORAGE_UNAVAILABLE, "cut")

        for n in range(self.count + after + 1, self.count + 1000):
            self.before[n] = no_more

    def again(self) -> None:
        self.before.clear()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SLICES:
        monkeypatch.setattr(limits, name, 3)


async def _restarted(house: House) -> MailStore:
    """The store as the next process finds it."""
    await house.store.close()
    house.store = await MailStore.start(
        house.database, clock=house.clock, audit=AUDIT.public, verifier=VERIFIER
    )
    if house.database.dialect == "postgresql":  # another host could still be at work on it
        house.clock.advance(timedelta(seconds=limits.COPY_DEAD_SECONDS + 1))
        await house.store.sweep()
    return house.store


async def _ids(house: House, folder: FolderId) -> list[bytes]:
    return [each.message_id for each in await house.store.messages.places(folder, range(1, 2**32))]


async def _doubled(house: House, folder: FolderId, *, times: int) -> None:
    """COPY 1:* into the folder itself, again and again."""
    for _ in range(times):
        await house.store.messages.copy(folder, await house.uids(folder), folder)


# Nobody's letter waits for another's command


@pytest.mark.parametrize("mail_url", ["sqlite"], indirect=True)
async def test_a_copy_bomb_ends_at_the_bound_and_letters_pass_meanwhile(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One letter of 4 KiB, COPY 1:* again and again."""
    monkeypatch.setattr(limits, "PLACES_MAX", 20_000)
    bomber, other = await house.mailbox(), await house.mailbox()
    folder = await house.fill(bomber, 1)
    delivered: list[int] = []
    writes = Writes(house, monkeypatch)

    async def letters() -> None:
        while not ended.is_set():
            before = writes.count
            await house.one(other)
            delivered.append(writes.count - before)

    ended = asyncio.Event()
    watching = asyncio.create_task(letters())
    try:
        with pytest.raises(Refused) as full:
            await _doubled(house, folder, times=16)
    finally:
        ended.set()
        await watching
    assert full.value.reason is Reason.MAILBOX_FULL
    row = await house.store.accounts.by_id(bomber)
    assert row.places == len(await house.uids(folder)) == 16_384  # the next doubling is refused as a whole
    assert row.used_kib == 4 + row.places * PLACE_OCTETS // KIB
    assert max(delivered) <= 3, "a letter waits for the slice under way, perhaps one more, and its own batch"
    assert max(writes.rows) <= limits.PLACES_COPIED_AT_ONCE + 20
    assert max(writes.seconds) < 0.5, "one slice takes some 15 ms"


async def test_between_two_slices_the_letter_that_waits_is_committed(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mssante.database.writer.DATABASE_LIGHT_ROWS_MAX", 2)
    mailbox, other = await house.mailbox(), await house.mailbox()
    folder = await house.fill(mailbox, 9)
    to = (await house.folder(mailbox, SpecialUse.ARCHIVE)).id
    order: list[str] = []

    async def noting(what: str, work: Awaitable[object]) -> None:
        await work
        order.append(what)

    writes = Writes(house, monkeypatch)
    commands: dict[str, Callable[[], Awaitable[object]]] = {
        "store": lambda: house.store.messages.store_flags(folder, range(1, 10), FlagsMode.ADD, DELETED),
        "copy": lambda: house.store.messages.copy(folder, range(1, 10), to),
        "move": lambda: house.store.messages.move(to, range(1, 10), folder),
        "expunge": lambda: house.store.messages.expunge(folder),
    }
    for name, command in commands.items():
        order.clear()
        begun = writes.count
        await asyncio.gather(noting(name, command()), noting("letter", house.one(other)))
        assert order == ["letter", name]
        assert writes.count - begun >= 4, name  # three slices at least, and the letter


# All or nothing, for COPY


@pytest.mark.parametrize("after", [1, 2, 3])
async def test_a_copy_that_is_cut_off_leaves_nothing(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    mailbox = await house.mailbox()
    folder, to = await house.fill(mailbox, 10), (await house.folder(mailbox, SpecialUse.ARCHIVE)).id
    await house.store.messages.copy(folder, [1, 2], to)
    before = await _ids(house, to)
    writes = Writes(house, monkeypatch)
    writes.fail(after=after)
    with pytest.raises(Passing):
        await house.store.messages.copy(folder, range(1, 11), to)
    assert len(await _ids(house, to)) == 2 + 3 * after  # nothing could be taken back
    writes.again()
    await _restarted(house)
    assert await _ids(house, to) == before
    assert (await house.store.accounts.by_id(mailbox)).places == 12
    kinds = [entry.kind for entry in await house.store.journal.entries(mailbox)]
    assert kinds.count(JournalKind.COPY_UNDONE) == after
    assert await house.count("copied_slice") == 0
    later = await house.store.messages.copy(folder, range(1, 11), to)
    assert [old for old, _ in later] == list(range(1, 11))
    assert later[0][1] > 2 + 3 * after  # no UID comes back


async def test_a_copy_that_is_refused_midway_takes_back_what_it_placed(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = await house.mailbox()
    folder, to = await house.fill(mailbox, 9), (await house.folder(mailbox, SpecialUse.ARCHIVE)).id
    writes = Writes(house, monkeypatch)
    # After the first slice there is suddenly room for a few only.
    writes.before[writes.count + 2] = lambda: monkeypatch.setattr(limits, "PLACES_MAX", 13)
    with pytest.raises(Refused) as full:
        await house.store.messages.copy(folder, range(1, 10), to)
    assert full.value.reason is Reason.MAILBOX_FULL
    assert await house.uids(to) == []
    assert (await house.store.accounts.by_id(mailbox)).places == 9
    changes = await house.store.folders.changes(to, (await house.store.folders.by_id(to)).modseq)
    assert not changes.present
    assert await house.count("copied_slice") == 0


async def test_a_copy_into_a_folder_that_is_deleted_meanwhile_is_refused(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 9)
    made = await house.store.folders.create(mailbox, b"tag", b"sealed")
    copying = asyncio.create_task(house.store.messages.copy(folder, range(1, 10), made.id))
    await asyncio.sleep(0)
    deleting = asyncio.create_task(house.store.folders.delete(made.id))
    done = await asyncio.gather(copying, deleting, return_exceptions=True)
    assert done[1] is None
    assert not isinstance(done[0], BaseException) or (
        isinstance(done[0], Refused) and done[0].reason is Reason.FOLDER_UNKNOWN
    )
    assert await house.uids(folder) == list(range(1, 10))
    assert (await house.store.accounts.by_id(mailbox)).places == 9
    assert await house.count("copied_slice") == 0


async def test_what_is_taken_back_is_never_the_last_place_of_a_letter(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = await house.mailbox()
    folder, to = await house.fill(mailbox, 5), (await house.folder(mailbox, SpecialUse.ARCHIVE)).id
    kept = (await _ids(house, folder))[0]
    writes = Writes(house, monkeypatch)
    writes.fail(after=1)
    with pytest.raises(Passing):
        await house.store.messages.copy(folder, range(1, 6), to)
    writes.again()
    await house.store.messages.expunge(folder, [1], deleted_only=False)
    await _restarted(house)
    assert await _ids(house, to) == [kept]


async def test_letters_get_uids_between_the_slices_and_nothing_appears_below_what_was_seen(
    house: House, small: None
) -> None:
    """The rule of CONDSTORE and QRESYNC: whoever has heard up to a modseq never lacks something below it."""
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 12)
    known, seen = (await house.store.folders.by_id(folder)).modseq, 12
    copying = asyncio.create_task(house.store.messages.copy(folder, range(1, 13), folder))
    while not copying.done():
        await house.one(mailbox)
        changes = await house.store.folders.changes(folder, known)
        new = [row.uid for row in changes.present]
        assert all(uid > seen for uid in new)
        seen, known = max([seen, *new]), changes.modseq
    pairs = await copying
    last = await house.store.folders.changes(folder, known)
    assert all(row.uid > seen for row in last.present)
    assert [old for old, _ in pairs] == list(range(1, 13))
    assert [new for _, new in pairs] == sorted(new for _, new in pairs)
    numbers = await house.store.folders.numbers(folder)
    assert list(numbers.uids) == list(range(1, len(numbers.uids) + 1))


# Message by message, for the others


@pytest.mark.parametrize("after", [1, 2])
async def test_a_move_that_is_cut_off_leaves_each_message_in_one_folder(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    mailbox = await house.mailbox()
    folder, to = await house.fill(mailbox, 10), (await house.folder(mailbox, SpecialUse.ARCHIVE)).id
    ids = await _ids(house, folder)
    writes = Writes(house, monkeypatch)
    writes.fail(after=after)
    with pytest.raises(Passing):
        await house.store.messages.move(folder, range(1, 11), to)
    writes.again()
    await _restarted(house)
    assert await _ids(house, to) == ids[: 3 * after]
    assert await _ids(house, folder) == ids[3 * after :]


async def test_an_expunge_that_is_cut_off_has_removed_whole_slices(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 10, flags=DELETED)
    writes = Writes(house, monkeypatch)
    writes.fail(after=2)
    with pytest.raises(Passing):
        await house.store.messages.expunge(folder)
    writes.again()
    await _restarted(house)
    assert await house.uids(folder) == [7, 8, 9, 10]
    row = await house.store.accounts.by_id(mailbox)
    assert (row.places, row.used_kib) == (4, 4 * 4 + 4 * PLACE_OCTETS // KIB)
    assert await house.store.messages.expunge(folder) == [7, 8, 9, 10]


@pytest.mark.parametrize("after", range(1, 8))
async def test_a_deletion_that_is_cut_off_is_finished_or_can_be_repeated(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    mailbox = await house.mailbox()
    inbox = await house.fill(mailbox, 7)
    made = await house.store.folders.create(mailbox, b"tag", b"sealed")
    await house.store.messages.move(inbox, range(1, 8), made.id)
    writes = Writes(house, monkeypatch)
    writes.fail(after=after)
    try:
        await house.store.folders.delete(made.id)
    except Passing:
        writes.again()
        await _restarted(house)
        assert await house.store.verify() == []
        if any(folder.id == made.id for folder in await house.store.folders.all(mailbox)):
            await house.store.folders.delete(made.id)
    writes.again()
    await house.store.sweep()
    assert await house.count("deleted_folder") == 0
    assert await house.count("expunged") == 7  # those of INBOX, which remains
    assert (await house.store.accounts.by_id(mailbox)).places == 0


async def test_a_move_into_the_same_folder_moves_each_message_once(house: House, small: None) -> None:
    """What the first slice puts there has UIDs that the command names too."""
    folder = await house.fill(await house.mailbox(), 4)
    moved = await house.store.messages.move(folder, [Uid(n) for n in range(1, 9)], folder)
    assert moved == [(1, 5), (2, 6), (3, 7), (4, 8)]


async def test_flags_told_of_several_slices_can_be_built_on_unless_others_came_between(
    house: House, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 9)
    live = await house.store.folders.live(folder)
    rows = await house.store.messages.store_flags(folder, range(1, 10), FlagsMode.ADD, 1)
    await live.learn(rows)
    now = (await house.store.folders.by_id(folder)).modseq
    assert (rows.before, rows.own, live.modseq) == (now - 3, now, now)
    together = await asyncio.gather(
        house.store.messages.store_flags(folder, range(1, 10), FlagsMode.ADD, 2),
        house.store.messages.store_flags(folder, range(1, 10), FlagsMode.ADD, 4),
    )
    for rows in together:
        await live.learn(rows)
        came_between = max(rows.modseqs) - min(rows.modseqs) > 2  # another's slice, beside its own three
        assert (rows.own == 0) == came_between
        assert rows.before > now or not came_between
    live = await house.store.folders.live(folder)
    numbers = await house.store.folders.numbers(folder)
    assert (live.flags, live.modseqs, live.modseq) == (numbers.flags, numbers.modseqs, numbers.modseq)


# Content is erased bit by bit


async def test_a_large_content_is_erased_in_slices_and_unreadable_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CHUNKS_ERASED_AT_ONCE", 4)
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 1, chunks=18)
    writes = Writes(house, monkeypatch)
    writes.fail(after=3)
    assert await house.store.messages.expunge(folder, [1], deleted_only=False) == [1]
    assert (await house.count("message"), await house.count("dek")) == (0, 0)
    assert await house.count("chunk") == 18 - 2 * 4
    assert (await house.store.accounts.by_id(mailbox)).used_kib == 0
    writes.again()
    house.clock.advance(timedelta(seconds=limits.ORPHAN_SECONDS + 1))
    await house.store.sweep()
    assert (await house.count("chunk"), await house.count("blob")) == (0, 0)


async def test_an_expunge_takes_fewer_messages_when_they_are_large(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 6, size_kib=limits.SHREDDED_KIB_AT_ONCE // 2)
    writes = Writes(house, monkeypatch)
    assert await house.store.messages.expunge(folder, range(1, 7), deleted_only=False) == [1, 2, 3, 4, 5, 6]
    assert writes.count == 3


# The bound, for everybody


async def test_a_mailbox_with_all_its_places_taken_takes_no_letter(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PLACES_MAX", 3)
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 2)
    tries: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: house.store.messages.copy(folder, [1, 2], folder),
        lambda: house.store.accept(acceptance(deposit(mailbox), deposit(mailbox))),
    )
    for refused in tries:
        with pytest.raises(Refused) as full:
            await refused()
        assert full.value.reason is Reason.MAILBOX_FULL
    await house.store.messages.copy(folder, [1], folder)
    assert not (await house.store.accounts.by_id(mailbox)).has_room(1)
    with pytest.raises(Refused):
        await house.one(mailbox)
    await house.store.messages.expunge(folder, [1], deleted_only=False)
    await house.one(mailbox)


async def test_places_count_in_the_quota(house: House) -> None:
    """Eight million places for the quota of one letter, before."""
    mailbox = await house.mailbox(quota_kib=6)
    folder = await house.fill(mailbox, 1)
    with pytest.raises(Refused) as full:
        await _doubled(house, folder, times=10)
    assert full.value.reason is Reason.MAILBOX_FULL
    assert (await house.store.accounts.by_id(mailbox)).places == 8  # of 256 octets: 2 KiB


async def test_doctor_names_a_mailbox_whose_places_are_not_as_many_as_counted(house: House) -> None:
    mailbox = await house.mailbox()
    await house.fill(mailbox, 2)
    await house.database.write(lambda c: c.exec_driver_sql("UPDATE mailbox SET places = places + 1"))
    assert [found.problem for found in await house.store.verify()] == [
        "places that are not as many as counted"
    ]
    await house.database.write(lambda c: c.exec_driver_sql("UPDATE mailbox SET places = places - 1"))


async def test_messages_moved_to_and_fro_end_at_a_bound_of_remembered_uids(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each move leaves a UID behind that is remembered as gone, and quota counts none of them."""
    monkeypatch.setattr(limits, "UIDS_GIVEN_MAX", 200)
    mailbox = await house.mailbox()
    folder, other = await house.fill(mailbox, 10), (await house.folder(mailbox, SpecialUse.TRASH)).id

    async def to_and_fro() -> None:
        nonlocal folder, other
        for _ in range(100):
            await house.store.messages.move(folder, await house.uids(folder), other)
            folder, other = other, folder

    with pytest.raises(Refused) as refused:
        await to_and_fro()
    assert refused.value.reason is Reason.LIMIT_REACHED
    gone = [await house.store.folders.expunged(each, ModSeq(0), ModSeq(2**40)) for each in (folder, other)]
    assert sum(map(len, gone)) < 200
    assert len(await house.store.messages.expunge(folder, deleted_only=False)) == 10  # people can delete
    await house.one(mailbox)  # and letters come in
