"""The grammar of LIST, LSUB and STATUS (RFC 3501 §9, RFC 5258 §6, RFC 5819 §4), and of folder names."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from mssante.imap.grammar import commands, folder_names
from mssante.imap.grammar.lexer import Beyond, Cursor, Unacceptable
from mssante.imap.grammar.listing import ListExtended, ListReturn, Selection, StatusItem
from mssante.limits import FOLDER_NAME_WIRE_OCTETS_MAX, IMAP_LIST_PATTERNS_MAX
from mssante.model import Malformed

_Option = TypeVar("_Option", bound=StrEnum)


def mailbox(cursor: Cursor) -> str:
    """A folder name, decoded and canonical."""
    octets = cursor.astring()
    if len(octets) > FOLDER_NAME_WIRE_OCTETS_MAX:
        raise Unacceptable(
            "Nom de dossier trop long / The folder name is too long", status="NO", code="CANNOT"
        )
    try:
        return folder_names.canonical(
            folder_names.decode_utf8(octets) if cursor.utf8 else folder_names.decode(octets)
        )
    except Malformed as error:
        raise Unacceptable(f"The folder name is {error}") from None


def _pattern(cursor: Cursor) -> str:
    octets = cursor.list_mailbox()
    if len(octets) > FOLDER_NAME_WIRE_OCTETS_MAX:
        raise Beyond("Motif trop long / The pattern is too long")
    return _leniently(cursor, octets)


def _leniently(cursor: Cursor, octets: bytes) -> str:
    return octets.decode("utf-8", "replace") if cursor.utf8 else folder_names.decode_leniently(octets)


def parse_lsub(cursor: Cursor) -> commands.Command:
    cursor.space()
    reference = _reference(cursor)
    cursor.space()
    return commands.Lsub(reference, _pattern(cursor))


def _reference(cursor: Cursor) -> str:
    octets = cursor.astring()
    if len(octets) > FOLDER_NAME_WIRE_OCTETS_MAX:
        raise Beyond("Reference trop longue / The reference is too long")
    return _leniently(cursor, octets)


def parse_list(cursor: Cursor) -> commands.Command:
    cursor.space()
    selection: frozenset[Selection] = frozenset()
    if cursor.peek() == b"(":
        selection = _options(cursor, Selection)
        _check_selection(selection)
        cursor.space()
    reference = _reference(cursor)
    cursor.space()
    patterns = _patterns(cursor)
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    if cursor.take(b" RETURN "):
        returns, status = _returns(cursor)
    return commands.List(ListExtended(reference, patterns, selection, returns, status))


def _check_selection(selection: frozenset[Selection]) -> None:
    # RFC 5258 §3.1: RECURSIVEMATCH needs a selection option that is not REMOTE.
    if Selection.RECURSIVEMATCH in selection and not selection - {
        Selection.RECURSIVEMATCH,
        Selection.REMOTE,
    }:
        raise Unacceptable("RECURSIVEMATCH goes with another selection option")


def _patterns(cursor: Cursor) -> tuple[str, ...]:
    if not cursor.take(b"("):
        return (_pattern(cursor),)
    found = [_pattern(cursor)]
    while cursor.take(b" "):
        if len(found) == IMAP_LIST_PATTERNS_MAX:
            raise Beyond("Trop de motifs / Too many patterns")
        found.append(_pattern(cursor))
    cursor.expect(b")")
    return tuple(found)


def _options(cursor: Cursor, kind: type[_Option]) -> frozenset[_Option]:
    cursor.expect(b"(")
    found: set[_Option] = set()
    while not cursor.take(b")"):
        if found:
            cursor.space()
        found.add(_option(cursor.word(), kind))
    return frozenset(found)


def _option(word: str, kind: type[_Option]) -> _Option:
    try:
        return kind(word)
    except ValueError:
        raise Unacceptable("Unknown option") from None


def _returns(cursor: Cursor) -> tuple[frozenset[ListReturn], tuple[StatusItem, ...]]:
    cursor.expect(b"(")
    found: set[ListReturn] = set()
    status: tuple[StatusItem, ...] = ()
    first = True
    while not cursor.take(b")"):
        if not first:
            cursor.space()
        first = False
        word = cursor.word()
        if word == "STATUS":
            cursor.space()
            status = status_items(cursor)
        else:
            found.add(_option(word, ListReturn))
    return frozenset(found), status


def status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """RFC 3501 §9 status-att list; distinct, in the client's order."""
    cursor.expect(b"(")
    found = {_option(cursor.word(), StatusItem): None}
    while cursor.take(b" "):
        found[_option(cursor.word(), StatusItem)] = None
    cursor.expect(b")")
    return tuple(found)
