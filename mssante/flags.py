"""Message flags as bits of a mask, and the keywords that a mailbox has given bits to.

Invariants: bits 0..4 are the system flags (model.Flag), bit 5 is \\Recent (RFC 3501 §2.3.2) and is never
stored, bits 8..61 are the mailbox's keywords in the order of its table; keywords that differ only in case are
the same keyword.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RECENT = 1 << 5
KEYWORD_SHIFT = 8


@dataclass(frozen=True, slots=True)
class FlagList:
    """Flags as somebody named them: system flags as a mask, keywords as written, without repeats."""

    system: int = 0
    keywords: tuple[str, ...] = ()


class FlagNames:
    """The bits of a mailbox's keywords. `keywords[i]` is the name of bit 8 + i."""

    def __init__(self, keywords: Sequence[str] = ()) -> None:
        self.keywords = tuple(keywords)
        self._bits = {name.upper(): 1 << KEYWORD_SHIFT + at for at, name in enumerate(self.keywords)}
        self.known = (1 << KEYWORD_SHIFT + len(self.keywords)) - 1  # a mask of every flag that has a name

    def keyword_bit(self, keyword: str) -> int:
        """The keyword's bit, 0 if this mailbox has never seen it."""
        return self._bits.get(keyword.upper(), 0)

    def unknown(self, flags: FlagList) -> tuple[str, ...]:
        """The keywords that must be added to the table before `mask` counts them."""
        return tuple(keyword for keyword in flags.keywords if not self.keyword_bit(keyword))

    def mask(self, flags: FlagList) -> int:
        """The bits of `flags`; keywords that are not in the table are left out."""
        mask = flags.system
        for keyword in flags.keywords:
            mask |= self.keyword_bit(keyword)
        return mask
