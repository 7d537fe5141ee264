"""The schema: what migrations build is what the code speaks of; nothing leaks, nothing comes back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, exc, insert, inspect

from mssante.database import Conflict, StatementFailed
from mssante.store import tables
from tests.unit.store.building import House, acceptance, deposit


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "include_name": lambda name, kind, _: (kind, name) != ("table", "mail_version"),
        },
    )
    return list(compare_metadata(context, tables.metadata))


async def test_migrations_build_the_tables_the_code_speaks_of(house: House) -> None:
    assert await house.database.read(_differences) == []


async def test_keys_have_the_names_the_code_gives_them(house: House) -> None:
    if house.database.dialect != "postgresql":
        return  # SQLite names no AUTOINCREMENT key

    def names(connection: Connection) -> set[str | None]:
        inspector = inspect(connection)
        found = {inspector.get_pk_constraint(name)["name"] for name in tables.metadata.tables}
        for name in tables.metadata.tables:
            found |= {key["name"] for key in inspector.get_foreign_keys(name)}
        return found

    expected = {
        constraint.name
        for table in tables.metadata.tables.values()
        for constraint in (table.primary_key, *table.foreign_key_constraints)
    }
    assert await house.database.read(names) == expected


async def test_sqlite_gives_no_number_twice_and_keeps_placements_in_their_key(house: House) -> None:
    if house.database.dialect != "sqlite":
        return
    statements = await house.database.read(
        lambda c: dict(
            tuple(row)
            for row in c.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        )
    )
    for table in ("message", "folder", "queue_recipient"):
        assert "AUTOINCREMENT" in statements[table], table
    for table in ("placement", "expunged", "journal", "dedup"):
        assert "WITHOUT ROWID" in statements[table], table


async def test_a_message_number_never_comes_back(house: House) -> None:
    mailbox = await house.mailbox()
    folder = await house.fill(mailbox, 2)
    last = (await house.store.messages.summaries(folder, range(1, 3)))[-1].number
    await house.store.messages.expunge(folder, range(1, 3), deleted_only=False)
    await house.one(mailbox)
    (found,) = await house.store.messages.summaries(folder, [3])
    assert found.number > last


async def test_a_conflict_and_a_failing_statement_hold_no_value(house: House) -> None:
    """K10: what the driver would quote (a key, an address) is in no exception."""
    canary = b"canary-7d1f"
    row = {"key": canary, "day": 1}
    with pytest.raises(Conflict) as conflict:
        await house.database.write(lambda c: c.execute(insert(tables.dedup), [row, row]))
    with pytest.raises(StatementFailed) as failed:
        await house.database.write(lambda c: c.exec_driver_sql("INSERT INTO nowhere VALUES ('canary-7d1f')"))
    for error in (conflict.value, failed.value):
        chain: list[BaseException] = [error]
        while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(cause)
        told = " ".join(repr(one) + str(one) + str(one.args) for one in chain)
        assert "canary" not in told


async def test_engines_hide_parameters(house: House) -> None:
    """K10, at the source: SQLAlchemy's own text shows none, before it is translated."""

    def conflict(connection: Connection) -> None:
        with pytest.raises(exc.IntegrityError) as failed:
            connection.execute(insert(tables.dedup), {"key": b"canary-7d1f", "day": None})
        assert "hide_parameters" in str(failed.value)
        assert "canary" not in str(failed.value) or connection.dialect.name == "postgresql"
        raise failed.value  # PostgreSQL's own text quotes the row: what is translated does not

    with pytest.raises(Conflict) as told:
        await house.database.write(conflict)
    assert "canary" not in repr(told.value)


async def test_what_is_shredded_is_in_no_file_after_the_sweep(house: House, tmp_path: Path) -> None:
    """K6: secure_delete and an emptied write-ahead log, not an open reader's snapshot."""
    if house.database.dialect != "sqlite":
        return  # there shredding rests on the destruction of epochs
    mailbox, canary = await house.mailbox(), os.urandom(24)
    given = deposit(mailbox, content=canary * 40)
    await house.store.accept(acceptance(given))
    folder = (await house.folder(mailbox)).id
    assert any(canary in file.read_bytes() for file in tmp_path.iterdir())
    await house.store.messages.expunge(folder, [1], deleted_only=False)
    assert (await house.store.sweep()).log_emptied
    kept = [file.read_bytes() for file in tmp_path.iterdir()]
    for secret in (canary, given.sealed_key.ciphertext, given.summary_ct, given.header_ct):
        assert not any(secret in octets for octets in kept)


def test_only_our_own_addresses_lie_in_clear() -> None:
    """K5: no column can hold a correspondent or a word of a message; those with text are known by name."""
    text_columns = {
        f"{table.name}.{column.name}"
        for table in tables.metadata.tables.values()
        for column in table.columns
        if column.type.python_type is str
    }
    assert text_columns == {
        "mailbox.address_key",
        "mailbox.address",
        "mailbox.kind",
        "mailbox.status",
        "folder.role",
        "dek.form",
        "journal.kind",
        "queue_recipient.state",
    }
