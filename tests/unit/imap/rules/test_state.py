"""The state table (RFC 3501 §3), capabilities, and the small values around it."""

from __future__ import annotations

from typing import get_args

import pytest

from mssante.flags import RECENT, FlagList, FlagNames
from mssante.imap.grammar import commands, responses
from mssante.imap.grammar.commands import Command
from mssante.imap.grammar.events import AppendStart, Rejected
from mssante.imap.grammar.fetch import Attribute, FetchItems
from mssante.imap.grammar.flags import FlagWords
from mssante.imap.grammar.listing import StatusItem
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.grammar.search import All, Query, Result
from mssante.imap.grammar.sets import SequenceSet
from mssante.imap.rules.state import ALLOWED, ProtocolState, State, expunges_allowed
from mssante.model import Flag, Secret

ONE = SequenceSet(((1, 1),))
STORE = commands.Store(ONE, commands.StoreMode.ADD, silent=False, flags=FlagList(1), uid=False)
FETCH = commands.Fetch(ONE, FetchItems.of(Attribute.FLAGS), uid=False)


def session(state: State, *, tls: bool = True, read_only: bool = False) -> ProtocolState:
    return ProtocolState(tls=tls, state=state, read_only=read_only)


def test_every_command_has_its_place_in_the_table() -> None:
    assert set(ALLOWED) == {*get_args(Command), AppendStart}
    assert all(State.LOGOUT not in states for states in ALLOWED.values())


@pytest.mark.parametrize(
    ("command", "states"),
    [
        (commands.Noop(), {State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED}),
        (commands.Login("a", Secret("b")), {State.NOT_AUTHENTICATED}),
        (commands.Authenticate("PLAIN", None), {State.NOT_AUTHENTICATED}),
        (commands.Select("INBOX", read_only=False), {State.AUTHENTICATED, State.SELECTED}),
        (commands.Idle(), {State.AUTHENTICATED, State.SELECTED}),
        (AppendStart("a", "x", FlagList(), None, 1, 0), {State.AUTHENTICATED, State.SELECTED}),
        (FETCH, {State.SELECTED}),
        (STORE, {State.SELECTED}),
    ],
)
def test_a_command_out_of_its_state_is_bad(command: Command | AppendStart, states: set[State]) -> None:
    for state in State:
        refusal = session(state).refusal("a", command)
        assert (refusal is None) is (state in states)
        if refusal is not None:
            assert (refusal.tag, refusal.status) == ("a", ResponseStatus.BAD)


@pytest.mark.parametrize("command", [commands.Login("a", Secret("b")), commands.Authenticate("PLAIN", b"")])
def test_no_credential_is_taken_in_clear(command: Command) -> None:
    refusal = session(State.NOT_AUTHENTICATED, tls=False).refusal("a", command)
    assert refusal == Rejected(
        "a", ResponseStatus.NO, "TLS d'abord: STARTTLS / TLS first: STARTTLS", Code.PRIVACYREQUIRED
    )


def test_starttls_once() -> None:
    conversation = session(State.NOT_AUTHENTICATED, tls=False)
    assert conversation.refusal("a", commands.StartTls()) is None
    conversation.tls_started()
    refusal = conversation.refusal("a", commands.StartTls())
    assert refusal is not None
    assert refusal.status is ResponseStatus.BAD


def test_a_mechanism_not_on_offer_is_refused() -> None:
    refusal = session(State.NOT_AUTHENTICATED).refusal("a", commands.Authenticate("CRAM-MD5", None))
    assert refusal is not None
    assert refusal.status is ResponseStatus.NO


@pytest.mark.parametrize(
    "command", [STORE, commands.Expunge(None), commands.Copy(ONE, "x", uid=False, move=True)]
)
def test_a_folder_opened_read_only_is_not_changed(command: Command) -> None:
    refusal = session(State.SELECTED, read_only=True).refusal("a", command)
    assert refusal is not None
    assert refusal.status is ResponseStatus.NO
    assert session(State.SELECTED).refusal("a", command) is None
    copy = commands.Copy(ONE, "x", uid=False, move=False)
    assert session(State.SELECTED, read_only=True).refusal("a", copy) is None


def test_a_conversation_from_greeting_to_logout() -> None:
    conversation = ProtocolState(tls=False)
    assert "LOGINDISABLED" in conversation.capabilities()
    assert "STARTTLS" in conversation.capabilities()
    assert not any(name.startswith("AUTH=") for name in conversation.capabilities())
    conversation.tls_started()
    assert "AUTH=PLAIN" in conversation.capabilities()
    assert {"STARTTLS", "LOGINDISABLED", "IDLE"}.isdisjoint(conversation.capabilities())
    conversation.authenticated()
    assert {"IMAP4rev1", "SASL-IR", "IDLE", "UIDPLUS", "LITERAL+"} <= set(conversation.capabilities())
    assert "AUTH=PLAIN" not in conversation.capabilities()
    conversation.selected(read_only=True)
    assert conversation.read_only
    conversation.unselected()
    assert (conversation.state, conversation.read_only) == (State.AUTHENTICATED, False)
    conversation.logged_out()
    assert conversation.refusal("a", commands.Noop()) is not None


