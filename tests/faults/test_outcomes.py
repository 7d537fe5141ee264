"""The database is away while a remote takes a letter, or the process that had it dies: nothing is sent twice,
and the letter is delayed by the outage only.

The locks, the servers and the ends of processes are real; only the remote is ours.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from mssante import limits
from mssante.database import Database
from mssante.delivery.couriers import Consignment
from mssante.delivery.retry import Fate, Outcome
from mssante.model import Address
from mssante.observe import events
from mssante.observe.event import Event, add_sink
from mssante.reasons import Passing
from mssante.store import MailStore
from mssante.store.mail_store import MIGRATIONS
from tests.support.operators.delivery_house import LETTER, House, house
from tests.support.postgres import Postgres

ROOT = Path(__file__).parents[2]
DELIVERED = Outcome(Fate.DELIVERED, None, "250 2.0.0 ok")
LEASED = timedelta(seconds=limits.QUEUE_LEASE_SECONDS + 1)


class Remote:
    """Takes every letter and counts how often; `then` happens between its 250 and our hearing of it."""

    def __init__(self) -> None:
        self.taken: Counter[bytes] = Counter()
        self.attempts = 0
        self.then: Callable[[], None] = lambda: None
        self.before_content: Callable[[], Awaitable[None]] | None = None
        self.replies = asyncio.Event()
        self.replies.set()

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]:
        self.attempts += 1
        if self.before_content is not None:
            await self.before_content()
        await asyncio.sleep(0.02)
        try:
            content = b"".join([block async for block in consignment.content()])
        except Passing as passing:  # as the courier over SMTP does: no final dot
            return consignment.all(Outcome.of(passing))
        self.taken[content.rpartition(b"\r\n\r\n")[2]] += 1
        self.then()
        await self.replies.wait()
        await asyncio.sleep(0.02)
        return consignment.all(DELIVERED)


@pytest.fixture
def told() -> Iterator[list[Event]]:
    seen: list[Event] = []
    forget = add_sink(seen.append)
    yield seen
    forget()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mssante.database.writer.DATABASE_BUSY_SECONDS", 0.1)
    monkeypatch.setattr("mssante.store.notifier.LISTEN_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(limits, "QUEUE_OUTCOME_AGAIN_SECONDS", 0.05, raising=False)
    monkeypatch.setattr(limits, "QUEUE_POLL_SECONDS", 0.2)


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def troubles(told: list[Event]) -> int:
    return sum(isinstance(each, events.StorageTrouble) for each in told)


class Lock:
    """Another connection that keeps SQLite from being written."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, timeout=10, check_same_thread=False)
        self.held = False

    def take(self) -> None:
        if not self.held:
            self._connection.execute("BEGIN EXCLUSIVE")
            self.held = True

    def release(self) -> None:
        self._connection.execute("ROLLBACK")


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as made:
        await made.mailbox("dr.a@chu-a.test")
        yield made


async def send(home: House, number: int, *, destinations: int = 1) -> None:
    for n in range(number):
        await home.submit([f"dr@far-{n % destinations}.test"], LETTER + b"\r\n%d" % n)


async def nothing_comes_twice(home: House, remote: Remote, letters: int) -> None:
    """Even when every lease has run out."""
    assert await home.store.queue.messages() == []
    home.clock.advance(LEASED)
    await home.runner(remote).run_once()
    assert sorted(remote.taken.values()) == [1] * letters


async def test_outcomes_that_meet_a_locked_database_are_written_when_it_is_free(
    home: House, told: list[Event], tmp_path: Path
) -> None:
    remote, lock = Remote(), Lock(tmp_path / "mail.db")
    await send(home, 12, destinations=3)
    remote.replies.clear()
    working = asyncio.create_task(home.runner(remote).run_once())
    await until(lambda: sum(remote.taken.values()) == 12)
    lock.take()
    remote.replies.set()
    await until(lambda: troubles(told) >= 3)
    lock.release()
    await working
    await nothing_comes_twice(home, remote, 12)


async def test_while_an_outcome_is_unwritten_no_other_letter_goes_out(
    home: House, told: list[Event], tmp_path: Path
) -> None:
    """So that a crash now costs no more than what was under way."""
    remote, lock = Remote(), Lock(tmp_path / "mail.db")
    await send(home, 20)
    remote.then = lock.take
    working = asyncio.create_task(home.runner(remote).run_once())
    await until(lambda: troubles(told) >= 3)
    assert remote.attempts <= limits.COURIERS_PER_DESTINATION
    lock.release()
    await working
    await nothing_comes_twice(home, remote, 20)


@pytest.mark.parametrize("freed", [True, False])
async def test_a_stop_waits_for_what_is_unwritten_and_tells_what_it_could_not_write(
    home: House, told: list[Event], tmp_path: Path, freed: bool
) -> None:
    remote, lock = Remote(), Lock(tmp_path / "mail.db")
    await send(home, 1)
    remote.then = lock.take
    runner = home.runner(remote)
    running = asyncio.create_task(runner.run())
    await until(lambda: troubles(told) >= 1)
    runner.stop()
    await until(lambda: troubles(told) >= 2)
    assert not running.done(), "it waits as long as it may"
    if freed:
        lock.release()
        await running
        await nothing_comes_twice(home, remote, 1)
        return
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    lock.release()
    (lost,) = [each for each in told if type(each).__name__ == "OutcomeNotWritten"]
    assert getattr(lost, "outcome", "") == "delivered"
    assert getattr(lost, "destination", "") == "far-0.test"


@asynccontextmanager
async def on_postgresql(folder: Path, url: str) -> AsyncIterator[House]:
    async with house(folder, mail_url=url) as made:
        await made.mailbox("dr.a@chu-a.test")
        yield made


