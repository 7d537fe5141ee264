"""IMAP4rev2 (RFC 9051): folder names in UTF-8, OLDNAME, and the neighbours that speak IMAP4rev1."""

from __future__ import annotations

import unicodedata

import pytest

from mssante.imap.server.session import SessionBounds
from tests.support.imap.client import Answer, ImapClient
from tests.support.imap.house import ImapHouse, letter

NAME = "Santé & comptes rendus"


def names(answer: Answer) -> list[str]:
    return [line.values[2].decode() for line in answer.named("LIST")]


@pytest.fixture
async def client(house: ImapHouse) -> ImapClient:
    client = await house.login()
    assert (await client.ok("ENABLE IMAP4rev2")).one("ENABLED").values == ["IMAP4rev2"]
    client.utf8 = True
    return client


async def test_folder_names_are_utf_8_everywhere(client: ImapClient) -> None:
    await client.ok(f'CREATE "{NAME}"')
    await client.ok("CREATE \n", f"{NAME}/été".encode())
    assert NAME in names(await client.ok('LIST "" "*"'))
    assert names(await client.ok('LIST "" "Sant%"')) == [NAME]
    assert names(await client.ok('LIST "" "*é"')) == [f"{NAME}/été"]
    status = await client.ok(f'STATUS "{NAME}" (MESSAGES)')
    assert status.one("STATUS").values[0].decode() == NAME
    await client.ok("APPEND \n \n", NAME.encode(), letter(1))
    answer = await client.ok(f'SELECT "{NAME}"')
    assert answer.one("LIST").values == [["\\HasChildren"], b"/", NAME.encode()]
    await client.ok(f'COPY 1 "{NAME}/été"')
    assert (await client.ok(f'MYRIGHTS "{NAME}"')).one("MYRIGHTS").values[0].decode() == NAME
    assert (await client.ok(f'GETQUOTAROOT "{NAME}"')).one("QUOTAROOT").values[0].decode() == NAME
    await client.ok(f'SUBSCRIBE "{NAME}"')
    assert NAME in names(await client.ok('LIST (SUBSCRIBED) "" "*"'))
    await client.ok(f'DELETE "{NAME}/été"')


async def test_an_ampersand_is_an_ampersand(client: ImapClient) -> None:
    await client.ok('CREATE "A&-B"')
    assert names(await client.ok('LIST "" A*')) == ["A&-B", "Archive"]
    await client.ok('CREATE "&AOk-"')
    assert names(await client.ok('LIST "" "&*"')) == ["&AOk-"]


async def test_the_neighbour_sees_the_same_folder_in_modified_utf_7(
    house: ImapHouse, client: ImapClient
) -> None:
    await client.ok(f'CREATE "{NAME}"')
    old = await house.login()
    assert [line.values[2] for line in (await old.ok('LIST "" "Sant*"')).named("LIST")] == [
        b"Sant&AOk- &- comptes rendus"
    ]
    await old.ok('CREATE "&AOk-t&AOk-"')
    assert "été" in names(await client.ok('LIST "" "*"'))


async def test_a_renamed_folder_is_told_with_its_old_name(client: ImapClient) -> None:
    await client.ok("CREATE a/b")
    answer = await client.ok('RENAME a/b "été"')
    assert answer.one("LIST").values == [
        ["\\HasNoChildren"],
        b"/",
        "été".encode(),
        [b"OLDNAME", [b"a/b"]],
    ]
    await client.ok("APPEND INBOX \n", letter(1))
    assert (await client.ok("RENAME INBOX kept")).named("LIST") == []


async def test_to_a_client_of_rev1_nothing_is_told_that_it_does_not_know(house: ImapHouse) -> None:
    client = await house.login()
    await client.ok("CREATE a")
    assert (await client.ok("RENAME a b")).named("LIST") == []
    assert (await client.ok("SELECT b")).named("LIST") == []


@pytest.mark.parametrize(
    "name",
    [unicodedata.normalize("NFD", "été"), "a\x01b", "a\u2028b", "a\x85b"],
    ids=["denormalised", "control", "line separator", "next line"],
)
async def test_a_name_that_is_not_net_unicode_is_not_made(client: ImapClient, name: str) -> None:
    answer = await client.ask("CREATE \n", name.encode())
    assert (answer.status, answer.code) == ("NO", "CANNOT")


