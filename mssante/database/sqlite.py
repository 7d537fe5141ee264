"""SQLite in threads: one connection that writes and a few that read, one change of thread per transaction.

Invariants (docs/findings.md): every connection sets WAL, synchronous=FULL and secure_delete itself, because
the defaults differ between builds of SQLite; only one process opens the file (flock); only the one writing
connection makes checkpoints (with several, SQLite before 3.51.3 can reset a WAL wrongly); files are 0600.
Why not aiosqlite: docs/decisions/0001-one-thread-hop-per-transaction.md.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event

from mssante.database import files
from mssante.database.faults import UnsafeFile
from mssante.limits import (
    DATABASE_BUSY_SECONDS,
    DATABASE_CHECKPOINT_PAGES,
    DATABASE_CHECKPOINT_WAIT_MS,
    DATABASE_READERS,
    DATABASE_WAL_OCTETS_KEPT_MAX,
)

T = TypeVar("T")

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
    f"busy_timeout = {DATABASE_BUSY_SECONDS * 1000}",
    "temp_store = MEMORY",
    "trusted_schema = OFF",
    "mmap_size = 0",
    f"journal_size_limit = {DATABASE_WAL_OCTETS_KEPT_MAX}",
)
_PATIENCE_AS_IT_IS = 0.9 * DATABASE_BUSY_SECONDS  # above this the connection's own setting is near enough


class SqliteLanes:
    """One writing lane and DATABASE_READERS reading lanes over one file. Raises CannotOpen, OSError."""

    dialect = "sqlite"

    def __init__(self, url: URL) -> None:
        if not url.database or url.database == ":memory:" or url.query:
            raise UnsafeFile("an SQLite URL names a file and nothing else")
        path = Path(url.database)
        self._lock = files.Lock(path.with_name(path.name + ".lock"))
        try:
            files.create(path)
            for suffix in ("", "-wal", "-shm"):
                part = path.with_name(path.name + suffix)
                if not suffix or part.exists() or part.is_symlink():
                    files.require_private(part)
        except BaseException:
            self._lock.release()
            raise
        self._writer = _engine(path, readers=0)
        self._readers = _engine(path, readers=DATABASE_READERS)
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._reader_threads = ThreadPoolExecutor(DATABASE_READERS, thread_name_prefix="sqlite-reader")

    async def assert_durable(self) -> None:
        """Nothing needs to be checked: every connection sets what durability needs."""

    async def transact(self, fn: Callable[[Connection], T], *, patience: float) -> T:
        """Runs `fn` in one BEGIN IMMEDIATE transaction; returns after COMMIT. Waits `patience` seconds for
        another process that holds the lock."""
        if patience > _PATIENCE_AS_IT_IS:
            return await _hop(self._writer_thread, self._writer, fn)

        def in_less() -> T:
            with self._waiting(int(patience * 1000)), self._writer.begin() as connection:
                return fn(connection)

        return await asyncio.get_running_loop().run_in_executor(self._writer_thread, in_less)

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Runs `fn` on one snapshot; the connection refuses writes."""
        return await _hop(self._reader_threads, self._readers, fn)

    @asynccontextmanager
    async def listening(
        self, channel: str, heard: Callable[[str], None], *, holding: int
    ) -> AsyncIterator[asyncio.Event]:
        """Nothing is ever heard and nothing is missed, since there is no other process."""
        yield asyncio.Event()

    async def checkpoint_truncate(self) -> bool:
        """Copies the write-ahead log into the database and empties it. Returns False if a reader still needs
        the log."""

        def truncate() -> bool:
            with self._waiting(DATABASE_CHECKPOINT_WAIT_MS), self._writer.connect() as connection:
                busy, _, _ = _raw(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not busy

        return await asyncio.get_running_loop().run_in_executor(self._writer_thread, truncate)

    async def free_octets(self) -> int:
        """How many octets are free inside the file: pages of what was deleted, used again before it grows."""

        def count(connection: Connection) -> int:
            pages = _raw(connection).execute("PRAGMA freelist_count").fetchone()[0]
            octets: int = pages * _raw(connection).execute("PRAGMA page_size").fetchone()[0]
            return octets

        return await self.read(count)

    @contextmanager
    def _waiting(self, milliseconds: int) -> Iterator[None]:
        """While the context lasts, the writing connection waits this long for locks. For its thread only."""
        with self._writer.connect() as connection:
            _raw(connection).execute(f"PRAGMA busy_timeout = {milliseconds}")
        try:
            yield
        finally:
            with self._writer.connect() as connection:
                _raw(connection).execute(f"PRAGMA busy_timeout = {DATABASE_BUSY_SECONDS * 1000}")

    async def close(self) -> None:
        def shut() -> None:
            self._reader_threads.shutdown(wait=True)
            self._writer_thread.shutdown(wait=True)
            self._readers.dispose()  # before the writer, because the last connection to close checkpoints
            self._writer.dispose()
            self._lock.release()

        await asyncio.to_thread(shut)


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


async def _hop(threads: ThreadPoolExecutor, engine: Engine, fn: Callable[[Connection], T]) -> T:
    def transaction() -> T:
        with engine.begin() as connection:
            return fn(connection)

    return await asyncio.get_running_loop().run_in_executor(threads, transaction)


def _engine(path: Path, *, readers: int) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        hide_parameters=True,
        pool_size=max(readers, 1),
        max_overflow=0,
        connect_args={
            "check_same_thread": False,  # a connection moves between the pool's threads, one at a time
            "isolation_level": None,  # we send BEGIN ourselves: the driver's comes late and is DEFERRED
            "timeout": DATABASE_BUSY_SECONDS,
            "cached_statements": 256,
        },
    )
    own = (
        ("query_only = ON", "wal_autocheckpoint = 0")
        if readers
        else (f"wal_autocheckpoint = {DATABASE_CHECKPOINT_PAGES}",)
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: Any, _record: Any) -> None:
        for pragma in (*_PRAGMAS, *own):
            raw.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        _raw(connection).execute("BEGIN" if readers else "BEGIN IMMEDIATE")

    return engine
