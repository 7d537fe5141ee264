"""What one person may hold at once, over all ports: connections, heavy commands, room (I5, I7, I8)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from mssante.imap.grammar import commands
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.server.conversation import HANDLERS
from mssante.imap.server.persons import is_heavy
from mssante.imap.server.session import OK, SessionBounds
from mssante.limits import (
    CONNECTIONS_PER_ADDRESS_MAX,
    IMAP_HEAVY_AT_ONCE,
    IMAP_HEAVY_BODIES,
    IMAP_HEAVY_ROWS,
)
from mssante.mailbox import turns
from mssante.net.places import Caps
from mssante.observe.events import ConnectionRefused, SessionEnded
from tests.support.imap.client import Closed, ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, imap_house, letter


async def test_a_person_s_connections_count_over_both_ports(tmp_path: Path) -> None:
    """I8."""
    async with imap_house(tmp_path, bounds=SessionBounds(connections_per_person=4)) as house:
        await house.mailbox()
        await house.mailbox("paul@operateur-a.test")

        async def in_clear_first(user: str = MARIE) -> str:
            client = await house.clear()
            await client.start_tls(house.tls)
            answer = await client.ask(f'LOGIN {user} "{PASSWORD}"')
            return answer.code if answer.code == "LIMIT" else answer.status

        kept = [await house.login() for _ in range(2)]
        assert [await in_clear_first() for _ in range(3)] == ["OK", "OK", "LIMIT"]
        assert await in_clear_first("paul@operateur-a.test") == "OK"
        for client in kept:
            await client.ok("NOOP")


async def test_an_address_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    """I8: `connections.per_address_max`, which a hospital behind one address raises."""
    assert Caps().per_address == CONNECTIONS_PER_ADDRESS_MAX == 50
    async with imap_house(tmp_path, caps=Caps(per_address=3)) as house:
        kept = [await house.connect() for _ in range(3)]
        with pytest.raises((Closed, OSError)):
            await house.connect()
        assert [event.cause for event in house.told(ConnectionRefused)] == [
            "too many connections from this address"
        ]
        for client in kept:
            await client.ok("NOOP")


async def _full(house: ImapHouse, messages: int) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(messages)))


async def test_two_heavy_commands_of_a_person_at_once_and_no_more(
    house: ImapHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I5: the others wait for their turn; what is light, and what is somebody else's, does not."""
    await _full(house, IMAP_HEAVY_BODIES + 1)
    under_way, most, go_on = 0, 0, asyncio.Event()

    async def slow(*_: object) -> object:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await go_on.wait()
        under_way -= 1
        return OK

    for kind in (commands.Fetch, commands.Search):
        monkeypatch.setitem(HANDLERS, kind, slow)
    sessions = [await house.selected() for _ in range(6)]
    heavy = ["FETCH 1:* BODY.PEEK[]", "SEARCH TEXT x", "UID FETCH 1:* (UID BODY[1])"] * 2
    for client, command in zip(sessions, heavy, strict=True):
        await client.send(f"h {command}\r\n".encode())
    async with asyncio.timeout(10):
        while under_way < IMAP_HEAVY_AT_ONCE:
            await asyncio.sleep(0.01)
    light = await house.selected()
    for command in ("NOOP", "STATUS INBOX (MESSAGES)"):
        await light.ok(command)
    await light.send(b"l FETCH 1:100 BODY.PEEK[]\r\n")
    async with asyncio.timeout(10):
        while under_way < IMAP_HEAVY_AT_ONCE + 1:  # a light one, which needs no turn
            await asyncio.sleep(0.01)
    assert most == IMAP_HEAVY_AT_ONCE + 1
    go_on.set()
    for client in sessions:
        assert (await client.answer("h")).status == "OK"
    assert (await light.answer("l")).status == "OK"


