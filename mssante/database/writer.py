"""Group commit: jobs that are ready together are committed together, so that a batch pays for one disk sync.

A change is safe only once the disk has synced it, and a sync costs as much for one change as for many.
SQLite also lets only one connection write at a time, so several writers would only wait for each other.
Therefore one task writes for everybody. Callers put their jobs into its bounded queue and await the result.

A job is a handler and a payload. A batch is all the jobs that are in the queue when the writer becomes free,
up to DATABASE_BATCH_JOBS_MAX and DATABASE_BATCH_ROWS_MAX, run in one transaction. Jobs that have the same
handler are given to it in one call, so that it can write all their rows with one statement. A job that
`shares` also waits up to DATABASE_GATHER_SECONDS for jobs that were announced but are not in the queue yet.

Jobs that write many rows are slices of long commands (a COPY of 100,000 messages is 34 of them), and wait in
a queue of their own. After each batch one of them has its turn, in a transaction of its own. A letter
therefore waits for one slice at most, whoever has given how many, and slices of different commands take
turns.

When one job of a batch fails, the database can only roll back the whole transaction. The writer then runs
each job again in a transaction of its own, so that only the faulty one fails. If the storage itself is in
trouble, each job would meet the same trouble, so all of them fail at once. Only a full disk is an exception:
it may still have room for the smaller jobs. When PostgreSQL undid the transaction in favour of another host's
(a deadlock), the jobs are tried again one by one, a few times. When a sync has failed, the writer stops for
good, because a later sync would report success for pages that never reached the disk.

Some writes only make later work faster, such as filling the search index. They are written "at leisure": one
at a time, when no batch is ready, and given up soon where the database is busy.

Invariants: a result is handed out only after COMMIT returned; a job may run twice, so it must not act outside
the transaction; a caller that goes away does not undo its job; nobody waits for a lock longer than
DATABASE_BUSY_SECONDS, counted from their call, even behind other jobs; between two slices every job that was
ready is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from mssante.database.faults import sync_failed, translated, undone_for_another
from mssante.limits import (
    DATABASE_BATCH_JOBS_MAX,
    DATABASE_BATCH_ROWS_MAX,
    DATABASE_BUSY_SECONDS,
    DATABASE_COMMIT_TRIES,
    DATABASE_GATHER_SECONDS,
    DATABASE_JOBS_QUEUED_MAX,
    DATABASE_LEISURE_LOCK_SECONDS,
    DATABASE_LEISURE_REST_SECONDS,
    DATABASE_LEISURE_SECONDS,
    DATABASE_LIGHT_ROWS_MAX,
)
from mssante.observe.event import report
from mssante.observe.events import StorageTrouble, crashed
from mssante.reasons import Passing, Reason
from mssante.tasks import end_task

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")
Handler = Callable[[Connection, list[P]], list[R]]


class Transact(Protocol):
    """Runs a function in one transaction; waits `patience` seconds for a lock of another process."""

    def __call__(self, fn: Callable[[Connection], Any], /, *, patience: float) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    handler: Handler[Any, Any]
    payload: Any
    outcome: asyncio.Future[Any]
    shares: bool  # its handler takes several payloads together, so it is worth waiting for more
    at_leisure: bool
    rows: int  # that it writes, about
    called_at: float  # by the loop's clock


class Announcement:
    """Says that somebody is about to write, so that a batch with jobs that share may wait for them a moment.

    Hand it to `write` together with the job, or withdraw it when there will be no job. One that is forgotten
    makes every later batch of this kind wait for nothing."""

    def __init__(self, standing: set[Announcement]) -> None:
        self._standing = standing
        standing.add(self)

    def withdraw(self) -> None:
        """Nobody waits for this any more. May be called several times."""
        self._standing.discard(self)


class GroupWriter:
    """The one task that writes. `transact` runs a function in one transaction and returns after COMMIT."""

    def __init__(self, transact: Transact, *, purpose: str) -> None:
        self._transact = transact
        self._purpose = purpose
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(DATABASE_JOBS_QUEUED_MAX)
        self._slices: asyncio.Queue[_Job] = asyncio.Queue(DATABASE_JOBS_QUEUED_MAX)
        self._leisure: asyncio.Queue[_Job] = asyncio.Queue(DATABASE_JOBS_QUEUED_MAX)
        self._given = asyncio.Event()  # there is a job in one of the three queues
        self._announced: set[Announcement] = set()
        self._closing = False
        self._no_leisure_until = float("-inf")
        self.stopped = False  # True after a failed sync: only a restart can tell what was kept
        self._task = asyncio.create_task(self._run(), name=f"{purpose} writer")

    def announce(self) -> Announcement:
        """Says that a job that shares will come soon."""
        return Announcement(self._announced)

    async def write(
        self,
        handler: Handler[P, R],
        payload: P,
        *,
        shares: bool = False,
        announced: Announcement | None = None,
        at_leisure: bool = False,
        rows: int = 1,
    ) -> R:
        """Runs the handler in a transaction and returns its answer after the commit. `rows` says how many it
        writes, about. Raises Passing when the storage is in trouble or the server is shutting down, Conflict,
        or what the handler raised."""
        if self._closing:
            raise Passing(Reason.SHUTTING_DOWN)
        if self.stopped:
            raise Passing(Reason.STORAGE_UNAVAILABLE, "sync failed")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[R] = loop.create_future()
        queue = self._jobs
        if at_leisure:
            queue = self._leisure
        elif rows > DATABASE_LIGHT_ROWS_MAX and not shares:
            queue = self._slices
        await queue.put(_Job(handler, payload, outcome, shares, at_leisure, rows, loop.time()))
        self._given.set()
        if announced is not None:
            announced.withdraw()
        return await outcome  # cancelling the caller cancels this future, not the job

    async def write_at_leisure(self, handler: Handler[P, R], payload: P) -> R:
        """As `write`, for what is useful but may be left out. Raises Passing soon instead of waiting for a
        busy database. Even then the job may still be written a little later."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._no_leisure_until:
            raise Passing(Reason.STORAGE_UNAVAILABLE, "busy")
        try:
            async with asyncio.timeout(DATABASE_LEISURE_SECONDS):
                return await self.write(handler, payload, at_leisure=True)
        except (TimeoutError, Passing) as error:
            self._no_leisure_until = loop.time() + DATABASE_LEISURE_REST_SECONDS
            if isinstance(error, Passing):
                raise
        raise Passing(Reason.STORAGE_UNAVAILABLE, "busy")

    async def close(self) -> None:
        """Commits the jobs that were given before, and refuses those that come later."""
        self._closing = True
        for queue in (self._jobs, self._slices, self._leisure):
            await queue.join()
        await end_task(self._task)

    async def _run(self) -> None:
        while True:
            await self._given.wait()
            self._given.clear()
            while not (self._jobs.empty() and self._slices.empty() and self._leisure.empty()):
                if not self._jobs.empty():
                    jobs = [self._jobs.get_nowait()]
                    await self._gather(jobs)
                    await self._settle(jobs, self._jobs)
                if not self._slices.empty():
                    await self._settle([self._slices.get_nowait()], self._slices)
                if self._jobs.empty() and not self._leisure.empty():
                    await self._settle([self._leisure.get_nowait()], self._leisure)

    async def _settle(self, jobs: list[_Job], queue: asyncio.Queue[_Job]) -> None:
        try:
            await self._commit(jobs)
        except Exception as bug:  # a bug must cost these jobs only, and not stop the writer
            report(crashed(f"{self._purpose} writer", bug))
            _fail(jobs, Passing(Reason.INTERNAL))
        finally:
            for _ in jobs:
                queue.task_done()

    async def _gather(self, jobs: list[_Job]) -> None:
        """Takes the other jobs that are ready. If one of them shares, it also waits a moment for jobs that
        were announced: the sync, the transaction and the change of thread are half of what a small message
        costs, and a batch pays for them once."""
        self._take_ready(jobs)
        deadline = asyncio.get_running_loop().time() + DATABASE_GATHER_SECONDS
        while self._announced and _have_room(jobs) and any(job.shares for job in jobs):
            try:
                async with asyncio.timeout_at(deadline):
                    jobs.append(await self._jobs.get())
            except TimeoutError:
                return
            self._take_ready(jobs)

    def _take_ready(self, jobs: list[_Job]) -> None:
        while _have_room(jobs) and not self._jobs.empty():
            jobs.append(self._jobs.get_nowait())

    async def _commit(self, jobs: list[_Job], *, tries: int = DATABASE_COMMIT_TRIES) -> None:
        if self.stopped:
            return _fail(jobs, Passing(Reason.STORAGE_UNAVAILABLE, "sync failed"))
        try:
            answers = await self._transact(
                lambda connection: _run_together(connection, jobs), patience=_patience(jobs)
            )
        except Exception as error:
            trouble = error
        else:
            for job, answer in answers:
                if not job.outcome.done():
                    job.outcome.set_result(answer)
            return None
        if tries > 1 and undone_for_another(trouble):
            # Two hosts locked the same rows in different orders. One job alone locks its rows in a fixed
            # order.
            for job in jobs:
                await self._commit([job], tries=tries - 1)
            return None
        told = translated(trouble)
        if sync_failed(trouble):
            self.stopped = True
        of_the_storage = isinstance(told, Passing) and told is not trouble
        # Work at leisure that was given up is no reason for an alarm.
        if of_the_storage and (not jobs[0].at_leisure or self.stopped):
            report(StorageTrouble(store=self._purpose, cause=told.args[1]))
        # A full disk may still have room for the smaller jobs; any other storage trouble would hit them all.
        if len(jobs) == 1 or (of_the_storage and told.args[0] is not Reason.STORAGE_FULL):
            return _fail(jobs, trouble)
        for job in jobs:
            await self._commit([job])
        return None


def _have_room(jobs: list[_Job]) -> bool:
    return len(jobs) < DATABASE_BATCH_JOBS_MAX and sum(job.rows for job in jobs) < DATABASE_BATCH_ROWS_MAX


def _run_together(connection: Connection, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
    groups: dict[Handler[Any, Any], list[_Job]] = {}
    for job in jobs:
        groups.setdefault(job.handler, []).append(job)
    answers: list[tuple[_Job, Any]] = []
    for handler, members in groups.items():
        answers.extend(zip(members, handler(connection, [member.payload for member in members]), strict=True))
    return answers


def _patience(jobs: list[_Job]) -> float:
    """How many seconds these jobs may still wait for a lock: what is left to the one that called first."""
    if jobs[0].at_leisure:
        return DATABASE_LEISURE_LOCK_SECONDS
    waited = asyncio.get_running_loop().time() - min(job.called_at for job in jobs)
    return max(DATABASE_BUSY_SECONDS - waited, DATABASE_LEISURE_LOCK_SECONDS)


def _fail(jobs: list[_Job], error: Exception) -> None:
    for job in jobs:
        if not job.outcome.done():
            # Each job gets its own exception: one object raised in several tasks would mix their tracebacks.
            job.outcome.set_exception(translated(error))
