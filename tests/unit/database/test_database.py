"""Reading, writing and group commit, on both systems."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.database import Conflict, Database

LETTER = sa.table(
    "letter", sa.column("id", sa.Integer), sa.column("tag", sa.String), sa.column("content", sa.LargeBinary)
)


def add(connection: Connection, tags: list[str]) -> list[str]:
    connection.execute(sa.insert(LETTER), [{"tag": tag, "content": b"x"} for tag in tags])
    return tags


def tags(connection: Connection) -> list[str]:
    return list(connection.scalars(sa.select(LETTER.c.tag).order_by(LETTER.c.id)))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url, purpose="test", migrations_package="tests.support.schema")
    yield opened
    await opened.close()


async def test_what_is_written_is_read(database: Database) -> None:
    assert await database.write_many(add, "a") == "a"
    assert await database.read(tags) == ["a"]


async def test_one_bad_job_fails_alone(database: Database) -> None:
    await database.write_many(add, "taken")
    outcomes = await asyncio.gather(
        *(database.write_many(add, tag) for tag in ("a", "taken", "b")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [str, Conflict, str]
    assert await database.read(tags) == ["taken", "a", "b"]
