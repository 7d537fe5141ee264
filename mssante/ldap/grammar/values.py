"""What is asked of a directory and what it answers, as octets and texts. No schema is known here."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from mssante.limits import LDAP_VALUE_OCTETS_MAX
from mssante.model import Malformed

RawEntry = Mapping[str, Sequence[bytes]]
"""Maps attribute names, in lower case, to their values as the directory gave them."""

Found = tuple[str, RawEntry]
"""Where an entry is, and what it holds."""


def refuse_unsafe(text: str) -> None:
    """Raises Malformed for a text that no directory should be asked about: one with control characters, or of
    more than 256 octets."""
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise Malformed("control character")
    if len(text.encode()) > LDAP_VALUE_OCTETS_MAX:
        raise Malformed(f"over {LDAP_VALUE_OCTETS_MAX} octets")
