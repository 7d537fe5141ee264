"""A database of before places were counted: they are counted at the first start, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from mssante.clock import ManualClock
from mssante.database import Database
from mssante.model import FolderId, ModSeq
from mssante.store import MailStore, tables
from mssante.store.mail_store import MIGRATIONS
from mssante.store.tables import mailbox
from tests.unit.store.building import AUDIT, VERIFIER

VERSIONS = Path(__file__).parents[3] / "mssante/store/migrations/versions"


def _filled(connection: Connection) -> None:
    binary = "X'{}'" if connection.dialect.name == "sqlite" else "'\\x{}'"
    box, message, blob, start = (binary.format(n * 16) for n in ("0a", "0b", "0c", "00" * 2))
    for statement in (
        "INSERT INTO mailbox (id, kind, status, created_at, used_kib, modseq, journal_n, journal_at,"
        f" journal_head) VALUES ({box}, 'PER', 'active', 0, 4, 3, 0, 0, {start})",
        "INSERT INTO folder (id, mailbox_id, role, uidvalidity, uidnext, subscribed, modseq)"
        f" VALUES (7, {box}, 'inbox', 7, 4, true, 3)",
        "INSERT INTO message (number, id, mailbox_id, blob_id, day, size_kib, chunks, summary_ct)"
        f" VALUES (1, {message}, {box}, {blob}, 1, 4, 0, {blob})",
        *(
            "INSERT INTO placement (folder_id, uid, message_number, flags, modseq, saved_day, size_kib)"
            f" VALUES (7, {uid}, 1, 0, {uid}, 1, 4)"
            for uid in (1, 2)
        ),
        f"INSERT INTO dedup (key, day) VALUES ({message}, 1)",
        "INSERT INTO expunged (folder_id, uid, modseq) VALUES (7, 3, 3)",
    ):
        connection.exec_driver_sql(statement)


async def test_places_of_before_are_counted(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "migrations_of_before"
    (package / "versions").mkdir(parents=True)
    for version in VERSIONS.glob("v*.py"):
        if version.name < "v0009":
            shutil.copy(version, package / "versions")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    database = await Database.open(database_url, purpose="mail", migrations_package=package.name)
    await database.write(_filled)
    await database.close()
    database = await Database.open(database_url, purpose="mail", migrations_package=MIGRATIONS)
    store = await MailStore.start(database, clock=ManualClock(), audit=AUDIT.public, verifier=VERIFIER)
    row = await database.read(lambda c: c.execute(select(mailbox.c.places, mailbox.c.used_kib)).one())
    assert tuple(row) == (2, 4)
    changes = await store.folders.changes(FolderId(7), ModSeq(1))
    assert ([row.uid for row in changes.present], list(changes.expunged)) == ([2], [3])
    dedup = await database.read(lambda c: c.execute(select(tables.dedup)).one())
    assert tuple(dedup) == (b"\x0b" * 16, 1, None)
    await store.close()
    await database.close()
