"""The grammar of commands on messages: FETCH, STORE, SEARCH, COPY, MOVE, UID EXPUNGE."""

from __future__ import annotations

from collections.abc import Callable

from mssante.imap import commands, flags, sets
from mssante.imap import fetch as fetch_items
from mssante.imap import search as search_keys
from mssante.imap.commands import Command, StoreMode
from mssante.imap.lexer import Cursor
from mssante.imap.list_syntax import mailbox

Rule = Callable[[Cursor], Command]


def uid_expunge(cursor: Cursor) -> Command:
    cursor.space()
    return commands.Expunge(sets.parse(cursor))


def search(*, uid: bool) -> Rule:
    return lambda cursor: commands.Search(search_keys.parse(cursor), uid)


def fetch(*, uid: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        items = fetch_items.parse(cursor)
        return commands.Fetch(messages, items.with_uid() if uid else items, uid)

    return rule


def store(*, uid: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        mode = StoreMode.ADD if cursor.take(b"+") else StoreMode.REPLACE
        if mode is StoreMode.REPLACE and cursor.take(b"-"):
            mode = StoreMode.REMOVE
        cursor.expect(b"FLAGS")
        silent = cursor.take(b".SILENT")
        cursor.space()
        marks = flags.parse_list(cursor) if cursor.peek() == b"(" else flags.parse_bare(cursor)
        return commands.Store(messages, mode, silent, marks, uid)

    return rule


def copy(*, uid: bool, move: bool) -> Rule:
    def rule(cursor: Cursor) -> Command:
        cursor.space()
        messages = sets.parse(cursor)
        cursor.space()
        return commands.Copy(messages, mailbox(cursor), uid, move)

    return rule
