"""The grammar of commands on messages: FETCH, STORE, SEARCH, SORT, THREAD, COPY, MOVE, UID EXPUNGE."""

from __future__ import annotations

from collections.abc import Callable

from mssante.imap.grammar import commands, flags, search_syntax, sets, sorting
from mssante.imap.grammar import fetch as fetch_items
from mssante.imap.grammar.commands import Command, StoreMode
from mssante.imap.grammar.lexer import Cursor, Unacceptable
from mssante.imap.grammar.list_syntax import mailbox
from mssante.imap.grammar.search import Query, Result
from mssante.imap.grammar.sorting import Algorithm

Rule = Callable[[Cursor], Command]
_ALGORITHMS = {algorithm.value: algorithm for algorithm in Algorithm}


def uid_expunge(cursor: Cursor) -> Command:
    cursor.space()
    return commands.Expunge(sets.parse(cursor))


def search(*, uid: bool) -> Rule:
    return lambda cursor: commands.Search(search_syntax.parse(cursor), uid)


def sort(*, uid: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        results = search_syntax.take_results(cursor)
        if results is not None and Result.SAVE in results:
            raise Unacceptable("SAVE is an option of SEARCH")  # RFC 5182 §2.1
        criteria = sorting.parse_criteria(cursor)
        cursor.space()
        query = Query(search_syntax.parse_criteria(cursor), results)
        return commands.Sort(criteria, query, uid)

    return rule


def thread(*, uid: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        algorithm = _ALGORITHMS.get(cursor.word())
        if algorithm is None:
            raise Unacceptable("Unknown threading algorithm")
        cursor.space()
        return commands.Thread(algorithm, Query(search_syntax.parse_criteria(cursor)), uid)

    return rule


def fetch(*, uid: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        items = fetch_items.parse(cursor)
        items = items.with_uid() if uid else items
        since, vanished = _fetch_modifiers(cursor)
        if vanished and (since is None or not uid):
            raise Unacceptable("VANISHED goes with UID FETCH and CHANGEDSINCE")  # RFC 7162 §3.2.6
        if since is not None:
            items = items.with_modseq()
        return commands.Fetch(messages, items, uid, since, vanished)

    return rule


def _fetch_modifiers(cursor: Cursor) -> tuple[int | None, bool]:
    """RFC 7162 §7 fetch-modifier: CHANGEDSINCE and VANISHED, each at most once."""
    since: int | None = None
    vanished = False
    if not cursor.take(b" ("):
        return since, vanished
    while True:
        name = cursor.word()
        if name == "CHANGEDSINCE" and since is None:
            cursor.space()
            since = cursor.number64()
        elif name == "VANISHED" and not vanished:
            vanished = True
        else:
            raise Unacceptable("Unknown FETCH modifier")
        if not cursor.take(b" "):
            cursor.expect(b")")
            return since, vanished


def _unchanged_since(cursor: Cursor) -> int | None:
    """RFC 7162 §7 store-modifier: UNCHANGEDSINCE, at most once; no other modifier exists."""
    if not cursor.take(b"("):
        return None
    cursor.expect(b"UNCHANGEDSINCE ")
    since = cursor.number64()
    cursor.expect(b") ")
    return since


def store(*, uid: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        since = _unchanged_since(cursor)
        mode = StoreMode.ADD if cursor.take(b"+") else StoreMode.REPLACE
        if mode is StoreMode.REPLACE and cursor.take(b"-"):
            mode = StoreMode.REMOVE
        cursor.expect(b"FLAGS")
        silent = cursor.take(b".SILENT")
        cursor.space()
        marks = flags.parse_list(cursor) if cursor.peek() == b"(" else flags.parse_bare(cursor)
        return commands.Store(messages, mode, silent, marks, uid, since)

    return rule


def copy(*, uid: bool, move: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        return commands.Copy(messages, mailbox(cursor), uid, move)

    return rule
