"""What works behind the sessions: it goes on whatever happens once, and ends before what it works with."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssante.imap.server.session import Session, SessionBounds
from mssante.mailbox.index.search_index import Index
from mssante.mailbox.opening import OpenMailbox
from mssante.model import PersonId
from mssante.observe.events import Crashed
from mssante.store.messages import MessagesDoor
from tests.support.imap.house import MARIE, ImapHouse, imap_house, letter
from tests.support.smtp.house import until


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[ImapHouse]:
    """A house whose work behind the sessions begins at once."""
    async with imap_house(tmp_path, bounds=SessionBounds(access_seconds=0.05, rest_seconds=0)) as house:
        yield house


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`keys` when a mailbox has forgotten its keys; the test adds what else ends."""
    order: list[str] = []
    close = OpenMailbox.close

    def told(mailbox: OpenMailbox) -> None:
        order.append("keys")
        close(mailbox)

    monkeypatch.setattr(OpenMailbox, "close", told)
    return order


async def test_who_loses_access_hears_bye_though_a_look_at_it_failed_once(
    quick: ImapHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = await quick.mailbox()
    failed = asyncio.Event()
    look = inspect.getattr_static(Session, "access_ended").fget

    def fails_once(session: Session) -> bool:
        task = asyncio.current_task()
        if task is not None and task.get_name().endswith(" access") and not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        return bool(look(session))

    monkeypatch.setattr(Session, "access_ended", property(fails_once))
    client = await quick.login()
    await failed.wait()
    await quick.broker.revoke(PersonId(MARIE), mailbox)
    async with asyncio.timeout(5):
        assert [line.name for line in await client.to_the_end()] == ["BYE"]
    (crash,) = quick.told(Crashed)
    assert (crash.boundary, crash.error) == (f"{quick.implicit.listener.name} access", "ZeroDivisionError")


async def test_the_watch_of_a_port_does_not_outlive_it(quick: ImapHouse) -> None:
    watch = f"{quick.server.listener.name} access"
    assert watch in {task.get_name() for task in asyncio.all_tasks()}
    await quick.server.close(0)
    assert watch not in {task.get_name() for task in asyncio.all_tasks()}


async def test_the_index_is_left_before_the_keys_are_forgotten(
    quick: ImapHouse, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    working = asyncio.Event()

    async def lacks(index: Index) -> bool:
        working.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # as what ends a read of the database does
            closed.append("index")
        return False

    monkeypatch.setattr(Index, "lacks", lacks)
    await quick.mailbox()
    client = await quick.selected()
    await working.wait()
    await client.ok("LOGOUT")
    await until(lambda: len(closed) == 2)
    assert closed == ["index", "keys"]


async def test_what_is_put_under_other_keys_is_written_before_the_keys_are_forgotten(
    quick: ImapHouse, monkeypatch: pytest.MonkeyPatch, closed: list[str]
) -> None:
    """A client that leaves in the middle of a listing leaves a write behind it."""
    writing, gate = asyncio.Event(), asyncio.Event()

    async def reseal(*_: object) -> None:
        writing.set()
        await gate.wait()
        closed.append("written")

    monkeypatch.setattr(MessagesDoor, "reseal", reseal)
    mailbox = await quick.mailbox()
    await quick.deliver(mailbox, letter(1))
    client = await quick.login()
    (session,) = quick.implicit._sessions
    async for opened, _ in session.reader.messages(await quick.folder(mailbox), range(1, 2)):
        assert len(opened) == 1
        break
    await writing.wait()
    await client.ok("LOGOUT")
    await client.to_the_end()
    assert closed == []
    gate.set()
    await until(lambda: len(closed) == 2)
    assert closed == ["written", "keys"]
