"""The i;unicode-casemap collation (RFC 5051), which SORT and THREAD must use (RFC 5256 §1).

Invariants: two texts compare as the collation demands when their prepared forms are compared character by
character, which gives the order of their UTF-8 octets; preparing takes linear time and never raises.
"""

from __future__ import annotations

import unicodedata

from mssante.limits import IMAP_CASEMAP_REMEMBERED_MAX


def casemap(text: str) -> str:
    """The prepared form (RFC 5051 §2): titlecase, then full decomposition, one character at a time."""
    return text.upper() if text.isascii() else text.translate(_PREPARED)


class _Prepared(dict[int, str]):
    """Each character's prepared form, computed when the character first occurs."""

    def __missing__(self, code: int) -> str:
        prepared = _decomposed(_titlecase(chr(code)))
        if len(self) < IMAP_CASEMAP_REMEMBERED_MAX:
            self[code] = prepared
        return prepared


_PREPARED = _Prepared()


def _titlecase(character: str) -> str:
    # The RFC means the mapping in UnicodeData.txt, which gives one character for one. Where Python gives
    # several, they come from another Unicode file, and do not count.
    title = character.title()
    return title if len(title) == 1 else character


def _decomposed(character: str) -> str:
    """RFC 5051 §2 (2)(b): decompositions of any type, applied again to their parts."""
    decomposition = unicodedata.decomposition(character)
    if not decomposition:
        return character
    parts = [part for part in decomposition.split() if not part.startswith("<")]
    return "".join(_decomposed(chr(int(part, 16))) for part in parts)
