"""Reads summaries of the first version, which held ENVELOPE, BODY and BODYSTRUCTURE as IMAP text.

Nothing else in this package knows IMAP. This file must, because mailboxes that were filled before version 2
still hold such summaries, sealed, and they can only be converted by somebody who may read them. The text
becomes the values that are kept today, and mailbox.reading stores those from then on; written out again, the
values give the same text.

Invariants: the version is frozen, and so is this file; linear; anything that the first version did not write
raises Refused(CORRUPTION).
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

from mssante.limits import SUMMARY_V1_DEPTH_MAX
from mssante.mime.addresses import AddressEntry
from mssante.mime.envelope import EnvelopeValues
from mssante.mime.header import unescaped
from mssante.mime.outline import FlatParameters, Multipart, SinglePart
from mssante.mime.packed import Tree, pack
from mssante.reasons import Reason, Refused

VERSION = b"\x01"
_TYPES = (bytes, bytes, bytes, bytes, bytes, int, int, bytes, bytes)
# The first layout had 10 fields; after came internal_offset, then packed_listed, then preview.
_SHAPES = {
    (int, int, *sent, *_TYPES[:count])
    for sent in ((int, int), (type(None), type(None)))
    for count in range(6, len(_TYPES) + 1)
}
_FIELDS = 4 + len(_TYPES)
_ADDED = (0, b"", b"")  # the values of the fields that came later, for summaries that lack them
_TOKEN = re.compile(
    rb' ?+(?:(\()|(\))|"((?:[^"\\]|\\.)*+)"|\{([0-9]{1,10})\}\r\n|(NIL)|([0-9]{1,20}))', re.DOTALL
)


def fields(found: list[Any]) -> list[Any]:
    """Turns a summary's fields of version 1 into those of version 2. Raises Refused(CORRUPTION)."""
    found = found[:_FIELDS]  # fields of a later layout are passed over
    if tuple(map(type, found)) not in _SHAPES:
        raise Refused(Reason.CORRUPTION, "message summary: fields missing")
    times, (envelope, _, structure), rest = found[:4], found[4:7], found[7:]
    missing = _FIELDS - len(found)
    try:
        kept = [pack(_envelope(_read(envelope))), pack(_outline(_read(structure)))]
    except (ValueError, TypeError, IndexError) as error:
        raise Refused(Reason.CORRUPTION, "message summary: not as version 1 wrote it") from error
    return [*times, *kept, *rest, *_ADDED[len(_ADDED) - missing :]]


def _read(text: bytes) -> Tree:
    """One parenthesised list (RFC 3501 §9), strings and literals as octets. Raises ValueError."""
    rows: list[list[Any]] = [[]]
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or len(rows) > SUMMARY_V1_DEPTH_MAX:
            raise ValueError("no list")
        at = token.end()
        match token.lastindex:
            case 1:
                rows.append([])
            case 2:
                row = tuple(rows.pop())
                rows[-1].append(row)
            case 3:
                rows[-1].append(unescaped(token[3]))
            case 4:
                at, start = at + int(token[4]), at
                if at > len(text):
                    raise ValueError("a literal longer than what is there")
                rows[-1].append(text[start:at])
            case 5:
                rows[-1].append(None)
            case _:
                rows[-1].append(int(token[6]))
    ((tree,),) = rows
    return _list(tree)


def _envelope(tree: Tree) -> EnvelopeValues:
    date, subject, *lists, in_reply_to, message_id = tree
    author, sender, reply_to, to, cc, bcc = map(_entries, lists)
    return EnvelopeValues(
        date=_string(date),
        subject=_string(subject),
        from_=author,
        sender=() if sender == author else sender,  # IMAP repeats the author where a letter has no Sender
        reply_to=() if reply_to == author else reply_to,
        to=to,
        cc=cc,
        bcc=bcc,
        in_reply_to=_string(in_reply_to),
        message_id=_string(message_id),
    )


def _entries(found: Any) -> tuple[AddressEntry, ...]:
    return tuple([AddressEntry(*map(_string, _list(entry))) for entry in _list(found)])


def _outline(tree: Tree) -> SinglePart | Multipart:
    parts = list(takewhile(lambda each: isinstance(each, tuple), tree))
    if parts:
        subtype, parameters, *extension = tree[len(parts) :]
        children = tuple([_outline(each) for each in parts])
        return Multipart(children, _octets(subtype), _strings(parameters), *_extension(extension))
    media, subtype, parameters, id_, description, encoding, octets, *rest = tree
    message, lines = None, None
    if (media, subtype) == (b"message", b"rfc822"):
        within, structure, *rest = rest
        message = _envelope(_list(within)), _outline(_list(structure))
    if message or media == b"text":
        lines, *rest = rest
        lines = int(lines)
    md5, *extension = rest
    return SinglePart(
        _octets(media), _octets(subtype), _strings(parameters), _string(id_), _string(description),
        _octets(encoding), int(octets), lines, message, _string(md5), *_extension(extension),
    )  # fmt: skip


_Extension = tuple[tuple[bytes, FlatParameters] | None, tuple[bytes, ...], bytes | None]


def _extension(found: list[Any]) -> _Extension:
    disposition, languages, location = found
    if disposition is not None:
        word, parameters = _list(disposition)
        disposition = _octets(word), _strings(parameters)
    return disposition, _strings(languages), _string(location)


def _list(found: Any) -> Tree:
    if found is None:
        return ()
    if not isinstance(found, tuple):
        raise TypeError("no list")
    return found


def _strings(found: Any) -> tuple[bytes, ...]:
    return tuple(map(_octets, _list(found)))


def _octets(found: Any) -> bytes:
    if not isinstance(found, bytes):
        raise TypeError("no string")
    return found


def _string(found: Any) -> bytes | None:
    return None if found is None else _octets(found)
