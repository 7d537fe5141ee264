"""ACL (RFC 4314): who shares a mailbox is told to those who hold it, and changed by the operator alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mssante.keys.ring import Role
from mssante.model import PersonId
from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, ImapHouse

FULL = "lrswipkxtecd"


@pytest.fixture
async def reader(house: ImapHouse) -> ImapClient:
    """Paul may read Marie's mailbox; Léa could until yesterday, Zoé may from tomorrow."""
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    now, day = house.clock.now(), timedelta(days=1)
    for name in ("paul", "léa", "zoé"):
        await house.person(name)
    await house.grant("paul", row.id, Role.READ)
    await house.broker.grant(PersonId("léa"), row.id, since=now - 2 * day, until=now - day)
    await house.broker.grant(PersonId("zoé"), row.id, since=now + day)
    return await house.login("paul")


async def test_each_learns_their_own_rights(house: ImapHouse, reader: ImapClient) -> None:
    client = await house.login()
    await client.ok("CREATE patients")
    assert (await client.ok("MYRIGHTS patients")).one("MYRIGHTS").values == [b"patients", FULL]
    assert (await reader.ok("MYRIGHTS INBOX")).one("MYRIGHTS").values == [b"INBOX", "lr"]
    answer = await client.ask("MYRIGHTS nowhere")
    assert (answer.status, answer.code) == ("NO", "NONEXISTENT")


async def test_who_holds_the_mailbox_sees_who_shares_it_now(house: ImapHouse, reader: ImapClient) -> None:
    client = await house.login()
    line = (await client.ok("GETACL INBOX")).one("ACL")
    assert line.values == [b"INBOX", MARIE.encode(), FULL.encode(), b"paul", b"lr"]
    for command in ("GETACL INBOX", "LISTRIGHTS INBOX marie"):
        answer = await reader.ask(command)
        assert (answer.status, answer.code) == ("NO", "NOPERM")
    assert (await reader.ok("NOOP")).named("ACL") == []


async def test_what_may_be_granted_is_one_of_two_roles(house: ImapHouse) -> None:
    client = await house.login()
    for who in ("paul", "nobody"):  # that a login exists is not told
        line = (await client.ok(f"LISTRIGHTS INBOX {who}")).one("LISTRIGHTS")
        assert line.values == [b"INBOX", who.encode(), b"", "lr", "swipkxtecd"]


@pytest.mark.parametrize("command", ["SETACL INBOX paul lr", "SETACL INBOX paul +a", "DELETEACL INBOX paul"])
async def test_nobody_changes_rights_over_imap_and_the_answer_says_who_does(
    house: ImapHouse, reader: ImapClient, command: str
) -> None:
    client = await house.login()
    answer = await client.ask(command)
    assert (answer.status, answer.code) == ("NO", "NOPERM")
    assert "votre operateur" in answer.text
    assert (await client.ok("GETACL INBOX")).one("ACL").values[3:] == [b"paul", b"lr"]


@pytest.mark.parametrize(
    "command",
    ["SETACL INBOX paul lrQ", "SETACL INBOX paul lr7", "SETACL INBOX paul", 'SETACL INBOX "" lr', "GETACL",
     'LISTRIGHTS INBOX "a\x01b"', "LISTRIGHTS INBOX", "MYRIGHTS", "DELETEACL INBOX"],
)  # fmt: skip
async def test_what_is_malformed_is_bad(house: ImapHouse, command: str) -> None:
    assert (await (await house.login()).ask(command)).status == "BAD"