def test_nothing_incomplete_is_advertised() -> None:
    for state in State:
        names = session(state).capabilities()
        assert not {"COMPRESS=DEFLATE", "UTF8=ACCEPT", "XLIST", "UIDONLY", "CHUNKING"} & set(names)  # I16


def test_expunge_is_not_told_during_fetch_store_and_search_by_number() -> None:
    def search(*, uid: bool) -> Command:
        return commands.Search(Query(All()), uid)

    assert not expunges_allowed(FETCH)
    assert not expunges_allowed(STORE)
    assert not expunges_allowed(search(uid=False))
    assert expunges_allowed(search(uid=True))
    assert expunges_allowed(commands.Fetch(ONE, FetchItems.of(Attribute.UID), uid=True))
    assert expunges_allowed(commands.Noop())
    assert expunges_allowed(commands.Copy(ONE, "x", uid=False, move=False))


def test_responses_as_the_grammar_has_them() -> None:
    names = FlagWords(FlagNames(("$label1",)))
    assert responses.tagged("a1", ResponseStatus.OK, "Done", responses.code_append_uid(7, [3])) == (
        b"a1 OK [APPENDUID 7 3] Done\r\n"
    )
    assert responses.tagged(
        "a", ResponseStatus.OK, "x", responses.code_copy_uid(7, [1, 2, 4], [8, 9, 10])
    ) == (b"a OK [COPYUID 7 1:2,4 8:10] x\r\n")
    assert responses.flags(names) == rb"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $label1)" + b"\r\n"
    assert responses.code_permanent_flags(names, read_only=False).endswith(r"$label1 \*)")
    assert responses.code_permanent_flags(names, read_only=True) == "PERMANENTFLAGS ()"
    assert responses.status("é", {StatusItem.MESSAGES: 2, StatusItem.UIDNEXT: 3}) == (
        b'* STATUS "&AOk-" (MESSAGES 2 UIDNEXT 3)\r\n'
    )
    assert responses.search([]) == b"* SEARCH\r\n"
    assert responses.search([2, 84]) == b"* SEARCH 2 84\r\n"
    assert responses.enabled([]) == b"* ENABLED\r\n"
    assert responses.enabled(["CONDSTORE"]) == b"* ENABLED CONDSTORE\r\n"
    assert responses.namespace() == b'* NAMESPACE (("" "/")) NIL NIL\r\n'
    assert responses.identity({"name": 'a"b'}) == b'* ID ("name" "a\\"b")\r\n'
    assert responses.identity({}) == b"* ID NIL\r\n"
    assert responses.quota("", {"STORAGE": (10, 512)}) == b'* QUOTA "" (STORAGE 10 512)\r\n'
    assert responses.quota_root("INBOX", [""]) == b'* QUOTAROOT "INBOX" ""\r\n'
    assert responses.greeting("hi", ["IMAP4rev1"]) == b"* OK [CAPABILITY IMAP4rev1] hi\r\n"
    assert responses.bye("out", Code.UNAVAILABLE) == b"* BYE [UNAVAILABLE] out\r\n"
    assert responses.continuation() == b"+ OK\r\n"
    assert responses.challenge(b"") == b"+ \r\n"


def test_esearch() -> None:  # RFC 4731 §3.1
    every = frozenset(Result)
    assert responses.esearch("a", [2, 3, 9], every, uid=True) == (
        b'* ESEARCH (TAG "a") UID MIN 2 MAX 9 ALL 2:3,9 COUNT 3\r\n'
    )
    assert responses.esearch("a", [], every, uid=False) == b'* ESEARCH (TAG "a") COUNT 0\r\n'


@pytest.mark.parametrize("text", ["a\r\nb OK done", "[ALERT] x", "é\0", "", " [x"])
def test_a_text_is_one_line_and_no_code(text: str) -> None:
    told = responses.tagged("a", ResponseStatus.NO, text)
    assert told.count(b"\r\n") == 1
    assert not told.startswith(b"a NO [")
    assert told.isascii()
    assert responses.tagged("a", ResponseStatus.NO, "x", "CODE] b\r\n").count(b"]") == 1


def test_flag_names_and_masks() -> None:
    names = FlagNames(("$label1", "dossier"))
    words = FlagWords(names)
    assert words.render(0) == b""
    assert words.render(Flag.SEEN.value | RECENT | 1 << 9) == rb"\Seen \Recent dossier"
    assert names.mask(FlagList(Flag.DRAFT.value, ("DOSSIER", "new"))) == Flag.DRAFT.value | 1 << 9
    assert names.unknown(FlagList(0, ("Dossier", "new"))) == ("new",)
