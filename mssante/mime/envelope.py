"""Reading back the ENVELOPEs that `rendering` made: the first address of a field, as SORT needs it.

Invariants: linear; only what `rendering.envelope` writes is read, anything else has no address.
"""

from __future__ import annotations

import re
from enum import Enum

from mssante.mime.addresses import AddressEntry
from mssante.mime.header import unescaped

_STRING = rb'(?:NIL|"(?:[^"\\]|\\.)*+")'
_LIST = rb"(?:NIL|\((?:\(%b %b %b %b\))++\))" % ((_STRING,) * 4)
_FIRST = rb"(?:NIL|\(\((%b) (%b) (%b) (%b)\))" % ((_STRING,) * 4)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|\{([0-9]{1,10})\}\r\n', re.DOTALL)


class AddressField(Enum):
    """The fields SORT asks for; the value: how many lists of addresses stand before (RFC 3501 §7.4.2)."""

    FROM = 0
    TO = 3
    CC = 4


# The date, the subject, so many lists, and the first entry of the next.
_PLACES = {
    field: re.compile(rb"\(%b %b %b%b" % (_STRING, _STRING, (_LIST + b" ") * field.value, _FIRST), re.DOTALL)
    for field in AddressField
}


def first_address(envelope: bytes, field: AddressField) -> AddressEntry | None:
    """The first entry of an address field, None when there is none. A group's name is an entry of its own,
    as for IMAP."""
    found = _PLACES[field].match(envelope)
    if found is None and b"{" in envelope:
        found = _PLACES[field].match(_without_literals(envelope))
    if found is None or found[3] is None:
        return None
    return AddressEntry(*map(_text, found.groups()))


def _text(string: bytes) -> bytes | None:
    return None if string == b"NIL" else unescaped(string[1:-1])


def _without_literals(envelope: bytes) -> bytes:
    """Every literal as the quoted string it might have been, line ends and all."""
    pieces: list[bytes] = []
    at = 0
    while token := _TOKEN.search(envelope, at):
        if token[1] is None:
            pieces.append(envelope[at : token.end()])
            at = token.end()
            continue
        end = token.end() + int(token[1])
        literal = envelope[token.end() : end].replace(b"\\", rb"\\").replace(b'"', rb"\"")
        pieces += [envelope[at : token.start()], b'"', literal, b'"']
        at = end
    pieces.append(envelope[at:])
    return b"".join(pieces)
