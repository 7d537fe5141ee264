"""What a PostgreSQL server must keep to, and what becomes of us when it goes away."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.database import UnsafeServer
from mssante.database import database as database_module
from mssante.reasons import Passing, Reason
from tests.support.postgres import Postgres
from tests.unit.database.letters import add, opened, tags


def name_of(url: str) -> str:
    return url.partition("/t")[2].partition("?")[0]


async def test_a_server_that_acknowledges_too_early_is_refused(postgres: Postgres) -> None:
    url = postgres.url()
    postgres.sql(f'ALTER DATABASE "t{name_of(url)}" SET synchronous_commit = off')
    with pytest.raises(UnsafeServer, match="synchronous_commit"):
        await opened(url)


async def test_a_session_syncs_even_if_the_server_is_told_otherwise_later(postgres: Postgres) -> None:
    url = postgres.url()
    database = await opened(url)
    postgres.sql(f'ALTER DATABASE "t{name_of(url)}" SET synchronous_commit = off')
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 't{name_of(url)}'")
    assert await database.write(setting("synchronous_commit")) == "on"
    await database.close()


def setting(name: str) -> Callable[[Connection], str]:
    return lambda connection: connection.execute(sa.text(f"SHOW {name}")).scalar_one()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lock_timeout", "5s"),
        ("statement_timeout", "1min"),
        ("idle_in_transaction_session_timeout", "1min"),
    ],
)
async def test_nothing_waits_for_ever(postgres: Postgres, name: str, value: str) -> None:
    database = await opened(postgres.url())
    assert await database.write(setting(name)) == value
    assert await database.read(setting(name)) == value
    await database.close()


async def test_two_stores_share_a_server_in_schemas_of_their_own(postgres: Postgres) -> None:
    url = postgres.url()
    mail, keys = await asyncio.gather(opened(url, schema="mail"), opened(url, schema="keys"))
    await mail.write_many(add, "a")
    assert await keys.read(tags) == []
    assert await keys.write_many(add, "a") == "a"
    await mail.close()
    await keys.close()


async def test_several_hosts_opening_at_once_migrate_once(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "one_at_a_time", asyncio.Lock)  # hosts share no lock of a process
    url = postgres.url()
    hosts = await asyncio.gather(*(opened(url) for _ in range(4)))
    for n, host in enumerate(hosts):
        await host.write_many(add, f"host{n}")
    assert len(await hosts[0].read(tags)) == 4
    for host in hosts:
        await host.close()


async def test_cut_connections_pass_and_the_pool_heals(postgres: Postgres) -> None:
    url = postgres.url()
    database = await opened(url)

    def cut(connection: Connection) -> None:
        connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    for way in (database.write, database.read):
        with pytest.raises(Passing) as trouble:
            await way(cut)
        assert trouble.value.reason is Reason.STORAGE_UNAVAILABLE
    assert await database.write_many(add, "a") == "a"
    assert await database.read(tags) == ["a"]
    await database.close()


async def test_a_restarted_server_loses_nothing_acknowledged(postgres: Postgres) -> None:
    """C7, once."""
    database = await opened(postgres.url())
    kept: list[str | BaseException] = []
    passed: list[Passing] = []
    restart = asyncio.create_task(asyncio.to_thread(postgres.restart, "immediate"))
    for n in itertools.count():
        (outcome,) = await asyncio.gather(database.write_many(add, f"t{n}"), return_exceptions=True)
        if isinstance(outcome, Passing):
            passed.append(outcome)
        else:
            kept.append(outcome)
        if restart.done():
            break
    after = await database.write_many(add, "after")
    kept.append(after)
    assert {trouble.reason for trouble in passed} == {Reason.STORAGE_UNAVAILABLE}
    assert set(kept) <= set(await database.read(tags))
    await restart
    await database.close()


async def test_no_server_passes(postgres: Postgres) -> None:
    with pytest.raises(Passing) as trouble:
        await opened(f"postgresql://{postgres.user}@/mail?host={postgres.folder}/nowhere")
    assert trouble.value.reason is Reason.STORAGE_UNAVAILABLE
