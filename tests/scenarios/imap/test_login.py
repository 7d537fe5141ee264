"""From the greeting to an open mailbox: capabilities, STARTTLS, LOGIN, AUTHENTICATE, and who gets in."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path

import pytest

from mssante.imap.server.session import SessionBounds
from mssante.keys.ring import Role
from mssante.model import MailboxKind, PersonId, Secret
from mssante.observe.events import Crashed, LoginAccepted, LoginRefused, SessionEnded
from tests.support.imap.client import Closed, ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, imap_house, letter

TEAM = "cardiologie@operateur-a.test"


def plain(user: str, password: str, authorised: str = "") -> str:
    return base64.b64encode(f"{authorised}\0{user}\0{password}".encode()).decode()


def capabilities(text: str) -> set[str]:
    return set(text.split())


# Capabilities: honest in each state (RFC 3501 §6.1.1, §6.2.3)


async def test_in_clear_there_is_starttls_and_no_login(house: ImapHouse) -> None:
    client = await house.clear()
    assert client.greeting.code is not None
    told = capabilities(client.greeting.code.partition(" ")[2])
    assert {"IMAP4rev1", "STARTTLS", "LOGINDISABLED", "SASL-IR", "LITERAL+"} <= told
    assert not any(word.startswith("AUTH=") for word in told)
    asked = await client.ok("CAPABILITY")
    assert {str(value) for value in asked.one("CAPABILITY").values} == told


async def test_inside_tls_there_is_login_and_no_starttls(house: ImapHouse) -> None:
    for client in (await house.connect(), await house.clear()):
        if "STARTTLS" in (client.greeting.code or ""):
            await client.start_tls(house.tls)
        told = {str(value) for value in (await client.ok("CAPABILITY")).one("CAPABILITY").values}
        assert {"IMAP4rev1", "AUTH=PLAIN", "SASL-IR"} <= told
        assert not told & {"STARTTLS", "LOGINDISABLED"}
        assert not told & {"AUTH=LOGIN", "AUTH=XOAUTH2", "AUTH=EXTERNAL"}  # not there yet, so not told
        assert (await client.ask("STARTTLS")).status == "BAD"


async def test_after_login_the_extensions_are_told_and_what_is_not_complete_is_not(house: ImapHouse) -> None:
    client = await house.connect()
    code = (await client.login(MARIE, PASSWORD)).code
    assert code is not None
    told = capabilities(code.removeprefix("CAPABILITY "))
    assert {
        "IMAP4rev1", "IDLE", "UIDPLUS", "MOVE", "UNSELECT", "NAMESPACE", "ID", "ENABLE", "LITERAL+",
        "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CHILDREN", "QUOTA",
    } <= told  # fmt: skip
    # Facts §5, and I16: clients try whatever is told.
    assert not told & {
        "UTF8=ACCEPT", "UTF8=ONLY", "COMPRESS=DEFLATE", "XLIST", "UIDONLY", "METADATA", "METADATA-SERVER",
        "LITERAL-", "NOTIFY", "CATENATE", "URLAUTH", "CONVERT", "FILTERS", "LANGUAGE", "RIGHTS=",
    }  # fmt: skip
    assert not any(word.startswith("AUTH=") or word == "STARTTLS" for word in told)


# STARTTLS (T1)


@pytest.mark.parametrize("octets", [1, 100, 2_002, 65_536])
async def test_nothing_said_behind_starttls_is_executed(house: ImapHouse, octets: int) -> None:
    """T1: the connection is closed before the handshake."""
    client = await house.clear()
    injected = (b"x LOGIN marie@operateur-a.test secret\r\n" * (octets // 38 + 1))[:octets]
    await client.send(b"a STARTTLS\r\n" + injected)
    said = await client.to_the_end()
    assert [line.raw for line in said if line.tag != "*"] in ([], [b"a OK Begin TLS\r\n"])
    assert not any(line.tag == "x" for line in said)
    await until_told(house, SessionEnded)
    assert house.told(LoginRefused) == house.told(LoginAccepted) == []
    if octets <= 2_002:  # one segment: seen whole
        assert said == []
        assert house.told(SessionEnded)[-1].cause == "no TLS was agreed"


async def until_told(house: ImapHouse, kind: type) -> None:
    async with asyncio.timeout(5):
        while not house.told(kind):
            await asyncio.sleep(0.01)


async def test_what_was_said_in_clear_is_forgotten_after_starttls(house: ImapHouse) -> None:
    client = await house.clear()
    await client.ok('ID ("name" "x")')
    await client.start_tls(house.tls)
    assert (await client.ask("SELECT INBOX")).status == "BAD"
    await client.login(MARIE, PASSWORD)
    await client.ok("SELECT INBOX")


async def test_no_credential_is_looked_at_before_tls(house: ImapHouse) -> None:
    client = await house.clear()
    for command in (f"LOGIN {MARIE} x", f"AUTHENTICATE PLAIN {plain(MARIE, PASSWORD)}", "AUTHENTICATE PLAIN"):
        answer = await client.ask(command)
        assert (answer.status, answer.code) == ("NO", "PRIVACYREQUIRED")
    assert house.told(LoginRefused) == []


# LOGIN and AUTHENTICATE


async def test_authenticate_plain_with_and_without_an_initial_response(house: ImapHouse) -> None:
    client = await house.connect()
    await client.ok(f"AUTHENTICATE PLAIN {plain(MARIE, PASSWORD)}")
    client = await house.connect()
    await client.send(b"a authenticate plain\r\n")
    assert (await client.line()).raw == b"+ \r\n"
    await client.send(plain(MARIE, PASSWORD, authorised=MARIE).encode() + b"\r\n")
    answer = await client.answer("a")
    assert answer.status == "OK"
    assert (answer.code or "").startswith("CAPABILITY IMAP4rev1")


@pytest.mark.parametrize(
    ("response", "status"),
    [
        ("*", "BAD"),  # RFC 3501 §6.2.2: the client gives up
        ("", "BAD"),
        ("not base64!", "BAD"),
        ("AAAA", "BAD"),
        (base64.b64encode(b"\0marie\0pass\0word").decode(), "BAD"),  # NUL in the password
        (base64.b64encode(b"\0marie\0\xff\xfe").decode(), "BAD"),
        (plain(MARIE, PASSWORD, authorised="autre"), "NO"),  # nobody acts for another
        (plain(MARIE, "wrong"), "NO"),
        (plain("", PASSWORD), "BAD"),
    ],
)
async def test_a_response_that_is_no_login_is_refused_and_the_next_one_heard(
    house: ImapHouse, response: str, status: str
) -> None:
    client = await house.connect()
    await client.send(b"a AUTHENTICATE PLAIN\r\n")
    assert (await client.line()).tag == "+"
    await client.send(response.encode() + b"\r\n")
    assert (await client.answer("a")).status == status
    await client.login(MARIE, PASSWORD)


async def test_mechanisms_we_do_not_speak_are_refused(house: ImapHouse) -> None:
    client = await house.connect()
    for mechanism in ("XOAUTH2", "CRAM-MD5", "GSSAPI", "EXTERNAL"):
        assert (await client.ask(f"AUTHENTICATE {mechanism}")).status == "NO"
    await client.login(MARIE, PASSWORD)


async def test_login_takes_atoms_quoted_strings_and_literals(house: ImapHouse) -> None:
    await house.person('dr "Zoé"\\x', password="pâté é")
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.grant('dr "Zoé"\\x', row.id)
    client = await house.connect()
    await client.ok("LOGIN \n \n", 'dr "Zoé"\\x'.encode(), "pâté é".encode())
    client = await house.connect()
    await client.ok('LOGIN "dr \\"Zoé\\"\\\\x" "pâté é"'.encode())


@pytest.mark.parametrize(
    ("user", "password"),
    [("x" * 321, PASSWORD), (f"{MARIE}/{'x' * 321}", PASSWORD), (MARIE, "é" * 513), (MARIE, "x" * 1025)],
)
async def test_what_is_longer_than_any_login_or_password_is_refused(
    house: ImapHouse, user: str, password: str
) -> None:
    client = await house.connect()
    assert (await client.ask(f"AUTHENTICATE PLAIN {plain(user, password)}")).status == "BAD"
    assert (await client.ask(f'LOGIN "{user}" "{password}"'.encode())).status == "BAD"
    assert house.told(LoginRefused) == []  # nobody was asked for


async def test_a_second_login_is_refused(house: ImapHouse) -> None:
    client = await house.login()
    assert (await client.ask(f'LOGIN {MARIE} "{PASSWORD}"')).status == "BAD"
    assert (await client.ask("AUTHENTICATE PLAIN")).status == "BAD"


# Which mailbox (LOGIN or LOGIN/ADDRESS)


async def test_a_person_opens_the_mailbox_they_name(house: ImapHouse) -> None:
    team = await house.mailbox(TEAM, kind=MailboxKind.ORG, owner=MARIE)
    await house.deliver(team, letter(1, subject="équipe"))
    assert (await (await house.login(MARIE)).ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {
        "MESSAGES": "0"
    }
    client = await house.login(f"{MARIE}/{TEAM.upper()}")
    assert (await client.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "1"}


async def test_a_login_that_is_no_address_opens_the_persons_own_mailbox(house: ImapHouse) -> None:
    await house.person("80012345678")
    team = await house.mailbox(TEAM, kind=MailboxKind.ORG, owner="80012345678")
    own = await house.mailbox("dr.b@operateur-a.test", owner="80012345678")
    await house.deliver(team, letter(1), letter(2))
    await house.deliver(own, letter(1))
    client = await house.login("80012345678")
    assert (await client.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "1"}


# A grant that only reads


async def test_a_reader_reads_everything_and_changes_nothing(house: ImapHouse) -> None:
    team = await house.mailbox(TEAM, kind=MailboxKind.ORG)
    await house.deliver(team, letter(1), letter(2))
    await house.person("lecteur")
    await house.grant("lecteur", team, Role.READ)
    client = await house.login("lecteur")
    answer = await client.ok("SELECT INBOX")
    assert answer.code == "READ-ONLY"
    assert answer.codes()["PERMANENTFLAGS"] == "()"
    assert answer.one("RECENT").number == 2  # shown, not taken from those who may write
    body = (await client.ok("FETCH 1 (FLAGS BODY[])")).fetched()[1]
    assert body["BODY[]"] == letter(1)
    assert "\\Seen" not in body["FLAGS"]
    for command, code in [
        ("STORE 1 +FLAGS (\\Seen)", "READ-ONLY"),
        ("EXPUNGE", "READ-ONLY"),
        ("MOVE 1 Trash", "READ-ONLY"),
        ("COPY 1 Trash", "NOPERM"),
        ("CREATE x", "NOPERM"),
        ("DELETE Trash", "NOPERM"),
        ("RENAME Trash Poubelle", "NOPERM"),
        ("SUBSCRIBE INBOX", "NOPERM"),
        ("UNSUBSCRIBE INBOX", "NOPERM"),
    ]:
        answer = await client.ask(command)
        assert (answer.status, answer.code) == ("NO", code), command
    appended = await client.ask("APPEND INBOX \n", letter(3))
    assert (appended.status, appended.code) == ("NO", "NOPERM")
    await client.ok("CLOSE")
    owner = await house.login(TEAM)
    assert (await owner.ok("SELECT INBOX")).one("RECENT").number == 2
    assert (await owner.ok("SEARCH UNSEEN")).numbers() == [1, 2]


# What ends, ends at once


@pytest.mark.parametrize("ending", ["revoked", "password", "suspended"])
async def test_who_loses_access_hears_bye_within_five_seconds(tmp_path: Path, ending: str) -> None:
    """I14: a FETCH loop ends; nothing is read after."""
    async with imap_house(tmp_path, bounds=SessionBounds(access_seconds=0.2)) as house:
        mailbox = await house.mailbox()
        await house.deliver(mailbox, *(letter(n) for n in range(20)))
        busy, idle = await house.selected(), await house.selected()
        await idle.send(b"i IDLE\r\n")
        assert (await idle.line()).tag == "+"
        ended_at = [0.0]

        async def loop() -> list[tuple[float, str]]:
            seen = []
            try:
                while True:
                    answer = await busy.ask("FETCH 1:* BODY.PEEK[]")
                    seen.append((time.monotonic(), answer.status if answer.fetched() else "nothing"))
            except (Closed, AssertionError):
                return seen

        task = asyncio.create_task(loop())
        await asyncio.sleep(0.1)
        match ending:
            case "revoked":
                await house.broker.revoke(PersonId(MARIE), mailbox)
            case "password":
                await house.broker.change_password(PersonId(MARIE), Secret("another one"))
            case _:
                await house.broker.suspend(PersonId(MARIE))
        ended_at[0] = time.monotonic()
        said = await idle.to_the_end()
        assert [line.name for line in said] == ["BYE"]
        assert time.monotonic() - ended_at[0] < 5
        seen = await task
        assert not [at for at, status in seen if status == "OK" and at > ended_at[0] + 1]
        assert (await (await house.connect()).ask(f'LOGIN {MARIE} "{PASSWORD}"')).status == "NO"
        assert house.told(Crashed) == []


async def test_a_person_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    async with imap_house(tmp_path, bounds=SessionBounds(connections_per_person=3)) as house:
        await house.mailbox()
        clients = [await house.login() for _ in range(3)]
        refused = await (await house.connect()).ask(f'LOGIN {MARIE} "{PASSWORD}"')
        assert (refused.status, refused.code) == ("NO", "LIMIT")
        await clients[0].ok("LOGOUT")
        assert await clients[0].to_the_end() == []
        async with asyncio.timeout(5):
            while True:
                again = await (await house.connect()).ask(f'LOGIN {MARIE} "{PASSWORD}"')
                if again.status == "OK":
                    break
                await asyncio.sleep(0.05)


async def test_logout_says_bye_and_closes(house: ImapHouse) -> None:
    for client in (await house.clear(), await house.connect(), await house.selected()):
        answer = await client.ok("LOGOUT")
        assert [line.name for line in answer.lines] == ["BYE"]
        assert await client.to_the_end() == []


async def test_id_is_answered_in_every_state(house: ImapHouse) -> None:
    for client in (await house.clear(), await house.connect(), await house.login()):
        for command in ("ID NIL", 'ID ("name" "Thunderbird" "version" NIL)', "ID ()"):
            (fields,) = (await client.ok(command)).one("ID").values
            assert fields[:2] == [b"name", b"mssante"]


async def test_a_connection_too_many_is_told_why(tmp_path: Path) -> None:
    from mssante.net.places import Caps

    async with imap_house(tmp_path, caps=Caps(total=2, reserved_for_known=0)) as house:
        kept = [await house.clear(), await house.clear()]
        refused = await ImapClient.open(house.server.port)
        assert (refused.greeting.name, refused.greeting.code) == ("BYE", "LIMIT")
        for client in kept:
            await client.ok("NOOP")
