"""What is kept, sealed, of each message besides its octets: enough to list and search without opening a body.

Invariants: the layout is versioned by its first octet and frozen by test vectors; fields may be added at
the end, and a reader that does not know them passes over them. What is kept does not depend on a protocol.
The numbers and the preview can be used at once; everything else is unpacked only when asked for. A summary of
the first version becomes one of today's when it is read (mime.summary_v1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgpack

from mssante.mime import addresses, dates, encoded_words, listed, outline, preview, summary_v1
from mssante.mime.content import Content, EnvelopeFields
from mssante.mime.envelope import EnvelopeValues
from mssante.mime.packed import Packed, TooLarge
from mssante.mime.structure import Part, Structure
from mssante.reasons import Reason, Refused

_VERSION = b"\x02"
_TYPES = (bytes, bytes, bytes, bytes, int, int, bytes, bytes)
_SHAPES = {(int, int, *sent, *_TYPES) for sent in ((int, int), (type(None), type(None)))}

SectionText = Literal["", "HEADER", "TEXT", "MIME"]


class Extent(NamedTuple):
    """Where one entity lies in the message, in octets; the header ends with its blank line."""

    header_offset: int
    header_octets: int
    body_offset: int
    body_octets: int


class SearchTexts(NamedTuple):
    """Decoded texts for SEARCH SUBJECT, FROM, TO, CC and BCC, as people read them."""

    subject: str
    from_: str
    to: str
    cc: str
    bcc: str


@dataclass(frozen=True, slots=True)
class PartTable:
    """Extents by IMAP part number: `parts["1.2"]`; `messages[""]` is the message itself, `messages["3"]` the
    one inside the message/rfc822 part 3."""

    parts: dict[str, Extent]
    messages: dict[str, Extent]

    def locate(self, path: str, text: SectionText = "") -> tuple[int, int] | None:
        """Offset and length of BODY[path] or BODY[path.text] (RFC 3501 §6.4.5); None when there is no such
        section. The whole message is path "" and text ""."""
        if text in ("HEADER", "TEXT"):
            message = self.messages.get(path)
            if message is None:
                return None
            return message[:2] if text == "HEADER" else message[2:]
        if not path:
            top = self.messages[""]
            return (0, top.body_offset + top.body_octets) if text == "" else None
        part = self.parts.get(path)
        if part is None:
            return None
        return part[:2] if text == "MIME" else part[2:]


class Summary(NamedTuple):
    """`size` is in octets. `internal_date` is in Unix seconds, and `internal_offset` its zone's offset in
    minutes. `sent_at` and `sent_offset` are the same for the Date field, None when it cannot be read.
    `envelope` is the message's EnvelopeValues, packed; `structure` its outline, packed; `preview` its first
    words in UTF-8 (RFC 8970), empty when there are none.

    This is a named tuple, not a dataclass, because 100,000 are made to list one large folder, and a named
    tuple is made 6 times faster."""

    size: int
    internal_date: int
    sent_at: int | None
    sent_offset: int | None
    envelope: Packed
    structure: Packed
    packed_texts: bytes
    packed_parts: bytes
    header_octets: int
    internal_offset: int
    packed_listed: bytes
    preview: bytes

    def __repr__(self) -> str:  # it holds names and subjects
        return f"Summary(size={self.size})"

    @property
    def texts(self) -> SearchTexts:
        return SearchTexts(*_unpacked(self.packed_texts)[:5])

    @property
    def parts(self) -> PartTable:
        parts, messages = _unpacked(self.packed_parts)[:2]
        return PartTable(
            parts={path: Extent(*extent) for path, extent in parts.items()},
            messages={path: Extent(*extent) for path, extent in messages.items()},
        )

    def listed(self, name: bytes) -> tuple[bytes, ...] | None:
        """The values of the field `name` in the message's own header, unfolded, in order. `name` is one of
        `listed.NAMES` (lower case), as in `summary.listed(b"references")`. None when the summary does not
        have them, because it is older or such fields exceed LISTED_OCTETS_MAX: then the header must be read.
        Raises Refused(CORRUPTION)."""
        return listed.values(self.packed_listed, name)

    def first_listed(self, names: Sequence[bytes]) -> list[bytes] | None:
        """The first value of each of `names`, empty where there is none. Otherwise as `listed`."""
        return listed.first_values(self.packed_listed, names)

    def to_bytes(self) -> bytes:
        packed: bytes = msgpack.packb(tuple(self))
        return _VERSION + packed

    @classmethod
    def from_bytes(cls, octets: bytes) -> Summary:
        """Raises Refused(CORRUPTION) when the octets are not a summary, or of a version we do not know."""
        if octets[:1] != _VERSION:
            if octets[:1] == summary_v1.VERSION:
                return cls(*summary_v1.fields(_unpacked(octets[1:])))
            raise Refused(Reason.CORRUPTION, "message summary: unknown version")
        found = _unpacked(octets[1:])
        if tuple(map(type, found)) not in _SHAPES:
            found = found[: len(cls._fields)]  # fields of a later layout are passed over
            if tuple(map(type, found)) not in _SHAPES:
                raise Refused(Reason.CORRUPTION, "message summary: fields missing")
        return cls(*found)


def is_of_before(octets: bytes) -> bool:
    """Whether a summary is of an earlier version: it can be read like any other, and should be kept anew."""
    return octets[:1] != _VERSION


def _unpacked(octets: bytes) -> list:  # type: ignore[type-arg]  # as msgpack gives it; checked by the callers
    # msgpack bounds every length by the size of what it is given.
    try:
        found = msgpack.unpackb(octets)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Refused(Reason.CORRUPTION, "message summary: not readable") from error
    if not isinstance(found, list):
        raise Refused(Reason.CORRUPTION, "message summary: not a list")
    return found


def summarise(structure: Structure, *, internal_date: datetime, head: bytes = b"") -> Summary:
    """The summary of a scanned message. `internal_date` (RFC 3501 §2.3.3) must be aware; `head` is the
    message's first octets, which its preview is made of."""
    root = structure.root
    fields = root.envelope or EnvelopeFields()
    reading = addresses.Reading()
    envelope = EnvelopeValues.of(fields, reading)
    sent = dates.parse(fields.date) if fields.date else None
    offset = sent.utcoffset() if sent else None
    try:
        kept = outline.packed(root, reading)
    except TooLarge:  # catalogue R10: it is shown as one text, so the message can be read as a whole
        root = _as_text(root)
        kept = outline.packed(root)
    texts = (
        encoded_words.decode(fields.subject) if fields.subject else "",
        addresses.text(envelope.from_),
        addresses.text(envelope.to),
        addresses.text(envelope.cc),
        addresses.text(envelope.bcc),
    )
    return Summary(
        size=structure.size,
        internal_date=int(internal_date.timestamp()),
        sent_at=int(sent.timestamp()) if sent else None,
        sent_offset=offset // timedelta(minutes=1) if offset is not None else None,
        envelope=envelope.packed(),
        structure=kept,
        packed_texts=msgpack.packb(texts),
        packed_parts=msgpack.packb(_table(root)),
        header_octets=root.header_octets,
        internal_offset=(internal_date.utcoffset() or timedelta()) // timedelta(minutes=1),
        packed_listed=b"" if structure.header_is_cut else listed.pack(structure.header),
        preview=preview.preview(head, root),
    )


