"""Statements on the tests' small schema."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.database import Database

SCHEMA = "tests.support.schema"
LETTER = sa.table(
    "letter", sa.column("id", sa.Integer), sa.column("tag", sa.String), sa.column("content", sa.LargeBinary)
)


async def opened(url: str, schema: str | None = None) -> Database:
    return await Database.open(url, purpose="test", migrations_package=SCHEMA, schema=schema)


def add(connection: Connection, tags: list[str]) -> list[str]:
    connection.execute(sa.insert(LETTER), [{"tag": tag, "content": b"x"} for tag in tags])
    return tags


def tags(connection: Connection) -> list[str]:
    return list(connection.scalars(sa.select(LETTER.c.tag).order_by(LETTER.c.id)))


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))
