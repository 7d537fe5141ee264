"""The grammar of APPEND and REPLACE (RFC 3501 §6.3.11, RFC 3502, RFC 8508): what stands before a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mssante.flags import FlagList
from mssante.imap.grammar import flags
from mssante.imap.grammar.lexer import NUMBER_MAX, Cursor, Unacceptable
from mssante.imap.grammar.list_syntax import mailbox
from mssante.imap.grammar.sets import SequenceSet


@dataclass(frozen=True, slots=True)
class Replaced:
    """The message in the selected folder that a REPLACE replaces by another (RFC 8508 §3.2); always one."""

    message: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class Announced:
    """An APPEND's or REPLACE's text up to its first message."""

    mailbox: str
    flags: FlagList
    date: datetime | None
    replaced: Replaced | None


def parse_append(text: bytes, literals: Sequence[bytes], *, utf8: bool = False) -> Announced:
    """RFC 3501 §6.3.11 and RFC 8508 §5."""
    cursor = Cursor(text, literals, utf8=utf8)
    cursor.tag()
    cursor.space()
    replaced = None
    if not cursor.take(b"APPEND "):
        uid = cursor.take(b"UID ")
        cursor.expect(b"REPLACE ")
        replaced = Replaced(SequenceSet((), NUMBER_MAX) if cursor.take(b"*") else _one(cursor), uid)
        cursor.space()
    folder = mailbox(cursor)
    return Announced(folder, *append_options(cursor), replaced)


def _one(cursor: Cursor) -> SequenceSet:
    return SequenceSet.of((cursor.nz_number(),))


def parse_append_next(text: bytes) -> tuple[FlagList, datetime | None]:
    """RFC 3502: what stands before each further message of the same APPEND."""
    return append_options(Cursor(text))


def append_options(cursor: Cursor) -> tuple[FlagList, datetime | None]:
    cursor.space()
    while cursor.take(b" "):  # IMAPClient writes two before each further message
        pass
    marks, date = FlagList(), None
    if cursor.peek() == b"(":
        marks = flags.parse_list(cursor)
        cursor.space()
    if cursor.peek() == b'"':
        date = cursor.date_time()
        cursor.space()
    if cursor.at != len(cursor.text):
        raise Unacceptable("APPEND takes flags, a date and a message literal")
    return marks, date
