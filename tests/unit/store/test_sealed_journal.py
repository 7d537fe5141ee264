"""The journal's details: sealed for the audit key alone, in lines of today and in those of before."""

from __future__ import annotations

import hashlib
import shutil
import struct
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from mssante.clock import ManualClock
from mssante.crypto import AuditSecretKey, NotAuthentic, SealedLineKey
from mssante.database import Database
from mssante.model import MailboxId
from mssante.store import MailStore, migrations
from mssante.store.mail_store import MIGRATIONS
from tests.support.postgres import Postgres
from tests.unit.store.building import AUDIT, VERIFIER, House, acceptance, deposit

WHO = '{"person":"dr.temoin@a.mssante.test"}'
BOX = MailboxId(b"b" * 16)
SECOND = 1_700_000_123
OTHER_KEY = AuditSecretKey(bytes(32))
_MAILBOX_OF_BEFORE = """
INSERT INTO mailbox (id, address_key, address, kind, status, created_at, used_kib, modseq,
 journal_n, journal_at, journal_head)
 VALUES (:box, 'x@a.test', 'x@a.test', 'PER', 'active', :at, 0, 0, :n, :at, :hash)
"""
_LINE_OF_BEFORE = """
INSERT INTO journal (mailbox_id, n, at, kind, detail, hash) VALUES (:box, :n, :at, 'created', :detail, :hash)
"""


def journal_rows(connection: Connection) -> list[tuple[int, bytes]]:
    """The time and the detail of each line, as they lie there."""
    rows = connection.execute(text("SELECT at, detail FROM journal ORDER BY mailbox_id, n"))
    return [(row.at, bytes(row.detail)) for row in rows]


async def test_a_line_shows_its_day_and_kind_and_opens_for_the_audit_key_alone(house: House) -> None:
    house.clock.advance(timedelta(seconds=4321))
    mailbox = await house.mailbox()
    await house.store.accept(acceptance(deposit(mailbox), detail=WHO))
    rows = repr(await house.database.read(journal_rows))
    for word in ("temoin", "person", str(house.now)):
        assert word not in rows
    (_, (line, told)) = await house.store.journal.details(mailbox, AUDIT)
    assert (line.at % 86_400, line.kind) == (0, "accepted")
    assert told == (house.now, WHO)
    with pytest.raises(NotAuthentic):
        await house.store.journal.details(mailbox, OTHER_KEY)


async def test_a_line_opens_at_its_place_only(house: House) -> None:
    one, other = await house.mailbox(), await house.mailbox()
    for mailbox in (one, other, one):
        await house.store.accept(acceptance(deposit(mailbox), detail=WHO))
    _, (line, _), (next_line, _) = await house.store.journal.details(one, AUDIT)
    (_, (foreign, _)) = await house.store.journal.details(other, AUDIT)
    key_id = line.key_id
    assert key_id is not None
    key = next(
        AUDIT.open(sealed) for sealed in await house.database.read(_sealed_keys) if sealed.id == key_id
    )
    assert key.open(one, line.n, line.detail).detail == WHO
    for mailbox, n, detail in (
        (one, line.n, next_line.detail),
        (one, line.n, foreign.detail),
        (one, line.n, b"\2" + line.detail[1:]),
        (one, line.n, b""),
    ):
        with pytest.raises(NotAuthentic):
            key.open(mailbox, n, detail)


async def test_lines_of_a_short_and_of_a_long_name_are_of_one_length(house: House) -> None:
    mailbox = await house.mailbox()
    for name in ("ab", "docteur.dupont-durand"):
        await house.store.accept(acceptance(deposit(mailbox), detail=f'{{"person":"{name}"}}'))
    _, short, long = await house.store.journal.entries(mailbox)
    assert len(short.detail) == len(long.detail)


async def test_each_process_and_day_has_a_key_and_all_lines_open(house: House) -> None:
    mailbox = await house.mailbox()
    for _ in range(3):  # several lines of one day, then of the next
        await house.store.accept(acceptance(deposit(mailbox), detail=WHO))
        await house.store.accept(acceptance(deposit(mailbox), detail=WHO))
        house.clock.advance(timedelta(days=1))
    again = await MailStore.start(house.database, clock=house.clock, audit=AUDIT.public, verifier=VERIFIER)
    await again.accept(acceptance(deposit(mailbox), detail=WHO))
    await again.close()
    lines = await house.store.journal.details(mailbox, AUDIT)
    assert [told.detail for line, told in lines if line.kind == "accepted"] == [WHO] * 7
    assert await house.count("journal_key") == len({line.key_id for line, _ in lines}) == 4


