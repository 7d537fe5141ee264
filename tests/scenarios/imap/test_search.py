"""SEARCH over real sockets: the index fills behind a session at rest, follows the mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssante.imap.server import session
from mssante.imap.server.session import SessionBounds
from mssante.keys.ring import Role
from mssante.mailbox.index import filling, search_index
from mssante.model import MailboxId
from mssante.observe.events import Crashed
from tests.support.imap.client import ImapClient
from tests.support.imap.house import ImapHouse, imap_house, letter

MANY = 150


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ImapHouse]:
    monkeypatch.setattr(filling, "INDEX_SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(search_index, "MESSAGES_MAX", 40)
    async with imap_house(tmp_path, bounds=SessionBounds(rest_seconds=0.05)) as made:
        yield made
        assert made.told(Crashed) == []


async def filled(house: ImapHouse, *folders: str) -> tuple[MailboxId, ImapClient]:
    mailbox = await house.mailbox()
    await house.deliver(mailbox, *(letter(n, body=f"patient mot{n:04}\r\nfièvre\r\n") for n in range(MANY)))
    return mailbox, await house.selected()


async def is_filled(house: ImapHouse, mailbox: MailboxId) -> None:
    async with asyncio.timeout(60):
        while await house.store.index.lacking(mailbox):
            await asyncio.sleep(0.02)


async def search(client: ImapClient, key: str) -> list[int]:
    return (await client.ok(f"UID SEARCH CHARSET UTF-8 {key}")).numbers()


async def test_a_session_at_rest_fills_the_index_and_it_follows_the_mailbox(house: ImapHouse) -> None:
    mailbox, client = await filled(house)
    await is_filled(house, mailbox)
    assert await search(client, "TEXT mot0007") == [8]
    assert await search(client, "BODY FIEVRE") == list(range(1, MANY + 1))

    await house.deliver(mailbox, *(letter(n, body=f"nouveau mot{n:04}\r\n") for n in range(70)))
    await is_filled(house, mailbox)  # nobody asked: the session heard of them
    await client.ok("NOOP")
    assert await search(client, "BODY mot0007") == [8, MANY + 8]

    await client.ok("UID STORE 8 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    assert await search(client, "TEXT mot0007") == [MANY + 8]
    assert await search(client, "TEXT mot0008") == [9, MANY + 9]
    await client.ok("UID MOVE 9 Archive")
    assert await search(client, "TEXT mot0008") == [MANY + 9]
    await client.ok("SELECT Archive")
    assert await search(client, "TEXT mot0008") == [1]


async def test_a_grant_to_read_fills_it_too(house: ImapHouse) -> None:
    mailbox, owner = await filled(house)
    await owner.ok("LOGOUT")
    await house.person("lea@operateur-a.test")
    await house.grant("lea@operateur-a.test", mailbox, Role.READ)
    reader = await house.selected(user="lea@operateur-a.test/marie@operateur-a.test")
    await is_filled(house, mailbox)
    assert await search(reader, "TEXT mot0149") == [150]


async def test_two_sessions_and_many_searches_at_once_agree(house: ImapHouse) -> None:
    _, one = await filled(house)
    two = await house.selected()

    async def ask(client: ImapClient) -> list[list[int]]:
        return [await search(client, f"TEXT mot0{n:03}") for n in range(0, MANY, 10)]

    expected = [[n + 1] for n in range(0, MANY, 10)]
    assert list(await asyncio.gather(ask(one), ask(two))) == [expected, expected]


async def test_a_client_that_leaves_ends_the_filling(house: ImapHouse) -> None:
    mailbox, client = await filled(house)
    await client.ok("LOGOUT")
    before = await house.store.index.lacking(mailbox)
    await asyncio.sleep(0.3)
    assert await house.store.index.lacking(mailbox) == before


async def test_a_long_search_says_that_it_goes_on(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no client takes it for dead, and who has left is noticed."""
    monkeypatch.setattr(session, "IMAP_ALIVE_SECONDS", 0)
    await house.deliver(await house.mailbox(), *(letter(number) for number in range(MANY)))
    client = await house.selected()
    answer = await client.ok("SEARCH TEXT bonjour")
    assert len(answer.numbers()) == MANY
    assert {line.text for line in answer.named("OK")} == {"Recherche en cours / Still searching"}
