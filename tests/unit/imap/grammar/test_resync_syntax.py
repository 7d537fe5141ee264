"""What RFC 7162 and RFC 5182 add to the grammar, the state table and the responses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mssante.flags import FlagList, FlagNames
from mssante.imap.grammar import commands, responses, sets
from mssante.imap.grammar.commands import Command, Request, Resync, StoreMode
from mssante.imap.grammar.events import Rejected
from mssante.imap.grammar.fetch import Attribute, FetchItems
from mssante.imap.grammar.lexer import Cursor, Unacceptable
from mssante.imap.grammar.listing import ListExtended, StatusItem
from mssante.imap.grammar.need import Need
from mssante.imap.grammar.responses import ResponseStatus
from mssante.imap.grammar.search import All, And, Changed, Flagged, Not, Numbers, Or, Query, Result
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.rules.matching import Context, Known, judged, need_of, prepared
from mssante.imap.rules.state import EXTENSIONS, ProtocolState, State, enables_condstore, expunges_allowed
from tests.unit.imap.spoken import logged_in, only, refused

ONE = SequenceSet(((1, 1),))
SAVED = SequenceSet((), saved=True)
FLAGS = FetchItems.of(Attribute.FLAGS)


def command(line: str) -> Command:
    event = only(logged_in(), b"t " + line.encode() + b"\r\n")
    assert isinstance(event, Request), event
    return event.command


READ = {
    "select x (condstore)": commands.Select("x", False, condstore=True),
    "examine x (QRESYNC (67890007 20050715194045000 41,43:211,214:541))": commands.Select(
        "x", True, resync=Resync(67890007, 20050715194045000, SequenceSet(((41, 41), (43, 211), (214, 541))))
    ),
    "select x (qresync (1 2) CONDSTORE)": commands.Select("x", False, True, Resync(1, 2, None)),
    "select x (qresync (1 2 3 (1,2 3,9)))": commands.Select(
        "x", False, resync=Resync(1, 2, SequenceSet(((3, 3),)))
    ),
    "select x (qresync (1 2 (1 3)))": commands.Select("x", False, resync=Resync(1, 2, None)),
    "uid fetch 1 flags (changedsince 9 vanished)": commands.Fetch(
        ONE, FetchItems.of(Attribute.UID, Attribute.FLAGS, Attribute.MODSEQ), True, 9, vanished=True
    ),
    "fetch $ (FLAGS MODSEQ) (CHANGEDSINCE 9223372036854775807)": commands.Fetch(
        SAVED, FetchItems.of(Attribute.FLAGS, Attribute.MODSEQ), False, (1 << 63) - 1
    ),
    "uid store $ (unchangedsince 0) -flags.silent (x)": commands.Store(
        SAVED, StoreMode.REMOVE, True, FlagList(0, ("x",)), True, 0
    ),
    "copy $ Sent": commands.Copy(SAVED, "Sent", uid=False, move=False),
    "uid expunge $": commands.Expunge(SAVED),
    "search modseq 620162338": commands.Search(Query(Changed(620162338)), uid=False),
    'search MODSEQ "/flags/\\\\draft" all 7 $': commands.Search(
        Query(And((Changed(7), Numbers(SAVED, uid=False)))), uid=False
    ),
    "uid search return (save) uid $": commands.Search(
        Query(Numbers(SAVED, uid=True), frozenset({Result.SAVE})), uid=True
    ),
    "status x (highestmodseq)": commands.Status("x", (StatusItem.HIGHESTMODSEQ,)),
}


@pytest.mark.parametrize("line", READ)
def test_a_command_is_read_as_its_value(line: str) -> None:
    assert command(line) == READ[line]


@pytest.mark.parametrize(
    "line",
    [
        "SELECT x ()",
        "SELECT x (FOO)",
        "SELECT x (CONDSTORE CONDSTORE)",
        "SELECT x (QRESYNC)",
        "SELECT x (QRESYNC ())",
        "SELECT x (QRESYNC (1))",
        "SELECT x (QRESYNC (0 1))",
        "SELECT x (QRESYNC (1 9223372036854775808))",
        "SELECT x (QRESYNC (1 2 3:*))",
        "SELECT x (QRESYNC (1 2 $))",
        "SELECT x (QRESYNC (1 2 3 4))",
        "SELECT x (QRESYNC (1 2 3 (1)))",
        "SELECT x (QRESYNC (1 2 3 (1 *)))",
        "SELECT x (QRESYNC (1 2 (1 3) 4))",
        "FETCH 1 FLAGS (CHANGEDSINCE)",
        "FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1 FLAGS (VANISHED)",
        "UID FETCH 1 FLAGS (FOO)",
        "STORE 1 (UNCHANGEDSINCE) FLAGS ()",
        "STORE 1 (UNCHANGEDSINCE -1) FLAGS ()",
        "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS ()",
        "STORE 1 (CHANGEDSINCE 1) FLAGS ()",
        "FETCH $,1 FLAGS",
        "FETCH 1,$ FLAGS",
        "SEARCH MODSEQ",
        "SEARCH MODSEQ x",
        'SEARCH MODSEQ "/flags/\\\\draft" 7',
        'SEARCH MODSEQ "/flags/\\\\draft" some 7',
        'SEARCH MODSEQ "/comment" all 7',
    ],
)
def test_what_the_grammar_does_not_know_is_bad(line: str) -> None:
    refusal = refused(only(logged_in(), b"t " + line.encode() + b"\r\n"))
    assert isinstance(refusal, Rejected)
    assert refusal.status is ResponseStatus.BAD


def test_only_numbers_are_known() -> None:
    assert sets.parse_known(Cursor(b"1:3,7")) == SequenceSet(((1, 3), (7, 7)))
    with pytest.raises(Unacceptable):
        sets.parse_known(Cursor(b"1:*"))


# The state


def session(*extensions: str) -> ProtocolState:
    return ProtocolState(
        tls=True, state=State.SELECTED, extensions=extensions or (*EXTENSIONS, "CONDSTORE", "QRESYNC")
    )


def test_qresync_brings_condstore_with_it() -> None:
    talk = session()
    assert talk.enable(["FOO", "QRESYNC"]) == ("QRESYNC",)
    assert talk.tells_modseq
    assert talk.tells_vanished
    assert talk.enable(["CONDSTORE", "QRESYNC"]) == ()  # RFC 5161 §3.2: what this command enabled
    assert session().enable(["CONDSTORE", "QRESYNC"]) == ("CONDSTORE", "QRESYNC")
    assert session("IDLE").enable(["CONDSTORE"]) == ()


@pytest.mark.parametrize(
    "asked", [READ["select x (qresync (1 2) CONDSTORE)"], READ["uid fetch 1 flags (changedsince 9 vanished)"]]
)
def test_vanished_is_asked_for_after_enable_only(asked: Command) -> None:
    """RFC 7162 §3.2.3."""
    talk = session()
    refusal = talk.refusal("a", asked)
    assert refusal is not None
    assert refusal.status is ResponseStatus.BAD
    talk.enable(["QRESYNC"])
    assert talk.refusal("a", asked) is None


@pytest.mark.parametrize(
    "asked",
    [
        commands.Select("x", False, condstore=True),
        commands.Status("x", (StatusItem.HIGHESTMODSEQ,)),
        commands.List(ListExtended("", ("*",), status=(StatusItem.HIGHESTMODSEQ,))),
        commands.Fetch(ONE, FetchItems.of(Attribute.MODSEQ), False),
        commands.Search(Query(Not(Or(All(), Changed(1)))), False),
        commands.Store(ONE, StoreMode.ADD, True, FlagList(1), False, 0),
    ],
)
def test_what_names_a_mod_sequence_enables_them(asked: Command) -> None:
    """RFC 7162 §3.1; where they are not offered it is BAD."""
    assert enables_condstore(asked)
    assert session().refusal("a", asked) is None
    refusal = session("IDLE").refusal("a", asked)
    assert refusal is not None
    assert refusal.status is ResponseStatus.BAD


def test_what_names_none_does_not() -> None:
    for asked in (
        commands.Select("x", False),
        commands.Fetch(ONE, FLAGS, False),
        commands.Search(Query(All()), False),
        commands.Store(ONE, StoreMode.ADD, True, FlagList(1), False),
        commands.Noop(),
    ):
        assert not enables_condstore(asked)


def test_a_uid_search_by_numbers_holds_expunges_back() -> None:
    """RFC 7162 §3.2.10.2."""
    by_numbers = And((All(), Not(Numbers(ONE, uid=False))))
    assert not expunges_allowed(commands.Search(Query(by_numbers), uid=True))
    assert expunges_allowed(commands.Search(Query(Numbers(ONE, uid=True)), uid=True))


# Matching


def test_a_mod_sequence_matches_from_its_value_on() -> None:
    context = Context(FlagNames(), 9, 90, datetime(2026, 1, 1, tzinfo=UTC), saved=(20, 30))
    modseqs = Known(context, modseqs={10: 6, 11: 7, 12: 8})
    changed = judged(prepared(Changed(7), context), frozenset(modseqs.modseqs), modseqs.judge)
    assert [uid in changed.sure for uid in (10, 11, 12)] == [False, True, True]
    for uid in (False, True):
        key = prepared(And((Numbers(SAVED, uid), Flagged(1, True))), context)
        known = Known(context, flags={10: 1, 20: 1, 40: 1}, sequences={10: 1, 20: 2, 40: 20})
        saved = judged(key, frozenset(known.flags), known.judge)
        assert [uid_ in saved.sure for uid_ in (10, 20, 40)] == [False, True, False]
    assert need_of(Changed(7)) is need_of(Numbers(SAVED, uid=True)) is Need.FLAGS


# Responses


def test_responses_as_the_grammar_has_them() -> None:
    assert responses.vanished([405, 407, 408]) == b"* VANISHED 405,407:408\r\n"
    assert responses.vanished([1], earlier=True) == b"* VANISHED (EARLIER) 1\r\n"
    assert responses.vanished([]) == b""
    assert responses.search([2, 5], modseq=917) == b"* SEARCH 2 5 (MODSEQ 917)\r\n"
    assert responses.search([], modseq=917) == b"* SEARCH\r\n"
    every = frozenset({Result.ALL, Result.COUNT, Result.SAVE})
    assert responses.esearch("a", [1, 2, 3, 5], every, uid=False, modseq=1236) == (
        b'* ESEARCH (TAG "a") ALL 1:3,5 COUNT 4 MODSEQ 1236\r\n'
    )
    assert responses.esearch("a", [], every, uid=False, modseq=1) == b'* ESEARCH (TAG "a") COUNT 0\r\n'
    assert responses.code_modified([7, 9]) == "MODIFIED 7,9"
    assert responses.code_highest_modseq(7) == "HIGHESTMODSEQ 7"
