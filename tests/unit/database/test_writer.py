"""Group commit against a fake transaction: when answers are given, who fails, what stops."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest
from sqlalchemy import Connection, exc

from mssante.database.writer import GroupWriter
from mssante.limits import DATABASE_BATCH_JOBS_MAX, DATABASE_BUSY_SECONDS, DATABASE_LEISURE_LOCK_SECONDS
from mssante.observe.event import Event, add_sink
from mssante.observe.events import Crashed, StorageTrouble
from mssante.reasons import Passing, Reason


class FakeTransactions:
    """Runs jobs on a list of kept values; COMMIT waits for `allow`, and fails as told."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.transactions: list[list[Any]] = []
        self.allow = asyncio.Event()
        self.allow.set()
        self.failures: list[Exception] = []
        self.patience: list[float] = []

    async def transact(self, fn: Callable[[Connection], Any], *, patience: float) -> Any:
        self.patience.append(patience)
        here: list[Any] = []
        answer = fn(cast(Connection, here))
        await self.allow.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.transactions.append(here)
        self.kept += here
        return answer


def put(connection: Connection, values: list[Any]) -> list[Any]:
    cast("list[Any]", connection).append(tuple(values))
    if "bad" in values:
        raise ValueError("bad")
    return values


def put_elsewhere(connection: Connection, values: list[Any]) -> list[Any]:
    return put(connection, values)


def sqlite_error(code: int) -> exc.DBAPIError:
    original = sqlite3.OperationalError("text")
    original.sqlite_errorcode = code
    original.sqlite_errorname = "SQLITE_TEST"
    return exc.OperationalError("statement", {}, original)


@pytest.fixture
def fake() -> FakeTransactions:
    return FakeTransactions()


@pytest.fixture
async def writer(fake: FakeTransactions) -> AsyncIterator[GroupWriter]:
    writer = GroupWriter(fake.transact, purpose="test")
    yield writer
    fake.allow.set()
    await writer.close()


@pytest.fixture
def events() -> Iterator[list[Event]]:
    seen: list[Event] = []
    remove = add_sink(seen.append)
    yield seen
    remove()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_answer_is_given_only_after_the_commit(writer: GroupWriter, fake: FakeTransactions) -> None:
    fake.allow.clear()
    call = asyncio.create_task(writer.write(put, 1))
    await settle()
    assert not call.done()
    fake.allow.set()
    assert await call == 1
    assert fake.kept == [(1,)]


async def test_what_is_ready_is_committed_together_in_order(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    fake.allow.clear()
    calls = [asyncio.create_task(writer.write(put, 0))]
    await settle()
    calls += [asyncio.create_task(writer.write(put, n)) for n in range(1, 6)]
    calls.insert(3, asyncio.create_task(writer.write(put_elsewhere, "other")))
    await settle()
    fake.allow.set()
    assert await asyncio.gather(*calls) == [0, 1, 2, "other", 3, 4, 5]
    assert fake.transactions == [[(0,)], [(1, 2, 3, 4, 5), ("other",)]]


async def test_who_is_announced_is_waited_for(writer: GroupWriter, fake: FakeTransactions) -> None:
    announced = [writer.announce() for _ in range(3)]
    first = asyncio.create_task(writer.write(put, 1, shares=True, announced=announced[0]))
    await settle()
    assert fake.transactions == []
    announced[1].withdraw()
    announced[1].withdraw()
    assert await writer.write(put, 2, shares=True, announced=announced[2]) == 2
    assert await first == 1
    assert fake.transactions == [[(1, 2)]]


async def test_who_is_announced_and_does_not_come_is_not_waited_for_long(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    writer.announce()
    assert await writer.write(put, 1, shares=True) == 1  # a few milliseconds of the loop
    assert fake.transactions == [[(1,)]]


async def test_a_job_that_shares_nothing_waits_for_nobody(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    writer.announce()
    call = asyncio.create_task(writer.write(put, 1))
    await settle()
    assert call.done()


async def test_a_batch_is_bounded(writer: GroupWriter, fake: FakeTransactions) -> None:
    await asyncio.gather(*(writer.write(put, n) for n in range(3 * DATABASE_BATCH_JOBS_MAX)))
    assert max(len(values) for transaction in fake.transactions for values in transaction) <= 64
    assert len(fake.transactions) == 3


async def test_only_the_guilty_job_fails(writer: GroupWriter, fake: FakeTransactions) -> None:
    outcomes = await asyncio.gather(
        *(writer.write(put, value) for value in ("a", "bad", "b")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [str, ValueError, str]
    assert fake.kept == [("a",), ("b",)]


async def test_a_full_disk_fails_the_jobs_that_do_not_fit(
    writer: GroupWriter, fake: FakeTransactions, events: list[Event]
) -> None:
    fake.failures = [sqlite_error(sqlite3.SQLITE_FULL), sqlite_error(sqlite3.SQLITE_FULL)]
    outcomes = await asyncio.gather(*(writer.write(put, n) for n in (1, 2)), return_exceptions=True)
    assert isinstance(outcomes[0], Passing)
    assert outcomes[0].reason is Reason.STORAGE_FULL
    assert outcomes[1] == 2
    assert [type(event) for event in events] == [StorageTrouble, StorageTrouble]


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR_WRITE])
async def test_trouble_of_the_storage_fails_the_batch_once_and_passes(
    writer: GroupWriter, fake: FakeTransactions, events: list[Event], code: int
) -> None:
    fake.failures = [sqlite_error(code)]
    outcomes = await asyncio.gather(*(writer.write(put, n) for n in (1, 2)), return_exceptions=True)
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Passing)] == [
        Reason.STORAGE_UNAVAILABLE
    ] * 2
    assert len(events) == 1
    assert not writer.stopped
    assert await writer.write(put, 3) == 3


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC])
async def test_after_a_failed_sync_nothing_is_written(
    writer: GroupWriter, fake: FakeTransactions, code: int
) -> None:
    fake.failures = [sqlite_error(code)]
    for n in (1, 2):
        with pytest.raises(Passing) as trouble:
            await writer.write(put, n)
        assert trouble.value.reason is Reason.STORAGE_UNAVAILABLE
    assert writer.stopped
    assert fake.kept == []


