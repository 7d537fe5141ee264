"""REPLACE (RFC 8508): the new message is kept and the old gone together, or neither."""

from __future__ import annotations

import asyncio

import pytest

from mssante.reasons import Passing, Reason
from mssante.store import deposits
from tests.support.imap.house import MARIE, ImapHouse, letter


async def test_the_quota_judges_both_together(house: ImapHouse) -> None:
    client = await house.selected()
    await client.ok("APPEND INBOX \n", letter(1, body="x" * 8000))
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.store.accounts.set_quota(row.id, 10)
    assert (await client.ask("APPEND INBOX \n", letter(2, body="y" * 8000))).code == "OVERQUOTA"
    await client.ok("REPLACE 1 INBOX \n", letter(2, body="y" * 8000))
    assert (await client.ok("FETCH 1:* (UID)")).fetched() == {1: {"UID": "2"}}
    over = await client.ask("REPLACE 1 INBOX \n", letter(3, body="z" * 10_500))
    assert (over.status, over.code) == ("NO", "OVERQUOTA")
    found = (await client.ok("FETCH 1:* (UID BODY.PEEK[])")).fetched()
    assert found == {1: {"UID": "2", "BODY[]": letter(2, body="y" * 8000)}}


async def test_when_the_database_fails_the_old_message_stays(
    house: ImapHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await house.selected()
    await client.ok("APPEND INBOX \n", letter(1))

    def fails(*arguments: object) -> None:
        raise Passing(Reason.STORAGE_UNAVAILABLE)

    with monkeypatch.context() as broken:
        broken.setattr(deposits, "write", fails)
        answer = await client.ask("REPLACE 1 INBOX \n", letter(2, body="y" * 3_000_000))
        assert (answer.status, answer.code) == ("NO", "UNAVAILABLE")
        assert answer.named("EXPUNGE") == []
    found = (await client.ok("FETCH 1:* (BODY.PEEK[])")).fetched()
    assert found == {1: {"BODY[]": letter(1)}}
    await client.ok("REPLACE 1 INBOX \n", letter(2, body="y" * 3_000_000))
    assert (await client.ok("FETCH 1:* (UID)")).fetched() == {1: {"UID": "2"}}


async def test_only_the_message_named_goes_and_its_copies_stay(house: ImapHouse) -> None:
    client = await house.selected()
    for number in (1, 2):
        await client.ok("APPEND INBOX (\\Deleted $Label1) \n", letter(number))
    await client.ok("COPY 1 Archive")
    await client.ok("REPLACE 1 INBOX \n", letter(3))
    found = (await client.ok("FETCH 1:* (UID FLAGS)")).fetched()
    assert found[1]["UID"] == "2"
    assert set(found[2]["FLAGS"]) == {"\\Recent"}  # RFC 8508 §1: nothing is inherited
    await client.ok("SELECT Archive")
    assert (await client.ok("FETCH 1 (BODY.PEEK[])")).fetched()[1]["BODY[]"] == letter(1)


async def test_two_sessions_replace_one_message_and_one_of_them_does(house: ImapHouse) -> None:
    first, second = await house.selected(), await house.selected()
    await first.ok("APPEND INBOX \n", letter(1))
    await second.ok("NOOP")
    answers = await asyncio.gather(
        first.ask("UID REPLACE 1 INBOX \n", letter(2)), second.ask("UID REPLACE 1 INBOX \n", letter(3))
    )
    assert sorted(answer.status for answer in answers) == ["NO", "OK"]
    assert {answer.code for answer in answers} == {None, "EXPUNGEISSUED"}
    assert (await first.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "1"}


async def test_one_message_replaces_one(house: ImapHouse) -> None:
    client = await house.selected()
    await client.ok("APPEND INBOX \n", letter(1))
    answer = await client.ask("REPLACE 1 INBOX \n \n", letter(2), letter(3))  # RFC 8508 §4.7
    assert answer.status == "BAD"
    assert (await client.ok("FETCH 1:* (UID)")).fetched() == {1: {"UID": "1"}}


async def test_a_client_cancels_it_with_an_empty_message(house: ImapHouse) -> None:
    client = await house.selected()
    await client.ok("APPEND INBOX \n", letter(1))
    assert (await client.ask("REPLACE 1 INBOX \n", b"")).status == "NO"
    assert (await client.ok("FETCH 1:* (UID)")).fetched() == {1: {"UID": "1"}}
