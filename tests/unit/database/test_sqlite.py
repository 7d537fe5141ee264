"""What SQLite must be told, and what its files must be (docs/findings.md; K6, K14)."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.database import AlreadyOpen, CannotOpen, Database, UnsafeFile, database, sqlite
from mssante.reasons import Passing, Reason
from tests.unit.database.letters import LETTER, add, opened, tags


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mail.db"


@pytest.fixture
async def mail(path: Path) -> AsyncIterator[Database]:
    opened_ = await opened(f"sqlite:///{path}")
    yield opened_
    await opened_.close()


def settings(connection: Connection) -> dict[str, object]:
    names = (
        *("journal_mode", "synchronous", "secure_delete", "foreign_keys", "busy_timeout"),
        *("temp_store", "trusted_schema", "query_only", "wal_autocheckpoint"),
    )
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names}


async def test_every_connection_is_set_as_designed(mail: Database) -> None:
    common = {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "secure_delete": 1,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "temp_store": 2,  # MEMORY
        "trusted_schema": 0,
    }
    assert await mail.write(settings) == {**common, "query_only": 0, "wal_autocheckpoint": 4000}
    together = await asyncio.gather(*(mail.read(settings) for _ in range(8)))
    assert all(each == {**common, "query_only": 1, "wal_autocheckpoint": 0} for each in together)


async def test_every_file_is_private_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        mail = await opened(f"sqlite:///{path}")
        await mail.write_many(add, "a")
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        await mail.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("mail.db", "mail.db-wal", "mail.db-shm", "mail.db.lock"), 0o600)


@pytest.mark.parametrize("part", ["mail.db", "mail.db-wal", "mail.db.lock"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660])
async def test_a_file_open_to_others_is_refused(path: Path, part: str, mode: int) -> None:
    await (await opened(f"sqlite:///{path}")).close()
    wide = path.with_name(part)
    wide.touch()
    wide.chmod(mode)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        await opened(f"sqlite:///{path}")


@pytest.mark.parametrize("part", ["mail.db", "mail.db-wal", "mail.db.lock"])
async def test_a_symbolic_link_is_refused(path: Path, part: str) -> None:
    path.with_name(part).symlink_to(path.with_name("elsewhere"))
    with pytest.raises(UnsafeFile, match="not a regular file"):
        await opened(f"sqlite:///{path}")
    assert not path.with_name("elsewhere").exists()


async def test_a_folder_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UnsafeFile, match="writable by others"):
        await opened(f"sqlite:///{folder / 'mail.db'}")


async def test_one_process_only(mail: Database, path: Path) -> None:
    with pytest.raises(AlreadyOpen):
        await opened(f"sqlite:///{path}")
    assert await mail.write_many(add, "a") == "a"


async def test_after_a_refusal_or_a_close_the_lock_is_free(path: Path) -> None:
    path.touch(0o644)
    path.chmod(0o644)
    with pytest.raises(UnsafeFile):
        await opened(f"sqlite:///{path}")
    path.chmod(0o600)
    for _ in range(2):
        await (await opened(f"sqlite:///{path}")).close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:////tmp/x.db?mode=ro"])
async def test_only_a_file_is_a_database(url: str) -> None:
    with pytest.raises(CannotOpen):
        await opened(url)


async def test_a_full_disk_passes_and_heals(mail: Database) -> None:
    def pages_max(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def large(connection: Connection) -> None:
        connection.execute(sa.insert(LETTER).values(tag="large", content=b"x" * 1_000_000))

    await mail.write(pages_max)
    with pytest.raises(Passing) as trouble:
        await mail.write(large)
    assert trouble.value.reason is Reason.STORAGE_FULL
    assert await mail.write_many(add, "small") == "small"
    await mail.write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 100000").close())
    await mail.write(large)
    assert await mail.read(tags) == ["small", "large"]


async def test_a_database_locked_by_another_process_passes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PRAGMAS", (*sqlite._PRAGMAS, "busy_timeout = 1"))
    mail = await opened(f"sqlite:///{path}")
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Passing) as trouble:
        await mail.write_many(add, "a")
    assert trouble.value.reason is Reason.STORAGE_UNAVAILABLE
    assert await mail.read(tags) == []
    intruder.execute("ROLLBACK")
    intruder.close()
    assert await mail.write_many(add, "a") == "a"
    await mail.close()


def copies_on_disk(path: Path, secret: bytes) -> int:
    return sum(file.read_bytes().count(secret) for file in path.parent.iterdir())


async def test_what_was_shredded_is_in_no_file(mail: Database, path: Path) -> None:
    """K6."""
    secret = b"SHREDDED-DEK-" * 3

    def fill(connection: Connection) -> None:
        rows = [{"tag": f"t{n}", "content": secret if n % 2 else b"kept"} for n in range(400)]
        connection.execute(sa.insert(LETTER), rows)

    await mail.write(fill)
    await mail.write(
        lambda connection: connection.execute(sa.delete(LETTER).where(LETTER.c.content == secret))
    )
    assert copies_on_disk(path, secret) > 0  # the log still has them
    assert await mail.checkpoint_truncate()
    assert copies_on_disk(path, secret) == 0
    assert path.with_name("mail.db-wal").stat().st_size == 0
    assert len(await mail.read(tags)) == 200


async def test_a_shred_is_not_called_done_while_a_reader_holds_the_log(
    mail: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K6."""
    monkeypatch.setattr(database, "DATABASE_CHECKPOINT_PAUSE_SECONDS", 0)
    reading, go_on = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        tags(connection)
        reading.set()
        go_on.wait(timeout=30)

    await mail.write_many(add, "a")
    reader = asyncio.create_task(mail.read(hold))
    await asyncio.to_thread(reading.wait, 30)
    await mail.write_many(add, "b")
    assert not await mail.checkpoint_truncate()
    go_on.set()
    await reader
    assert await mail.checkpoint_truncate()