async def test_postgresql_restarted_again_and_again_leaves_no_letter_behind_and_sends_none_twice(
    postgres: Postgres, tmp_path: Path
) -> None:
    letters, restarts = 60, 6
    async with on_postgresql(tmp_path, postgres.url()) as home:
        remote = Remote()
        await send(home, letters, destinations=12)
        runner = home.runner(remote)
        running = asyncio.create_task(runner.run())
        for restart in range(restarts):
            want = (restart + 1) * letters // (restarts + 2)
            began, past = asyncio.get_running_loop().time(), 0.0
            while sum(remote.taken.values()) < want and past < 20:
                await asyncio.sleep(0.01)
                past = asyncio.get_running_loop().time() - began
                home.clock.advance(timedelta(seconds=0.05))
            await asyncio.to_thread(postgres.restart, "immediate" if restart % 2 else "fast")
        async with asyncio.timeout(120):
            while True:
                home.clock.advance(timedelta(seconds=1))
                await asyncio.sleep(0.05)
                try:
                    if not await home.store.queue.messages():
                        break
                except Passing:
                    pass
                if home.clock.elapsed > limits.QUEUE_LEASE_SECONDS / 2:
                    break  # those that are left are stuck
        runner.stop()
        await running
        stuck = len(await home.store.queue.messages())
        assert (stuck, len(remote.taken)) == (0, letters)
        await nothing_comes_twice(home, remote, letters)


_HOLDER = """
import asyncio, sys
from mssante.clock import ManualClock
from mssante.database import Database
from mssante.store import MailStore
from mssante.store.mail_store import MIGRATIONS
from tests.unit.store.building import AUDIT, VERIFIER

async def main():
    database = await Database.open(sys.argv[1], purpose="mail", migrations_package=MIGRATIONS)
    store = await MailStore.start(database, clock=ManualClock(), audit=AUDIT.public, verifier=VERIFIER)
    print(len(await store.queue.lease(limit=10)), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_killed_process_on_postgresql_leaves_its_letters_to_the_next(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.url()
    async with on_postgresql(tmp_path, url) as home:
        remote = Remote()
        await send(home, 3)
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _HOLDER, url, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"3\n"
        runner, retry = home.runner(remote), home.store.queue.retry
        home.clock.advance(timedelta(minutes=2))
        await runner.run_once()
        home.clock.advance(timedelta(minutes=2))
        await runner.run_once()
        assert (remote.attempts, await retry()) == (0, 0), "whoever lives has them to itself"
        holder.send_signal(signal.SIGKILL)
        await holder.wait()
        async with asyncio.timeout(10):  # PostgreSQL sees the end of the session in a moment
            while await retry() != 3:
                await asyncio.sleep(0.05)
        home.clock.advance(timedelta(seconds=1))
        await runner.run_once()
        assert remote.attempts == 0, "perhaps it is only cut off"
        home.clock.advance(timedelta(seconds=limits.QUEUE_HOLDER_GONE_SECONDS))
        await runner.run_once()
        await nothing_comes_twice(home, remote, 3)


@asynccontextmanager
async def another_host(home: House, url: str) -> AsyncIterator[MailStore]:
    database = await Database.open(url, purpose="mail", migrations_package=MIGRATIONS)
    store = await MailStore.start(
        database, clock=home.clock, verifier=home.broker.verifier, audit=home.broker.audit_public_key
    )
    yield store
    await store.close()
    await database.close()


def _is_another(home: House, session: int | None) -> bool:
    return home.store.queue.session != session


def cut(postgres: Postgres, store: MailStore) -> None:
    key = store.queue._presence.key
    postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        f" AND classid = {key >> 32} AND objid = {key & 0xFFFFFFFF}"
    )


async def test_a_letter_on_the_wire_is_nobody_else_s_when_its_process_was_cut_off_for_a_moment(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.url()
    async with on_postgresql(tmp_path, url) as home, another_host(home, url) as other:
        remote = Remote()
        remote.replies.clear()
        await send(home, 1)
        working = asyncio.create_task(home.runner(remote).run_once())
        await until(lambda: len(remote.taken) == 1)
        for _ in range(3):
            before = home.store.queue.session
            await asyncio.to_thread(cut, postgres, home.store)
            await until(partial(_is_another, home, before))
            await other.queue.release_gone()  # perhaps it sees that we are missing
            assert await other.queue.lease(limit=1) == []
            await until(lambda: home.store.queue.session is not None)
            home.clock.advance(timedelta(seconds=2 * limits.QUEUE_HOLDER_GONE_SECONDS))
            await other.queue.release_gone()
            assert await other.queue.lease(limit=1) == [], "it was back"
        remote.replies.set()
        await working
        await nothing_comes_twice(home, remote, 1)


async def test_no_final_dot_is_sent_when_the_session_was_cut_before_it(
    postgres: Postgres, tmp_path: Path
) -> None:
    async with on_postgresql(tmp_path, postgres.url()) as home:
        remote = Remote()
        await send(home, 1)
        leased_in = home.store.queue.session

        async def cut_now() -> None:
            remote.before_content = None
            await asyncio.to_thread(cut, postgres, home.store)
            await until(partial(_is_another, home, leased_in))

        remote.before_content = cut_now
        runner = home.runner(remote)
        await runner.run_once()
        await until(lambda: home.store.queue.session is not None)
        home.clock.advance(timedelta(seconds=limits.QUEUE_POLL_SECONDS + 1))
        await runner.run_once()
        assert remote.attempts == 2
        await nothing_comes_twice(home, remote, 1)
