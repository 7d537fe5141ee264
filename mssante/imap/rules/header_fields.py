"""The fields BODY[HEADER.FIELDS (...)] cuts out of a header block (RFC 3501 §6.4.5).

Invariants: octets come out as they are, order, folding and repeats kept, then one blank line; no pattern
is made of a client's names; time is linear in the block, once per name.
"""

from __future__ import annotations

import re

# One field and its folded lines, or a line that is none.
_FIELD = re.compile(rb"([^\s:]++)[ \t]*+:[^\n]*+\n?(?:[ \t][^\n]*+\n?)*|[^\n]*\n|[^\n]+")
_COLON = re.compile(rb"[ \t]*+:")


def chosen_fields(block: bytes, names: frozenset[bytes], *, others: bool = False) -> bytes:
    """The fields of `block` whose name (any case) is in `names` (lower case), or with `others` is not.

    `block` is a header, its blank line included or not."""
    kept = _other_fields(block, names) if others else _named_fields(block, names)
    if kept and not kept[-1].endswith(b"\n"):
        kept.append(b"\r\n")
    kept.append(b"\r\n")
    return b"".join(kept)


def _other_fields(block: bytes, names: frozenset[bytes]) -> list[bytes]:
    return [
        found.group()
        for found in _FIELD.finditer(block)
        if found.group(1) is not None and found.group(1).lower() not in names
    ]


def _named_fields(block: bytes, names: frozenset[bytes]) -> list[bytes]:
    """Looks for each name at the start of a line, which costs less than reading every field."""
    lowered = b"\n" + block.lower()  # so the line that starts at n in `block` has its "\n" at n here
    places = []
    for name in names:
        start = b"\n" + name
        at = lowered.find(start)
        while at >= 0:
            if _COLON.match(lowered, at + len(start)):
                places.append(at)
            at = lowered.find(start, at + 1)
    places.sort()
    return [block[at : _end_of_field(block, at)] for at in places]


def _end_of_field(block: bytes, at: int) -> int:
    end = block.find(b"\n", at)
    while end >= 0 and block[end + 1 : end + 2] in (b" ", b"\t"):
        end = block.find(b"\n", end + 1)
    return len(block) if end < 0 else end + 1
