"""Each command of the grammar, as clients write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mssante.flags import FlagList
from mssante.imap.grammar import commands
from mssante.imap.grammar.commands import Command, Request, StoreMode
from mssante.imap.grammar.events import AppendStart, Rejected
from mssante.imap.grammar.fetch import Attribute, FetchItems
from mssante.imap.grammar.listing import ListExtended, ListReturn, Selection, StatusItem
from mssante.imap.grammar.responses import ResponseStatus
from mssante.imap.grammar.sets import SequenceSet
from mssante.model import Flag, Secret, SpecialUse
from tests.unit.imap.spoken import events, logged_in, only, refused


def command(line: str) -> Command:
    event = only(logged_in(), b"t " + line.encode() + b"\r\n")
    assert isinstance(event, Request), event
    assert event.tag == "t"
    return event.command


def no(line: str) -> Rejected:
    event = refused(only(logged_in(), b"t " + line.encode() + b"\r\n"))
    assert isinstance(event, Rejected)
    assert event.tag == "t"
    return event


SIMPLE = {
    "capability": commands.Capability(),
    "NOOP": commands.Noop(),
    "Noop ": commands.Noop(),
    "logout": commands.Logout(),
    "StartTLS": commands.StartTls(),
    "namespace": commands.Namespace(),
    "idle": commands.Idle(),
    "check": commands.Check(),
    "close": commands.Close(),
    "unselect": commands.Unselect(),
    "expunge": commands.Expunge(None),
    "uid expunge 3:5": commands.Expunge(SequenceSet(((3, 5),))),
    'ID ("name" "Thunderbird" "version" NIL)': commands.Id((("name", "Thunderbird"), ("version", None))),
    "ID NIL": commands.Id(()),
    "ID ()": commands.Id(()),
    "enable condstore QRESYNC": commands.Enable(("CONDSTORE", "QRESYNC")),
    'login marie "secr\\"et"': commands.Login("marie", Secret('secr"et')),
    'login "marie" "sécrèt"': commands.Login("marie", Secret("sécrèt")),
    "authenticate PLAIN": commands.Authenticate("PLAIN", None),
    "authenticate plain AGEAYg==": commands.Authenticate("PLAIN", b"\0a\0b"),
    "authenticate external =": commands.Authenticate("EXTERNAL", b""),
    "select inbox": commands.Select("INBOX", read_only=False),
    'examine "Projet &AOk-&-"': commands.Select("Projet é&", read_only=True),
    "create a/b/": commands.Create("a/b", None),
    "create Work (USE (\\Archive))": commands.Create("Work", SpecialUse.ARCHIVE),
    "delete x": commands.Delete("x"),
    "rename InBox old": commands.Rename("INBOX", "old"),
    "subscribe x": commands.Subscribe("x", on=True),
    "unsubscribe x": commands.Subscribe("x", on=False),
    'lsub "" "*"': commands.Lsub("", "*"),
    'getquota ""': commands.GetQuota(""),
    "getquotaroot INBOX": commands.GetQuotaRoot("INBOX"),
    "copy 1,3:2 Sent": commands.Copy(SequenceSet(((1, 3),)), "Sent", uid=False, move=False),
    "uid move 7:* Trash": commands.Copy(SequenceSet((), 7), "Trash", uid=True, move=True),
    "select NIL": commands.Select("NIL", read_only=False),
    "status X (UIDNEXT MESSAGES UNSEEN RECENT)": commands.Status(
        "X", (StatusItem.UIDNEXT, StatusItem.MESSAGES, StatusItem.UNSEEN, StatusItem.RECENT)
    ),
}


@pytest.mark.parametrize("line", SIMPLE)
def test_a_command_is_read_as_its_value(line: str) -> None:
    assert command(line) == SIMPLE[line]


MALFORMED = [
    "",
    "FOO",
    "UID",
    "UID FOO",
    "UID NOOP",
    "NOOP x",
    "SELECT",
    "SELECT  x",
    "SELECT x y",
    'SELECT "x',
    'SELECT "x"y',
    'SELECT "\\x"',
    "SELECT a(b",
    "SELECT é",
    "LOGIN a",
    "LOGIN a b c",
    "ID (name Thunderbird)",
    'ID ("a")',
    "ENABLE",
    "CREATE x (USE \\Sent)",
    "STATUS x",
    "STATUS x ()",
    "STATUS x (FOO)",
    "STATUS x (MESSAGES",
    "APPEND x",
    'APPEND x "y"',
    "FETCH",
    "FETCH 1",
    "FETCH 0 FLAGS",
    "FETCH 1: FLAGS",
    "FETCH 1,,2 FLAGS",
    "FETCH 01x FLAGS",
    "FETCH 4294967296 FLAGS",
    "FETCH 1 ()",
    "FETCH 1 (FLAGS",
    "FETCH 1 (ALL)",
    "FETCH 1 FLAGS UID",
    "FETCH 1 BODY[",
    "FETCH 1 BODY[MIME]",
    "FETCH 1 BODY[0]",
    "FETCH 1 BODY[1.]",
    "FETCH 1 BODY[HEADER.FIELDS]",
    "FETCH 1 BODY[HEADER.FIELDS ()]",
    'FETCH 1 BODY[HEADER.FIELDS ("a b")]',
    "FETCH 1 BODY[]<0.0>",
    "FETCH 1 BODY[]<0.>",
    "STORE 1 FLAGS",
    "STORE 1 FLAGS ()x",
    "STORE 1 *FLAGS ()",
    "STORE 1 FLAGS (\\Recent)",
    "STORE 1 FLAGS (\\*)",
    "STORE 1 FLAGS (\\Foo)",
    "STORE 1 FLAGS.QUIET ()",
    "COPY 1",
    "COPY x y",
    "SEARCH",
    "SEARCH FOO",
    "SEARCH ()",
    "SEARCH NOT",
    "SEARCH OR ALL",
    "SEARCH (ALL",
    "SEARCH ALL)",
    "SEARCH BEFORE 31-Feb-2024",
    "SEARCH BEFORE 1-Foo-2024",
    "SEARCH BEFORE 2024-01-01",
    "SEARCH LARGER x",
    "SEARCH CHARSET UTF-8",
    "SEARCH RETURN (FOO) ALL",
    "SEARCH YOUNGER 0",
    'LIST "" ',
    'LIST (FOO) "" "*"',
    'LIST (RECURSIVEMATCH) "" "*"',
    'LIST (RECURSIVEMATCH REMOTE) "" "*"',
    'LIST "" "*" RETURN (FOO)',
    'LIST "" "*" RETURN STATUS (MESSAGES)',
    'LIST "" ()',
    "AUTHENTICATE",
    "AUTHENTICATE PLAIN a b",
]


@pytest.mark.parametrize("line", MALFORMED)
def test_what_the_grammar_does_not_know_is_bad(line: str) -> None:
    assert no(line).status is ResponseStatus.BAD


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("SEARCH CHARSET KOI8-R TEXT x", "BADCHARSET"),
        ("CREATE x (USE (\\Flagged))", "USEATTR"),
        ("CREATE x (USE (\\Sent \\Trash))", "USEATTR"),
        ("CREATE " + "x" * 600, "CANNOT"),
        ("CREATE a//b", "CANNOT"),
        ("CREATE /a", "CANNOT"),
        ('CREATE ""', "CANNOT"),
        ('CREATE "&AAA-"', "CANNOT"),
        ('CREATE "&AAoADQ-"', "CANNOT"),
        ("RENAME a b//c", "CANNOT"),
        ('LIST "" (' + " ".join("a" * 1 for _ in range(21)) + ")", "LIMIT"),
        ("FETCH 1 BODY[HEADER.FIELDS (" + " ".join(f"x{at}" for at in range(101)) + ")]", "LIMIT"),
        ("STORE 1 FLAGS (" + " ".join(f"k{at}" for at in range(55)) + ")", "LIMIT"),
        ("STORE 1 FLAGS (" + "k" * 129 + ")", "LIMIT"),
    ],
)
def test_what_is_understood_and_not_done_is_no_with_its_code(line: str, code: str) -> None:
    answer = no(line)
    assert answer.status is ResponseStatus.NO
    assert answer.code is not None
    assert answer.code.startswith(code)


@pytest.mark.parametrize(
    "octets", [b"a\r\n", b"+ NOOP\r\n", b'" NOOP\r\n', b"* NOOP\r\n", b" NOOP\r\n", b"\r\n"]
)
def test_without_a_tag_the_answer_is_untagged(octets: bytes) -> None:
    answer = refused(only(logged_in(), octets))
    assert isinstance(answer, Rejected)
    assert (answer.tag, answer.status) == (None, ResponseStatus.BAD)


def test_secrets_are_not_shown() -> None:
    login = command("login marie hunter2")
    authenticate = command("authenticate plain AGEAaHVudGVyMg==")
    assert "hunter2" not in repr(login)
    assert "hunter2" not in repr(authenticate)
    assert "hunter2" not in str(Request("a", login))


def test_list_as_thunderbird_writes_it() -> None:
    expected = ListExtended(
        "", ("*",), frozenset({Selection.SUBSCRIBED}), frozenset({ListReturn.SPECIAL_USE})
    )
    assert command('list (subscribed) "" "*" return (special-use)') == commands.List(expected)


def test_list_with_all_its_options() -> None:
    line = 'LIST (SUBSCRIBED RECURSIVEMATCH) "a/" ("%" b* {1+}\r\nc) RETURN (CHILDREN STATUS (UNSEEN SIZE))'
    expected = ListExtended(
        "a/",
        ("%", "b*", "c"),
        frozenset({Selection.SUBSCRIBED, Selection.RECURSIVEMATCH}),
        frozenset({ListReturn.CHILDREN}),
        (StatusItem.UNSEEN, StatusItem.SIZE),
    )
    assert command(line) == commands.List(expected)
    assert command('LIST () "" "" RETURN ()') == commands.List(ListExtended("", ("",)))


def test_store_as_clients_write_it() -> None:
    seen_and_labels = FlagList(Flag.SEEN.value, ("$label1", "dossier"))
    line = "uid store 5 +Flags (\\seen $label1 dossier $LABEL1)"
    assert command(line) == commands.Store(
        SequenceSet(((5, 5),)), StoreMode.ADD, silent=False, flags=seen_and_labels, uid=True
    )
    assert command("store 1:2 -FLAGS.SILENT \\Deleted x") == commands.Store(
        SequenceSet(((1, 2),)), StoreMode.REMOVE, silent=True,
        flags=FlagList(Flag.DELETED.value, ("x",)), uid=False,
    )  # fmt: skip
    assert command("store * flags ()") == commands.Store(
        SequenceSet((), 0xFFFFFFFF), StoreMode.REPLACE, silent=False, flags=FlagList(), uid=False
    )


def test_uid_fetch_always_answers_the_uid() -> None:
    assert command("uid fetch 1:* (FLAGS)") == commands.Fetch(
        SequenceSet((), 1), FetchItems.of(Attribute.UID, Attribute.FLAGS), uid=True
    )


def test_append_with_a_date() -> None:
    line = b'a APPEND "Sent" (\\Seen $x) " 1-May-2024 10:02:03 -0130" {0+}\r\n\r\n'
    start = events(logged_in(), [line])[0]
    assert isinstance(start, AppendStart)
    assert start.flags == FlagList(Flag.SEEN.value, ("$x",))
    zone = timezone(-timedelta(hours=1, minutes=30))
    assert start.date == datetime(2024, 5, 1, 10, 2, 3, tzinfo=zone)
    assert start.date.astimezone(UTC).hour == 11


@pytest.mark.parametrize(
    "options",
    [
        b"x", b"(", b"(\\Recent)", b'"1-May-2024"', b'"31-Feb-2024 00:00:00 +0000"',
        b'"01-May-2024 25:00:00 +0000"', b'"01-May-2024 00:00:00 +9999"', b"()()",
    ],
)  # fmt: skip
def test_append_with_malformed_options_is_bad_and_read_past(options: bytes) -> None:
    told = events(logged_in(), [b"a APPEND Sent %b {5+}\r\n12345\r\nb NOOP\r\n" % options])
    assert isinstance(told[0], Rejected)
    assert (told[0].tag, told[0].status) == ("a", ResponseStatus.BAD)
    assert told[1:] == [Request("b", commands.Noop())]
