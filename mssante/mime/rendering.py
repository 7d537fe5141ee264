"""ENVELOPE, BODY and BODYSTRUCTURE as IMAP sends them (RFC 3501 §7.4.2), rendered once at reception.

Invariants: our own encoder, so nothing a peer wrote can end a string early: quoted where legal, a literal
otherwise; CR, LF and eight-bit octets never stand in a quoted string, and NUL never at all (§9, CHAR8).
"""

from __future__ import annotations

import re

from mssante import limits
from mssante.mime import addresses
from mssante.mime.addresses import AddressEntry
from mssante.mime.content import Content, EnvelopeFields
from mssante.mime.header import Parameters
from mssante.mime.structure import Part

_NOT_PLAIN = re.compile(rb'[\x00\r\n\x80-\xff"\\]')
_NOT_QUOTABLE = re.compile(rb"[\x00\r\n\x80-\xff]")
_STRUCTURE_OCTETS_MAX = 256 * limits.KIB  # a thousand ordinary parts take a third of it
# A multipart in which no part was found: the grammar asks for one, an empty text serves.
_NO_PART = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
_NO_PART_EXTENDED = _NO_PART.removesuffix(b")") + b" NIL NIL NIL NIL)"


def string(octets: bytes) -> bytes:
    """An IMAP string (RFC 3501 §4.3): quoted when it may be, else a literal. NUL is left out."""
    if not _NOT_PLAIN.search(octets):
        return b'"%b"' % octets
    if _NOT_QUOTABLE.search(octets):
        octets = octets.replace(b"\0", b"")
        if _NOT_QUOTABLE.search(octets):
            return b"{%d}\r\n%b" % (len(octets), octets)
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def nstring(octets: bytes | None) -> bytes:
    return b"NIL" if octets is None else string(octets)


def envelope(fields: EnvelopeFields, lists: dict[str, tuple[AddressEntry, ...]] | None = None) -> bytes:
    """The ENVELOPE. `lists`: the address fields already read (see `address_lists`)."""
    lists = address_lists(fields) if lists is None else lists
    author = _addresses(lists["from"])
    # RFC 3501 §7.4.2: the server MUST default sender and reply-to from From.
    sender = author if not lists["sender"] else _addresses(lists["sender"])
    reply_to = author if not lists["reply_to"] else _addresses(lists["reply_to"])
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(fields.date),
        nstring(fields.subject),
        author,
        sender,
        reply_to,
        _addresses(lists["to"]),
        _addresses(lists["cc"]),
        _addresses(lists["bcc"]),
        nstring(fields.in_reply_to),
        nstring(fields.message_id),
    )


def address_lists(fields: EnvelopeFields) -> dict[str, tuple[AddressEntry, ...]]:
    """The six address fields, read."""
    written = {
        "from": fields.from_,
        "sender": fields.sender,
        "reply_to": fields.reply_to,
        "to": fields.to,
        "cc": fields.cc,
        "bcc": fields.bcc,
    }
    return {name: addresses.parse(value) if value else () for name, value in written.items()}


def _addresses(entries: tuple[AddressEntry, ...]) -> bytes:
    if not entries:
        return b"NIL"
    return b"(%b)" % b"".join(
        b"(%b %b %b %b)" % (nstring(e.name), nstring(e.route), nstring(e.mailbox), nstring(e.host))
        for e in entries
    )


class TooLarge(Exception):
    """A structure whose rendering is the work of an attacker, stopped as soon as that shows."""


class _RenderingBudget:
    """What one rendering may still take, in octets."""

    def __init__(self) -> None:
        self.octets = _STRUCTURE_OCTETS_MAX

    def take(self, pieces: list[bytes]) -> None:
        self.octets -= sum(map(len, pieces))
        if self.octets < 0:
            raise TooLarge


def body(part: Part) -> bytes:
    """The BODY of a part: its structure without extension data. Raises TooLarge."""
    return _structure(part, _RenderingBudget(), extended=False)


def bodystructure(part: Part) -> bytes:
    """The BODYSTRUCTURE of a part. Raises TooLarge."""
    return _structure(part, _RenderingBudget(), extended=True)


def _structure(part: Part, room: _RenderingBudget, *, extended: bool) -> bytes:
    # Recursion is bounded: the scanner opens no more than MIME_DEPTH_MAX parts inside one another.
    if part.content.is_multipart:
        return _multipart(part, room, extended=extended)
    content = part.content
    pieces = [
        string(content.media),
        string(content.subtype),
        _parameters(content.parameters),
        nstring(content.id),
        nstring(content.description),
        string(content.encoding),
        b"%d" % part.body_octets,
    ]
    if content.is_message:
        message = part.children[0]
        pieces.append(envelope(message.envelope or EnvelopeFields()))
        nested = len(pieces)
    if content.is_message or content.media == b"text":
        pieces.append(b"%d" % part.lines)
    if extended:
        pieces += (nstring(content.md5), _extension(content))
    room.take(pieces)
    if content.is_message:
        pieces.insert(nested, _structure(message, room, extended=extended))
    return b"(%b)" % b" ".join(pieces)


def _multipart(part: Part, room: _RenderingBudget, *, extended: bool) -> bytes:
    content = part.content
    parts = b"".join(_structure(child, room, extended=extended) for child in part.children)
    pieces = [parts or (_NO_PART_EXTENDED if extended else _NO_PART)]
    own = [string(content.subtype)]
    if extended:
        own += (_parameters(content.parameters), _extension(content))
    room.take(own)
    return b"(%b)" % b" ".join(pieces + own)


def _extension(content: Content) -> bytes:
    """Disposition, language, location."""
    disposition = b"NIL"
    if content.disposition:
        disposition = b"(%b %b)" % (string(content.disposition), _parameters(content.disposition_parameters))
    # RFC 3501 §9 body-fld-lang: a list also when it holds one, as the servers clients know best send it.
    language = b"(%b)" % b" ".join(map(string, content.languages)) if content.languages else b"NIL"
    return b"%b %b %b" % (disposition, language, nstring(content.location))


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(%b)" % b" ".join(b"%b %b" % (string(name), string(text)) for name, text in parameters)
