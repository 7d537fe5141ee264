"""Broken letters break neither listing nor searching, and come out as they came in, in everybody's eyes."""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import AsyncIterator
from pathlib import Path

import aioimaplib
import imapclient
import pytest

from mssante.observe.events import Crashed
from tests.support.broken_mail import FORBIDDEN_OCTETS, broken_letters
from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, imap_house, letter

LETTERS = broken_letters()
BEYOND_PYTHON = {"date: year 1, east", "date: year 9999, west"}
ITEMS = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Marie's INBOX has all of them: appended once, the houses of this module open it in turn."""
    made = tmp_path_factory.mktemp("broken")

    async def fill() -> None:
        async with imap_house(made) as house:
            await house.mailbox()
            client = await house.login()
            for name, octets in LETTERS.items():
                answer = await client.ask("APPEND INBOX \n", octets)
                assert answer.status == "OK", (name, answer)
            assert house.told(Crashed) == []

    asyncio.run(fill())
    return made


@pytest.fixture
async def broken(folder: Path) -> AsyncIterator[ImapHouse]:
    async with imap_house(folder, verified=False) as house:
        yield house
        assert house.told(Crashed) == []


async def test_each_is_listed_whole_and_comes_out_octet_for_octet(broken: ImapHouse) -> None:
    """By a client of our own that takes nothing but the grammar."""
    client = await broken.selected()
    listed = (await client.ok(f"FETCH 1:* ({ITEMS})")).fetched()
    assert len(listed) == len(LETTERS)
    sections = "BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1.MIME] BODY.PEEK[1]"
    wanted = dict(enumerate(LETTERS.items(), 1))
    for start in range(1, len(LETTERS) + 1, 100):
        answer = await client.ok(f"FETCH {start}:{min(start + 99, len(LETTERS))} ({sections})")
        for number, found in answer.fetched().items():
            name, octets = wanted.pop(number)
            assert found["BODY[]"] == octets, name
            assert found["BODY[HEADER]"] + found["BODY[TEXT]"] == octets, name
            assert listed[number]["RFC822.SIZE"] == str(len(octets)), name
            assert found["BODY[1]"] is None or found["BODY[1]"] in octets, name
    assert not wanted


async def test_every_search_ends_and_finds_what_is_there(broken: ImapHouse) -> None:
    client = await broken.selected()
    everything = list(range(1, len(LETTERS) + 1))
    assert (await client.ok("SEARCH ALL")).numbers() == everything
    assert (await client.ok("SEARCH UNDELETED SINCE 1-Jan-2020 LARGER 0")).numbers() == everything
    with_name = (await client.ok('SEARCH HEADER X-Broken ""')).numbers()
    assert len(with_name) >= len(LETTERS) - 20  # a few have their header cut off
    for query in (
        "SENTSINCE 1-Jan-1900", "SENTBEFORE 31-Dec-9999", "SENTON 2-Mar-2026", 'SUBJECT ""', "SUBJECT x",
        "FROM andr", "TO x.test", "CC b@y", "BCC a", "TEXT Bonjour", "BODY fond", "HEADER References z@b",
        "OR TEXT moreau NOT BODY nada", "HEADER Sender =?utf-8?q?",
    ):  # fmt: skip
        assert (await client.ask(f"SEARCH {query}")).status == "OK", query
    names = list(LETTERS)
    for charset, text in (
        ("UTF-8", "été"), ("ISO-8859-1", "été"), ("ISO-8859-15", "été"), ("WINDOWS-1252", "été"),
        ("UTF-16", "été"), ("UTF-16LE", "été"),
    ):  # fmt: skip
        found = (await client.ok(f"SEARCH CHARSET {charset} SUBJECT \n", text.encode(charset))).numbers()
        assert {"subject: Latin-1 raw", "subject: UTF-8 raw"} <= {names[n - 1] for n in found}, charset
    refused = await client.ask("SEARCH CHARSET X-NONE SUBJECT x")
    assert (refused.status, (refused.code or "").partition(" ")[0]) == ("NO", "BADCHARSET")
    offered = (await client.ok("CAPABILITY")).one("CAPABILITY").values
    for capability, command in (
        ("SORT", "SORT (DATE SUBJECT FROM TO CC ARRIVAL SIZE) UTF-8 ALL"),
        ("SORT=DISPLAY", "SORT (DISPLAYFROM DISPLAYTO) UTF-8 ALL"),
        ("THREAD=REFERENCES", "THREAD REFERENCES UTF-8 ALL"),
        ("THREAD=ORDEREDSUBJECT", "THREAD ORDEREDSUBJECT UTF-8 ALL"),
        ("PREVIEW", "FETCH 1:* (PREVIEW)"),
        ("BINARY", "FETCH 1:* (BINARY.SIZE[1])"),
    ):
        if capability in offered:
            answer = await client.ask(command)
            assert answer.status == "OK" or answer.code in ("UNKNOWN-CTE",), (command, answer.text)


