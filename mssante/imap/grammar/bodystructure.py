"""BODY and BODYSTRUCTURE (RFC 3501 §7.4.2), written from the outline that a message's summary keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mssante.imap.grammar import envelope
from mssante.imap.grammar.encode import NIL
from mssante.imap.grammar.templates import Templates, ValueWriter
from mssante.mime import outline
from mssante.mime.outline import FlatParameters, Multipart, SinglePart
from mssante.mime.packed import Packed, Tree

# For a multipart in which no part was found. The grammar demands at least one, so we tell of an empty text.
_NO_PART = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
_NO_PART_EXTENDED = _NO_PART.removesuffix(b")") + b" NIL NIL NIL NIL)"


def render(tree: Tree, writer: ValueWriter, *, extended: bool) -> bytes:
    """The BODYSTRUCTURE of an outline's tree or, not `extended`, its BODY."""
    # Recursion is bounded: the scanner opens no more than MIME_DEPTH_MAX parts inside one another.
    part = outline.of_tree(tree)
    if isinstance(part, Multipart):
        pieces = _multipart(part, writer, extended=extended)
    else:
        pieces = _single(part, writer, extended=extended)
    return b"(%b)" % b" ".join(pieces)


def _single(part: SinglePart, writer: ValueWriter, *, extended: bool) -> list[bytes]:
    string, nstring, number = writer.string, writer.nstring, writer.number
    pieces = [
        string(part.media),
        string(part.subtype),
        _parameters(part.parameters, writer),
        nstring(part.id),
        nstring(part.description),
        string(part.encoding),
        number(part.octets),
    ]
    if part.message is not None:
        within, structure = part.message
        pieces += (envelope.render(within, writer), render(structure, writer, extended=extended))
    if part.lines is not None:
        pieces.append(number(part.lines))
    if extended:
        pieces += (nstring(part.md5), *_extension(part, writer))
    return pieces


def _multipart(part: Multipart, writer: ValueWriter, *, extended: bool) -> list[bytes]:
    parts = b"".join([render(each, writer, extended=extended) for each in part.parts])
    pieces = [parts or (_NO_PART_EXTENDED if extended else _NO_PART), writer.string(part.subtype)]
    if extended:
        pieces += (_parameters(part.parameters, writer), *_extension(part, writer))
    return pieces


def _extension(part: SinglePart | Multipart, writer: ValueWriter) -> tuple[bytes, bytes, bytes]:
    """Disposition, language, location."""
    disposition = NIL
    if part.disposition is not None:
        word, parameters = part.disposition
        disposition = b"(%b %b)" % (writer.string(word), _parameters(parameters, writer))
    # RFC 3501 §9 body-fld-lang: a list even for a single language, as the most common servers send it.
    language = b"(%b)" % b" ".join(map(writer.string, part.languages)) if part.languages else NIL
    return disposition, language, writer.nstring(part.location)


def _parameters(parameters: FlatParameters, writer: ValueWriter) -> bytes:
    return b"(%b)" % b" ".join(map(writer.string, parameters)) if parameters else NIL


# A packed outline to the parenthesised BODYSTRUCTURE and, without extension data, BODY. Raise
# Refused(CORRUPTION).
bodystructure: Callable[[Packed], bytes] = Templates(partial(render, extended=True)).written
body: Callable[[Packed], bytes] = Templates(partial(render, extended=False)).written
