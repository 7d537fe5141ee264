"""Reading, writing and group commit, on both systems."""

from __future__ import annotations

import ast
import asyncio
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

import mssante
from mssante.database import CannotOpen, Conflict, Database, SchemaTooNew, StatementFailed
from mssante.reasons import Passing, Reason
from tests.unit.database.letters import LETTER, add, opened, tags

CANARY = "CANARY-Mme-Dupont"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await opened(database_url)
    yield database
    await database.close()


async def test_what_is_written_is_read(database: Database) -> None:
    assert await database.write_many(add, "a") == "a"
    await database.write(lambda connection: add(connection, ["b"]))
    assert await database.read(tags) == ["a", "b"]


async def test_one_bad_job_fails_alone(database: Database) -> None:
    await database.write_many(add, "taken")
    outcomes = await asyncio.gather(
        *(database.write_many(add, tag) for tag in ("a", "taken", "b")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [str, Conflict, str]
    assert await database.read(tags) == ["taken", "a", "b"]


async def test_a_job_that_raises_leaves_nothing(database: Database) -> None:
    def half(connection: Connection) -> None:
        add(connection, ["half"])
        raise Passing(Reason.INTERNAL, "on purpose")

    with pytest.raises(Passing) as trouble:
        await database.write(half)
    assert trouble.value.detail == "on purpose"
    assert await database.read(tags) == []


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(Passing) as trouble:
        await database.read(lambda connection: add(connection, ["a"]))
    assert trouble.value.reason is Reason.STORAGE_UNAVAILABLE
    assert await database.read(tags) == []


async def test_a_read_sees_one_moment(database: Database) -> None:
    loop = asyncio.get_running_loop()

    def before_and_after(connection: Connection) -> tuple[list[str], list[str]]:
        first = tags(connection)
        if database.dialect == "sqlite":  # reads run in a thread: the loop is free to write meanwhile
            asyncio.run_coroutine_threadsafe(database.write_many(add, "b"), loop).result(timeout=10)
        return first, tags(connection)

    await database.write_many(add, "a")
    first, second = await database.read(before_and_after)
    assert first == second == ["a"]


async def test_a_caller_that_goes_away_does_not_undo_its_job(database: Database) -> None:
    calls = [asyncio.create_task(database.write_many(add, f"t{n}")) for n in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[:2]] == [asyncio.CancelledError, str]
    await database.write(lambda _: None)
    assert await database.read(tags) == [f"t{n}" for n in range(20)]


async def test_what_was_given_before_close_is_kept(database_url: str) -> None:
    database = await opened(database_url)
    calls = [asyncio.create_task(database.write_many(add, f"t{n}")) for n in range(100)]
    await asyncio.sleep(0)
    await database.close()
    assert len(await asyncio.gather(*calls)) == 100
    with pytest.raises(Passing) as refusal:
        await database.write_many(add, "late")
    assert refusal.value.reason is Reason.SHUTTING_DOWN
    database = await opened(database_url)
    assert len(await database.read(tags)) == 100
    await database.close()


def everything_of(error: BaseException) -> str:
    """All an exception can tell a log or a debugger, along its chain."""
    told, links, seen = "".join(traceback.format_exception(error)), [error], set()
    while links:
        link = links.pop()
        if id(link) not in seen:
            seen.add(id(link))
            told += f"{link} {link!r} {link.args!r} {getattr(link, '__dict__', {})!r}"
            links += [x for x in (link.__cause__, link.__context__, getattr(link, "orig", None)) if x]
    return told


async def test_a_conflict_does_not_tell_the_row(database: Database) -> None:
    """K10. PostgreSQL's own text quotes the key: "Key (tag)=(…) already exists"."""
    await database.write_many(add, CANARY)
    with pytest.raises(Conflict) as conflict:
        await database.write_many(add, CANARY)
    assert CANARY not in everything_of(conflict.value)
    assert conflict.value.constraint in ("letter.tag", "letter_tag_key")


@pytest.mark.parametrize(
    "statement",
    [
        sa.insert(LETTER).values(tag=None, content=CANARY.encode()),
        sa.insert(LETTER).values(id=CANARY, tag=CANARY, content=b""),
        sa.insert(LETTER).values(tag=CANARY, content=object()),
        sa.text("INSERT INTO nowhere VALUES (:v)").bindparams(v=CANARY),
        sa.text("SELECT :v + nonsense(").bindparams(v=CANARY),
    ],
)
@pytest.mark.parametrize("way", ["write", "read"])
async def test_a_failing_statement_does_not_tell_its_parameters(
    database: Database, statement: sa.Executable, way: str
) -> None:
    """K10."""
    with pytest.raises((Conflict, StatementFailed, Passing)) as failure:
        await getattr(database, way)(lambda connection: connection.execute(statement))
    assert CANARY not in everything_of(failure.value)


def test_every_engine_hides_its_parameters() -> None:
    """K10: belt and braces, should an error ever leave untranslated."""
    calls = [
        node
        for path in Path(mssante.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("create_engine", "create_async_engine"))
    ]
    assert len(calls) >= 3
    for call in calls:
        assert "hide_parameters=True" in [ast.unparse(keyword) for keyword in call.keywords]


async def test_opening_again_finds_the_same_schema(database_url: str) -> None:
    for tag in ("a", "b"):
        database = await opened(database_url)
        await database.write_many(add, tag)
        await database.close()
    database = await opened(database_url)
    assert await database.read(tags) == ["a", "b"]
    await database.close()


async def test_a_newer_schema_is_refused(database_url: str) -> None:
    database = await opened(database_url)
    await database.write(
        lambda connection: connection.execute(sa.text("UPDATE test_version SET version_num = '9999'"))
    )
    await database.close()
    with pytest.raises(SchemaTooNew, match="9999"):
        await opened(database_url)


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(database_url: str) -> None:
    with pytest.raises(StatementFailed):
        await Database.open(database_url, purpose="test", migrations_package="tests.support.broken_schema")
    database = await opened(database_url)  # the table its first half made is not in the way
    assert await database.read(tags) == []
    await database.close()


async def test_an_unknown_kind_of_database_is_refused() -> None:
    with pytest.raises(CannotOpen):
        await opened("mysql://localhost/mail")
