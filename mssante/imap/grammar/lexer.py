"""The lexical elements of an IMAP command (RFC 3501 §9), read from left to right.

Invariants: the grammar reads a complete command and never waits for a socket: its text is one bytes value,
in which "\\n" stands for the next literal, since no line can hold an "\\n" of its own; every pattern takes
linear time; nothing here recurses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone

from mssante.limits import IMAP_TAG_OCTETS_MAX

NUMBER_MAX = 0xFFFFFFFF  # RFC 3501 §9 number: unsigned 32 bits.

_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%%*"\\+]{1,%d}(?= )' % IMAP_TAG_OCTETS_MAX)
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_MAILBOX = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_WORD = re.compile(rb"[A-Za-z0-9.=+$\\-]+")
# The grammar allows no eight-bit octets in quoted strings, but clients send UTF-8 passwords in them.
_QUOTED = re.compile(rb'"([^"\\\n\r\x00]*+(?:\\["\\][^"\\\n\r\x00]*+)*)"')
_ESCAPED = re.compile(rb'\\(["\\])')
_NUMBER = re.compile(rb"[0-9]{1,10}(?![0-9])")
_NUMBER64 = re.compile(rb"[0-9]{1,19}(?![0-9])")
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBER = {name.upper(): number for number, name in enumerate(MONTHS, 1)}


class Unacceptable(Exception):
    """A command that is answered without being done: `status` NO or BAD, perhaps a response code.

    Where a peer's syntax is at fault, the wire turns it into an event, so bad syntax never leaves the grammar
    as an exception. The handlers of commands may raise it too; `Conversation` then answers with it."""

    def __init__(self, text: str, *, status: str = "BAD", code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.code = code
        self.unsaves = False  # as in events.Rejected


class Beyond(Unacceptable):
    """The command exceeds one of our own limits (mssante.limits): NO [LIMIT], in French and English."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status="NO", code="LIMIT")


class Literal8(bytes):
    """The octets of a `~{n}` literal (RFC 3516 §4.4): the only string that may hold NUL."""


class Cursor:
    """A place in the text of one command. Each method reads the element it is named after and moves on, or
    raises Unacceptable.

    `utf8`: folder names are UTF-8 (RFC 9051 §5.1), else modified UTF-7."""

    __slots__ = ("_literals", "_next", "at", "text", "utf8")

    def __init__(self, text: bytes, literals: Sequence[bytes] = (), *, utf8: bool = False) -> None:
        self.text = text
        self.utf8 = utf8
        self.at = 0
        self._literals = literals
        self._next = 0

    def take(self, token: bytes) -> bool:
        """Moves past `token` if it stands here, in upper or lower case; `token` itself is in upper case."""
        end = self.at + len(token)
        here = self.text[self.at : end]
        if here == token or here.upper() == token:
            self.at = end
            return True
        return False

    def expect(self, token: bytes) -> None:
        if not self.take(token):
            raise Unacceptable(f"Expected {token.decode('ascii')!r}")

    def space(self) -> None:
        if self.text[self.at : self.at + 1] != b" ":
            raise Unacceptable("Missing space or argument")
        self.at += 1

    def peek(self) -> bytes:
        """The octet here, empty at the end."""
        return self.text[self.at : self.at + 1]

    def end(self) -> None:
        """Requires that nothing follows, except spaces: some clients leave one at the end."""
        if self.text[self.at :].strip(b" "):
            raise Unacceptable("Unexpected text after the command")

    def match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        """What `pattern` finds here; `what` names it in the refusal."""
        found = pattern.match(self.text, self.at)
        if found is None:
            raise Unacceptable(f"Expected {what}")
        self.at = found.end()
        return found.group()

    def tag(self) -> str:
        return self.match(_TAG, "a tag").decode("ascii")

    def atom(self) -> str:
        return self.match(_ATOM, "an atom").decode("ascii")

    def word(self) -> str:
        """A keyword of the grammar, in upper case."""
        return self.match(_WORD, "a keyword").decode("ascii").upper()

    def astring(self, *, nul: bool = False) -> bytes:
        found = _ASTRING.match(self.text, self.at)
        if found is None:
            return self.string(nul=nul)
        self.at = found.end()
        return found.group()

    def list_mailbox(self) -> bytes:
        """RFC 3501 §9 list-mailbox: an astring that may hold wildcards."""
        found = _LIST_MAILBOX.match(self.text, self.at)
        if found is None:
            return self.string()
        self.at = found.end()
        return found.group()

    def string(self, *, nul: bool = False) -> bytes:
        """A quoted string or a literal. With `nul` it may hold NUL, which is common in UTF-16."""
        found = _QUOTED.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            inside = found.group(1)
            return _ESCAPED.sub(rb"\1", inside) if b"\\" in inside else inside
        self.take(b"~")
        if self.peek() != b"\n":
            raise Unacceptable("Expected a string")
        self.at += 1
        octets = self._literals[self._next]
        self._next += 1
        if b"\0" in octets and not (nul or isinstance(octets, Literal8)):
            raise Unacceptable("NUL in a literal")  # RFC 3501 §9 CHAR8
        return octets

    def nstring(self) -> bytes | None:
        if self.peek() in (b'"', b"\n", b"~"):
            return self.string()
        if self.word() != "NIL":
            raise Unacceptable("Expected a string or NIL")
        return None

    def text_string(self) -> str:
        """An astring in UTF-8."""
        try:
            return self.astring().decode("utf-8")
        except UnicodeDecodeError:
            raise Unacceptable("A string is not UTF-8") from None

    def number(self) -> int:
        value = int(self.match(_NUMBER, "a number"))
        if value > NUMBER_MAX:
            raise Unacceptable("A number is above 2^32-1")
        return value

    def number64(self) -> int:
        """RFC 7162 mod-sequence-value and RFC 9051 number64: 63 bits."""
        value = int(self.match(_NUMBER64, "a number"))
        if value >= 1 << 63:
            raise Unacceptable("A number is above 2^63-1")
        return value

    def nz_number(self) -> int:
        value = self.number()
        if value == 0:
            raise Unacceptable("Zero where a positive number is needed")
        return value

    def date(self) -> date:
        """RFC 3501 §9 date, with or without quotes."""
        quoted = self.take(b'"')
        found = _DATE.match(self.text, self.at)
        if found is None:
            raise Unacceptable("Expected a date")
        self.at = found.end()
        if quoted:
            self.expect(b'"')
        try:
            return date(int(found[3]), _MONTH_NUMBER[found[2].upper()], int(found[1]))
        except (KeyError, ValueError):
            raise Unacceptable("No such date") from None

    def date_time(self) -> datetime:
        """RFC 3501 §9 date-time, as an aware datetime."""
        found = _DATE_TIME.match(self.text, self.at)
        if found is None:
            raise Unacceptable("Expected a date and time")
        self.at = found.end()
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
        offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
        try:
            moment = datetime(
                int(year), _MONTH_NUMBER[month.upper()], int(day), int(hour), int(minute), int(second),
                tzinfo=timezone(-offset if sign == b"-" else offset),
            )  # fmt: skip
            moment.astimezone(UTC)  # near year 1 or 9999 this may overflow: refuse the date here, not later
        except (KeyError, ValueError, OverflowError):
            raise Unacceptable("No such date or time") from None
        return moment
