"""Mailboxes, their folders, their keywords and their keys."""

from __future__ import annotations

import os

import pytest

from mssante.crypto import Closed, EnvelopeForm, SealedKey, Suite
from mssante.database import Conflict
from mssante.limits import KEYWORDS_MAX
from mssante.model import (
    Address,
    FolderId,
    MailboxId,
    MailboxKind,
    MailboxStatus,
    ModSeq,
    SpecialUse,
)
from mssante.reasons import Reason, Refused
from mssante.store import FlagsMode, FolderName, MailboxRow
from mssante.store.records import MessageNumber
from tests.unit.store.building import House, acceptance, deposit, signed


async def test_a_new_mailbox_has_its_folders_by_role_subscribed_and_unnamed(house: House) -> None:
    folders = await house.store.folders.all(await house.mailbox())
    assert {folder.role for folder in folders} == set(SpecialUse)
    assert all(folder.subscribed and folder.name_ct is None and folder.uidnext == 1 for folder in folders)
    assert len({folder.uidvalidity for folder in folders}) == len(folders)


async def test_a_mailbox_is_found_by_its_address_whatever_the_case(house: House) -> None:
    address = Address.parse("Marie.Durand@a.mssante.test")
    id = MailboxId(os.urandom(16))
    row = MailboxRow(id=id, address=address, kind=MailboxKind.ORG, created_at=house.now, quota_kib=77)
    await house.store.accounts.add(row, signed(row))
    found = await house.store.accounts.mailbox("marie.durand@a.mssante.test")
    assert found is not None
    assert (found.id, found.address, found.kind, found.quota_kib) == (id, address, MailboxKind.ORG, 77)
    assert await house.store.accounts.mailbox("nobody@a.mssante.test") is None


async def test_an_address_belongs_to_one_mailbox(house: House) -> None:
    rows = [
        MailboxRow(
            id=MailboxId(os.urandom(16)),
            address=Address.parse(address),
            kind=MailboxKind.PER,
            created_at=0,
            quota_kib=None,
        )
        for address in ("a@a.mssante.test", "A@a.mssante.test")
    ]
    await house.store.accounts.add(rows[0], signed(rows[0]))
    with pytest.raises(Conflict) as conflict:
        await house.store.accounts.add(rows[1], signed(rows[1]))
    assert "a@a.mssante.test" not in str(conflict.value)
    assert len(await house.store.accounts.all()) == 1


async def test_mailboxes_are_listed_by_kind_and_status(house: House) -> None:
    person, team = await house.mailbox(), await house.mailbox(kind=MailboxKind.ORG)
    await house.store.accounts.set_status(team, MailboxStatus.SUSPENDED)
    assert [row.id for row in await house.store.accounts.all(kind=MailboxKind.PER)] == [person]
    assert [row.id for row in await house.store.accounts.all(status=MailboxStatus.SUSPENDED)] == [team]
    assert {row.id for row in await house.store.accounts.all()} == {person, team}


async def test_an_unknown_mailbox_is_refused(house: House) -> None:
    nobody = MailboxId(bytes(16))
    row = MailboxRow(id=nobody, address=None, kind=MailboxKind.QUEUE, created_at=0, quota_kib=None)
    for asked in (
        house.store.accounts.by_id(nobody),
        house.store.accounts.public_key(nobody, None),
        house.store.accounts.set_status(nobody, MailboxStatus.CLOSED),
        house.store.accounts.set_quota(nobody, 1),
        house.store.accounts.add_key(signed(row)),
        house.store.folders.create(nobody, b"tag", b"ct"),
    ):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.reason is Reason.MAILBOX_UNKNOWN


async def test_deliveries_use_a_new_epoch_at_once(house: House) -> None:
    row = await house.store.accounts.by_id(await house.mailbox())
    assert (await house.store.accounts.public_key(row.id, row.address)).epoch == 1
    newer = signed(row, epoch=2)
    await house.store.accounts.add_key(newer)
    assert await house.store.accounts.public_key(row.id, row.address) == newer.statement.key


async def test_a_folder_name_is_there_once(house: House) -> None:
    mailbox, other = await house.mailbox(), await house.mailbox()
    made = await house.store.folders.create(mailbox, b"tag", b"sealed", subscribed=True)
    assert (made.role, made.name_tag, made.name_ct, made.subscribed) == (None, b"tag", b"sealed", True)
    with pytest.raises(Refused) as refused:
        await house.store.folders.create(mailbox, b"tag", b"sealed otherwise")
    assert refused.value.reason is Reason.FOLDER_EXISTS
    await house.store.folders.create(other, b"tag", b"sealed")


async def test_a_folder_made_again_is_not_taken_for_the_old_one(house: House) -> None:
    mailbox = await house.mailbox()
    old = await house.store.folders.create(mailbox, b"tag", b"sealed")
    await house.store.folders.delete(old.id)
    new = await house.store.folders.create(mailbox, b"tag", b"sealed")
    assert new.uidvalidity > old.uidvalidity
    assert new.id > old.id


async def test_deleting_a_folder_shreds_what_lies_in_it_alone(house: House) -> None:
    mailbox = await house.mailbox()
    made = await house.store.folders.create(mailbox, b"tag", b"sealed")
    for _ in range(3):
        await house.store.accept(acceptance(deposit(mailbox, made.id)))
    inbox = await house.folder(mailbox)
    await house.store.messages.copy(made.id, [2], inbox.id)
    await house.store.folders.delete(made.id)
    assert await house.count("message") == 1
    assert await house.uids(inbox.id) == [1]
    assert (await house.store.accounts.by_id(mailbox)).used_kib == 4
    with pytest.raises(Refused) as refused:
        await house.store.folders.by_id(made.id)
    assert refused.value.reason is Reason.FOLDER_UNKNOWN


