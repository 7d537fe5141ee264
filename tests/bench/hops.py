"""What a delivery-like transaction costs on SQLite, through aiosqlite and in one thread hop.

Eight statements for a message of 4 KiB, durable. `python -m tests.bench.hops` prints process CPU, which
includes the threads'. The figures are in docs/decisions/0001-one-thread-hop-per-transaction.md.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import create_async_engine

from mssante.database import Database
from mssante.database.sqlite import _PRAGMAS

LETTER = sa.table(
    "letter", sa.column("id", sa.Integer), sa.column("tag", sa.String), sa.column("content", sa.LargeBinary)
)
MESSAGES = 400
BODY = os.urandom(4200)


def deliver(connection: Connection, _: object = None) -> None:
    for n in (1, 2):
        connection.execute(sa.select(LETTER.c.id).where(LETTER.c.id == n)).first()
    for content in (b"x" * 60, b"x" * 80, b"x" * 100, b"x" * 120, BODY):
        connection.execute(sa.insert(LETTER).values(tag=os.urandom(8).hex(), content=content))
    connection.execute(sa.update(LETTER).where(LETTER.c.id == 1).values(content=b"z"))


def deliver_all(connection: Connection, payloads: list[None]) -> list[None]:
    for _ in payloads:
        deliver(connection)
    return payloads


async def through_aiosqlite(path: Path, batch: int) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(raw: object, _record: object) -> None:
        raw.isolation_level = None  # type: ignore[attr-defined]  # the driver's connection
        for pragma in _PRAGMAS:
            raw.cursor().execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]  # as above

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    async with engine.connect() as connection:
        with Measured(f"aiosqlite, {batch} in a commit"):
            for _ in range(MESSAGES // batch):
                async with connection.begin():
                    await connection.run_sync(lambda c: deliver_all(c, [None] * batch))
    await engine.dispose()


async def through_database(url: str, batch: int) -> None:
    database = await Database.open(url, purpose="test", migrations_package="tests.support.schema")
    with Measured(f"one hop, {batch} at a time"):
        for _ in range(MESSAGES // batch):
            await asyncio.gather(*(database.write_many(deliver_all, None) for _ in range(batch)))
    with Measured("one hop, a read of one row"):
        for _ in range(MESSAGES):
            await database.read(lambda c: c.execute(sa.select(LETTER.c.id).where(LETTER.c.id == 1)).first())
    await database.close()


class Measured:
    """Prints CPU and wall milliseconds for each message."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        print(f"{self._name:32} {cpu / MESSAGES * 1e3:6.2f} ms CPU  {wall / MESSAGES * 1e3:6.2f} ms wall")


async def main() -> None:
    for batch in (1, 8):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.db"
            await through_database(f"sqlite:///{path}", batch)
            await through_aiosqlite(path, batch)


if __name__ == "__main__":
    asyncio.run(main())
