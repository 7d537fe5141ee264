"""Values as IMAP writes them (RFC 3501 §4 and §9).

Invariants: whatever octets are given, the result is exactly one string of the grammar, so that nobody can
forge a response line through a folder's name or a header; NUL, which no string may hold, is dropped.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache

from mssante.imap.grammar import folder_names
from mssante.imap.grammar.lexer import MONTHS
from mssante.limits import IMAP_QUOTED_OCTETS_MAX

NIL = b"NIL"

_NOT_PLAIN = re.compile(rb'[\x00\r\n\x80-\xff"\\]')
_NOT_QUOTABLE = re.compile(rb"[\x00\r\n\x80-\xff]")
_UNQUOTABLE = re.compile(rb"[\x00-\x1f\x7f]")
_OBJECT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_FIRST_DAY = date(1970, 1, 1)
_UNTEXT = re.compile(r"[^\x20-\x7e]")


def string(octets: bytes) -> bytes:
    """A quoted string where the grammar allows one, else a literal: CR, LF and eight-bit octets may not stand
    between quotes."""
    if not _NOT_PLAIN.search(octets):
        return b'"%b"' % octets
    if _NOT_QUOTABLE.search(octets):
        octets = octets.replace(b"\0", b"")
        if _NOT_QUOTABLE.search(octets):
            return literal(octets)
    return _quoted(octets)


def _quoted(octets: bytes) -> bytes:
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def nstring(octets: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return NIL if octets is None else string(octets)


def literal(octets: bytes) -> bytes:
    """A literal, always."""
    if b"\0" in octets:
        octets = octets.replace(b"\0", b"")
    return b"{%d}\r\n%b" % (len(octets), octets)


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """A folder's name, quoted: modified UTF-7 or, to a client that asked for it, UTF-8 (RFC 9051 §4.3)."""
    octets = name.encode("utf-8", "replace") if utf8 else folder_names.encode(name)
    if _UNQUOTABLE.search(octets) or (len(octets) > IMAP_QUOTED_OCTETS_MAX and not utf8):
        return literal(octets)
    return _quoted(octets)


def date_time(moment: datetime) -> bytes:
    """RFC 3501 §9 date-time, quoted; `moment` is aware."""
    offset = moment.utcoffset()
    assert offset is not None
    return instant(int(moment.timestamp()), offset // timedelta(minutes=1))


def instant(seconds: int, offset: int) -> bytes:
    """As `date_time`, from seconds since 1970 and the zone's offset in minutes. It makes no datetime object
    and remembers days and zones, because listing a large folder writes 100,000 of these."""
    day, second = divmod(seconds + offset * 60, 86_400)
    minute, second = divmod(second, 60)
    return b'"%b %02d:%02d:%02d %b"' % (_date(day), minute // 60, minute % 60, second, _zone(offset))


@lru_cache(maxsize=4096)
def _date(day: int) -> bytes:
    found = _FIRST_DAY + timedelta(days=day)
    return b"%2d-%b-%04d" % (found.day, MONTHS[found.month - 1], found.year)


@lru_cache(maxsize=256)
def _zone(offset: int) -> bytes:
    hours, minutes = divmod(abs(offset), 60)
    return b"%b%02d%02d" % (b"-" if offset < 0 else b"+", hours, minutes)


def object_id(text: str) -> bytes:
    """RFC 8474 §7 objectid, in parentheses; `text` is never from a peer."""
    assert _OBJECT_ID.fullmatch(text)
    return b"(%b)" % text.encode("ascii")


def human_text(text: str) -> bytes:
    """RFC 3501 §9 resp-text: one line of US-ASCII that cannot be taken for a response code."""
    line = _UNTEXT.sub("?", text).lstrip("[ ") or "-"
    return line.encode("ascii")
