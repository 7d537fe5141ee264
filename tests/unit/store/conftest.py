"""A mail store on SQLite and on PostgreSQL; whatever a test did to it, its invariants hold at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mssante.clock import ManualClock
from mssante.database import Database
from mssante.store import MailStore
from mssante.store.mail_store import MIGRATIONS
from tests.unit.store.building import House


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    clock = ManualClock()
    database = await Database.open(database_url, purpose="mail", migrations_package=MIGRATIONS)
    store = await MailStore.start(database, clock=clock)
    yield House(store, database, clock)
    findings = await store.verify()
    await store.close()
    await database.close()
    assert findings == []
