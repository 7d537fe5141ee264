"""Several sessions on one mailbox, in two processes too: each has its own picture, all come to the same."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from mssante.model import PersonId
from mssante.observe.events import Crashed
from mssante.store.notifier import Subscription
from tests.support.imap.client import ImapClient, Line
from tests.support.imap.house import MARIE, ImapHouse, imap_house, letter
from tests.support.postgres import Postgres


async def fill(house: ImapHouse, count: int) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n) for n in range(1, count + 1)))


async def uids(client: ImapClient) -> list[int]:
    return (await client.ok("UID SEARCH ALL")).numbers()


def heard(lines: list[Line]) -> list[tuple[int | None, str]]:
    return [(line.number, line.name) for line in lines if line.name not in ("RECENT", "OK", "FLAGS")]


async def test_each_session_hears_what_the_other_did(house: ImapHouse) -> None:
    await fill(house, 4)
    one, other = await house.selected(), await house.selected()
    await one.ok("STORE 2 +FLAGS (\\Flagged dossier)")
    answer = await other.ok("NOOP")
    assert {r"\Flagged", "dossier"} <= {str(flag) for flag in answer.fetched()[2]["FLAGS"]}
    names = [line.name for line in answer.lines]
    assert names.index("FLAGS") < names.index("FETCH")  # the new keyword is introduced first
    await one.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    await one.ok("EXPUNGE")
    await one.ok("APPEND INBOX \n", letter(9))
    assert heard((await other.ok("CHECK")).lines) == [(1, "EXPUNGE"), (2, "EXPUNGE"), (3, "EXISTS")]
    assert await uids(one) == await uids(other) == [2, 4, 5]
    assert heard((await one.ok("NOOP")).lines) == heard((await other.ok("NOOP")).lines) == []


async def test_expunge_is_held_back_where_numbers_would_shift(house: ImapHouse) -> None:
    """RFC 3501 §7.4.1: not during FETCH, STORE, SEARCH; during their UID forms it may."""
    await fill(house, 5)
    one, other = await house.selected(), await house.selected()
    await one.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await one.ok("EXPUNGE")
    await fill(house, 1)
    for command in ("FETCH 2 UID", "STORE 2 +FLAGS (\\Seen)", "SEARCH 2", "STORE 2 -FLAGS.SILENT (\\Seen)"):
        answer = await other.ok(command)
        assert answer.named("EXPUNGE") == [], command
        if command == "FETCH 2 UID":
            assert answer.fetched()[2] == {"UID": "2"}
    assert await uids(other) == [2, 3, 4, 5, 6]
    assert heard((await other.ok("NOOP")).lines) == []  # it came with the UID command


async def test_what_is_gone_but_still_counted_is_told_apart(house: ImapHouse) -> None:
    """RFC 2180 §4.1: numbers keep their meaning; what is gone is NO [EXPUNGEISSUED], the others served."""
    await fill(house, 3)
    one, other = await house.selected(), await house.selected()
    await one.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await one.ok("EXPUNGE")
    await other.ok("SEARCH 1")  # now this session knows, and may not say so yet
    for command in (
        "FETCH 1:3 UID",
        "FETCH 1:3 BODY.PEEK[]",
        "FETCH 1:3 ENVELOPE",
        "STORE 1:3 +FLAGS (\\Seen)",
    ):
        answer = await other.ask(command)
        assert (answer.status, answer.code) == ("NO", "EXPUNGEISSUED")
        assert set(answer.fetched()) == {1, 3}
    assert (await other.ok("SEARCH ALL")).numbers() == [1, 3]
    answer = await other.ask("COPY 1:3 Trash")
    assert (answer.status, answer.code) == ("NO", "EXPUNGEISSUED")
    assert heard((await other.ok("STATUS Trash (MESSAGES)")).lines)[-1] == (None, "STATUS")
    assert (await other.ok("STATUS Trash (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "0"}


async def test_a_silent_store_still_tells_what_somebody_else_did(house: ImapHouse) -> None:
    await fill(house, 2)
    one, other = await house.selected(), await house.selected()
    await one.ok("STORE 1 +FLAGS (\\Flagged)")
    answer = await other.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)")
    assert list(answer.fetched()) == [1]
    assert {r"\Flagged", r"\Seen"} <= {str(flag) for flag in answer.fetched()[1]["FLAGS"]}
    assert {r"\Flagged", r"\Seen"} <= set((await one.ok("NOOP")).fetched()[1]["FLAGS"])


async def test_two_sessions_do_not_overwrite_each_other(house: ImapHouse) -> None:
    await fill(house, 1)
    one, other = await house.selected(), await house.selected()
    await asyncio.gather(one.ok("STORE 1 +FLAGS (\\Draft)"), other.ok("STORE 1 +FLAGS (\\Answered)"))
    for client in (one, other):
        await client.ok("NOOP")
        found = {str(flag) for flag in (await client.ok("FETCH 1 FLAGS")).fetched()[1]["FLAGS"]}
        assert found - {r"\Recent"} == {r"\Draft", r"\Answered"}


async def test_one_session_only_has_a_message_as_recent(house: ImapHouse) -> None:
    """RFC 3501 §2.3.2."""
    await fill(house, 2)
    one, other = await house.selected(), await house.selected()
    assert (await one.ok("SEARCH RECENT")).numbers() == [1, 2]
    assert (await other.ok("SEARCH RECENT")).numbers() == []
    await fill(house, 1)
    await asyncio.gather(one.ok("NOOP"), other.ok("NOOP"))
    recent = [(await client.ok("SEARCH RECENT 3")).numbers() for client in (one, other)]
    assert sorted(recent) == [[], [3]]
    third = await house.login()
    assert (await third.ok("EXAMINE INBOX")).one("RECENT").number == 0


async def test_examining_takes_nothing_from_the_session_that_selects(house: ImapHouse) -> None:
    await fill(house, 1)
    looks = await house.login()
    assert (await looks.ok("EXAMINE INBOX")).one("RECENT").number == 1
    await fill(house, 1)
    assert (await looks.ok("NOOP")).one("RECENT").number == 2
    assert (await looks.ok("STATUS INBOX (RECENT)")).one("STATUS").items() == {"RECENT": "2"}
    opens = await house.login()
    assert (await opens.ok("SELECT INBOX")).one("RECENT").number == 2


async def test_a_folder_deleted_by_another_session_ends_this_one_with_bye(house: ImapHouse) -> None:
    """RFC 2180 §3.3."""
    one, other = await house.login(), await house.login()
    await one.ok("CREATE x")
    await other.ok("SELECT x")
    await one.ok("DELETE x")
    await other.send(b"a NOOP\r\n")
    (line,) = await other.to_the_end()
    assert (line.name, line.code) == ("BYE", "NONEXISTENT")
    assert house.told(Crashed) == []


async def test_a_folder_renamed_by_another_session_stays_open(house: ImapHouse) -> None:
    one, other = await house.login(), await house.login()
    await one.ok("CREATE x")
    await other.ok("SELECT x")
    await one.ok("RENAME x y")
    await one.ok("APPEND y \n", letter(1))
    assert (await other.ok("NOOP")).one("EXISTS").number == 1
    await other.ok("DELETE y")
    assert (await other.ask("FETCH 1 UID")).status == "BAD"


# IDLE (RFC 2177)


@asynccontextmanager
async def idling(client: ImapClient) -> AsyncIterator[None]:
    await client.send(b"idle IDLE\r\n")
    assert (await client.line()).tag == "+"
    yield
    await client.send(b"done\r\n")
    assert (await client.answer("idle")).status == "OK"


async def test_idle_tells_arrivals_flags_and_expunges(house: ImapHouse) -> None:
    await fill(house, 3)
    one, other = await house.selected(), await house.selected()
    async with idling(other):
        await one.ok("STORE 2 +FLAGS (\\Seen)")
        assert heard([await other.line()]) == [(2, "FETCH")]
        await one.ok("STORE 1 +FLAGS (\\Deleted)")
        assert heard([await other.line()]) == [(1, "FETCH")]
        await one.ok("EXPUNGE")
        assert heard([await other.line()]) == [(1, "EXPUNGE")]
        await fill(house, 2)
        assert heard([await other.line(), await other.line()]) == [(4, "EXISTS")]
    assert await uids(other) == [2, 3, 4, 5]


async def test_what_happened_before_idle_is_told_at_once(house: ImapHouse) -> None:
    client = await house.selected()
    await fill(house, 1)
    await client.send(b"idle IDLE\r\n")
    assert (await client.line()).tag == "+"
    assert heard([await client.line()]) == [(1, "EXISTS")]


async def test_idle_without_a_folder_and_lines_that_are_not_done(house: ImapHouse) -> None:
    client = await house.login()
    async with idling(client):
        await fill(house, 1)
    await client.send(b"a IDLE\r\nb NOOP\r\n")
    assert (await client.line()).tag == "+"
    assert (await client.answer("a")).status == "BAD"
    await client.ok("NOOP")
    await client.send(b"a IDLE\r\nDONE\r\nb NOOP\r\n")  # pipelined
    assert (await client.line()).tag == "+"
    assert (await client.answer("a")).status == "OK"
    assert (await client.answer("b")).status == "OK"


async def test_idle_is_answered_once_its_wait_for_news_has_ended(
    house: ImapHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    wait = Subscription.wait

    async def ends_slowly(subscription: Subscription) -> None:
        try:
            await wait(subscription)
        finally:
            await asyncio.sleep(0.05)
            order.append("ended")

    monkeypatch.setattr(Subscription, "wait", ends_slowly)
    async with idling(await house.login()):
        pass
    order.append("answered")
    assert order == ["ended", "answered"]


async def test_idle_hears_within_milliseconds_of_the_commit(house: ImapHouse) -> None:
    """Anchors: median ≤ 20 ms from the commit to EXISTS."""
    client = await house.selected()
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    delays = []
    async with idling(client):
        for number in range(30):
            await house.deliver(row.id, letter(number))
            committed = time.perf_counter()
            assert (await client.line()).name == "EXISTS"
            delays.append(time.perf_counter() - committed)
            await client.line()  # RECENT
    print(
        f"commit to EXISTS: median {statistics.median(delays) * 1000:.1f} ms, max {max(delays) * 1000:.1f} ms"
    )
    assert statistics.quantiles(delays)[0] < 0.020  # of a machine that others use too


# Two processes on one PostgreSQL


@pytest.fixture
async def two(tmp_path: Path, postgres: Postgres) -> AsyncIterator[tuple[ImapHouse, ImapHouse]]:
    """The same operator twice: nothing in common but the databases."""
    mail, keys = postgres.url(), postgres.url()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys))
        await one.mailbox()
        other = await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys))
        yield one, other
        assert one.told(Crashed) == []


async def test_sessions_in_two_processes_see_each_other(two: tuple[ImapHouse, ImapHouse]) -> None:
    here, there = [await house.selected() for house in two]
    await fill(two[0], 4)
    assert (await there.ok("NOOP")).one("EXISTS").number == 4
    await here.ok("NOOP")
    await there.ok("STORE 2 +FLAGS (\\Flagged nouveau)")
    assert {r"\Flagged", "nouveau"} <= {str(flag) for flag in (await here.ok("NOOP")).fetched()[2]["FLAGS"]}
    await here.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await here.ok("EXPUNGE")
    assert heard((await there.ok("NOOP")).lines) == [(1, "EXPUNGE")]
    await here.ok("CREATE Dossier")
    await there.ok("MOVE 1:2 Dossier")
    assert heard((await here.ok("NOOP")).lines) == [(1, "EXPUNGE"), (1, "EXPUNGE")]
    assert await uids(here) == await uids(there) == [4]
    assert (await here.ok("UID FETCH 4 BODY.PEEK[]")).fetched()[1]["BODY[]"] == letter(4)
    recent = [(await client.ok("SEARCH RECENT")).numbers() for client in (here, there)]
    assert sorted(recent) == [[], [1]]


async def test_idle_hears_of_another_process(two: tuple[ImapHouse, ImapHouse]) -> None:
    client = await two[1].selected()
    row = await two[0].store.accounts.mailbox(MARIE)
    assert row is not None
    delays = []
    async with idling(client):
        for number in range(20):
            await two[0].deliver(row.id, letter(number))
            committed = time.perf_counter()
            assert (await client.line()).name == "EXISTS"
            delays.append(time.perf_counter() - committed)
            await client.line()
    print(f"commit to EXISTS elsewhere: median {statistics.median(delays) * 1000:.1f} ms")
    assert statistics.quantiles(delays)[0] < 0.050


async def test_access_revoked_in_one_process_ends_sessions_in_the_other(
    two: tuple[ImapHouse, ImapHouse],
) -> None:
    client = await two[1].selected()
    row = await two[0].store.accounts.mailbox(MARIE)
    assert row is not None
    await two[0].broker.revoke(PersonId(MARIE), row.id)
    await two[1].broker.recheck()  # what app does every few seconds
    async with asyncio.timeout(5):
        said = await client.to_the_end()
    assert [line.name for line in said] == ["BYE"]
