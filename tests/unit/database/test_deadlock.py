"""Two hosts that take the same rows in different orders both get through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from mssante.observe.event import Event, add_sink
from mssante.observe.events import StorageTrouble
from mssante.reasons import Passing, Reason
from tests.support.postgres import Postgres
from tests.unit.database.letters import add, opened

_MARK = sa.text("UPDATE letter SET content = :by WHERE tag = :tag")


def marking(by: bytes, *tags: str) -> Callable[[Connection], bytes]:
    def job(connection: Connection) -> bytes:
        for tag in tags:
            connection.execute(_MARK, {"by": by, "tag": tag})
            connection.execute(sa.text("SELECT pg_sleep(0.2)"))
        return by

    return job


async def test_a_deadlock_is_settled_and_nobody_hears_of_it(postgres: Postgres) -> None:
    told: list[Event] = []
    forget = add_sink(told.append)
    url = postgres.url()
    here, there = await opened(url), await opened(url)
    await here.write(lambda connection: add(connection, ["a", "b"]))
    done = await asyncio.gather(
        here.write(marking(b"here", "a", "b")), there.write(marking(b"there", "b", "a"))
    )
    assert list(done) == [b"here", b"there"]
    contents = await here.read(lambda c: set(c.execute(sa.text("SELECT content FROM letter")).scalars()))
    assert len(contents) == 1, "one came after the other"
    assert not any(isinstance(event, StorageTrouble) for event in told)
    forget()
    await here.close()
    await there.close()


async def test_what_is_written_at_leisure_waits_for_no_other_host(postgres: Postgres) -> None:
    """And what is waited for, behind it, has all its patience still."""
    url = postgres.url()
    here, there = await opened(url), await opened(url)
    await here.write(lambda connection: add(connection, ["a"]))

    def holding(connection: Connection) -> None:
        connection.execute(_MARK, {"by": b"there", "tag": "a"})
        connection.execute(sa.text("SELECT pg_sleep(1.5)"))

    held = asyncio.create_task(there.write(holding))
    await asyncio.sleep(0.5)
    started = time.monotonic()
    with pytest.raises(Passing) as trouble:
        await here.write_at_leisure(marking(b"leisure", "a"))
    assert trouble.value.reason is Reason.STORAGE_UNAVAILABLE
    assert time.monotonic() - started < 0.9
    assert await here.write(marking(b"here", "a")) == b"here"
    await held
    await here.close()
    await there.close()
