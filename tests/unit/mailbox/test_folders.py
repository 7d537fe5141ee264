"""mssante.mailbox.folders: names are sealed in the store and open for the owner."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mssante.mailbox.folders import Folders
from mssante.model import SpecialUse
from mssante.reasons import Reason, Refused
from tests.support.owner import Desk, Owner


async def names(owner: Owner) -> set[str]:
    return {each.name for each in await owner.folders.all()}


async def test_folders_with_a_role_are_named_by_it_until_they_are_renamed(owner: Owner) -> None:
    assert await names(owner) == {"INBOX", "Sent", "Drafts", "Trash", "Junk", "Archive"}
    await owner.folders.rename("Sent", "Envoyés")
    renamed = await owner.folders.named("Envoyés")
    assert renamed.folder.role is SpecialUse.SENT
    await owner.folders.create("Sent")
    assert (await owner.folders.named("Sent")).folder.role is None


async def test_no_name_lies_in_the_database(owner: Owner, desk: Desk) -> None:
    await owner.folders.create("Canari Dupont")
    await owner.folders.add_keyword("canari-mot")
    await owner.folders.subscribe("Canari Dupont", on=True)
    await owner.folders.rename("Canari Dupont", "Canari Durand")
    dump = await desk.database.read(
        lambda c: b"".join(
            bytes(value) if isinstance(value, bytes) else str(value).encode()
            for table in ("folder", "keyword", "subscription")
            for row in c.exec_driver_sql(f"SELECT * FROM {table}")
            for value in row
        )
    )
    assert b"anari" not in dump
    assert b"Dupont" not in dump


async def test_another_session_reads_the_same_names(owner: Owner, desk: Desk) -> None:
    await owner.folders.create("Projet é&/2026")
    other = Folders(await desk.opened("marie@a.test"))
    assert "Projet é&/2026" in {each.name for each in await other.all()}


async def test_a_name_is_taken_once_also_at_the_same_moment(owner: Owner, desk: Desk) -> None:
    other = Folders(await desk.opened("marie@a.test"))
    answers = await asyncio.gather(owner.folders.create("x"), other.create("x"), return_exceptions=True)
    (refused,) = [answer for answer in answers if isinstance(answer, Refused)]
    assert refused.reason is Reason.FOLDER_EXISTS


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda folders: folders.named("nowhere"), Reason.FOLDER_UNKNOWN),
        (lambda folders: folders.create("INBOX"), Reason.FOLDER_EXISTS),
        (lambda folders: folders.create("Trash"), Reason.FOLDER_EXISTS),
        (lambda folders: folders.delete("nowhere"), Reason.FOLDER_UNKNOWN),
        (lambda folders: folders.delete("INBOX"), Reason.FOLDER_PROTECTED),
        (lambda folders: folders.delete("Trash"), Reason.FOLDER_PROTECTED),
        (lambda folders: folders.rename("nowhere", "x"), Reason.FOLDER_UNKNOWN),
        (lambda folders: folders.rename("Junk", "Trash"), Reason.FOLDER_EXISTS),
        (lambda folders: folders.rename("Junk", "INBOX"), Reason.FOLDER_EXISTS),
        (lambda folders: folders.subscribe("nowhere", on=True), Reason.FOLDER_UNKNOWN),
    ],
)
async def test_what_cannot_be_done_is_refused_for_its_reason(
    owner: Owner, act: Callable[[Folders], Awaitable[object]], reason: Reason
) -> None:
    with pytest.raises(Refused) as refusal:
        await act(owner.folders)
    assert refusal.value.reason is reason


async def test_renaming_moves_what_lies_below_or_nothing(owner: Owner) -> None:
    for name in ("a", "a/b", "a/b/c", "ab", "z/b"):
        await owner.folders.create(name)
    with pytest.raises(Refused):
        await owner.folders.rename("a", "z")  # z/b is there
    assert {"a", "a/b", "a/b/c"} <= await names(owner)
    with pytest.raises(Refused) as refusal:
        await owner.folders.rename("a", "y" * 511)
    assert refusal.value.reason is Reason.LIMIT_REACHED
    await owner.folders.rename("a", "a/b/d")  # below itself
    assert {"a/b/d", "a/b/d/b", "a/b/d/b/c", "ab", "z/b"} <= await names(owner)


async def test_flag_names_are_one_object_until_something_is_new(owner: Owner, desk: Desk) -> None:
    first = await owner.folders.flag_names()
    assert owner.folders.names_last_read is first
    other = Owner(await desk.opened("marie@a.test"), desk.clock)
    bit = await other.keyword("$label1")
    assert owner.folders.names_last_read is first
    assert bit & ~first.known
    known = await owner.folders.flag_names()
    assert known.keywords == ("$label1",)
    assert await owner.folders.flag_names() is known
    assert await owner.keyword("$LABEL1") == bit
