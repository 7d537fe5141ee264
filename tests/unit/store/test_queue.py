"""The queue: leases, outcomes, and messages forgotten when everybody is settled."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.util import await_only

from mssante.database import Database
from mssante.limits import QUEUE_HOLDER_GONE_SECONDS
from mssante.store import MailStore, RecipientState, leasing
from mssante.store.mail_store import MIGRATIONS
from mssante.store.records import DueRecipient, JournalKind, MessageNumber, RecipientId
from tests.unit.store.building import AUDIT, VERIFIER, House, submission

A, B, C = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
LEASE = timedelta(seconds=600)


async def due(house: House, limit: int = 10, exclude: tuple[bytes, ...] = ()) -> list[DueRecipient]:
    return await house.store.queue.lease(
        limit=limit, exclude=exclude, lease_seconds=int(LEASE.total_seconds())
    )


async def settle(house: House, one: DueRecipient, state: RecipientState, next_at: int = 0) -> bool:
    reply = b"sealed reply" if state.final else None
    return await house.store.queue.settle(
        one.id, attempts=one.attempts, state=state, next_at=next_at, reply_ct=reply
    )


async def test_a_queued_message_is_due_with_all_that_sending_it_needs(house: House) -> None:
    queue = await house.queue()
    given = submission(queue, A, B)
    assert given.outbound is not None
    accepted = await house.store.accept(given)
    assert accepted.placements == ()
    first, second = await due(house)
    assert (first.destination_tag, second.destination_tag) == (A, B)
    assert first.mailbox == queue
    assert first.message_id == second.message_id == given.outbound.deposit.message_id
    assert first.sealed_key == given.outbound.deposit.sealed_key
    assert (first.envelope_ct, first.address_ct) == (b"sealed envelope", b"sealed address")
    assert (first.attempts, first.leased_until) == (1, house.now + 600)
    assert first.chunks == 1
    assert (await house.store.accounts.by_id(queue)).used_kib == 4


async def test_a_lease_is_one_worker_s_until_it_runs_out(house: House) -> None:
    await house.store.accept(submission(await house.queue(), A))
    (one,) = await due(house)
    assert await due(house) == []
    house.clock.advance(LEASE - timedelta(seconds=1))
    assert await due(house) == []
    house.clock.advance(timedelta(seconds=1))
    (again,) = await due(house)
    assert (again.id, again.attempts) == (one.id, 2)


async def test_what_is_not_due_or_excluded_waits_and_the_oldest_goes_first(house: House) -> None:
    queue = await house.queue()
    for tag, wait in ((A, 50), (B, 10), (C, 30)):
        await house.store.accept(submission(queue, tag, next_at=house.now + wait))
    assert await due(house) == []
    house.clock.advance(timedelta(seconds=50))
    assert [one.destination_tag for one in await due(house, limit=1)] == [B]
    assert [one.destination_tag for one in await due(house, exclude=(C,))] == [A]
    assert [one.destination_tag for one in await due(house)] == [C]


async def test_a_deferred_recipient_comes_back_when_its_time_has_come(house: House) -> None:
    await house.store.accept(submission(await house.queue(), A))
    (one,) = await due(house)
    assert not await settle(house, one, RecipientState.PENDING, next_at=house.now + 300)
    assert await due(house) == []
    house.clock.advance(timedelta(seconds=300))
    assert [again.attempts for again in await due(house)] == [2]


async def test_the_last_outcome_shreds_the_message(house: House) -> None:
    queue = await house.queue()
    given = submission(queue, A, B, C)
    await house.store.accept(given)
    first, second, third = await due(house)
    assert not await settle(house, first, RecipientState.DELIVERED)
    assert not await settle(house, second, RecipientState.BOUNCED)
    assert await house.count("message") == 1
    assert await settle(house, third, RecipientState.EXPIRED)
    for table in ("message", "dek", "chunk", "outbound", "queue_recipient"):
        assert await house.count(table) == 0, table
    assert (await house.store.accounts.by_id(queue)).used_kib == 0
    kinds = [entry.kind for entry in await house.store.journal.entries(queue)]
    assert kinds == [
        JournalKind.CREATED,
        JournalKind.QUEUED,
        *[JournalKind.OUTCOME] * 3,
        JournalKind.SHREDDED,
    ]


async def test_a_delivery_is_a_fact_even_after_its_lease_and_nothing_undoes_it(house: House) -> None:
    await house.store.accept(submission(await house.queue(), A, B))
    slow, _ = await due(house)
    house.clock.advance(LEASE)
    other, _ = await due(house)
    assert slow.id == other.id
    await settle(house, slow, RecipientState.DELIVERED)
    await settle(house, other, RecipientState.PENDING, next_at=house.now)
    await settle(house, other, RecipientState.BOUNCED)
    (message,) = await house.store.queue.messages()
    assert [one.state for one in message.recipients] == [RecipientState.DELIVERED, RecipientState.IN_FLIGHT]


async def test_a_late_deferral_does_not_take_the_recipient_from_who_has_it_now(house: House) -> None:
    await house.store.accept(submission(await house.queue(), A))
    (slow,) = await due(house)
    house.clock.advance(LEASE)
    await due(house)
    await settle(house, slow, RecipientState.PENDING, next_at=house.now)
    assert await due(house) == []


async def test_an_outcome_for_what_is_gone_changes_nothing(house: House) -> None:
    await house.queue()
    assert not await house.store.queue.settle(
        RecipientId(999), attempts=1, state=RecipientState.DELIVERED, reply_ct=b"sealed"
    )


async def test_a_delivery_without_the_remote_s_answer_is_a_bug(house: House) -> None:
    with pytest.raises(AssertionError):
        await house.store.queue.settle(RecipientId(1), attempts=1, state=RecipientState.DELIVERED)


async def test_the_queue_is_told_without_addresses(house: House) -> None:
    queue = await house.queue()
    await house.store.accept(submission(queue, A, B))
    house.clock.advance(timedelta(seconds=5))
    await house.store.accept(submission(queue, C, next_at=house.now + 60))
    await due(house, limit=1)
    old, new = await house.store.queue.messages()
    assert [one.state for one in old.recipients] == [RecipientState.IN_FLIGHT, RecipientState.PENDING]
    assert old.created_at == new.created_at == house.now // 3600 * 3600
    assert new.recipients[0].next_at == house.now + 60


async def test_a_retry_makes_one_or_all_due_now(house: House) -> None:
    queue = await house.queue()
    for _ in range(3):
        await house.store.accept(submission(queue, A, next_at=house.now + 4000))
    first, *_ = await house.store.queue.messages()
    assert await house.store.queue.retry(first.number) == 1
    assert len(await due(house)) == 1
    assert await house.store.queue.retry() == 2
    assert len(await due(house)) == 2
    assert await house.store.queue.retry(MessageNumber(999)) == 0


async def test_two_workers_share_the_queue_without_taking_the_same(house: House) -> None:
    queue = await house.queue()
    for _ in range(10):
        await house.store.accept(submission(queue, A, B))
    taken = await asyncio.gather(*(due(house, limit=4) for _ in range(8)))
    ids = [one.id for one in itertools.chain(*taken)]
    assert len(ids) == len(set(ids)) == 20


async def test_a_worker_on_another_host_passes_over_what_is_being_leased(house: House, mail_url: str) -> None:
    """SKIP LOCKED: the second host leases the rest at once, while the first has not committed yet."""
    if house.database.dialect != "postgresql":
        return  # one process only: there is no other host
    queue = await house.queue()
    await house.store.accept(submission(queue, A, B, C))
    elsewhere = await Database.open(mail_url, purpose="mail", migrations_package=MIGRATIONS)
    other = await MailStore.start(elsewhere, clock=house.clock, audit=AUDIT.public, verifier=VERIFIER)
    try:
        seen: list[DueRecipient] = []

        async def lease_the_rest() -> None:
            seen.extend(await other.queue.lease(limit=10))

        def slowly(connection: Connection) -> list[DueRecipient]:
            first = leasing.due(connection, now=house.now, run_out=0, limit=1, exclude=())
            mine = leasing.lease(connection, first, now=house.now, run_out=0, lease_seconds=600, holder=1)
            await_only(lease_the_rest())  # while this transaction is still open
            return mine

        mine = await house.database.write(slowly)
    finally:
        await other.close()
        await elsewhere.close()
    assert [one.destination_tag for one in mine] == [A]
    assert [one.destination_tag for one in seen] == [B, C]


async def test_a_restart_of_the_only_process_frees_what_it_had_leased(house: House) -> None:
    if house.database.dialect != "sqlite":
        return  # several hosts: a lease must run out
    await house.store.accept(submission(await house.queue(), A))
    assert len(await due(house)) == 1
    restarted = await MailStore.start(
        house.database, clock=house.clock, audit=AUDIT.public, verifier=VERIFIER
    )
    assert len(await restarted.queue.lease(limit=1)) == 1
    await restarted.close()


@pytest.mark.parametrize("damage", ["suite = 77", "form = 'molten'"])
async def test_a_key_of_an_unknown_kind_costs_its_own_message_alone(house: House, damage: str) -> None:
    queue = await house.queue()
    for tag in (A, B):
        await house.store.accept(submission(queue, tag))

    def damaged(connection: Connection) -> None:
        connection.execute(
            text(f"UPDATE dek SET {damage} WHERE message_number = (SELECT min(number) FROM message)")
        )

    await house.database.write(damaged)
    first, second = await due(house)
    assert (first.sealed_key.epoch, first.sealed_key.ciphertext) == (-1, b"")  # opens nothing
    assert second.sealed_key.epoch == 1


async def test_only_the_destinations_that_are_wanted_are_leased(house: House) -> None:
    await house.store.accept(submission(await house.queue(), A, B, C))
    lease = house.store.queue.lease
    assert await lease(limit=10, only=[]) == []
    assert [one.destination_tag for one in await lease(limit=10, only=[A, B], exclude=[B])] == [A]
    assert [one.destination_tag for one in await lease(limit=10, only=[B])] == [B]
    assert [one.destination_tag for one in await lease(limit=10)] == [C]


async def test_what_waits_is_counted_for_the_person_and_for_the_mailbox(house: House) -> None:
    queue = await house.queue()
    for person, sender in ((A, B), (A, None), (None, None)):
        given = submission(queue, A, B)
        assert given.outbound is not None
        outbound = replace(given.outbound, person_tag=person, sender_tag=sender)
        await house.store.accept(replace(given, outbound=outbound))

    async def waiting(person: bytes, sender: bytes | None) -> list[tuple[int, int]]:
        found = await house.store.queue.waiting_of(person=person, sender=sender)
        return [(share.kib, share.recipients) for share in found]

    assert await waiting(A, B) == [(8, 4), (4, 2)]
    assert await waiting(B, None) == [(0, 0), (0, 0)]
    first, second, *_ = await due(house)
    await settle(house, first, RecipientState.DELIVERED)
    assert await waiting(A, B) == [(8, 3), (4, 1)]
    await settle(house, second, RecipientState.BOUNCED)
    assert await waiting(A, B) == [(4, 2), (0, 0)]


async def test_what_a_process_leased_and_does_not_know_of_is_due_again(house: House) -> None:
    """A lease that was committed while its answer was lost."""
    await house.store.accept(submission(await house.queue(), A, B, C))
    known, *_ = await due(house)
    assert await house.store.queue.release_forgotten([known.id]) == 2
    assert [one.destination_tag for one in await due(house)] == [B, C]
    assert await house.store.verify() == []


async def test_a_lease_of_an_earlier_version_or_of_who_is_gone_ends_and_can_be_retried(house: House) -> None:
    await house.store.accept(submission(await house.queue(), A, next_at=house.now))
    await due(house)
    assert await house.store.queue.retry() == 0, "we are at work on it"

    def left_behind(connection: Connection) -> None:
        connection.execute(text("UPDATE queue_recipient SET leased_by = 0"))

    await house.database.write(left_behind)
    assert await house.store.queue.retry() == 1
    await house.store.queue.release_gone()
    assert await due(house) == [], "perhaps it is only cut off"
    house.clock.advance(timedelta(seconds=QUEUE_HOLDER_GONE_SECONDS))
    await house.store.queue.release_gone()
    (again,) = await due(house)
    assert again.asked_for