async def test_a_folder_with_a_role_is_not_deleted_and_inbox_keeps_its_name(house: House) -> None:
    mailbox = await house.mailbox()
    for role in SpecialUse:
        with pytest.raises(Refused) as refused:
            await house.store.folders.delete((await house.folder(mailbox, role)).id)
        assert refused.value.reason is Reason.FOLDER_PROTECTED
    inbox, sent = await house.folder(mailbox), await house.folder(mailbox, SpecialUse.SENT)
    with pytest.raises(Refused) as refused:
        await house.store.folders.rename(mailbox, [FolderName(folder=inbox.id, tag=b"t", ct=b"c")])
    assert refused.value.reason is Reason.FOLDER_PROTECTED
    await house.store.folders.rename(mailbox, [FolderName(folder=sent.id, tag=b"t", ct=b"c")])
    assert (await house.folder(mailbox, SpecialUse.SENT)).name_ct == b"c"


async def test_two_folders_can_change_names_but_not_share_one(house: House) -> None:
    mailbox = await house.mailbox()
    a = await house.store.folders.create(mailbox, b"a", b"sealed a")
    b = await house.store.folders.create(mailbox, b"b", b"sealed b")
    swap = [FolderName(folder=a.id, tag=b"b", ct=b"now b"), FolderName(folder=b.id, tag=b"a", ct=b"now a")]
    await house.store.folders.rename(mailbox, swap)
    assert (await house.store.folders.by_id(a.id)).name_ct == b"now b"
    with pytest.raises(Refused) as refused:
        await house.store.folders.rename(mailbox, [FolderName(folder=a.id, tag=b"a", ct=b"x")])
    assert refused.value.reason is Reason.FOLDER_EXISTS


async def test_a_folder_of_another_mailbox_is_unknown(house: House) -> None:
    mailbox, other = await house.mailbox(), await house.mailbox()
    theirs = await house.folder(other)
    with pytest.raises(Refused) as refused:
        await house.store.folders.rename(mailbox, [FolderName(folder=theirs.id, tag=b"t", ct=b"c")])
    assert refused.value.reason is Reason.FOLDER_UNKNOWN
    mine = await house.fill(mailbox, 1)
    with pytest.raises(Refused) as refused:
        await house.store.messages.copy(mine, [1], theirs.id)
    assert refused.value.reason is Reason.FOLDER_UNKNOWN


async def test_an_unknown_folder_is_refused_by_everything(house: House) -> None:
    nowhere = FolderId(999_999)
    for asked in (
        house.store.folders.by_id(nowhere),
        house.store.folders.numbers(nowhere),
        house.store.folders.counts(nowhere),
        house.store.folders.changes(nowhere, ModSeq(0)),
        house.store.messages.store_flags(nowhere, [1], FlagsMode.ADD, 1),
        house.store.messages.copy(nowhere, [1], nowhere),
        house.store.messages.expunge(nowhere),
        house.store.folders.delete(nowhere),
        house.store.folders.subscribe(nowhere, subscribed=True),
    ):
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.reason is Reason.FOLDER_UNKNOWN


async def test_subscriptions_are_kept(house: House) -> None:
    folder = await house.folder(await house.mailbox(), SpecialUse.JUNK)
    await house.store.folders.subscribe(folder.id, subscribed=False)
    assert not (await house.store.folders.by_id(folder.id)).subscribed


async def test_keywords_take_numbers_until_there_are_none(house: House) -> None:
    mailbox = await house.mailbox()
    numbers = [
        await house.store.folders.add_keyword(mailbox, bytes([n]), b"sealed") for n in range(KEYWORDS_MAX)
    ]
    assert numbers == list(range(KEYWORDS_MAX))
    assert await house.store.folders.add_keyword(mailbox, bytes([7]), b"sealed otherwise") == 7
    with pytest.raises(Refused) as refused:
        await house.store.folders.add_keyword(mailbox, b"one more", b"sealed")
    assert refused.value.reason is Reason.LIMIT_REACHED
    assert len(await house.store.folders.keywords(mailbox)) == KEYWORDS_MAX


async def test_a_message_is_resealed_but_never_taken_back_to_an_older_epoch(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 2)
    one, two = before = await house.store.messages.summaries(folder, range(1, 3))
    assert [message.listing_epoch for message in before] == [None, None]
    _, delivered = await house.store.messages.deks([one.number, two.number])
    closed = Closed(SealedKey(2, Suite.AES256_GCM, EnvelopeForm.WRAPPED, b"wrapped"), b"summary", 2)
    late = Closed(SealedKey(1, Suite.AES256_GCM, EnvelopeForm.WRAPPED, b"late"), b"late summary", 1)
    await house.store.messages.reseal([(one.number, closed), (MessageNumber(999_999), closed)])
    await house.store.messages.reseal([(one.number, late)])
    found = await house.store.messages.summaries(folder, range(1, 3))
    assert [(m.listing_epoch, m.summary_ct) for m in found] == [(2, b"summary"), (None, two.summary_ct)]
    deks = await house.store.messages.deks([one.number, two.number, MessageNumber(999_999)])
    assert [dek.sealed_key for dek in deks] == [closed.key, delivered.sealed_key]
