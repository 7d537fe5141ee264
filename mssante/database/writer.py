"""Group commit: what is ready is committed together, so durability costs one sync per batch.

Invariants: a result is handed out only after COMMIT returned; a job that fails fails alone (the batch
is rolled back and each job run again by itself, so jobs may run twice and must not act outside the
transaction); a caller that goes away does not undo its job; after a failed sync nothing is written; nobody
waits for a lock longer than DATABASE_BUSY_SECONDS, counted from the call, whoever was before them; what is
written at leisure comes after what is waited for, and never makes it wait.
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
    DATABASE_BUSY_SECONDS,
    DATABASE_COMMIT_TRIES,
    DATABASE_GATHER_SECONDS,
    DATABASE_JOBS_QUEUED_MAX,
    DATABASE_LEISURE_LOCK_SECONDS,
    DATABASE_LEISURE_REST_SECONDS,
    DATABASE_LEISURE_SECONDS,
)
from mssante.observe.events import StorageTrouble, crashed, report
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
    shares: bool  # its handler takes several together: worth waiting for the others
    at_leisure: bool
    called_at: float  # by the loop's clock


class Announcement:
    """Somebody is about to write: a commit that shares may wait for them, a moment. Given with its job, or
    withdrawn when there will be none; forgotten, it costs others that moment each time."""

    def __init__(self, standing: set[Announcement]) -> None:
        self._standing = standing
        standing.add(self)

    def withdraw(self) -> None:
        """Once or more."""
        self._standing.discard(self)


class GroupWriter:
    """The one task that writes. `transact` runs a function in one transaction and returns after COMMIT."""

    def __init__(self, transact: Transact, *, purpose: str) -> None:
        self._transact = transact
        self._purpose = purpose
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(DATABASE_JOBS_QUEUED_MAX)
        self._announced: set[Announcement] = set()
        self._closing = False
        self._no_leisure_until = float("-inf")
        self.stopped = False  # a sync failed: only a restart finds out what was kept
        self._task = asyncio.create_task(self._run(), name=f"{purpose} writer")

    def announce(self) -> Announcement:
        """A job that shares will come soon."""
        return Announcement(self._announced)

    async def write(
        self,
        handler: Handler[P, R],
        payload: P,
        *,
        shares: bool = False,
        announced: Announcement | None = None,
        at_leisure: bool = False,
    ) -> R:
        """Raises Passing for trouble of the storage or at shutdown, Conflict, or what the handler raised."""
        if self._closing:
            raise Passing(Reason.SHUTTING_DOWN)
        if self.stopped:
            raise Passing(Reason.STORAGE_UNAVAILABLE, "sync failed")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[R] = loop.create_future()
        await self._jobs.put(_Job(handler, payload, outcome, shares, at_leisure, loop.time()))
        if announced is not None:
            announced.withdraw()
        return await outcome  # cancelling the caller cancels this future, not the job

    async def write_at_leisure(self, handler: Handler[P, R], payload: P) -> R:
        """As `write`, for what is a comfort and no duty. Raises Passing soon rather than wait for a busy
        database; it may be written after that all the same."""
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
        """Commits what was given, refuses what comes later."""
        self._closing = True
        await self._jobs.join()
        await end_task(self._task)

    async def _run(self) -> None:
        while True:
            jobs = [await self._jobs.get()]
            await self._gather(jobs)
            try:
                waited_for = [job for job in jobs if not job.at_leisure]
                for together in (waited_for, [job for job in jobs if job.at_leisure]):
                    if together:
                        await self._commit(together)
            except Exception as bug:  # costs these jobs, not the writer
                report(crashed(f"{self._purpose} writer", bug))
                _fail(jobs, Passing(Reason.INTERNAL))
            finally:
                for _ in jobs:
                    self._jobs.task_done()

    async def _gather(self, jobs: list[_Job]) -> None:
        """Takes what else is ready. A job that shares waits a moment for those announced: the sync, the
        transaction and the hop to a thread are half of what a small message costs, and are paid once."""
        self._take_ready(jobs)
        deadline = asyncio.get_running_loop().time() + DATABASE_GATHER_SECONDS
        while self._announced and len(jobs) < DATABASE_BATCH_JOBS_MAX and any(job.shares for job in jobs):
            try:
                async with asyncio.timeout_at(deadline):
                    jobs.append(await self._jobs.get())
            except TimeoutError:
                return
            self._take_ready(jobs)

    def _take_ready(self, jobs: list[_Job]) -> None:
        while len(jobs) < DATABASE_BATCH_JOBS_MAX and not self._jobs.empty():
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
            # Two hosts took the same rows in different orders: job by job each takes its own in one order.
            for job in jobs:
                await self._commit([job], tries=tries - 1)
            return None
        told = translated(trouble)
        if sync_failed(trouble):
            self.stopped = True
        of_the_storage = isinstance(told, Passing) and told is not trouble
        if of_the_storage and (not jobs[0].at_leisure or self.stopped):  # a comfort foregone is no alarm
            report(StorageTrouble(store=self._purpose, cause=told.args[1]))
        # A full disk may still take the smaller jobs; other trouble of the storage would meet them all.
        if len(jobs) == 1 or (of_the_storage and told.args[0] is not Reason.STORAGE_FULL):
            return _fail(jobs, trouble)
        for job in jobs:
            await self._commit([job])
        return None


def _run_together(connection: Connection, jobs: list[_Job]) -> list[tuple[_Job, Any]]:
    groups: dict[Handler[Any, Any], list[_Job]] = {}
    for job in jobs:
        groups.setdefault(job.handler, []).append(job)
    answers: list[tuple[_Job, Any]] = []
    for handler, members in groups.items():
        answers.extend(zip(members, handler(connection, [member.payload for member in members]), strict=True))
    return answers


def _patience(jobs: list[_Job]) -> float:
    """How long they may still wait for a lock: as long as the first that called has left."""
    if jobs[0].at_leisure:
        return DATABASE_LEISURE_LOCK_SECONDS
    waited = asyncio.get_running_loop().time() - min(job.called_at for job in jobs)
    return max(DATABASE_BUSY_SECONDS - waited, DATABASE_LEISURE_LOCK_SECONDS)


def _fail(jobs: list[_Job], error: Exception) -> None:
    for job in jobs:
        if not job.outcome.done():
            # Each its own object: raised in several tasks, one object would mix their tracebacks.
            job.outcome.set_exception(translated(error))
