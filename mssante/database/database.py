"""A database as the stores see it: read on a snapshot, write with group commit.

Invariants: functions given to it are synchronous, take a `sqlalchemy.Connection` and act on nothing
else; errors that come out are ours (Passing, Conflict, StatementFailed, or what the function raised).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import Connection, make_url

from mssante.database.faults import CannotOpen, translated
from mssante.database.migration import migrate, one_at_a_time
from mssante.database.postgresql import PostgresqlLanes
from mssante.database.sqlite import SqliteLanes
from mssante.database.writer import Announcement, GroupWriter, Handler
from mssante.limits import DATABASE_BUSY_SECONDS, DATABASE_CHECKPOINT_PAUSE_SECONDS, DATABASE_CHECKPOINT_TRIES
from mssante.observe.event import report
from mssante.observe.events import StorageTrouble
from mssante.reasons import Passing

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")


class Database:
    """Open one with `Database.open`, close it with `close`."""

    def __init__(self, lanes: SqliteLanes | PostgresqlLanes, *, purpose: str) -> None:
        self._lanes = lanes
        self._purpose = purpose
        self._writer = GroupWriter(lanes.transact, purpose=purpose)

    @classmethod
    async def open(
        cls, url: str, *, purpose: str, migrations_package: str, schema: str | None = None
    ) -> Database:
        """Opens `sqlite:///path` or `postgresql://…` and migrates it to the head of `migrations_package`.

        `purpose` names the database in events and its version table ("mail", "keys"); `schema` is a
        PostgreSQL schema, made if missing. Raises CannotOpen (unsafe files or server, another process,
        a newer schema), Passing if the server does not answer."""
        parsed = make_url(url)
        lanes: SqliteLanes | PostgresqlLanes
        if parsed.get_backend_name() == "sqlite":
            lanes = await asyncio.to_thread(SqliteLanes, parsed)
        elif parsed.get_backend_name() == "postgresql":
            lanes = PostgresqlLanes(parsed, schema=schema)
        else:
            raise CannotOpen("a database URL begins with sqlite:/// or postgresql://")
        try:
            await lanes.assert_durable()
            async with one_at_a_time():
                await lanes.transact(
                    lambda connection: migrate(connection, package=migrations_package, purpose=purpose),
                    patience=DATABASE_BUSY_SECONDS,
                )
        except BaseException as error:
            await lanes.close()
            trouble = translated(error) if isinstance(error, Exception) else error
            if trouble is error:
                raise
        else:
            return cls(lanes, purpose=purpose)
        raise trouble

    @property
    def dialect(self) -> str:
        """ "sqlite" or "postgresql"."""
        return self._lanes.dialect

    @property
    def accepts_writes(self) -> bool:
        """False once a sync has failed: the process must be restarted."""
        return not self._writer.stopped

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Runs `fn` on one snapshot, which shows every write that has finished, and returns its result."""
        try:
            return await self._lanes.read(fn)
        except Exception as error:
            trouble = translated(error)
            if trouble is error:
                raise
        if isinstance(trouble, Passing):
            report(StorageTrouble(store=self._purpose, cause=trouble.detail))
        raise trouble

    async def write(self, fn: Callable[[Connection], T], *, rows: int = 1) -> T:
        """Runs `fn` in a transaction, perhaps together with other writes, and returns its result after the
        commit. `fn` may run twice, so it must not act outside the transaction. `rows` says how many it
        writes, about: if they are many, it runs by itself, and after the writes that are ready."""
        return await self._writer.write(lambda connection, _: [fn(connection)], None, rows=rows)

    async def write_at_leisure(self, fn: Callable[[Connection], T]) -> T:
        """As `write`, for what is useful but may be left out: it comes after the writes that others wait for,
        and is given up with Passing where the database is busy."""
        return await self._writer.write_at_leisure(lambda connection, _: [fn(connection)], None)

    async def write_many(
        self, handler: Handler[P, R], payload: P, *, announced: Announcement | None = None, rows: int = 1
    ) -> R:
        """Like `write`, but payloads for the same handler that are ready together are given to it in one
        call, in the order in which they came, and it returns one answer for each. Different handlers run in
        no particular order. `rows` says how large the payload is, about, so that a batch stays small."""
        return await self._writer.write(handler, payload, shares=True, announced=announced, rows=rows)

    def announce(self) -> Announcement:
        """Says that a `write_many` will come soon: those that are ready wait a moment, to be committed with
        it."""
        return self._writer.announce()

    @asynccontextmanager
    async def listening(
        self, channel: str, heard: Callable[[str], None], *, holding: int
    ) -> AsyncIterator[asyncio.Event]:
        """While the context lasts, calls `heard` with each payload that other processes notify on `channel`
        (PostgreSQL's NOTIFY; on SQLite there are no other processes), in a session that holds the advisory
        lock `holding`, shared. The event is set when the connection breaks: the lock is lost then, and
        notifications are missed. Raises Passing."""
        try:
            async with self._lanes.listening(channel, heard, holding=holding) as lost:
                yield lost
            return
        except Exception as error:
            trouble = translated(error)
            if trouble is error:
                raise
        raise trouble

    async def checkpoint_truncate(self) -> bool:
        """Empties the write-ahead log after a shred, so that no file holds the deleted bytes any more.
        Returns False if readers needed the log during every try: the caller must then try again later."""
        for attempt in range(DATABASE_CHECKPOINT_TRIES):
            if attempt:
                await asyncio.sleep(DATABASE_CHECKPOINT_PAUSE_SECONDS)
            if await self._lanes.checkpoint_truncate():
                return True
        return False

    async def free_octets(self) -> int:
        """How many octets are free inside the database's file, as far as that is known. Raises Passing."""
        try:
            return await self._lanes.free_octets()
        except Exception as error:
            trouble = translated(error)
            if trouble is error:
                raise
        raise trouble

    async def close(self) -> None:
        """Commits the writes that were already given, then closes."""
        await self._writer.close()
        await self._lanes.close()