async def test_what_only_reads_draws_no_key(house: House) -> None:
    await house.store.accounts.by_id(await house.mailbox())
    before = await house.count("journal_key")
    again = await MailStore.start(house.database, clock=house.clock, audit=AUDIT.public, verifier=VERIFIER)
    await again.verify(audit=AUDIT)
    await again.sweep()
    await again.close()
    assert await house.count("journal_key") == before


@pytest.fixture(params=["sqlite", "postgresql"])
def url_of_before(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'mail.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.url()


async def test_lines_of_before_are_sealed_by_the_next_sweep_and_stay_genuine(
    url_of_before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _as_before(url_of_before, tmp_path / "before", monkeypatch)
    clock = ManualClock()
    database = await Database.open(url_of_before, purpose="mail", migrations_package=MIGRATIONS)
    house = House(
        await MailStore.start(database, clock=clock, audit=AUDIT.public, verifier=VERIFIER), database, clock
    )
    assert "temoin" in repr(await database.read(journal_rows))
    assert await house.store.verify(audit=AUDIT) == await house.store.verify() == []
    await house.store.sweep()
    rows = repr(await database.read(journal_rows))
    assert "temoin" not in rows
    assert str(SECOND) not in rows
    if database.dialect == "sqlite":
        assert not any(b"temoin" in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    await house.store.accounts.set_quota(BOX, 100)
    lines = await house.store.journal.details(BOX, AUDIT, most=2000)
    assert [(told.at, told.detail) for _, told in lines] == [
        (SECOND + n, WHO if n % 2 else "{}") for n in range(1201)
    ]
    assert await house.store.verify(audit=AUDIT) == await house.store.verify() == []
    await database.write(lambda c: c.execute(text("UPDATE journal SET kind = 'status' WHERE n = 7")) and None)
    (finding,) = await house.store.verify(audit=AUDIT)
    assert finding.problem == "journal line 7 is not as written"
    # With a key store of before the upgrade the audit key is another one: one thing to say, not 1,201.
    (finding,) = await house.store.verify(audit=OTHER_KEY)
    assert finding.problem == "1201 journal line(s) cannot be opened with the audit key of this key store"
    await house.store.close()
    await database.close()


async def _as_before(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox and its journal as version 0005 had them: details and seconds in clear."""
    versions = folder / "schema_of_before" / "versions"
    versions.mkdir(parents=True)
    for package in (versions.parent, versions):
        (package / "__init__.py").touch()
    for step in (Path(migrations.__file__).parent / "versions").glob("v000[1-5]_*.py"):
        shutil.copy(step, versions)
    monkeypatch.syspath_prepend(str(folder))
    database = await Database.open(url, purpose="mail", migrations_package="schema_of_before")
    head, lines = bytes(32), []
    for n in range(1, 1202):
        at, detail = SECOND + n - 1, "{}" if n % 2 else WHO
        head = _hash_of_before(head, n, at, detail)
        lines.append({"box": BOX, "n": n, "at": at, "detail": detail, "hash": head})

    def filled(connection: Connection) -> None:
        connection.execute(text(_MAILBOX_OF_BEFORE), lines[-1])
        connection.execute(text(_LINE_OF_BEFORE), lines)

    await database.write(filled)
    await database.close()


def _hash_of_before(before: bytes, n: int, at: int, detail: str) -> bytes:
    """As store.chain computed it until version 0005."""
    fixed = struct.pack(">16sQqqqHHI", BOX, n, at, -1, -1, len(b"created"), 0, len(detail))
    return hashlib.sha256(b"mssop/v1/journal\0" + before + fixed + b"created" + detail.encode()).digest()


def _sealed_keys(connection: Connection) -> list[SealedLineKey]:
    return [SealedLineKey(*row) for row in connection.execute(text("SELECT id, suite, ct FROM journal_key"))]
