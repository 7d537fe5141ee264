"""A mail store on SQLite and on PostgreSQL; whatever a test did to it, its invariants hold at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from mssante.clock import ManualClock
from mssante.database import Database
from mssante.store import MailStore, tables
from mssante.store.mail_store import MIGRATIONS
from tests.support.postgres import Postgres
from tests.unit.store.building import AUDIT, VERIFIER, House


@pytest.fixture(scope="session")
def postgres_mail_url(postgres: Postgres) -> str:
    """One database for all of these tests: making one for each takes a second."""
    return postgres.url()


@pytest.fixture(params=["sqlite", "postgresql"])
def mail_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mail.db'}"
    url: str = request.getfixturevalue("postgres_mail_url")
    return url


@pytest.fixture
async def house(mail_url: str) -> AsyncIterator[House]:
    clock = ManualClock()
    database = await Database.open(mail_url, purpose="mail", migrations_package=MIGRATIONS)
    await database.write(emptied)
    store = await MailStore.start(database, clock=clock, audit=AUDIT.public, verifier=VERIFIER)
    yield House(store, database, clock)
    findings = await store.verify(audit=AUDIT)
    await store.close()
    await database.close()
    assert findings == []


def emptied(connection: Connection) -> None:
    """Deletes every row."""
    for table in reversed(tables.metadata.sorted_tables):
        connection.execute(table.delete())