def _as_text(root: Part) -> Part:
    return Part(
        content=Content(media=b"text", subtype=b"plain"),
        header_offset=root.header_offset,
        header_octets=root.header_octets,
        body_offset=root.body_offset,
        body_octets=root.body_octets,
        lines=root.lines,
        envelope=root.envelope,
    )


def _table(root: Part) -> tuple[dict[str, Extent], dict[str, Extent]]:
    """Extents by part number (RFC 3501 §6.4.5). A message that is not a multipart is its own part 1."""
    parts: dict[str, Extent] = {}
    messages: dict[str, Extent] = {}
    pending: list[tuple[str, Part]] = []

    def enter(path: str, message: Part) -> None:
        messages[path] = _extent(message)
        prefix = f"{path}." if path else ""
        if message.content.is_multipart:
            pending.extend((f"{prefix}{n}", child) for n, child in enumerate(message.children, 1))
        else:
            pending.append((f"{prefix}1", message))

    enter("", root)
    while pending:
        path, part = pending.pop()
        parts[path] = _extent(part)
        if part.content.is_multipart:
            pending.extend((f"{path}.{n}", child) for n, child in enumerate(part.children, 1))
        elif part.content.is_message:
            enter(path, part.children[0])
    return parts, messages


def _extent(part: Part) -> Extent:
    return Extent(part.header_offset, part.header_octets, part.body_offset, part.body_octets)
