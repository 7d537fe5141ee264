"""A broker on an empty key store, on both systems; passwords cost little here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssante.clock import ManualClock
from mssante.crypto import passwords
from mssante.database import Database
from mssante.keys import MIGRATIONS, PURPOSE, KeyBroker, RootKey
from tests.support.key_floor import FloorInMemory


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def root(tmp_path: Path) -> RootKey:
    return RootKey.create(tmp_path / "root.key")


@pytest.fixture
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id at a hundredth of its cost: what is tested here is what surrounds it."""
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 512)
    monkeypatch.setattr(passwords, "PASSWORD_ITERATIONS", 1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url, purpose=PURPOSE, migrations_package=MIGRATIONS)
    yield opened
    await opened.close()


@pytest.fixture
def floor() -> FloorInMemory:
    return FloorInMemory()


@pytest.fixture
async def broker(
    database: Database, root: RootKey, clock: ManualClock, floor: FloorInMemory, cheap_passwords: None
) -> AsyncIterator[KeyBroker]:
    started = await KeyBroker.start(database, root=root, clock=clock, floor=floor.keeper)
    yield started
    started.close()