async def test_octets_that_are_no_utf_8_are_bad(client: ImapClient) -> None:
    assert (await client.ask("SELECT \n", b"\xe9t\xe9")).status == "BAD"


async def test_what_a_rev2_client_hears_of_takes_recent_from_nobody(
    house: ImapHouse, client: ImapClient
) -> None:
    await client.ok("SELECT INBOX")
    await client.ok("APPEND INBOX \n", letter(1))
    assert (await client.ok("FETCH 1 (FLAGS)")).fetched() == {1: {"FLAGS": []}}
    old = await house.login()
    assert (await old.ok("SELECT INBOX")).one("RECENT").number == 1
    assert (await old.ok("FETCH 1 (FLAGS)")).fetched() == {1: {"FLAGS": ["\\Recent"]}}


async def test_removed_items_still_answer_who_asks_for_them(client: ImapClient) -> None:
    """Appendix A: a server that speaks both may answer them."""
    await client.ok("APPEND INBOX \n", letter(1))
    await client.ok("SELECT INBOX")
    await client.ok("CHECK")
    await client.ok('LSUB "" "*"')
    assert (await client.ok("STATUS INBOX (RECENT)")).one("STATUS").items() == {"RECENT": "1"}
    assert "RFC822.HEADER" in (await client.ok("FETCH 1 (RFC822.HEADER)")).fetched()[1]


async def test_an_empty_pattern_of_an_extended_list_is_ignored(client: ImapClient) -> None:
    assert names(await client.ok('LIST "" ("" INBOX)')) == ["INBOX"]
    assert names(await client.ok('LIST "" ""')) == [""]


async def test_numbers_of_63_bits_are_understood(client: ImapClient) -> None:
    await client.ok("APPEND INBOX \n", letter(1))
    await client.ok("SELECT INBOX")
    found = (await client.ok("FETCH 1 (BODY.PEEK[]<9000000000000000000.5>)")).fetched()[1]
    assert found == {"BODY[]<9000000000000000000>": b""}
    assert (await client.ok("SEARCH SMALLER 9000000000000000000")).one("ESEARCH").values[-1] == "1"


async def test_the_keywords_of_the_rfc_are_kept_searched_and_copied(client: ImapClient) -> None:
    keywords = ["$Forwarded", "$MDNSent", "$Junk", "$NotJunk", "$Phishing"]  # §2.3.2
    await client.ok(f"APPEND INBOX ({' '.join(keywords)}) \n", letter(1))
    await client.ok("SELECT INBOX")
    for keyword in keywords:
        assert (await client.ok(f"SEARCH KEYWORD {keyword}")).one("ESEARCH").values[-1] == "1"
    await client.ok("COPY 1 Archive")
    await client.ok("MOVE 1 Archive")
    await client.ok("SELECT Archive")
    for items in (await client.ok("FETCH 1:2 (FLAGS)")).fetched().values():
        assert set(items["FLAGS"]) == set(keywords)


def test_who_is_logged_in_may_be_silent_for_half_an_hour() -> None:
    assert SessionBounds().idle_seconds >= 30 * 60  # §5.4


async def test_options_of_list(client: ImapClient) -> None:
    await client.ok("CREATE a/b")
    await client.ok("SUBSCRIBE a/b")
    await client.ok("SUBSCRIBE Archive")
    await client.ok("UNSUBSCRIBE Sent")
    subscribed = await client.ok('LIST (SUBSCRIBED SUBSCRIBED) "" "*"')
    assert {"a/b", "Archive"} <= set(names(subscribed))
    assert "Sent" not in names(subscribed)
    assert all("\\Subscribed" in line.values[0] for line in subscribed.named("LIST"))
    parents = await client.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "a"')
    assert parents.one("LIST").values[3] == [b"CHILDINFO", [b"SUBSCRIBED"]]
    for bad in ("(RECURSIVEMATCH)", "(RECURSIVEMATCH REMOTE)", "(UNHEARDOF)"):
        assert (await client.ask(f'LIST {bad} "" "*"')).status == "BAD"
    assert (await client.ask('LIST "" "*" RETURN (UNHEARDOF)')).status == "BAD"
