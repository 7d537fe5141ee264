"""Folders: what is there from the first day, names, LIST and LSUB, subscriptions, STATUS, quota."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mssante.store import folders as store_folders
from tests.support.imap.client import Answer, ImapClient
from tests.support.imap.house import MARIE, ImapHouse, letter

ROLES = {"Sent": r"\Sent", "Drafts": r"\Drafts", "Trash": r"\Trash", "Junk": r"\Junk", "Archive": r"\Archive"}


def listed(answer: Answer, verb: str = "LIST") -> dict[str, set[str]]:
    """Names, as on the wire, with their attributes."""
    found: dict[str, set[str]] = {}
    for line in answer.named(verb):
        attributes, delimiter, name = line.values[:3]
        assert delimiter == b"/"
        assert name.decode() not in found, "a name is listed once"
        found[name.decode()] = {str(attribute) for attribute in attributes}
    return found


async def names(client: ImapClient, pattern: str = "*") -> set[str]:
    return set(listed(await client.ok(f'LIST "" "{pattern}"')))


async def lsub(client: ImapClient, pattern: str = "*") -> dict[str, set[str]]:
    return listed(await client.ok(f'LSUB "" "{pattern}"'), "LSUB")


# From the first day


async def test_special_folders_are_there_and_subscribed(house: ImapHouse) -> None:
    """Facts §5: Thunderbird shows nothing that is not subscribed."""
    client = await house.login()
    found = listed(await client.ok('LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)'))
    assert found == {"INBOX": {r"\Subscribed"}} | {
        name: {r"\Subscribed", attribute} for name, attribute in ROLES.items()
    }
    assert set(await lsub(client)) == {"INBOX", *ROLES}
    plain = listed(await client.ok('LIST "" "*"'))
    assert all(ROLES[name] in plain[name] for name in ROLES)
    only = listed(await client.ok('LIST (SPECIAL-USE) "" "*"'))
    assert set(only) == set(ROLES)


async def test_namespace_and_delimiter(house: ImapHouse) -> None:
    client = await house.login()
    assert (await client.ok("NAMESPACE")).one("NAMESPACE").values == [[[b"", b"/"]], None, None]
    (line,) = (await client.ok('LIST "" ""')).named("LIST")
    assert line.values == [[r"\Noselect"], b"/", b""]


# CREATE, DELETE, RENAME


@pytest.mark.parametrize(
    "name",
    [
        "Projet &AOk-&-",  # é&
        "a b",
        "100%* r&AOk-ussi",
        'gu"illemets\\',
        "../../etc/passwd",
        "&2D3cSw-",  # outside the BMP
        "inbox2",
        "INBOX/sous",
        "x" * 200,
        "..",
        "~root/.ssh",
        "'; DROP TABLE folder; --",
        "{10+}",
        "$HOME `id` | > a",
    ],
)
async def test_a_name_is_data_and_comes_back_as_given(house: ImapHouse, name: str) -> None:
    """I13."""
    client = await house.login()
    literal = name.encode()
    await client.ok("CREATE \n", literal)
    await client.ok("SUBSCRIBE \n", literal)
    assert name in await lsub(client)
    assert name in listed(await client.ok('LIST "" "*"'))
    await client.ok("SELECT \n", literal)
    await client.ok("APPEND \n \n", literal, letter(1))
    (values,) = [line.items() for line in (await client.ok("STATUS \n (MESSAGES)", literal)).named("STATUS")]
    assert values == {"MESSAGES": "1"}
    await client.ok("DELETE \n", literal)
    assert name not in await names(client)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("&", "BAD"),  # not modified UTF-7
        ("&AOk", "BAD"),
        ("&AGE-", "BAD"),  # printable US-ASCII must not be shifted
        ("é", "BAD"),
        ("", "NO"),
        ("/", "NO"),
        ("/a", "NO"),
        ("a//b", "NO"),
        ("&AAA-", "NO"),  # NUL, encoded
        ("&AA0ACg-", "NO"),  # CR LF, encoded
        ("&2D0-", "BAD"),  # half a surrogate pair
        ("a&", "BAD"),
        ("INBOX", "NO"),
        ("iNbOx", "NO"),
        ("//", "NO"),
        ("x" * 600, "NO"),
        ("x" * 10_000, "NO"),
    ],
)
async def test_a_name_that_cannot_be_is_refused(house: ImapHouse, name: str, status: str) -> None:
    client = await house.login()
    before = await names(client)
    assert (await client.ask("CREATE \n", name.encode())).status == status
    assert (await client.ask("RENAME Junk \n", name.encode())).status == status
    assert await names(client) == before


async def test_create(house: ImapHouse) -> None:
    client = await house.login()
    await client.ok("CREATE a/b/c/")  # RFC 3501 §6.3.3: a trailing delimiter only declares intent
    found = listed(await client.ok('LIST "" "a*"'))
    assert {name for name in found if r"\Noselect" not in found[name]} == {"a/b/c"}
    for taken in ("a/b/c", "INBOX", "inbox", "Sent"):
        answer = await client.ask(f"CREATE {taken}")
        assert (answer.status, answer.code) == ("NO", "ALREADYEXISTS"), taken
    await client.ok("CREATE a")  # a level of hierarchy becomes a folder
    assert r"\HasChildren" in listed(await client.ok('LIST "" a'))["a"]
    assert (await client.ask("CREATE x (USE (\\Sent))")).code == "USEATTR"


async def test_uidvalidity_never_comes_back(house: ImapHouse) -> None:
    client = await house.login()
    seen = set()
    for _ in range(3):
        await client.ok("CREATE d")
        status = (await client.ok("STATUS d (UIDVALIDITY UIDNEXT)")).one("STATUS").items()
        seen.add(int(status["UIDVALIDITY"]))
        await client.ok("APPEND d \n", letter(1))
        await client.ok("DELETE d")
    assert len(seen) == 3
    assert sorted(seen) == sorted(seen, key=int)


async def test_delete(house: ImapHouse) -> None:
    client = await house.login()
    await client.ok("CREATE a")
    await client.ok("CREATE a/b")
    await client.ok("DELETE a")  # RFC 3501 §6.3.4: what lies below stays
    assert r"\Noselect" in listed(await client.ok('LIST "" "%"'))["a"]
    assert "a/b" in await names(client)
    assert (await client.ask("DELETE a")).status == "NO"
    assert (await client.ask("SELECT a")).status == "NO"
    await client.ok("DELETE a/b")
    assert not {"a", "a/b"} & await names(client)
    for protected in ("INBOX", "inBox", "Sent", "Trash", "Drafts", "Junk", "Archive"):
        answer = await client.ask(f"DELETE {protected}")
        assert (answer.status, answer.code) == ("NO", "CANNOT")
    missing = await client.ask("DELETE nowhere")
    assert (missing.status, missing.code) == ("NO", "NONEXISTENT")


async def test_deleting_the_selected_folder_leaves_nothing_selected(house: ImapHouse) -> None:
    client = await house.login()
    await client.ok("CREATE a")
    await client.ok("SELECT a")
    await client.ok("DELETE a")
    assert (await client.ask("FETCH 1 FLAGS")).status == "BAD"
    await client.ok("SELECT INBOX")


async def test_rename_takes_what_lies_below_with_it(house: ImapHouse) -> None:
    client = await house.login()
    for name in ("a", "a/b", "a/b/c", "ab"):
        await client.ok(f"CREATE {name}")
    await client.ok("APPEND a/b/c \n", letter(1))
    before = (await client.ok("STATUS a/b/c (UIDVALIDITY MESSAGES)")).one("STATUS").items()
    await client.ok("RENAME a z/y")
    assert {"z/y", "z/y/b", "z/y/b/c", "ab"} <= await names(client)
    assert not {"a", "a/b"} & await names(client)
    after = (await client.ok("STATUS z/y/b/c (UIDVALIDITY MESSAGES)")).one("STATUS").items()
    assert after == before
    await client.ok("RENAME z w")  # a level that is no folder
    assert "w/y/b/c" in await names(client)
    for source, target, code in [
        ("nowhere", "x", "NONEXISTENT"),
        ("ab", "w/y", "ALREADYEXISTS"),
        ("ab", "INBOX", "ALREADYEXISTS"),
        ("ab", "sent", None),
    ]:
        answer = await client.ask(f"RENAME {source} {target}")
        assert answer.status == ("OK" if code is None else "NO")
        assert answer.code == code
    await client.ok("RENAME Sent Envoy&AOk-s")
    assert r"\Sent" in listed(await client.ok('LIST "" "*"'))["Envoy&AOk-s"]  # its role goes with it
    assert (await client.ask("DELETE Envoy&AOk-s")).code == "CANNOT"


async def test_renaming_inbox_empties_it_and_leaves_it(house: ImapHouse) -> None:
    """RFC 3501 §6.3.5."""
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, letter(1), letter(2))
    client = await house.login()
    await client.ok("CREATE INBOX/below")
    await client.ok("RENAME inbox 2025")
    counts = [
        (await client.ok(f"STATUS {name} (MESSAGES)")).one("STATUS").items() for name in ("INBOX", "2025")
    ]
    assert counts == [{"MESSAGES": "0"}, {"MESSAGES": "2"}]
    assert "INBOX/below" in await names(client)


async def test_so_many_folders_and_no_more(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_folders, "FOLDERS_MAX", 20)
    client = await house.login()
    answers = [await client.ask(f"CREATE f{n}") for n in range(20)]
    assert [(answer.code or "").split()[0] for answer in answers] == ["MAILBOXID"] * 14 + [
        "LIMIT"
    ] * 6  # six are there already
    await client.ok("DELETE f0")
    await client.ok("CREATE f20")


# Subscriptions


async def test_a_subscription_outlives_its_folder(house: ImapHouse) -> None:
    """RFC 3501 §6.3.9: MUST NOT unilaterally remove a name from the subscription list."""
    client = await house.login()
    await client.ok("CREATE a")
    assert "a" not in await lsub(client)
    await client.ok("SUBSCRIBE a")
    await client.ok("SUBSCRIBE a")
    assert (await lsub(client))["a"] == set()
    await client.ok("DELETE a")
    assert (await lsub(client))["a"] == {r"\Noselect"}
    extended = listed(await client.ok('LIST (SUBSCRIBED) "" "*"'))
    assert extended["a"] == {r"\Subscribed", r"\NonExistent"}
    assert "a" not in await names(client)
    await client.ok("SUBSCRIBE a")  # still in the list
    await client.ok("CREATE a")
    assert (await lsub(client))["a"] == set()
    await client.ok("DELETE a")
    await client.ok("UNSUBSCRIBE a")
    assert "a" not in await lsub(client)
    assert (await client.ask("SUBSCRIBE a")).code == "NONEXISTENT"
    await client.ok("UNSUBSCRIBE a")


async def test_a_renamed_folder_stays_visible_under_both_names(house: ImapHouse) -> None:
    client = await house.login()
    await client.ok("CREATE old")
    await client.ok("SUBSCRIBE old")
    await client.ok("RENAME old new")
    found = await lsub(client)
    assert (found["new"], found["old"]) == (set(), {r"\Noselect"})
    await client.ok("RENAME Sent Envois")
    assert {"Sent", "Envois"} <= set(await lsub(client))


async def test_lsub_with_percent_shows_the_level_above(house: ImapHouse) -> None:
    client = await house.login()
    await client.ok("CREATE a/b")
    await client.ok("SUBSCRIBE a/b")
    assert (await lsub(client, "a%"))["a"] == {r"\Noselect"}
    assert set(await lsub(client, "a*")) == {"a/b"}


# LIST


async def test_patterns(house: ImapHouse) -> None:
    client = await house.login()
    for name in ("p/a", "p/a/b", "p/c"):
        await client.ok(f"CREATE {name}")
    assert await names(client, "p/%") == {"p/a", "p/c"}
    assert await names(client, "p*") == {"p", "p/a", "p/a/b", "p/c"} - {"p"} | (
        {"p"} & await names(client, "p*")
    )
    assert await names(client, "%/%") >= {"p/a", "p/c"}
    assert await names(client, "inbox") == {"INBOX"}
    assert await names(client, "InB%") == set()
    assert await names(client, "") == {""}
    assert set(listed(await client.ok('LIST "p/" "%"'))) == {"p/a", "p/c"}
    assert set(listed(await client.ok('LIST "" (INBOX "p/%")'))) == {"INBOX", "p/a", "p/c"}
    assert await names(client, "*%" * 100 + "x") == set()  # no wildcard costs more than its length


async def test_list_status(house: ImapHouse) -> None:
    """RFC 5819."""
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, letter(1), letter(2), flags=1)
    await house.deliver(row.id, letter(3))
    client = await house.login()
    await client.ok("CREATE a/b")
    answer = await client.ok('LIST "" "%" RETURN (CHILDREN STATUS (MESSAGES UNSEEN UIDNEXT SIZE RECENT))')
    found: dict[str, Any] = {line.values[0].decode(): line.items() for line in answer.named("STATUS")}
    size = found["INBOX"].pop("SIZE")
    assert int(size) >= 3 * len(letter(1))
    assert found["INBOX"] == {"MESSAGES": "3", "UNSEEN": "1", "UIDNEXT": "4", "RECENT": "3"}
    assert set(found) == {"INBOX", *ROLES}  # a level that is no folder has no status
    assert listed(answer)["a"] == {r"\NonExistent", r"\HasChildren"}


async def test_status_of_what_is_not_there(house: ImapHouse) -> None:
    client = await house.login()
    answer = await client.ask("STATUS nowhere (MESSAGES)")
    assert (answer.status, answer.code) == ("NO", "NONEXISTENT")
    assert (await client.ask("STATUS INBOX ()")).status == "BAD"
    assert (await client.ask("STATUS INBOX (UNHEARDOF)")).status == "BAD"


# Quota (RFC 9208)


async def test_quota(house: ImapHouse) -> None:
    client = await house.login()
    assert (await client.ok("GETQUOTAROOT INBOX")).one("QUOTAROOT").values == [b"INBOX"]
    assert (await client.ask('GETQUOTA ""')).status == "NO"
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.store.accounts.set_quota(row.id, 100)
    answer = await client.ok("GETQUOTAROOT INBOX")
    assert answer.one("QUOTAROOT").values == [b"INBOX", b""]
    assert answer.one("QUOTA").values == [b"", ["STORAGE", "0", "100"]]
    await client.ok("APPEND INBOX \n", letter(1))
    assert (await client.ok('GETQUOTA ""')).one("QUOTA").values == [b"", ["STORAGE", "1", "100"]]
    refused = await client.ask("APPEND INBOX \n", b"Subject: x\r\n\r\n" + b"x" * 200_000)
    assert (refused.status, refused.code) == ("NO", "OVERQUOTA")
    assert (await client.ask("GETQUOTAROOT nowhere")).code == "NONEXISTENT"
    assert (await client.ask("GETQUOTA other")).status == "NO"


async def test_folders_made_in_one_session_are_seen_in_the_other(house: ImapHouse) -> None:
    one, other = await house.login(), await house.login()
    answers = await asyncio.gather(one.ask("CREATE x"), other.ask("CREATE x"))
    assert sorted(answer.status for answer in answers) == ["NO", "OK"]
    assert "x" in await names(other)
    await other.ok("RENAME x y")
    assert {"y"} == await names(one, "?") | await names(one, "y")