async def test_a_turn_that_does_not_come_is_told(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    await _full(house, IMAP_HEAVY_BODIES + 1)
    monkeypatch.setattr(turns, "IMAP_HEAVY_WAIT_SECONDS_MAX", 0.2)
    client = await house.selected()
    shared = house.implicit.persons
    async with shared.heavy(MARIE), shared.heavy(MARIE):
        answer = await client.ask("SEARCH TEXT x")
        assert (answer.status, answer.code) == ("NO", "LIMIT")
        other = await house.mailbox("paul@operateur-a.test")
        await house.deliver(other, *(letter(n) for n in range(101)))
        paul = await house.selected(user="paul@operateur-a.test")
        await paul.ok("FETCH 1:* BODY.PEEK[]")
    await client.ok("SEARCH TEXT x")


# Room (I7)


async def _begins(client: ImapClient, size: int) -> str:
    """What an announced message is answered: `+`, or why not."""
    await client.send(b"a APPEND INBOX {%d}\r\n" % size)
    line = await client.line()
    return line.tag if line.tag == "+" else line.code or ""


async def test_room_is_promised_as_a_message_is_announced(tmp_path: Path) -> None:
    """Ten at once cannot outgrow what each alone would keep; what is given up is free again."""
    async with imap_house(tmp_path) as house:
        mailbox = await house.mailbox(quota_kib=1000)
        clients = [await house.login() for _ in range(5)]
        answers = [await _begins(client, 300_000) for client in clients]
        assert answers == ["+", "+", "+", "OVERQUOTA", "OVERQUOTA"]
        clients[0].close()  # gone in the middle
        async with asyncio.timeout(10):
            while house.store.promises.promised(mailbox) > 600:
                await asyncio.sleep(0.01)
        assert await _begins(clients[3], 300_000) == "+"
        for client in (clients[1], clients[2], clients[3]):
            await client.send(b"x" * 299_998 + b"\r\n" + b"\r\n")
            assert (await client.answer("a")).status == "OK"
        assert house.store.promises.promised(mailbox) == 0
        assert await _begins(clients[4], 300_000) == "OVERQUOTA"
        refused = await clients[4].ask("APPEND INBOX \n", b"bare\nend")
        assert refused.status == "NO"
        assert house.store.promises.promised(mailbox) == 0


async def test_several_messages_of_one_command_are_promised_together(tmp_path: Path) -> None:
    async with imap_house(tmp_path) as house:
        await house.mailbox(quota_kib=100)
        client = await house.login()
        one = b"{40000+}\r\n" + b"x" * 39_998 + b"\r\n"
        await client.send(b"a APPEND INBOX " + one + b" " + one + b" " + one + b"\r\n")
        answer = await client.answer("a")
        assert (answer.status, answer.code) == ("NO", "OVERQUOTA")
        await client.send(b"b APPEND INBOX " + one + b" " + one + b"\r\n")
        assert (await client.answer("b")).status == "OK"


async def test_a_message_that_drips_in_is_cut(tmp_path: Path) -> None:
    bounds = SessionBounds(append_credit_seconds=0.5, command_seconds=5)
    async with imap_house(tmp_path, bounds=bounds) as house:
        await house.mailbox()
        client = await house.login()
        assert await _begins(client, 10_000) == "+"
        started = time.monotonic()

        async def drip() -> None:
            try:
                while True:
                    await client.send(b"x")
                    await asyncio.sleep(0.05)
            except ConnectionError:
                pass

        task = asyncio.create_task(drip())
        assert [line.name for line in await client.to_the_end()] == ["BYE"]
        assert 0.4 < time.monotonic() - started < 4
        task.cancel()
        assert house.told(SessionEnded)[-1].cause == "timed out"


def test_who_changes_many_messages_takes_a_turn_too() -> None:
    some = SequenceSet(((1, 5),))
    writing: tuple[commands.Command, ...] = (
        commands.Copy(some, "Archive", uid=False, move=False),
        commands.Copy(some, "Archive", uid=True, move=True),
        commands.Expunge(None),
        commands.Close(),
    )
    for command in writing:
        assert is_heavy(command, IMAP_HEAVY_ROWS + 1)
        assert not is_heavy(command, IMAP_HEAVY_ROWS)
    assert is_heavy(commands.Delete("Projet"), 0)
    assert not is_heavy(commands.Noop(), 100_000)
