"""OBJECTID (RFC 8474), SAVEDATE (RFC 8514), APPENDLIMIT (RFC 7889), DELETED-STORAGE (RFC 9208)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mssante.clock import ManualClock
from tests.support.imap.client import Answer, ImapClient
from tests.support.imap.house import MARIE, ImapHouse, imap_house, letter

DAY = timedelta(days=1)


def email_ids(answer: Answer) -> list[str]:
    return [items["EMAILID"][0] for items in answer.fetched().values()]


async def mailbox_id(client: ImapClient, folder: str) -> str:
    found = (await client.ok(f'STATUS "{folder}" (MAILBOXID)')).one("STATUS").items()["MAILBOXID"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", found[0])
    return str(found[0])


async def test_a_folder_keeps_its_identifier_through_renames_and_nobody_gets_it_again(
    house: ImapHouse,
) -> None:
    client = await house.login()
    made = await client.ok("CREATE a")
    first = await mailbox_id(client, "a")
    assert made.code == f"MAILBOXID ({first})"
    assert (await client.ok("SELECT a")).codes()["MAILBOXID"] == f"({first})"
    assert (await client.ok("EXAMINE a")).codes()["MAILBOXID"] == f"({first})"
    await client.ok("RENAME a b")
    assert await mailbox_id(client, "b") == first
    await client.ok("DELETE b")
    await client.ok("CREATE b")
    listed = await client.ok('LIST "" "*" RETURN (STATUS (MAILBOXID))')
    every = [line.items()["MAILBOXID"][0] for line in listed.named("STATUS")]
    assert len(set(every)) == len(every)
    assert first not in every


async def test_renaming_inbox_makes_a_new_folder_with_an_identifier_of_its_own(house: ImapHouse) -> None:
    client = await house.login()
    inbox = await mailbox_id(client, "INBOX")
    await client.ok("RENAME INBOX kept")
    assert await mailbox_id(client, "INBOX") == inbox
    assert await mailbox_id(client, "kept") != inbox


async def test_a_message_keeps_its_identifier_where_it_goes_and_no_other_has_it(house: ImapHouse) -> None:
    client = await house.selected()
    for number in (1, 1, 2):
        await client.ok("APPEND INBOX \n", letter(number))
    ids = email_ids(await client.ok("FETCH 1:* (EMAILID)"))
    assert len(set(ids)) == 3  # also of two that hold the same octets
    await client.ok("COPY 1 Archive")
    await client.ok("MOVE 2 Archive")
    assert email_ids(await client.ok("UID FETCH 1:* (EMAILID)")) == [ids[0], ids[2]]
    await client.ok("SELECT Archive")
    both = await client.ok("FETCH 1:* (UID EMAILID THREADID RFC822.SIZE)")
    assert email_ids(both) == ids[:2]
    assert [items["THREADID"] for items in both.fetched().values()] == [None, None]
    assert (await client.ok(f"SEARCH EMAILID {ids[1]}")).numbers() == [2]
    assert (await client.ok(f"SEARCH NOT EMAILID {ids[1]} SUBJECT s1")).numbers() == [1]
    assert (await client.ok(f"SEARCH EMAILID {ids[2]}")).numbers() == []
    assert (await client.ok("SEARCH THREADID T1")).numbers() == []
    assert (await client.ask("SEARCH EMAILID")).status == "BAD"


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 10, 15, 30, tzinfo=UTC))


async def test_the_save_date_is_the_day_a_message_came_into_its_folder(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with imap_house(tmp_path, clock=clock) as house:
        await house.mailbox(MARIE)
        client = await house.selected()
        await client.ok('APPEND INBOX "01-Jan-2020 00:00:00 +0000" \n', letter(1))
        clock.advance(2 * DAY)
        await client.ok("APPEND INBOX \n", letter(2))
        await client.ok("COPY 1 Trash")
        saved = (await client.ok("FETCH 1:2 (SAVEDATE)")).fetched()
        assert saved[1] == {"SAVEDATE": b"10-Mar-2026 00:00:00 +0000"}
        assert saved[2] == {"SAVEDATE": b"12-Mar-2026 00:00:00 +0000"}
        mixed = (await client.ok("FETCH 1 (INTERNALDATE SAVEDATE FLAGS)")).fetched()[1]
        assert mixed["INTERNALDATE"] == b" 1-Jan-2020 00:00:00 +0000"
        assert mixed["SAVEDATE"] == b"10-Mar-2026 00:00:00 +0000"
        for key, numbers in {
            "SAVEDBEFORE 12-Mar-2026": [1],
            "SAVEDON 12-Mar-2026": [2],
            "SAVEDSINCE 10-Mar-2026": [1, 2],
            "SAVEDSINCE 13-Mar-2026": [],
            "NOT SAVEDON 12-Mar-2026 BODY Bonjour": [1],
            "OR SAVEDON 10-Mar-2026 SUBJECT s2": [1, 2],
            "SAVEDATESUPPORTED": [1, 2],
        }.items():
            assert (await client.ok(f"SEARCH {key}")).numbers() == numbers, key
        await client.ok("SELECT Trash")
        assert (await client.ok("SEARCH SAVEDON 12-Mar-2026 BEFORE 1-Jan-2021")).numbers() == [1]


async def test_the_largest_append_is_told_and_refused_beyond(tmp_path: Path) -> None:
    async with imap_house(tmp_path, message_octets_max=1000) as house:
        await house.mailbox(MARIE)
        client = await house.connect()
        assert "APPENDLIMIT" not in client.greeting.raw.decode()
        login = await client.login(MARIE, "correct horse")
        assert login.code is not None
        assert "APPENDLIMIT=1000" in login.code.split()
        status = await client.ok("STATUS INBOX (APPENDLIMIT MESSAGES)")
        assert status.one("STATUS").items() == {"APPENDLIMIT": "1000", "MESSAGES": "0"}
        assert (await client.ask("APPEND INBOX \n", b"x" * 1000)).status == "OK"
        over = await client.ask("APPEND INBOX \n", b"x" * 1001)
        assert (over.status, over.code) == ("NO", "TOOBIG")


async def test_what_expunge_would_free_is_told(house: ImapHouse) -> None:
    client = await house.selected()
    await client.ok("APPEND INBOX \n", letter(1))
    await client.ok("APPEND INBOX (\\Deleted) \n", letter(2, body="x" * 3000))
    status = await client.ok("STATUS INBOX (DELETED DELETED-STORAGE)")
    assert status.one("STATUS").items() == {"DELETED": "1", "DELETED-STORAGE": "4"}
