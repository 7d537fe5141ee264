"""The grammar of APPEND (RFC 3501 §6.3.11, RFC 3502, RFC 4466): what stands before a message's literal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mssante.imap import flags
from mssante.imap.flags import FlagList
from mssante.imap.lexer import Cursor, Unacceptable
from mssante.imap.list_syntax import mailbox


def parse_append(text: bytes, literals: Sequence[bytes]) -> tuple[str, FlagList, datetime | None]:
    """RFC 3501 §6.3.11: an APPEND's text up to its message literal: folder, flags, date."""
    cursor = Cursor(text, literals)
    cursor.tag()
    cursor.expect(b" APPEND ")
    folder = mailbox(cursor)
    return folder, *append_options(cursor)


def parse_append_next(text: bytes) -> tuple[FlagList, datetime | None]:
    """RFC 3502: what stands before each further message of the same APPEND."""
    return append_options(Cursor(text))


def append_options(cursor: Cursor) -> tuple[FlagList, datetime | None]:
    cursor.space()
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
