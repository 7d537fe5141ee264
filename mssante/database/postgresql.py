"""PostgreSQL through asyncpg: one writing connection, a few reading ones.

Invariants (docs/findings.md): a server that acknowledges a commit before it has synced it is refused at open,
and every session sets synchronous_commit itself; each statement, lock and idle transaction has a time-out; a
broken connection is noticed before it is used; a server on another machine must prove its identity.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateSchema

from mssante.database.faults import CannotOpen, UnsafeServer
from mssante.database.postgresql_tls import proven
from mssante.limits import (
    DATABASE_BUSY_SECONDS,
    DATABASE_READERS,
    DATABASE_STATEMENT_SECONDS_MAX,
    SESSION_PROBE_SECONDS,
    SESSION_PROBES,
)
from mssante.tasks import end_task

T = TypeVar("T")

_PATIENCE_AS_IT_IS = 0.9 * DATABASE_BUSY_SECONDS  # above this the session's own setting is near enough
# The settings a server must have so that what it has committed survives a crash.
_DURABLE = {
    "synchronous_commit": {"on", "remote_apply"},
    "fsync": {"on"},
    "full_page_writes": {"on"},
}


class PostgresqlLanes:
    """One writing lane and DATABASE_READERS reading lanes over one server, in `schema` if given."""

    dialect = "postgresql"

    def __init__(self, url: URL, *, schema: str | None = None) -> None:
        url, self._proof = proven(url)
        self._url = url.set(drivername="postgresql+asyncpg")
        self._schema = schema
        self._writer = self._engine(connections=1)
        self._readers = self._engine(connections=DATABASE_READERS).execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    def _engine(self, *, connections: int, probed: bool = False) -> AsyncEngine:
        settings = {
            "synchronous_commit": "on",
            "statement_timeout": f"{DATABASE_STATEMENT_SECONDS_MAX}s",
            "lock_timeout": f"{DATABASE_BUSY_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{DATABASE_STATEMENT_SECONDS_MAX}s",
            "application_name": "mssante",
        }
        if probed:  # so that the server soon notices that our host is gone; a Unix socket ignores them
            settings["application_name"] = "mssante session"
            settings["tcp_keepalives_idle"] = settings["tcp_keepalives_interval"] = str(SESSION_PROBE_SECONDS)
            settings["tcp_keepalives_count"] = str(SESSION_PROBES)
        if self._schema is not None:
            settings["search_path"] = self._schema
        arguments: dict[str, Any] = {
            **self._proof,
            "server_settings": settings,
            "timeout": DATABASE_BUSY_SECONDS,
            # A little longer than the server's own time-out, for the case that the server no longer answers.
            "command_timeout": DATABASE_STATEMENT_SECONDS_MAX + DATABASE_BUSY_SECONDS,
        }
        return create_async_engine(
            self._url,
            hide_parameters=True,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=DATABASE_BUSY_SECONDS,
            pool_pre_ping=True,
            connect_args=arguments,
        )

    async def assert_durable(self) -> None:
        """Raises UnsafeServer if, without our session settings, the server acknowledges commits that a crash
        could lose. Also creates the schema if it is missing."""
        probe = create_async_engine(
            self._url, hide_parameters=True, connect_args={"timeout": DATABASE_BUSY_SECONDS, **self._proof}
        )
        try:
            async with probe.begin() as connection:
                for name, allowed in _DURABLE.items():
                    value = (await connection.execute(text(f"SHOW {name}"))).scalar_one()
                    if value not in allowed:
                        raise UnsafeServer(f"PostgreSQL has {name} = {value}: set it on")
                if self._schema is not None:
                    await connection.execute(CreateSchema(self._schema, if_not_exists=True))
        except (ssl.SSLError, ConnectionError) as error:
            if "ssl" in self._proof:  # TLS was required and could not be set up
                raise CannotOpen(f"PostgreSQL does not prove who it is: {_told(error)}") from error
            raise
        finally:
            await probe.dispose()

    async def transact(self, fn: Callable[[Connection], T], *, patience: float) -> T:
        """Runs `fn` in one transaction; returns after COMMIT. Waits `patience` seconds for each lock that
        another host holds."""
        async with self._writer.begin() as connection:
            if patience < _PATIENCE_AS_IT_IS:
                await connection.execute(text(f"SET LOCAL lock_timeout = {int(patience * 1000)}"))
            return await connection.run_sync(fn)

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """Runs `fn` on one snapshot; the transaction refuses writes."""
        async with self._readers.begin() as connection:
            return await connection.run_sync(fn)

    @asynccontextmanager
    async def listening(
        self, channel: str, heard: Callable[[str], None], *, holding: int
    ) -> AsyncIterator[asyncio.Event]:
        """While the context lasts, calls `heard` with each payload notified on `channel`, and holds the
        advisory lock `holding`. The event is set when the connection breaks, or does not answer any more;
        notifications after that are lost."""
        engine = self._engine(connections=1, probed=True)
        lost = asyncio.Event()
        try:
            async with engine.connect() as connection:
                raw = (await connection.get_raw_connection()).driver_connection
                assert raw is not None
                raw.add_termination_listener(lambda _: lost.set())
                await raw.add_listener(channel, lambda _connection, _pid, _channel, payload: heard(payload))
                # Shared, so that a session of ours that was cut, and which the server still believes in,
                # does not keep us from having it again.
                await connection.execute(select(func.pg_advisory_lock_shared(holding)))
                await connection.commit()
                probing = asyncio.create_task(_probe(connection, lost), name="session probe")
                try:
                    yield lost
                finally:
                    await end_task(probing)
                    raw.terminate()
        finally:
            await engine.dispose()

    async def checkpoint_truncate(self) -> bool:
        """Nothing can be done here: PostgreSQL keeps deleted rows until VACUUM, and its log until it is
        recycled. On PostgreSQL shredding therefore relies on the destruction of epochs alone."""
        return True

    async def free_octets(self) -> int:
        """Not known: PostgreSQL's disk is its own operator's to watch."""
        return 0

    async def close(self) -> None:
        await self._readers.dispose()
        await self._writer.dispose()


async def _probe(connection: AsyncConnection, lost: asyncio.Event) -> None:
    """Asks for a sign of life now and then, and sets `lost` when there is none."""
    while not lost.is_set():
        await asyncio.sleep(SESSION_PROBE_SECONDS)
        try:
            async with asyncio.timeout(SESSION_PROBE_SECONDS):
                await connection.execute(select(1))
                await connection.commit()
        except (TimeoutError, OSError, DBAPIError):
            lost.set()


def _told(error: Exception) -> str:
    return getattr(error, "verify_message", "") or str(error)
