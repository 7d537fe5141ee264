"""One session and its messages: SELECT, FETCH, STORE, SEARCH, COPY, MOVE, EXPUNGE, APPEND."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mssante.observe.events import Crashed
from tests.support.imap.client import Answer, ImapClient
from tests.support.imap.house import MARIE, ImapHouse, letter

MULTIPART = (
    b"From: =?iso-8859-1?Q?Andr=E9_L=E9v=EAque?= <andre@b.test>\r\n"
    b"Sender: secretariat@b.test, autre@b.test\r\n"
    b"To: equipe: marie@a.test, zoe@a.test;\r\n"
    b"Cc: \r\nSubject: =?utf-8?B?Q29tcHRlIHJlbmR1IGTDqXRhaWxsw6k=?=\r\n"
    b"Date: Thu, 5 Feb 2026 10:11:12 +0100\r\nMessage-ID: <m@b.test>\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="foo\r\n bar"\r\n\r\n'
    b"prologue\r\n--foo bar\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nH=E9moglobine\r\n"
    b"--foo bar\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: interne\r\nFrom: x@y.test\r\nContent-Type: multipart/alternative; boundary=sub\r\n\r\n"
    b"--sub\r\nContent-Type: text/html\r\n\r\n<p>un</p>\r\n--sub\r\n\r\ndeux\r\n--sub--\r\nfin\r\n"
    b"--foo bar\r\nContent-Type: application/pdf; name=a.pdf\r\n"
    b'Content-Disposition: attachment; filename="a.pdf"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--foo bar--\r\nepilogue\r\n"
)


@pytest.fixture
async def inbox(house: ImapHouse) -> ImapClient:
    """Five letters, s1 to s5, selected; UIDs 1 to 5."""
    await fill(house, *(letter(n) for n in range(1, 6)))
    return await house.selected()


async def fill(house: ImapHouse, *contents: bytes, **how: Any) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *contents, **how)


def flags(answer: Answer, number: int) -> set[str]:
    return {str(flag) for flag in answer.fetched()[number]["FLAGS"]} - {r"\Recent"}


# SELECT and EXAMINE


async def test_select_tells_everything_rfc_3501_asks(house: ImapHouse) -> None:
    await fill(house, letter(1), flags=1)
    await fill(house, letter(2), letter(3))
    client = await house.login()
    answer = await client.ok("SELECT inbox")
    assert (answer.code, answer.one("EXISTS").number, answer.one("RECENT").number) == ("READ-WRITE", 3, 3)
    system = {r"\Answered", r"\Flagged", r"\Deleted", r"\Seen", r"\Draft"}
    assert {str(flag) for flag in answer.one("FLAGS").values[0]} == system
    codes = answer.codes()
    assert set(codes["PERMANENTFLAGS"].strip("()").split()) == system | {r"\*"}
    assert (codes["UNSEEN"], codes["UIDNEXT"]) == ("2", "4")
    assert int(codes["UIDVALIDITY"]) > 0
    again = await client.ok("SELECT INBOX")
    assert again.one("RECENT").number == 0
    assert again.codes()["UIDVALIDITY"] == codes["UIDVALIDITY"]
    assert "CLOSED" in again.codes()


async def test_an_empty_folder(house: ImapHouse) -> None:
    client = await house.login()
    answer = await client.ok("SELECT Trash")
    assert (answer.one("EXISTS").number, answer.codes()["UIDNEXT"]) == (0, "1")
    assert "UNSEEN" not in answer.codes()
    # RFC 3501 §9 seq-number: also "*" when the folder is empty; UIDs that do not exist are passed over.
    assert (await client.ask("FETCH 1:* FLAGS")).status == "BAD"
    assert (await client.ok("UID FETCH 1:* FLAGS")).lines == []
    assert (await client.ok("SEARCH ALL")).numbers() == []
    assert (await client.ok("UID SEARCH 1:*")).numbers() == []
    assert (await client.ok("EXPUNGE")).lines == []
    await client.ok("UID COPY 1:* INBOX")
    await client.ok("UID STORE 1:* +FLAGS (\\Seen)")


async def test_a_select_that_fails_leaves_nothing_selected(inbox: ImapClient) -> None:
    answer = await inbox.ask("SELECT nowhere")
    assert (answer.status, answer.code) == ("NO", "NONEXISTENT")
    assert (await inbox.ask("FETCH 1 FLAGS")).status == "BAD"


async def test_examine_changes_nothing(inbox: ImapClient) -> None:
    answer = await inbox.ok("EXAMINE INBOX")
    assert answer.code == "READ-ONLY"
    assert answer.codes()["PERMANENTFLAGS"] == "()"
    for command in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "UID EXPUNGE 1:*", "MOVE 1 Trash"):
        answer = await inbox.ask(command)
        assert (answer.status, answer.code) == ("NO", "READ-ONLY")
    assert flags(await inbox.ok("FETCH 1 (FLAGS BODY[])"), 1) == set()
    await inbox.ok("COPY 1 Trash")
    await inbox.ok("SELECT INBOX")
    await inbox.ok("STORE 1 +FLAGS (\\Deleted)")
    await inbox.ok("EXAMINE INBOX")
    await inbox.ok("CLOSE")  # RFC 3501 §6.4.2: nothing goes
    assert (await inbox.ok("SELECT INBOX")).one("EXISTS").number == 5


async def test_close_takes_away_silently_and_unselect_does_not(inbox: ImapClient) -> None:
    await inbox.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    await inbox.ok("UNSELECT")
    assert (await inbox.ask("CLOSE")).status == "BAD"
    assert (await inbox.ok("SELECT INBOX")).one("EXISTS").number == 5
    assert (await inbox.ok("CLOSE")).lines == []
    assert (await inbox.ok("SELECT INBOX")).one("EXISTS").number == 3


# FETCH


async def test_macros_and_items(inbox: ImapClient) -> None:
    full = (await inbox.ok("FETCH 1 FULL")).fetched()[1]
    assert set(full) == {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"}
    assert set((await inbox.ok("FETCH 1 ALL")).fetched()[1]) == set(full) - {"BODY"}
    assert set((await inbox.ok("FETCH 1 FAST")).fetched()[1]) == set(full) - {"BODY", "ENVELOPE"}
    assert int(full["RFC822.SIZE"]) == len(letter(1))
    by_uid = (await inbox.ok("UID FETCH 5 RFC822.SIZE")).fetched()[5]
    assert by_uid == {"UID": "5", "RFC822.SIZE": str(len(letter(5)))}


async def test_envelope_and_structure(house: ImapHouse) -> None:
    await fill(house, MULTIPART)
    client = await house.selected()
    message = (await client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE BODY)")).fetched()[1]
    date, subject, from_, sender, reply, to, cc, bcc, irt, id_ = message["ENVELOPE"]
    assert (date, id_) == (b"Thu, 5 Feb 2026 10:11:12 +0100", b"<m@b.test>")
    assert subject == b"=?utf-8?B?Q29tcHRlIHJlbmR1IGTDqXRhaWxsw6k=?="
    assert from_ == [[b"=?iso-8859-1?Q?Andr=E9_L=E9v=EAque?=", None, b"andre", b"b.test"]]
    assert [address[2] for address in sender] == [b"secretariat", b"autre"]
    assert reply == from_
    assert to == [
        [None, None, b"equipe", None],
        [None, None, b"marie", b"a.test"],
        [None, None, b"zoe", b"a.test"],
        [None, None, None, None],
    ]
    assert (cc, bcc, irt) == (None, None, None)
    structure = message["BODYSTRUCTURE"]
    assert [part[0] if isinstance(part, list) else part for part in structure[:4]] == [
        b"text",
        b"message",
        b"application",
        b"mixed",
    ]
    assert structure[4] == [b"boundary", b"foo bar"]
    assert structure[1][7][1] == b"interne"
    assert structure[2][8] == [b"attachment", [b"filename", b"a.pdf"]]
    assert message["BODY"][3] == b"mixed"
    assert len(message["BODY"]) == 4


SECTIONS = {
    "": MULTIPART,
    "TEXT": MULTIPART.partition(b"\r\n\r\n")[2],
    "HEADER": MULTIPART.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    "1": b"H=E9moglobine",
    "1.MIME": b"Content-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n",
    "2.MIME": b"Content-Type: message/rfc822\r\n\r\n",
    "2.HEADER": b"Subject: interne\r\nFrom: x@y.test\r\n"
    b"Content-Type: multipart/alternative; boundary=sub\r\n\r\n",
    "2.HEADER.FIELDS (SUBJECT)": b"Subject: interne\r\n\r\n",
    "2.HEADER.FIELDS.NOT (SUBJECT FROM)": b"Content-Type: multipart/alternative; boundary=sub\r\n\r\n",
    "2.1": b"<p>un</p>",
    "2.1.MIME": b"Content-Type: text/html\r\n\r\n",
    "2.2": b"deux",
    "3": b"JVBERg==",
    "4": None,
    "2.3": None,
    "1.HEADER": None,
    "1.1": None,
}


async def test_sections(house: ImapHouse) -> None:
    await fill(house, MULTIPART)
    client = await house.selected()
    for section, expected in SECTIONS.items():
        found = (await client.ok(f"FETCH 1 BODY.PEEK[{section}]")).fetched()[1]
        assert found == {f"BODY[{section}]": expected}, section
        if expected is None:
            continue
        for start, count in [(0, 5), (3, 1000), (len(expected), 1), (len(expected) + 5, 9), (0, 2**32 - 1)]:
            found = (await client.ok(f"FETCH 1 BODY.PEEK[{section}]<{start}.{count}>")).fetched()[1]
            assert found == {f"BODY[{section}]<{start}>": expected[start : start + count]}
    everything = " ".join(f"BODY.PEEK[{section}]" for section in SECTIONS)
    found = (await client.ok(f"FETCH 1 ({everything})")).fetched()[1]
    assert found == {f"BODY[{section}]": expected for section, expected in SECTIONS.items()}


async def test_the_old_names_of_sections(house: ImapHouse) -> None:
    await fill(house, MULTIPART)
    client = await house.selected()
    header, text = SECTIONS["HEADER"], SECTIONS["TEXT"]
    assert (await client.ok("FETCH 1 RFC822.HEADER")).fetched()[1] == {"RFC822.HEADER": header}
    assert (await client.ok("FETCH 1 RFC822.TEXT")).fetched()[1]["RFC822.TEXT"] == text
    assert (await client.ok("FETCH 1 RFC822")).fetched()[1]["RFC822"] == MULTIPART


async def test_reading_a_body_marks_it_seen_and_says_so_with_it(inbox: ImapClient) -> None:
    for number, item in [(1, "BODY[]"), (2, "RFC822"), (3, "BODY[TEXT]<0.1>"), (4, "RFC822.TEXT")]:
        answer = await inbox.ok(f"FETCH {number} {item}")
        assert len(answer.named("FETCH")) == 1
        assert flags(answer, number) == {r"\Seen"}
        assert "FLAGS" not in (await inbox.ok(f"FETCH {number} {item}")).fetched()[number]  # seen already
    for item in ("BODY.PEEK[]", "RFC822.HEADER", "ENVELOPE", "BODY", "BODYSTRUCTURE", "BODY.PEEK[HEADER]"):
        assert flags(await inbox.ok(f"FETCH 5 (FLAGS {item})"), 5) == set()
    assert (await inbox.ok("SEARCH UNSEEN")).numbers() == [5]


async def test_header_fields_come_as_they_are(house: ImapHouse) -> None:
    await fill(house, b"Subject: a\r\n\tb\r\nX-A: 1\r\nx-a:2\r\nTo: x\r\n\r\nbody")
    client = await house.selected()

    async def fields(section: str) -> bytes:
        ((_, octets),) = (await client.ok(f"FETCH 1 BODY.PEEK[{section}")).fetched()[1].items()
        assert isinstance(octets, bytes)
        return octets

    assert await fields("HEADER.FIELDS (x-A subject)]") == b"Subject: a\r\n\tb\r\nX-A: 1\r\nx-a:2\r\n\r\n"
    assert await fields("HEADER.FIELDS.NOT (X-A subject)]") == b"To: x\r\n\r\n"
    assert await fields("HEADER.FIELDS (nothing)]") == b"\r\n"
    assert await fields('HEADER.FIELDS ("Subject")]<0.3>') == b"Sub"


async def test_sequence_sets(inbox: ImapClient) -> None:
    async def numbers(text: str) -> list[int]:
        return list((await inbox.ok(f"FETCH {text} UID")).fetched())

    assert await numbers("1:3") == await numbers("3:1") == [1, 2, 3]
    assert await numbers("1,*") == [1, 5]
    assert await numbers("*:4") == await numbers("4:*") == await numbers("5,4") == [4, 5]
    assert await numbers("2,2,1:2") == [1, 2]
    for text in ("0", "6", "1:6", "6:*", "1,,2", ":", "-1", "4294967296", "1:", "*:*:*"):
        assert (await inbox.ask(f"FETCH {text} UID")).status == "BAD", text
    assert list((await inbox.ok("UID FETCH 9:* UID")).fetched()) == [5]
    assert (await inbox.ok("UID FETCH 6:9 UID")).lines == []


# STORE


async def test_store_adds_removes_and_replaces(inbox: ImapClient) -> None:
    assert flags(await inbox.ok("STORE 1 FLAGS (\\Seen \\Draft)"), 1) == {r"\Seen", r"\Draft"}
    assert flags(await inbox.ok("STORE 1 +FLAGS (\\seen \\FLAGGED)"), 1) == {r"\Seen", r"\Draft", r"\Flagged"}
    assert flags(await inbox.ok("STORE 1 -FLAGS \\Seen \\Answered"), 1) == {r"\Draft", r"\Flagged"}
    assert flags(await inbox.ok("STORE 1 FLAGS ()"), 1) == set()
    assert (await inbox.ok("STORE 1:5 +FLAGS.SILENT (\\Answered)")).named("FETCH") == []
    answer = await inbox.ok("UID STORE 2:3 FLAGS (\\Flagged)")
    assert {number: item["UID"] for number, item in answer.fetched().items()} == {2: "2", 3: "3"}
    assert (await inbox.ask("STORE 1 +FLAGS (\\Recent)")).status == "BAD"
    assert (await inbox.ask("STORE 1 +FLAGS (\\Unknown)")).status == "BAD"
    assert (await inbox.ask("STORE 6 +FLAGS (\\Seen)")).status == "BAD"
    assert (await inbox.ok("UID STORE 6 +FLAGS (\\Seen)")).lines == []


async def test_keywords(inbox: ImapClient) -> None:
    answer = await inbox.ok("STORE 1 +FLAGS ($label1 dossier)")
    assert flags(answer, 1) == {"$label1", "dossier"}
    told = answer.lines.index(answer.one("FLAGS"))
    assert {"$label1", "dossier"} <= {str(flag) for flag in answer.lines[told].values[0]}
    assert told < answer.lines.index(answer.one("FETCH")), "RFC 3501 §7.2.6: FLAGS first"
    assert flags(await inbox.ok("STORE 1 +FLAGS (DOSSIER)"), 1) == {
        "$label1",
        "dossier",
    }  # one whatever its case
    assert (await inbox.ok("SEARCH KEYWORD Dossier")).numbers() == [1]
    assert (await inbox.ok("SEARCH UNKEYWORD $LABEL1")).numbers() == [2, 3, 4, 5]
    assert (await inbox.ok("SEARCH KEYWORD unheard")).numbers() == []
    assert flags(await inbox.ok("STORE 1 -FLAGS (unheard $label1)"), 1) == {"dossier"}
    again = await inbox.ok("SELECT Trash")
    assert "dossier" in {str(flag) for flag in again.one("FLAGS").values[0]}


async def test_so_many_keywords_and_no_more(inbox: ImapClient) -> None:
    await inbox.ok(f"STORE 1 +FLAGS ({' '.join(f'k{n}' for n in range(54))})")
    answer = await inbox.ask("STORE 1 +FLAGS (one-more)")
    assert (answer.status, answer.code) == ("NO", "LIMIT")
    codes = (await inbox.ok("SELECT INBOX")).codes()
    assert r"\*" not in codes["PERMANENTFLAGS"]
    assert len(flags(await inbox.ok("FETCH 1 FLAGS"), 1)) == 54
    assert (await inbox.ask(f"STORE 1 +FLAGS ({'k' * 200})")).code == "LIMIT"


# SEARCH


async def search(client: ImapClient, query: str, *literals: bytes) -> list[int]:
    return (await client.ok("SEARCH " + query, *literals)).numbers()


async def test_search_flags_and_sets(inbox: ImapClient) -> None:
    await inbox.ok("STORE 1 FLAGS (\\Answered \\Seen)")
    await inbox.ok("STORE 2 FLAGS (\\Deleted \\Flagged)")
    await inbox.ok("STORE 3 FLAGS (\\Draft)")
    for query, expected in {
        "ALL": [1, 2, 3, 4, 5],
        "ANSWERED": [1],
        "UNANSWERED": [2, 3, 4, 5],
        "DELETED": [2],
        "UNDELETED UNSEEN": [3, 4, 5],
        "FLAGGED": [2],
        "DRAFT": [3],
        "NEW": [2, 3, 4, 5],
        "OLD": [],
        "RECENT": [1, 2, 3, 4, 5],
        "NOT SEEN": [2, 3, 4, 5],
        "OR SEEN DRAFT": [1, 3],
        "OR (SEEN ANSWERED) NOT (UNDRAFT)": [1, 3],
        "2:4 UNDELETED": [3, 4],
        "*": [5],
        "7:*": [5],
        "UID 4:9": [4, 5],
        "NOT 1,5": [2, 3, 4],
    }.items():
        assert await search(inbox, query) == expected, query


async def test_search_header_and_text(house: ImapHouse) -> None:
    await fill(
        house, letter(1), MULTIPART, letter(3, body="Le patient a de la fi\xe8vre\r\n"), b"\r\nno header"
    )
    client = await house.selected()
    for query, expected in {
        "FROM andr\xe9": [1, 2, 3],
        "FROM ANDR\xc9": [1, 2, 3],
        "FROM L\xe9v\xeaque": [2],
        "FROM b.test": [1, 2, 3],
        "FROM zoe": [],
        "TO zoe@a.test": [2],
        "TO equipe": [2],
        "CC x": [],
        "SUBJECT d\xe9taill\xe9": [2],
        "SUBJECT s3": [3],
        "HEADER Message-ID <m@b.test>": [2],
        "HEADER Subject {}": [1, 2, 3],
        "HEADER X-None {}": [],
        "BODY h\xe9moglobine": [2],
        "BODY H\xc9MOGLOBINE": [2],
        "BODY fi\xe8vre": [3],
        "BODY interne": [2],
        "BODY dr.andre1": [],
        "TEXT bonjour": [1],
        "TEXT secretariat": [2],
        "TEXT JVBERg": [],  # what is attached is no text
        "BODY header": [4],
        "NOT TEXT e": [],
    }.items():
        key, _, needle = query.rpartition(" ")
        octets = b"" if needle == "{}" else needle.encode()
        assert await search(client, f"CHARSET UTF-8 {key} \n", octets) == expected, query
        latin = b"" if needle == "{}" else needle.encode("latin-1")
        assert await search(client, f"CHARSET ISO-8859-1 {key} \n", latin) == expected, query


async def test_search_charsets(inbox: ImapClient) -> None:
    answer = await inbox.ask("SEARCH CHARSET KOI8-X TEXT x")
    assert answer.status == "NO"
    assert (answer.code or "").startswith("BADCHARSET (UTF-8")
    assert (await inbox.ask("SEARCH CHARSET UTF-8 TEXT \n", b"\xff\xfe")).status == "BAD"
    assert await search(inbox, "CHARSET UTF-16 SUBJECT \n", "s2".encode("utf-16")) == [2]


async def test_search_dates_and_sizes(house: ImapHouse) -> None:
    paris = datetime.fromisoformat
    await fill(house, letter(1), when=paris("2026-03-28T23:30:00+01:00"))
    await fill(house, letter(2, body="x" * 5000), when=paris("2026-03-29T00:30:00+01:00"))
    await fill(house, letter(3), when=datetime(2026, 3, 30, tzinfo=UTC))
    client = await house.selected()
    for query, expected in {
        "ON 28-Mar-2026": [1],
        "ON 29-Mar-2026": [2],  # in the zone it was given: RFC 3501 disregards zones
        "BEFORE 29-Mar-2026": [1],
        "SINCE 29-Mar-2026": [2, 3],
        "SENTON 2-Jan-2026": [1],
        "SENTBEFORE 4-Jan-2026": [1, 2],
        'SENTSINCE "4-Jan-2026"': [3],
        "LARGER 4000": [2],
        "SMALLER 4000": [1, 3],
        f"LARGER {len(letter(1))}": [2],
        "OLDER 1": [1, 2, 3],
        "YOUNGER 1": [],
    }.items():
        assert await search(client, query) == expected, query


async def test_search_answers_in_the_numbers_that_are_asked_for(inbox: ImapClient) -> None:
    await inbox.ok("STORE 2 +FLAGS (\\Deleted)")
    await inbox.ok("EXPUNGE")
    assert await search(inbox, "ALL") == [1, 2, 3, 4]
    assert (await inbox.ok("UID SEARCH ALL")).numbers() == [1, 3, 4, 5]
    assert await search(inbox, "UID 3") == [2]
    esearch = await inbox.ok("UID SEARCH RETURN (MIN MAX COUNT ALL) NOT 1")
    assert [str(value) for value in esearch.one("ESEARCH").values[1:]] == [
        "UID", "MIN", "3", "MAX", "5", "ALL", "3:5", "COUNT", "3",
    ]  # fmt: skip


# COPY, MOVE, EXPUNGE


async def test_copy_keeps_flags_and_dates(house: ImapHouse) -> None:
    when = datetime.fromisoformat("2025-12-24T20:00:00+01:00")
    await fill(house, letter(1), letter(2), when=when)
    client = await house.selected()
    await client.ok("STORE 2 +FLAGS (\\Flagged dossier)")
    await client.ok("CREATE x")
    answer = await client.ok("COPY 1:2 x")
    status = (await client.ok("STATUS x (UIDVALIDITY)")).one("STATUS").items()
    assert answer.code == f"COPYUID {status['UIDVALIDITY']} 1:2 1:2"
    assert (await client.ok("UID COPY 2 x")).code == f"COPYUID {status['UIDVALIDITY']} 2 3"
    selected = await client.ok("SELECT x")
    assert selected.one("RECENT").number == 3  # RFC 3501 §6.4.7
    copies = (await client.ok("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])")).fetched()
    assert [copies[n]["BODY[]"] for n in (1, 2, 3)] == [letter(1), letter(2), letter(2)]
    assert copies[1]["INTERNALDATE"] == b"24-Dec-2025 20:00:00 +0100"
    assert {r"\Flagged", "dossier"} <= set(copies[3]["FLAGS"])
    await client.ok("UID COPY 9 x")
    missing = await client.ask("COPY 1 nowhere")
    assert (missing.status, missing.code) == ("NO", "TRYCREATE")
    assert (await client.ok("COPY 1 x")).one("EXISTS").number == 4


async def test_move(inbox: ImapClient) -> None:
    answer = await inbox.ok("MOVE 2:3 Trash")
    assert [line.name for line in answer.lines] == ["OK", "EXPUNGE", "EXPUNGE"]  # RFC 6851 §4.3
    assert (answer.lines[0].code or "").split()[2:] == ["2:3", "1:2"]
    assert [line.number for line in answer.named("EXPUNGE")] == [2, 2]
    assert (await inbox.ask("UID MOVE 5 nowhere")).code == "TRYCREATE"
    assert (await inbox.ok("UID SEARCH ALL")).numbers() == [1, 4, 5]
    same = await inbox.ok("UID MOVE 1 INBOX")
    assert [line.name for line in same.lines] == ["OK", "EXPUNGE", "EXISTS", "RECENT"]
    assert (await inbox.ok("UID SEARCH ALL")).numbers() == [4, 5, 6]
    await inbox.ok("UID MOVE 99 Trash")


async def test_expunge_and_uid_expunge(inbox: ImapClient) -> None:
    await inbox.ok("STORE 1,3,5 +FLAGS (\\Deleted)")
    answer = await inbox.ok("UID EXPUNGE 1:3")  # RFC 4315 §2.1: of these, those marked
    assert [line.number for line in answer.named("EXPUNGE")] == [1, 2]
    assert (await inbox.ok("UID SEARCH ALL")).numbers() == [2, 4, 5]
    answer = await inbox.ok("EXPUNGE")
    assert [line.number for line in answer.named("EXPUNGE")] == [3]
    assert (await inbox.ok("EXPUNGE")).lines == []
    assert (await inbox.ok("STATUS INBOX (UIDNEXT MESSAGES)")).one("STATUS").items() == {
        "UIDNEXT": "6",
        "MESSAGES": "2",
    }


# APPEND


async def test_append(house: ImapHouse) -> None:
    client = await house.selected()
    answer = await client.ok('APPEND INBOX (\\Seen dossier) "24-Dec-2025 20:00:00 +0100" \n', letter(1))
    assert (answer.code or "").split()[0::2] == ["APPENDUID", "1"]
    assert answer.one("EXISTS").number == 1
    message = (await client.ok("FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])")).fetched()[1]
    assert {r"\Seen", "dossier"} <= set(message["FLAGS"])
    assert message["INTERNALDATE"] == b"24-Dec-2025 20:00:00 +0100"
    assert message["BODY[]"] == letter(1)
    await client.ok('APPEND INBOX () " 1-Jan-2026 00:00:00 -0330" \n', letter(2))
    assert (await client.ok("FETCH 2 INTERNALDATE")).fetched()[2]["INTERNALDATE"] == (
        b" 1-Jan-2026 00:00:00 -0330"
    )


async def test_append_with_literal_plus_and_several_at_once(house: ImapHouse) -> None:
    client = await house.login()
    one, two = letter(1), letter(2, body="x" * 200_000 + "\r\n")
    pieces = [b"a APPEND Sent (\\Seen) {%d+}\r\n" % len(one), one, b" (\\Draft) {%d+}\r\n" % len(two), two]
    await client.send(b"".join(pieces) + b"\r\nb NOOP\r\n")
    answer = await client.answer("a")
    assert (answer.status, (answer.code or "").split()[2]) == ("OK", "1:2")
    assert (await client.answer("b")).status == "OK"
    await client.ok("SELECT Sent")
    bodies = (await client.ok("FETCH 1:2 (FLAGS BODY.PEEK[])")).fetched()
    assert [bodies[n]["BODY[]"] for n in (1, 2)] == [one, two]
    assert r"\Draft" in bodies[2]["FLAGS"]


async def test_an_append_that_is_refused_costs_nothing_and_the_next_command_is_heard(
    house: ImapHouse,
) -> None:
    client = await house.login()
    content = letter(1)
    for form in (b"{%d}", b"{%d+}"):
        announced = form % len(content)
        await client.send(b"a APPEND nowhere " + announced + b"\r\n")
        if b"+" in form:
            await client.send(content + b"\r\n")
        answer = await client.answer("a")
        assert (answer.status, answer.code) == ("NO", "TRYCREATE")
        await client.ok("NOOP")
    for command in (
        b"APPEND INBOX",
        b"APPEND INBOX (",
        b'APPEND INBOX "x"',
        b'APPEND INBOX "32-Jan-2026 00:00:00 +0000" {1}',
        b"APPEND INBOX (\\Recent) {1}",
    ):
        assert (await client.ask(command)).status == "BAD", command
    assert (await client.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "0"}


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\n\nbody\n",
        b"Subject: x\r\n\r\na\rb",
        b"Subject: x\r\n\r\nbody\r",
        b"a\0b\r\n",
        b"\n",
        b"\r",
    ],
)
async def test_only_canonical_lines_are_kept(house: ImapHouse, content: bytes) -> None:
    """I7, S4: what two readers would take for different lines is not kept, whole or in pieces."""
    client = await house.login()
    answer = await client.ask("APPEND INBOX \n", content)
    assert (answer.status, answer.code) == ("NO", "CANNOT")
    await client.send(b"p APPEND INBOX {%d+}\r\n" % len(content))
    for at in range(len(content)):
        await client.send(content[at : at + 1])
    await client.send(b"\r\n")
    assert (await client.answer("p")).status == "NO"
    assert (await client.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "0"}


async def test_an_empty_message_cancels_the_append(house: ImapHouse) -> None:
    """RFC 3502 §6.3.11: a zero-length message literal MUST return a NO."""
    client = await house.login()
    assert (await client.ask("APPEND INBOX \n", b"")).status == "NO"
    await client.send(b"a APPEND INBOX {1+}\r\nx (\\Seen) {0+}\r\n\r\n")
    assert (await client.answer("a")).status == "NO"
    assert (await client.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "0"}


async def test_a_message_of_next_to_nothing_is_a_message(house: ImapHouse) -> None:
    client = await house.selected()
    for content in (b"x", b"\r\n", b"\r\n\r\n", b"Subject: only a header"):
        await client.ok("APPEND INBOX \n", content)
    items = "RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT]"
    for message in (await client.ok(f"FETCH 1:4 ({items})")).fetched().values():
        assert message["BODY[HEADER]"] + message["BODY[TEXT]"] == message["BODY[]"]
        assert int(message["RFC822.SIZE"]) == len(message["BODY[]"])


# Commands in a state that has none


async def test_commands_are_heard_in_their_state_only(house: ImapHouse) -> None:
    before, after = await house.connect(), await house.login()
    for command in (
        "SELECT INBOX", "EXAMINE INBOX", "CREATE x", "DELETE x", "RENAME x y", "SUBSCRIBE x", "UNSUBSCRIBE x",
        'LIST "" *', 'LSUB "" *', "STATUS INBOX (MESSAGES)", "NAMESPACE", "IDLE", 'GETQUOTA ""', "ENABLE X",
    ):  # fmt: skip
        assert (await before.ask(command)).status == "BAD", command
    for command in (
        "CHECK", "CLOSE", "UNSELECT", "EXPUNGE", "UID EXPUNGE 1", "SEARCH ALL", "FETCH 1 FLAGS",
        "STORE 1 FLAGS ()", "COPY 1 x", "MOVE 1 x", "UID FETCH 1 FLAGS",
    ):  # fmt: skip
        assert (await after.ask(command)).status == "BAD", command
        if command == "FETCH 1 FLAGS":
            await after.ok("NOOP")
    assert house.told(Crashed) == []


async def test_enable_names_what_it_enabled(house: ImapHouse) -> None:
    client = await house.login()
    assert (await client.ok("ENABLE X-UNKNOWN")).one("ENABLED").values == []
