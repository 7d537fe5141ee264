"""How many octets a connection may send, and how a line announces a literal (RFC 3501 §4.3, RFC 7888)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mssante import limits
from mssante.imap.grammar.lexer import Cursor, Unacceptable

_ANNOUNCED = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
TAIL = 32  # octets: the longest announcement is shorter
_QUOTES_CLOSE = re.compile(rb'[^"]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*"[^"]*+)*\Z')


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Limits in octets, except `literals`, which is how many a command may have. `session` limits everything
    that comes before login; `message` is the largest message APPEND takes, 0 where it takes none; `skipped`
    is how much of a refused command is read and dropped before we hang up."""

    line: int
    literal: int
    literals: int
    command: int
    session: int | None
    message: int
    skipped: int


BEFORE_LOGIN = WireLimits(
    line=limits.IMAP_LINE_OCTETS_PRE_AUTH_MAX,
    literal=limits.IMAP_LITERAL_OCTETS_PRE_AUTH_MAX,
    literals=limits.IMAP_LITERALS_MAX,
    command=limits.IMAP_PRE_AUTH_OCTETS_MAX,
    session=limits.IMAP_PRE_AUTH_OCTETS_MAX,
    message=0,
    skipped=limits.IMAP_PRE_AUTH_OCTETS_MAX,
)


def after_login(message_octets_max: int) -> WireLimits:
    return WireLimits(
        line=limits.IMAP_LINE_OCTETS_MAX,
        literal=limits.IMAP_LITERAL_OCTETS_MAX,
        literals=limits.IMAP_LITERALS_MAX,
        command=limits.IMAP_COMMAND_OCTETS_MAX,
        session=None,
        message=message_octets_max,
        skipped=limits.IMAP_COMMAND_OCTETS_MAX,
    )


@dataclass(frozen=True, slots=True)
class LiteralAnnouncement:
    """A literal that is to come. `text` is the line before it; `waits`: the client sends it only when told
    to go on (RFC 3501 §4.3), else it is sending it already (RFC 7888); `octets8`: written `~{n}`, may hold
    NUL."""

    text: bytes
    size: int
    waits: bool
    octets8: bool

    @classmethod
    def at_end_of(cls, line: bytes) -> LiteralAnnouncement | None:
        """The literal that a whole `line` announces, if its quoted strings are closed before it."""
        found = cls.in_tail(line)
        return found if found is None or _QUOTES_CLOSE.match(line) else None

    @classmethod
    def in_tail(cls, line: bytes) -> LiteralAnnouncement | None:
        """The same for a line of which only the end is known: its last TAIL octets are looked at."""
        if not line.endswith(b"}"):
            return None
        found = _ANNOUNCED.search(line, max(0, len(line) - TAIL))
        if found is None:
            return None
        return cls(line[: found.start()], int(found[2]), found[3] != b"+", found[1] == b"~")


def tag_of(text: bytes) -> str | None:
    """The tag at the start of a command, whatever comes after it; None if there is no valid tag."""
    try:
        return Cursor(text).tag()
    except Unacceptable:
        return None
