"""Taking messages in: whole or not at all, once, within bounds, in order."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest

from mssante.limits import ORPHAN_SECONDS
from mssante.model import BlobId, FolderId, MailboxId, MailboxStatus, SpecialUse
from mssante.reasons import Passing, Reason, Refused
from mssante.store import Accepted
from mssante.store.line_keys import LineKeys
from mssante.store.reception import Arrival, accept_batch
from tests.unit.store.building import AUDIT, House, acceptance, deposit


async def test_an_accepted_message_lies_in_its_folder_as_it_was_sealed(house: House) -> None:
    mailbox = await house.mailbox()
    given = deposit(mailbox, chunks=3, flags=5)
    accepted = await house.store.accept(acceptance(given))
    (placed,) = accepted.placements
    assert (accepted.duplicate, placed.mailbox, placed.uid) == (False, mailbox, 1)
    (found,) = await house.store.messages.summaries(placed.folder, range(1, 2), header=True)
    assert (found.message_id, found.blob_id) == (given.message_id, given.blob_id)
    (dek,) = await house.store.messages.deks([found.number], contents=True)
    assert (dek.sealed_key, dek.small_ct) == (given.sealed_key, None)
    assert (found.summary_ct, found.header_ct) == (given.summary_ct, given.header_ct)
    assert await house.store.messages.chunks(given.blob_id, 1, 5) == [
        ct for _, ct in given.pending_chunks[1:]
    ]
    numbers = await house.store.folders.numbers(placed.folder)
    assert (list(numbers.uids), list(numbers.flags)) == ([1], [5])


async def test_a_message_for_several_mailboxes_lies_in_each(house: House) -> None:
    boxes = [await house.mailbox() for _ in range(3)]
    accepted = await house.store.accept(acceptance(*map(deposit, boxes)))
    assert [placed.mailbox for placed in accepted.placements] == boxes
    assert {(await house.store.folders.counts(placed.folder)).messages for placed in accepted.placements} == {
        1
    }


async def test_a_hundred_retries_leave_one_message_for_each_recipient(house: House) -> None:
    boxes = [await house.mailbox() for _ in range(2)]
    key = os.urandom(32)
    answers = await asyncio.gather(
        *(house.store.accept(acceptance(*map(deposit, boxes), dedup_key=key)) for _ in range(100))
    )
    assert [answer.duplicate for answer in answers].count(False) == 1
    assert await house.count("message") == 2
    assert await house.count("chunk") == 2


async def test_a_retry_for_some_of_its_recipients_or_more_brings_each_one_copy(house: House) -> None:
    """A sender that died after the reply notes some of its recipients, and comes back for the others."""
    first, second, third = [await house.mailbox() for _ in range(3)]
    key = os.urandom(32)
    newly: dict[tuple[MailboxId, ...], list[MailboxId]] = {
        (first, second): [first, second],
        (second, third): [third],
    }
    for boxes in ((first, second), (second,), (second, third), (third, first)):
        accepted = await house.store.accept(acceptance(*map(deposit, boxes), dedup_key=key))
        new = [placed.mailbox for placed in accepted.placements]
        assert new == newly.get(boxes, [])
        assert accepted.duplicate is (not new)
    assert await house.count("message") == await house.count("chunk") == 3
    assert await house.store.verify(audit=AUDIT) == []


async def test_a_full_mailbox_that_has_the_message_does_not_keep_it_from_another(house: House) -> None:
    full, roomy = await house.mailbox(quota_kib=4), await house.mailbox()
    key = os.urandom(32)
    await house.store.accept(acceptance(deposit(full, size_kib=4), dedup_key=key))
    both = acceptance(deposit(full, size_kib=4), deposit(roomy, size_kib=4), dedup_key=key)
    assert [placed.mailbox for placed in (await house.store.accept(both)).placements] == [roomy]


async def test_a_retry_is_answered_as_the_first_time_even_when_the_mailbox_is_full_or_closed(
    house: House,
) -> None:
    mailbox = await house.mailbox(quota_kib=4)
    key = os.urandom(32)
    await house.store.accept(acceptance(deposit(mailbox), dedup_key=key))
    await house.store.accounts.set_status(mailbox, MailboxStatus.CLOSED)
    assert (await house.store.accept(acceptance(deposit(mailbox), dedup_key=key))).duplicate


async def test_a_declined_message_may_come_again(house: House) -> None:
    mailbox = await house.mailbox(quota_kib=1)
    key = os.urandom(32)
    with pytest.raises(Refused):
        await house.store.accept(acceptance(deposit(mailbox), dedup_key=key))
    await house.store.accounts.set_quota(mailbox, None)
    assert not (await house.store.accept(acceptance(deposit(mailbox), dedup_key=key))).duplicate


async def test_a_full_mailbox_refuses_to_the_kibibyte_within_one_batch_too(house: House) -> None:
    mailbox = await house.mailbox(quota_kib=12)
    answers = await asyncio.gather(
        *(house.one(mailbox, size_kib=4) for _ in range(5)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert [answer.reason for answer in refused] == [Reason.MAILBOX_FULL] * 2
    assert (await house.store.accounts.by_id(mailbox)).used_kib == 12


async def test_one_full_mailbox_keeps_the_message_out_of_the_others_too(house: House) -> None:
    roomy, full = await house.mailbox(), await house.mailbox(quota_kib=1)
    with pytest.raises(Refused) as refused:
        await house.store.accept(acceptance(deposit(roomy), deposit(full)))
    assert refused.value.reason is Reason.MAILBOX_FULL
    assert await house.count("message") == 0
    assert (await house.store.accounts.by_id(roomy)).used_kib == 0


async def test_a_closed_mailbox_refuses_and_a_suspended_one_says_later(house: House) -> None:
    closed = await house.mailbox(status=MailboxStatus.CLOSED)
    suspended = await house.mailbox(status=MailboxStatus.SUSPENDED)
    with pytest.raises(Refused) as refused:
        await house.one(closed)
    assert refused.value.reason is Reason.MAILBOX_CLOSED
    with pytest.raises(Passing) as passing:
        await house.one(suspended)
    assert passing.value.reason is Reason.MAILBOX_SUSPENDED


async def test_an_unknown_mailbox_or_folder_is_refused(house: House) -> None:
    mailbox, other = await house.mailbox(), await house.mailbox()
    with pytest.raises(Refused) as refused:
        await house.one(MailboxId(bytes(16)))
    assert refused.value.reason is Reason.MAILBOX_UNKNOWN
    for folder in (FolderId(999_999), (await house.folder(other)).id, None):
        with pytest.raises(Refused) as refused:
            await house.store.accept(acceptance(deposit(mailbox, folder)))
        assert refused.value.reason is Reason.FOLDER_UNKNOWN


async def test_nothing_is_laid_into_the_queue_from_outside(house: House) -> None:
    queue = await house.queue()
    with pytest.raises(Refused) as refused:
        await house.one(queue)
    assert refused.value.reason is Reason.FOLDER_UNKNOWN


async def test_one_bad_message_does_not_spoil_the_batch(house: House) -> None:
    mailbox = await house.mailbox()
    twice = deposit(mailbox)
    answers = await asyncio.gather(
        house.one(mailbox),
        house.store.accept(acceptance(twice)),
        house.store.accept(acceptance(twice)),  # the same ids: a bug of the caller's
        house.one(MailboxId(bytes(16))),
        house.one(mailbox),
        return_exceptions=True,
    )
    assert [isinstance(answer, Exception) for answer in answers] == [False, False, True, True, False]
    assert await house.uids((await house.folder(mailbox)).id) == [1, 2, 3]


async def test_chunks_that_flowed_before_belong_to_the_message(house: House) -> None:
    mailbox, blob = await house.mailbox(), BlobId(os.urandom(16))
    early = [os.urandom(50) for _ in range(5)]
    await house.store.messages.append_chunks(blob, 0, early[:3])
    await house.store.messages.append_chunks(blob, 3, early[3:])
    given = deposit(mailbox, chunks=7, early=5, blob=blob)
    await house.store.accept(acceptance(given))
    late = [ct for _, ct in given.pending_chunks]
    assert await house.store.messages.chunks(blob, 0, 10) == early + late
    assert await house.store.messages.chunks(blob, 4, 2) == [early[4], late[0]]
    assert await house.count("blob") == 0


async def test_a_message_whose_early_chunks_are_gone_is_not_kept(house: House) -> None:
    mailbox, blob = await house.mailbox(), BlobId(os.urandom(16))
    await house.store.messages.append_chunks(blob, 0, [b"only one"])
    with pytest.raises(Passing) as passing:
        await house.store.accept(acceptance(deposit(mailbox, chunks=3, early=2, blob=blob)))
    assert passing.value.reason is Reason.STORAGE_UNAVAILABLE
    assert await house.count("chunk") == 0


async def test_what_flowed_for_a_duplicate_or_a_declined_message_is_taken_away(house: House) -> None:
    mailbox, full = await house.mailbox(), await house.mailbox(quota_kib=1)
    key = os.urandom(32)
    await house.store.accept(acceptance(deposit(mailbox), dedup_key=key))
    for box, dedup_key in ((mailbox, key), (full, None)):
        blob = BlobId(os.urandom(16))
        await house.store.messages.append_chunks(blob, 0, [b"early"])
        again = acceptance(deposit(box, chunks=2, early=1, blob=blob), dedup_key=dedup_key)
        if dedup_key:
            assert (await house.store.accept(again)).duplicate
        else:
            with pytest.raises(Refused):
                await house.store.accept(again)
    assert await house.count("chunk") == 1
    assert await house.count("blob") == 0


async def test_an_abandoned_reception_leaves_nothing(house: House) -> None:
    blob = BlobId(os.urandom(16))
    await house.store.messages.append_chunks(blob, 0, [b"early"])
    await house.store.messages.abandon(blob)
    assert await house.count("chunk") + await house.count("blob") == 0


async def test_a_sweep_takes_what_nobody_finished_for_an_hour_and_nothing_else(house: House) -> None:
    mailbox = await house.mailbox()
    await house.one(mailbox)
    old, young = BlobId(os.urandom(16)), BlobId(os.urandom(16))
    await house.store.messages.append_chunks(old, 0, [b"old"])
    house.clock.advance(_seconds(ORPHAN_SECONDS - 1))
    await house.store.messages.append_chunks(young, 0, [b"young"])
    assert (await house.store.sweep()).blobs == 0
    house.clock.advance(_seconds(1))
    assert (await house.store.sweep()).blobs == 1
    assert await house.store.messages.chunks(young, 0, 1) == [b"young"]
    assert await house.count("chunk") == 2


async def test_deliveries_from_two_processes_never_share_a_uid_or_a_modseq_step_back(house: House) -> None:
    mailbox = await house.mailbox()
    accepted = await asyncio.gather(*(house.one(mailbox) for _ in range(40)))
    uids = [accepted.placements[0].uid for accepted in accepted]
    assert sorted(uids) == list(range(1, 41))
    modseqs = [a.placements[0].modseq for a in sorted(accepted, key=lambda a: a.placements[0].uid)]
    assert modseqs == sorted(modseqs)


async def test_a_deposit_goes_to_the_folder_of_its_role(house: House) -> None:
    mailbox = await house.mailbox()
    await house.store.accept(acceptance(deposit(mailbox, SpecialUse.SENT)))
    assert (await house.store.folders.counts((await house.folder(mailbox, SpecialUse.SENT)).id)).messages == 1


async def test_a_folder_without_numbers_left_refuses(house: House) -> None:
    mailbox = await house.mailbox()
    inbox = (await house.folder(mailbox)).id
    await house.database.write(
        lambda c: c.exec_driver_sql(f"UPDATE folder SET uidnext = 4294967295 WHERE id = {inbox}")
    )
    assert (await house.one(mailbox)).placements[0].uid == 2**32 - 1
    with pytest.raises(Refused) as refused:
        await house.one(mailbox)
    assert refused.value.reason is Reason.LIMIT_REACHED


def _seconds(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)


async def test_what_is_ready_together_is_judged_one_after_the_other_in_one_transaction(house: House) -> None:
    """Given to the handler itself: the writer would hide a failing batch by running each alone."""
    mailbox, key = await house.mailbox(quota_kib=17), os.urandom(32)  # four places are one more KiB
    sent = (await house.folder(mailbox, SpecialUse.SENT)).id
    acceptances = [
        acceptance(deposit(mailbox)),
        acceptance(deposit(mailbox, sent), dedup_key=key),
        acceptance(deposit(mailbox, SpecialUse.SENT)),
        acceptance(deposit(mailbox, sent), dedup_key=key),
        acceptance(deposit(mailbox), deposit(mailbox)),
        acceptance(deposit(mailbox)),
    ]
    line_key = await LineKeys(house.database, AUDIT.public).of_day(house.now)
    settled = await house.database.write(
        lambda c: accept_batch(c, [Arrival(each, house.now, line_key, "here") for each in acceptances])
    )
    outcomes = [one.outcome for one in settled]
    duplicates = [outcome.duplicate for outcome in outcomes if isinstance(outcome, Accepted)]
    assert duplicates == [False, False, False, True, False]  # the fifth is too much by one deposit
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)] == [Reason.MAILBOX_FULL]
    assert await house.uids((await house.folder(mailbox)).id) == [1, 2]
    assert await house.uids(sent) == [1, 2]
