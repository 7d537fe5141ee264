"""What may come in when the disk is filled up to its reserve, and what is never asked.

The disk's own figures are the fault here; tests/faults/test_storage.py has a real small file system.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mssante.limits import MIB, SHREDDED_KIB_AT_ONCE
from mssante.model import BlobId, Flag, SpecialUse, Uid
from mssante.observe.event import add_sink
from mssante.reasons import Passing, Reason
from mssante.store.disk_reserve import DiskReserve
from mssante.store.mail_store import MailStore
from mssante.store.records import FlagsMode
from tests.unit.store.building import AUDIT, VERIFIER, House

RESERVE = 100 * MIB


class Disk:
    """A disk of 1 GiB whose free octets the test says, as `os.statvfs` tells them."""

    free = 1024 * MIB
    inside = 0

    def __call__(self, folder: Path) -> SimpleNamespace:
        return SimpleNamespace(f_blocks=1024 * MIB, f_bavail=self.free, f_frsize=1)

    async def inside_it(self) -> int:
        return self.inside


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(os, "statvfs", made)
    return made


@pytest.fixture
def told() -> Iterator[list[str]]:
    seen: list[str] = []
    forget = add_sink(lambda event: seen.append(type(event).__name__))
    yield seen
    forget()


async def _says(reserve: DiskReserve) -> Reason | None:
    try:
        await reserve.require()
    except Passing as passing:
        return passing.reason
    return None


async def test_below_the_reserve_the_answer_is_later_and_told_once(
    disk: Disk, told: list[str], tmp_path: Path
) -> None:
    reserve = DiskReserve(tmp_path, RESERVE, disk.inside_it)
    assert await _says(reserve) is None
    disk.free = RESERVE - 1
    assert [await _says(reserve) for _ in range(3)] == [Reason.STORAGE_FULL] * 3
    disk.inside = 1  # what people deleted is room
    assert await _says(reserve) is None
    disk.free, disk.inside = RESERVE // 4 - 1, RESERVE  # but the log of writes grows on the disk
    assert await _says(reserve) is Reason.STORAGE_FULL
    disk.free = RESERVE
    assert await _says(reserve) is None
    assert told == ["DiskShort", "DiskHasRoomAgain"] * 2


async def test_a_database_elsewhere_has_no_disk_of_ours(disk: Disk) -> None:
    disk.free = 0
    assert await _says(DiskReserve(None, RESERVE, disk.inside_it)) is None


async def test_what_makes_room_is_done_on_a_full_disk(disk: Disk, house: House, tmp_path: Path) -> None:
    mailbox = await house.mailbox()
    inbox = await house.fill(mailbox, 3)
    trash = (await house.folder(mailbox, SpecialUse.TRASH)).id
    store = await MailStore.start(
        house.database,
        clock=house.clock,
        audit=AUDIT.public,
        verifier=VERIFIER,
        disk=tmp_path,
        reserve_octets=1024 * MIB * MIB,
    )
    disk.free = 0
    for new in (
        store.messages.append_chunks(BlobId(os.urandom(16)), 0, [b"sealed"]),
        store.messages.copy(inbox, [Uid(1)], trash),
        store.reserve.require(),
    ):
        with pytest.raises(Passing) as declined:
            await new
        assert declined.value.reason is Reason.STORAGE_FULL
    await store.messages.move(inbox, [Uid(1)], trash)
    with pytest.raises(Passing):  # to and fro, each message leaves a UID that is remembered as gone
        await store.messages.move(trash, [Uid(1)], inbox)
    await store.messages.store_flags(inbox, [Uid(2)], FlagsMode.ADD, Flag.DELETED.value)
    assert await store.messages.expunge(inbox) == [Uid(2)]
    assert len(await store.messages.summaries(inbox, range(1, 10))) == 1
    await store.close()


async def test_large_messages_are_overwritten_in_slices(house: House) -> None:
    each = SHREDDED_KIB_AT_ONCE // 2
    inbox = await house.fill(await house.mailbox(), 10, size_kib=each, flags=Flag.DELETED.value)
    assert len(await house.store.messages.expunge(inbox)) == 10
    steps = await house.database.read(
        lambda c: c.exec_driver_sql("SELECT count(DISTINCT modseq) FROM expunged").scalar_one()
    )
    assert steps == 5