async def test_other_clients_read_every_line(broken: ImapHouse) -> None:
    """imaplib, imapclient and aioimaplib: none of them stumbles, each counts them all."""
    octets = list(LETTERS.values())

    def with_imapclient() -> None:
        with imapclient.IMAPClient(
            "localhost", broken.implicit.port, ssl=True, ssl_context=broken.tls, timeout=30
        ) as client:
            client.login(MARIE, PASSWORD)
            client.select_folder("INBOX", readonly=True)
            uids = client.search()
            assert len(uids) == len(octets)
            # Dates that Python cannot bring to local time are too much for this client's own reading.
            uids = [uid for uid, name in zip(uids, LETTERS, strict=True) if name not in BEYOND_PYTHON]
            found = client.fetch(uids, ["ENVELOPE", "BODYSTRUCTURE", "RFC822.SIZE", "INTERNALDATE"])
            for uid in uids:
                envelope, structure = found[uid][b"ENVELOPE"], found[uid][b"BODYSTRUCTURE"]
                assert isinstance(envelope, imapclient.response_types.Envelope)
                assert structure.is_multipart == (isinstance(structure[0], list))

    def with_imaplib() -> None:
        with imaplib.IMAP4_SSL(
            "localhost", broken.implicit.port, ssl_context=broken.tls, timeout=30
        ) as client:
            client.login(MARIE, PASSWORD)
            client.select("INBOX", readonly=True)
            kind, lines = client.fetch("1:*", f"({ITEMS})")
            whole = [line for line in lines if isinstance(line, bytes) and b" (UID " in line[:16]]
            begun = [line for line in lines if isinstance(line, tuple) and b" (UID " in line[0][:16]]
            assert (kind, len(whole) + len(begun)) == ("OK", len(octets))
            kind, lines = client.fetch("1:*", "(BODY.PEEK[])")
            assert [line[1] for line in lines if isinstance(line, tuple)] == octets

    await asyncio.to_thread(with_imapclient)
    await asyncio.to_thread(with_imaplib)
    client = aioimaplib.IMAP4_SSL("localhost", broken.implicit.port, ssl_context=broken.tls, timeout=30)
    await client.wait_hello_from_server()
    await client.login(MARIE, PASSWORD)
    await client.select("INBOX")
    assert (await client.uid("fetch", "1:*", f"({ITEMS})")).result == "OK"
    fetched = await client.uid("fetch", "1:*", "(BODY.PEEK[])")
    assert [bytes(line) for line in fetched.lines if isinstance(line, bytearray)] == octets
    await client.logout()


async def test_octets_that_are_refused_break_nothing_where_they_lie_all_the_same(house: ImapHouse) -> None:
    client = await house.selected()
    for name, octets in FORBIDDEN_OCTETS.items():
        assert (await client.ask("APPEND INBOX \n", octets)).status in ("NO", "BAD"), name
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, letter(1), *FORBIDDEN_OCTETS.values(), letter(2))
    await client.ok("NOOP")
    answer = await client.ok(f"FETCH 1:* ({ITEMS})")
    assert len(answer.fetched()) == len(FORBIDDEN_OCTETS) + 2
    assert (await client.ok("SEARCH TEXT Bonjour")).numbers() == [1, len(FORBIDDEN_OCTETS) + 2]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (" 1-Jan-0001 00:00:00 +1400", None),
        ("31-Dec-9999 23:59:59 -1200", None),
        (" 1-Jan-1970 00:00:00 +0000", '" 1-Jan-1970 00:00:00 +0000"'),
        ("31-Dec-1899 00:00:00 +0009", '"31-Dec-1899 00:00:00 +0009"'),
        ("29-Feb-2024 23:59:59 -0130", '"29-Feb-2024 23:59:59 -0130"'),
        ("99-Xyz-2024 99:99:99 +9999", ""),
    ],
)
async def test_an_internal_date_of_any_age_breaks_no_listing(
    house: ImapHouse, written: str, told: str | None
) -> None:
    client: ImapClient = await house.selected()
    await client.ok("APPEND INBOX \n", letter(1))
    answer = await client.ask(f'APPEND INBOX "{written}" \n', letter(2))
    await client.ok("APPEND INBOX \n", letter(3))
    if told == "":
        assert answer.status == "BAD"
    elif answer.status == "OK":
        found = (await client.ok("FETCH 2 INTERNALDATE")).fetched()[2]["INTERNALDATE"]
        assert told is None or found == told.strip('"').encode()
    else:
        assert answer.status in ("NO", "BAD")
        assert told is None
    count = 3 if answer.status == "OK" else 2
    assert len((await client.ok(f"FETCH 1:* ({ITEMS})")).fetched()) == count
    for query in ("ON 1-Jan-2026", "BEFORE 1-Jan-2000", "SINCE 1-Jan-2000", "OLDER 3600", "YOUNGER 3600"):
        await client.ok(f"SEARCH {query}")
