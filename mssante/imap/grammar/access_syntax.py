"""The grammar of AUTHENTICATE, LOGIN, ID and ENABLE: who the client is, and what both sides can do."""

from __future__ import annotations

from mssante.imap.grammar import commands
from mssante.imap.grammar.commands import Command
from mssante.imap.grammar.lexer import Cursor, Unacceptable
from mssante.limits import PASSWORD_OCTETS_MAX
from mssante.model import Malformed, Secret
from mssante.sasl.credentials import within_bounds
from mssante.sasl.responses import initial_response


def authenticate(cursor: Cursor) -> Command:
    cursor.space()
    mechanism = cursor.atom().upper()
    initial = None
    if cursor.take(b" ") and cursor.peek():
        start, cursor.at = cursor.at, len(cursor.text)
        try:
            initial = initial_response(cursor.text[start:].rstrip(b" "))
        except Malformed as error:
            raise Unacceptable(str(error)) from None
    return commands.Authenticate(mechanism, initial)


def login(cursor: Cursor) -> Command:
    cursor.space()
    user = cursor.text_string()
    cursor.space()
    password = cursor.text_string()
    if not within_bounds(user.encode()):  # the same limit as for the other ways to log in
        raise Unacceptable("The user name is too long")
    if len(password.encode()) > PASSWORD_OCTETS_MAX:
        raise Unacceptable("The password is too long")
    return commands.Login(user, Secret(password))


def identity(cursor: Cursor) -> Command:
    cursor.space()
    if not cursor.take(b"("):
        if cursor.word() != "NIL":
            raise Unacceptable("ID takes a list or NIL")
        return commands.Id(())
    found: list[tuple[str, str | None]] = []
    while not cursor.take(b")"):
        if found:
            cursor.space()
        if len(found) == 30:  # RFC 2971 §3.3
            raise Unacceptable("Too many ID fields")
        field = cursor.string()
        cursor.space()
        value = cursor.nstring()
        if len(field) > 30 or len(value or b"") > 1024:  # RFC 2971 §3.3
            raise Unacceptable("An ID field is too long")
        text = None if value is None else value.decode("utf-8", "replace")
        found.append((field.decode("utf-8", "replace"), text))
    return commands.Id(tuple(found))


def enable(cursor: Cursor) -> Command:
    found: dict[str, None] = {}
    cursor.space()
    found[cursor.atom().upper()] = None
    while cursor.take(b" "):
        found[cursor.atom().upper()] = None
    return commands.Enable(tuple(found))