async def test_jobs_waiting_behind_a_failed_sync_fail_too(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    fake.allow.clear()
    calls = [asyncio.create_task(writer.write(put, 0))]
    await settle()
    calls.append(asyncio.create_task(writer.write(put, 1)))
    await settle()
    fake.failures = [sqlite_error(sqlite3.SQLITE_IOERR_FSYNC)]
    fake.allow.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Passing, Passing]
    assert fake.kept == []


async def test_a_job_that_says_try_later_does_not_fail_its_neighbours(
    writer: GroupWriter, fake: FakeTransactions, events: list[Event]
) -> None:
    def later(_connection: Connection, _values: list[Any]) -> list[Any]:
        raise Passing(Reason.STORAGE_UNAVAILABLE)

    outcomes = await asyncio.gather(writer.write(later, 0), writer.write(put, 1), return_exceptions=True)
    assert isinstance(outcomes[0], Passing)
    assert outcomes[1] == 1
    assert events == []


async def test_a_handler_that_forgets_an_answer_is_a_bug_and_keeps_nothing(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    with pytest.raises(ValueError, match="zip"):
        await writer.write(lambda _connection, _values: [], 1)
    assert fake.kept == []


async def test_a_cancelled_caller_leaves_the_writer_alive(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    fake.allow.clear()
    call = asyncio.create_task(writer.write(put, 1))
    await settle()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    fake.allow.set()
    assert await writer.write(put, 2) == 2
    assert fake.kept == [(1,), (2,)]


async def test_what_is_written_at_leisure_comes_after_what_is_waited_for(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    fake.allow.clear()
    calls = [asyncio.create_task(writer.write(put, 0))]
    await settle()
    calls.append(asyncio.create_task(writer.write_at_leisure(put, "comfort")))
    calls += [asyncio.create_task(writer.write(put, n)) for n in (1, 2)]
    await settle()
    fake.allow.set()
    assert await asyncio.gather(*calls) == [0, "comfort", 1, 2]
    assert fake.transactions == [[(0,)], [(1, 2)], [("comfort",)]]
    assert fake.patience[0] > 4.9
    assert fake.patience[1] > 1
    assert fake.patience[2] == DATABASE_LEISURE_LOCK_SECONDS


async def test_a_comfort_foregone_is_no_alarm_and_is_not_tried_again_at_once(
    writer: GroupWriter, fake: FakeTransactions, events: list[Event]
) -> None:
    fake.failures = [sqlite_error(sqlite3.SQLITE_BUSY)]
    for _ in range(2):
        with pytest.raises(Passing) as trouble:
            await writer.write_at_leisure(put, "comfort")
        assert trouble.value.reason is Reason.STORAGE_UNAVAILABLE
    assert len(fake.patience) == 1  # the second was not even asked
    assert events == []
    assert await writer.write(put, 1) == 1


async def test_who_writes_at_leisure_does_not_wait_for_a_writer_that_is_held_up(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    fake.allow.clear()
    letter = asyncio.create_task(writer.write(put, "letter"))
    await settle()
    with pytest.raises(Passing):  # half a second later
        await writer.write_at_leisure(put, "comfort")
    fake.allow.set()
    assert await letter == "letter"


async def test_what_was_waited_for_those_before_counts(writer: GroupWriter, fake: FakeTransactions) -> None:
    fake.allow.clear()
    calls = [asyncio.create_task(writer.write(put, 0))]
    await settle()
    calls.append(asyncio.create_task(writer.write(put, 1)))
    await asyncio.sleep(0.2)
    fake.allow.set()
    await asyncio.gather(*calls)
    assert fake.patience[1] <= DATABASE_BUSY_SECONDS - 0.2


async def test_a_bug_costs_the_jobs_it_meets_and_not_the_writer(events: list[Event]) -> None:
    fake, sound = FakeTransactions(), True

    async def transact(fn: Callable[[Connection], Any], *, patience: float) -> Any:
        answers = await fake.transact(fn, patience=patience)
        return answers if sound else None

    writer = GroupWriter(transact, purpose="test")
    async with asyncio.timeout(2):
        sound = False
        with pytest.raises(Passing) as trouble:
            await writer.write(put, 1)
        sound = True
        assert await writer.write(put, 2) == 2
        await writer.close()
    assert trouble.value.reason is Reason.INTERNAL
    assert [event.boundary for event in events if isinstance(event, Crashed)] == ["test writer"]


async def test_slices_have_their_turn_one_at_a_time_between_batches(
    writer: GroupWriter, fake: FakeTransactions
) -> None:
    """However many slices wait, a letter waits for the one under way, and one more at most."""
    fake.allow.clear()
    calls = [asyncio.create_task(writer.write(put, f"slice {n}", rows=5000)) for n in range(4)]
    await settle()
    calls += [asyncio.create_task(writer.write(put, n, shares=True, rows=200)) for n in range(2)]
    await settle()
    fake.allow.set()
    await asyncio.gather(*calls)
    assert fake.transactions == [
        [("slice 0",)],
        [(0,)],
        [("slice 1",)],
        [(1,)],
        [("slice 2",)],
        [("slice 3",)],
    ]
