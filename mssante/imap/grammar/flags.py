"""Flags as they are written in IMAP (RFC 3501 §2.3.2): read from a command, rendered for a response.

Invariants: a client can be told of \\Recent, but can never set it. What the bits of a mask mean is defined in
`mssante.flags`.
"""

from __future__ import annotations

from mssante.flags import KEYWORD_SHIFT, RECENT, FlagList, FlagNames
from mssante.imap.grammar.lexer import Beyond, Cursor, Unacceptable
from mssante.limits import KEYWORD_OCTETS_MAX, KEYWORDS_MAX
from mssante.model import Flag

SYSTEM_NAMES = {
    Flag.ANSWERED.value: rb"\Answered",
    Flag.FLAGGED.value: rb"\Flagged",
    Flag.DELETED.value: rb"\Deleted",
    Flag.SEEN.value: rb"\Seen",
    Flag.DRAFT.value: rb"\Draft",
    RECENT: rb"\Recent",
}
_BIT_OF_NAME = {name.decode("ascii").upper(): bit for bit, name in SYSTEM_NAMES.items() if bit != RECENT}


def parse_list(cursor: Cursor) -> FlagList:
    """RFC 3501 §9 flag-list: parenthesised, perhaps empty."""
    cursor.expect(b"(")
    if cursor.take(b")"):
        return FlagList()
    flags = parse_bare(cursor)
    cursor.expect(b")")
    return flags


def parse_bare(cursor: Cursor) -> FlagList:
    """One or more flags separated by spaces."""
    system = 0
    keywords: dict[str, str] = {}
    while True:
        if cursor.peek() == b"\\":
            system |= _system_bit(cursor)
        else:
            keyword = parse_keyword(cursor)
            keywords.setdefault(keyword.upper(), keyword)
            if len(keywords) > KEYWORDS_MAX:
                raise Beyond("Trop de mots-cles / Too many keywords")
        if not cursor.take(b" "):
            return FlagList(system, tuple(keywords.values()))


def _system_bit(cursor: Cursor) -> int:
    cursor.expect(b"\\")
    # \Recent cannot be set (RFC 3501 §2.3.2), and no other flag-extension exists yet.
    bit = _BIT_OF_NAME.get("\\" + cursor.atom().upper())
    if bit is None:
        raise Unacceptable("Not a system flag that can be changed")
    return bit


def parse_keyword(cursor: Cursor) -> str:
    """RFC 3501 §9 flag-keyword: an atom of limited length."""
    keyword = cursor.atom()
    if len(keyword) > KEYWORD_OCTETS_MAX:
        raise Beyond("Mot-cle trop long / A keyword is too long")
    return keyword


class FlagWords:
    """The flags of one mailbox as a client reads them. Rendering is remembered per mask: a folder of 100,000
    messages has a few dozen masks."""

    def __init__(self, names: FlagNames) -> None:
        self.names = names
        self._rendered: dict[int, bytes] = {}

    def render(self, mask: int) -> bytes:
        """The names, separated by spaces, without parentheses."""
        rendered = self._rendered.get(mask)
        if rendered is None:
            names = [name for bit, name in SYSTEM_NAMES.items() if mask & bit]
            names += [
                name.encode("ascii")
                for at, name in enumerate(self.names.keywords)
                if mask >> KEYWORD_SHIFT + at & 1
            ]
            rendered = self._rendered[mask] = b" ".join(names)
        return rendered

    @property
    def applicable(self) -> bytes:
        """What the untagged FLAGS response of SELECT lists (RFC 3501 §7.2.6)."""
        names = [name for bit, name in SYSTEM_NAMES.items() if bit != RECENT]
        return b" ".join([*names, *(keyword.encode("ascii") for keyword in self.names.keywords)])
