"""Response codes that help a client, and texts that say who must act (RFC 5530, RFC 9051 §7.1)."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest

from mssante.imap.server.session import SessionBounds
from mssante.keys.ring import Role
from mssante.model import MailboxStatus, PersonId
from mssante.reasons import Passing, Reason
from mssante.store.folders import FoldersDoor
from tests.support.imap.client import Answer, ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, imap_house, letter

DEEP = ".".join("1" * 60)
MANY = " ".join(f"x{n}" for n in range(120))


def said(answer: Answer) -> tuple[str, str | None]:
    return answer.status, None if answer.code is None else answer.code.split()[0]


async def refused(client: ImapClient, command: str, *literals: bytes) -> str:
    """The code of a NO, whose text is in French and English."""
    answer = await client.ask(command, *literals)
    assert answer.status == "NO", answer
    assert re.fullmatch(r"[ -~]+ / [ -~]+", answer.text), answer.text
    assert answer.code is not None
    return answer.code


@pytest.fixture
async def client(house: ImapHouse) -> ImapClient:
    client = await house.selected()
    await client.ok("APPEND INBOX \n", letter(1))
    return client


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("CREATE Archive", "ALREADYEXISTS"),
        ("RENAME Archive Sent", "ALREADYEXISTS"),
        ("RENAME nowhere else", "NONEXISTENT"),
        ("SELECT nowhere", "NONEXISTENT"),
        ("STATUS nowhere (MESSAGES)", "NONEXISTENT"),
        ("DELETE nowhere", "NONEXISTENT"),
        ("DELETE Trash", "CANNOT"),
        ("CREATE a//b", "CANNOT"),
        ("CREATE x (USE (\\Important))", "USEATTR"),
        ("COPY 1 nowhere", "TRYCREATE"),
        ("MOVE 1 nowhere", "TRYCREATE"),
        (f"FETCH 1 (BODY[{DEEP}])", "LIMIT"),
        ("SEARCH " + "SEEN " * 120 + "SEEN", "LIMIT"),
        ("SETACL INBOX paul lr", "NOPERM"),
        (f"FETCH 1 (BODY[HEADER.FIELDS ({MANY})])", "LIMIT"),
    ],
)
async def test_a_refusal_says_which_it_is(client: ImapClient, command: str, code: str) -> None:
    assert await refused(client, command) == code


async def test_an_unknown_charset_is_answered_with_those_we_know(client: ImapClient) -> None:
    code = await refused(client, "SEARCH CHARSET KOI8-R TEXT x")
    assert re.fullmatch(r"BADCHARSET \((?:[A-Z0-9-]+ )*[A-Z0-9-]+\)", code)
    assert {"UTF-8", "US-ASCII"} <= set(code[len("BADCHARSET (") : -1].split())


async def test_an_append_says_why_it_is_not_kept(client: ImapClient) -> None:
    assert await refused(client, "APPEND nowhere \n", letter(2)) == "TRYCREATE"
    assert await refused(client, "APPEND INBOX ~\n", b"nul \0") == "UNKNOWN-CTE"


async def test_a_level_with_folders_below_it_is_not_deleted(client: ImapClient) -> None:
    await client.ok("CREATE a/b")
    assert await refused(client, "DELETE a") == "HASCHILDREN"
    await client.ok("DELETE a/b")
    assert await refused(client, "DELETE a") == "NONEXISTENT"


async def test_too_large_and_over_the_quota_are_two_things(tmp_path: Path) -> None:
    async with imap_house(tmp_path, message_octets_max=5000) as house:
        mailbox = await house.mailbox(quota_kib=3)
        client = await house.selected()
        assert await refused(client, "APPEND INBOX \n", b"x" * 5001) == "TOOBIG"
        assert await refused(client, "APPEND INBOX \n", b"x" * 5000) == "OVERQUOTA"
        await house.store.accounts.set_status(mailbox, MailboxStatus.SUSPENDED)
        assert await refused(client, "APPEND INBOX \n", b"x" * 100) == "CONTACTADMIN"
        await house.store.accounts.set_status(mailbox, MailboxStatus.CLOSED)
        assert await refused(client, "APPEND INBOX \n", b"x" * 100) == "CONTACTADMIN"


async def test_a_copy_beyond_the_places_of_a_mailbox_is_over_its_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mssante.limits.PLACES_MAX", 5)
    monkeypatch.setattr("mssante.limits.PLACES_COPIED_AT_ONCE", 1)
    monkeypatch.setattr("mssante.limits.PLACES_MOVED_AT_ONCE", 1)
    async with imap_house(tmp_path) as house:
        await house.mailbox()
        client = await house.selected()
        for n in range(2):
            await client.ok("APPEND INBOX \n", letter(n))
        copied = await client.ok("COPY 1:2 INBOX")
        assert copied.code is not None
        assert copied.code.endswith(" 1:2 3:4")
        assert await refused(client, "COPY 1:2 INBOX") == "OVERQUOTA"
        await client.ok("UID MOVE 1:4 Archive")
        await client.ok("SELECT Archive")
        assert await refused(client, "COPY 1:2 INBOX") == "OVERQUOTA"  # a MOVE makes no room


async def test_a_grant_to_read_refuses_what_writes(house: ImapHouse) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.person("paul")
    await house.grant("paul", row.id, Role.READ)
    paul = await house.login("paul")
    for command in ("CREATE x", "DELETE Archive", "RENAME Archive x", "SUBSCRIBE Archive", "GETACL INBOX"):
        assert await refused(paul, command) == "NOPERM"
    assert await refused(paul, "APPEND INBOX \n", letter(1)) == "NOPERM"
    assert (await paul.ok("SELECT INBOX")).code == "READ-ONLY"


async def test_what_another_session_expunged_is_told_as_gone(house: ImapHouse, client: ImapClient) -> None:
    other = await house.selected()
    await other.ok("STORE 1 +FLAGS (\\Deleted)")
    await client.ok("NOOP")
    await other.ok("EXPUNGE")
    assert await refused(client, "FETCH 1 (FLAGS)") == "EXPUNGEISSUED"
    assert await refused(client, "STORE 1 +FLAGS (\\Seen)") == "EXPUNGEISSUED"
    assert await refused(client, "COPY 1 Archive") == "EXPUNGEISSUED"


async def test_a_command_out_of_place_is_the_clients_own_bug(house: ImapHouse) -> None:
    client = await house.login()
    assert said(await client.ask("FETCH 1 (FLAGS)")) == ("BAD", "CLIENTBUG")
    assert said(await client.ask("LOGIN a b")) == ("BAD", "CLIENTBUG")


async def test_trouble_of_ours_passes_and_says_so(
    client: ImapClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*arguments: object, **more: object) -> None:
        raise Passing(Reason.STORAGE_UNAVAILABLE)

    with monkeypatch.context() as broken:
        broken.setattr(FoldersDoor, "counts", fails)
        assert await refused(client, "STATUS INBOX (MESSAGES)") == "UNAVAILABLE"
    assert (await client.ask("STATUS INBOX (MESSAGES)")).status == "OK"


async def test_a_bug_of_ours_is_named_and_nothing_of_it_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*arguments: object, **more: object) -> None:
        raise RuntimeError("a secret")

    async with imap_house(tmp_path) as house:
        await house.mailbox()
        client = await house.login()
        with monkeypatch.context() as broken:
            broken.setattr(FoldersDoor, "counts", fails)
            answer = await client.ask("STATUS INBOX (MESSAGES)")
        assert said(answer) == ("NO", "SERVERBUG")
        assert "secret" not in answer.text
        await client.ok("STATUS INBOX (MESSAGES)")


# Who signs in


async def test_a_login_says_what_can_be_said(house: ImapHouse) -> None:
    clear = await house.clear()
    assert await refused(clear, "LOGIN a b") == "PRIVACYREQUIRED"
    client = await house.connect()
    assert await refused(client, f'LOGIN "{MARIE}" wrong') == "AUTHENTICATIONFAILED"
    assert await refused(client, 'LOGIN "nobody" wrong') == "AUTHENTICATIONFAILED"
    other = b64encode(f"paul\0{MARIE}\0{PASSWORD}".encode()).decode()
    assert await refused(client, f"AUTHENTICATE PLAIN {other}") == "AUTHORIZATIONFAILED"
    assert await refused(client, "AUTHENTICATE CRAM-MD5") == "CANNOT"


async def test_an_access_that_ran_out_is_told_to_who_knows_the_password(house: ImapHouse) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    paul, now = await house.person("paul"), house.clock.now()
    await house.broker.grant(paul, row.id, since=now - timedelta(days=2), until=now - timedelta(days=1))
    client = await house.connect()
    assert await refused(client, "LOGIN paul wrong") == "AUTHENTICATIONFAILED"
    assert await refused(client, f'LOGIN paul "{PASSWORD}"') == "EXPIRED"
    # One that was taken away, or is yet to come, is none.
    await house.broker.revoke(PersonId("paul"), row.id)
    assert await refused(client, f'LOGIN paul "{PASSWORD}"') == "AUTHENTICATIONFAILED"
    await house.broker.grant(paul, row.id, since=now + timedelta(days=1))
    assert await refused(client, f'LOGIN paul "{PASSWORD}"') == "AUTHENTICATIONFAILED"


async def test_too_many_connections_of_one_person(tmp_path: Path) -> None:
    async with imap_house(tmp_path, bounds=SessionBounds(connections_per_person=1)) as house:
        await house.mailbox()
        first = await house.login()
        client = await house.connect()
        assert await refused(client, f'LOGIN "{MARIE}" "{PASSWORD}"') == "LIMIT"
        await first.ok("LOGOUT")


async def test_a_session_whose_access_ends_hears_who_must_act(house: ImapHouse) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.person("paul")
    await house.grant("paul", row.id)
    client = await house.login("paul")
    await house.broker.revoke(PersonId("paul"), row.id)
    await client.send(b"a NOOP\r\n")
    (bye,) = [line for line in await client.to_the_end() if line.name == "BYE"]
    assert bye.code == "NOPERM"
    assert "operateur" in bye.text
