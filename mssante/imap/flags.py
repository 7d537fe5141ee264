"""Message flags: bits in a mask inside, names on the wire (RFC 3501 §2.3.2).

Invariants: bits 0..4 are the system flags (model.Flag), bit 5 is \\Recent and is never stored, bits 8..61
are the folder's keywords in the order of its table; a keyword is one whatever its case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mssante.imap.lexer import Beyond, Cursor, Unacceptable
from mssante.limits import KEYWORD_OCTETS_MAX, KEYWORDS_MAX
from mssante.model import Flag

RECENT = 1 << 5
KEYWORD_SHIFT = 8

SYSTEM_NAMES = {
    Flag.ANSWERED.value: rb"\Answered",
    Flag.FLAGGED.value: rb"\Flagged",
    Flag.DELETED.value: rb"\Deleted",
    Flag.SEEN.value: rb"\Seen",
    Flag.DRAFT.value: rb"\Draft",
    RECENT: rb"\Recent",
}
_BIT_OF_NAME = {name.decode("ascii").upper(): bit for bit, name in SYSTEM_NAMES.items() if bit != RECENT}


@dataclass(frozen=True, slots=True)
class FlagList:
    """Flags as a client named them: system flags as a mask, keywords as written, without repeats."""

    system: int = 0
    keywords: tuple[str, ...] = ()


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
    """RFC 3501 §9 flag-keyword: an atom, bounded."""
    keyword = cursor.atom()
    if len(keyword) > KEYWORD_OCTETS_MAX:
        raise Beyond("Mot-cle trop long / A keyword is too long")
    return keyword


class FlagNames:
    """Masks of one folder to names and back. `keywords[i]` is the name of bit 8 + i.

    Rendering is remembered per mask: a folder of 100,000 messages has a few dozen masks."""

    def __init__(self, keywords: Sequence[str] = ()) -> None:
        self.keywords = tuple(keywords)
        self._bits = {name.upper(): 1 << KEYWORD_SHIFT + at for at, name in enumerate(self.keywords)}
        self._rendered: dict[int, bytes] = {}
        self.known = (1 << KEYWORD_SHIFT + len(self.keywords)) - 1  # a mask of every flag that has a name

    def render(self, mask: int) -> bytes:
        """The names, separated by spaces, without parentheses."""
        rendered = self._rendered.get(mask)
        if rendered is None:
            names = [name for bit, name in SYSTEM_NAMES.items() if mask & bit]
            names += [
                name.encode("ascii")
                for at, name in enumerate(self.keywords)
                if mask >> KEYWORD_SHIFT + at & 1
            ]
            rendered = self._rendered[mask] = b" ".join(names)
        return rendered

    def keyword_bit(self, keyword: str) -> int:
        """The keyword's bit, 0 if this folder has never seen it."""
        return self._bits.get(keyword.upper(), 0)

    def unknown(self, flags: FlagList) -> tuple[str, ...]:
        """The keywords that must be added to the folder's table before `mask` counts them."""
        return tuple(keyword for keyword in flags.keywords if not self.keyword_bit(keyword))

    def mask(self, flags: FlagList) -> int:
        """The bits of `flags`; keywords the folder does not know are left out."""
        mask = flags.system
        for keyword in flags.keywords:
            mask |= self.keyword_bit(keyword)
        return mask

    @property
    def applicable(self) -> bytes:
        """What the untagged FLAGS response of SELECT lists (RFC 3501 §7.2.6)."""
        names = [name for bit, name in SYSTEM_NAMES.items() if bit != RECENT]
        return b" ".join([*names, *(keyword.encode("ascii") for keyword in self.keywords)])
