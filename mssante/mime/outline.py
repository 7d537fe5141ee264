"""What a message is made of, as values: the tree of its parts, and how it is kept.

Invariants: the tree is as the scanner found it (mime.structure), with each part's header fields as the sender
wrote them; a tree that would take more than MIME_STRUCTURE_OCTETS_MAX to write out is not kept, and its
message is shown as one text. The values do not depend on a protocol: IMAP's grammar writes BODY and
BODYSTRUCTURE from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mssante.limits import MIME_STRUCTURE_OCTETS_MAX
from mssante.mime.addresses import Reading
from mssante.mime.content import Content, EnvelopeFields
from mssante.mime.envelope import EnvelopeValues
from mssante.mime.header import Parameters
from mssante.mime.packed import Packed, Tree, pack
from mssante.mime.structure import Part

FlatParameters = tuple[bytes, ...]  # a name, its text, the next name …


class SinglePart(NamedTuple):
    """A part that is not a multipart. `octets` and `lines` are those of its body; only texts and messages
    have `lines`. `message` is the envelope and the outline of the message in a message/rfc822 part.
    `disposition` is its word and its parameters. The order of the fields is part of the stored format, so it
    never changes."""

    media: bytes
    subtype: bytes
    parameters: FlatParameters
    id: bytes | None
    description: bytes | None
    encoding: bytes
    octets: int
    lines: int | None
    message: Iterable[Tree] | None
    md5: bytes | None
    disposition: tuple[bytes, FlatParameters] | None
    languages: tuple[bytes, ...]
    location: bytes | None


class Multipart(NamedTuple):
    """A multipart. `parts` are trees; there is none when no delimiter was found. The order of the fields is
    part of the stored format, so it never changes."""

    parts: Iterable[Tree]
    subtype: bytes
    parameters: FlatParameters
    disposition: tuple[bytes, FlatParameters] | None
    languages: tuple[bytes, ...]
    location: bytes | None


def of_tree(tree: Tree) -> SinglePart | Multipart:
    """The outline that `packed` kept as this tree: a multipart begins with its parts, any other part with its
    media type."""
    return Multipart(*tree) if isinstance(tree[0], tuple) else SinglePart(*tree)


def packed(root: Part, reading: Reading | None = None) -> Packed:
    """Raises packed.TooLarge. `reading` is that of the message's own address fields."""
    return pack(_outline(root, reading or Reading()), octets_max=MIME_STRUCTURE_OCTETS_MAX)


def _outline(part: Part, reading: Reading) -> SinglePart | Multipart:
    # Parts inside are made only when asked for: of a tree that is too large, little is ever made.
    content = part.content
    if content.is_multipart:
        return Multipart(
            (_outline(child, reading) for child in part.children),
            content.subtype,
            _flat(content.parameters),
            _disposition(content),
            content.languages,
            content.location,
        )
    message = _message(part.children[0], reading) if content.is_message else None
    return SinglePart(
        content.media,
        content.subtype,
        _flat(content.parameters),
        content.id,
        content.description,
        content.encoding,
        part.body_octets,
        part.lines if message or content.media == b"text" else None,
        message,
        content.md5,
        _disposition(content),
        content.languages,
        content.location,
    )


def _message(within: Part, reading: Reading) -> Iterator[Tree]:
    yield EnvelopeValues.of(within.envelope or EnvelopeFields(), reading)
    yield _outline(within, reading)


def _disposition(content: Content) -> tuple[bytes, FlatParameters] | None:
    if not content.disposition:
        return None
    return content.disposition, _flat(content.disposition_parameters)


def _flat(parameters: Parameters) -> FlatParameters:
    return tuple([each for pair in parameters for each in pair])
