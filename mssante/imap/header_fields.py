"""The fields BODY[HEADER.FIELDS (...)] cuts out of a header block (RFC 3501 §6.4.5).

Invariants: octets come out as they are, order, folding and repeats kept, then one blank line; linear.
"""

from __future__ import annotations

import re

# One field and its folded lines. Names are compared by us: no pattern is made of a client's text.
_FIELD = re.compile(rb"([^\s:]++)[ \t]*+:[^\n]*+\n?(?:[ \t][^\n]*+\n?)*|[^\n]*\n|[^\n]+")


def chosen_fields(block: bytes, names: frozenset[bytes], *, others: bool = False) -> bytes:
    """The fields of `block` whose name (any case) is in `names` (lower case), or with `others` is not.

    `block` is a header, its blank line included or not."""
    kept = []
    for found in _FIELD.finditer(block):
        name = found.group(1)
        if name is not None and (name.lower() in names) is not others:
            kept.append(found.group())
    kept.append(b"\r\n")
    return b"".join(kept)
