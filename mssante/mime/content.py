"""What a header says about its part (Content-* fields) and about its message (envelope fields).

Invariants: never raises; the values are the octets as written, unfolded, so that IMAP shows what the
sender wrote; type, subtype and encoding are in lower case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mssante import limits
from mssante.mime import header
from mssante.mime.header import Parameters

# RFC 2045 §5.2, and RFC 2046 §5.1.5 for the parts of a digest.
_PLAIN = (b"text", b"plain", ((b"charset", b"us-ascii"),))
_MESSAGE: tuple[bytes, bytes, Parameters] = (b"message", b"rfc822", ())
_TOKEN_FORBIDDEN = frozenset(b'()<>@,;:\\"/[]?= \t\r\n\x00')
_UNENCODED = frozenset((b"", b"7bit", b"8bit", b"binary"))
_ADDRESS_FIELDS = frozenset((b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"))
_ENVELOPE_FIELDS = _ADDRESS_FIELDS | {b"date", b"subject", b"in-reply-to", b"message-id"}
_CONTENT_FIELDS = frozenset(
    (
        b"content-type",
        b"content-transfer-encoding",
        b"content-id",
        b"content-description",
        b"content-disposition",
        b"content-language",
        b"content-location",
        b"content-md5",
    )
)
_MESSAGE_FIELDS = _CONTENT_FIELDS | _ENVELOPE_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)  # file names carry patients' names
class Content:
    """A part's description of itself (RFC 2045, 2183, 3282, 2557, 1864). None: the field is missing."""

    media: bytes
    subtype: bytes
    parameters: Parameters = ()
    encoding: bytes = b"7bit"
    id: bytes | None = None
    description: bytes | None = None
    disposition: bytes | None = None
    disposition_parameters: Parameters = ()
    languages: tuple[bytes, ...] = ()
    location: bytes | None = None
    md5: bytes | None = None

    @property
    def is_multipart(self) -> bool:
        return self.media == b"multipart"

    @property
    def is_message(self) -> bool:
        return self.media == b"message" and self.subtype == b"rfc822"

    @property
    def is_encoded(self) -> bool:
        return self.encoding not in _UNENCODED

    @property
    def boundary(self) -> bytes | None:
        """The boundary that delimits the parts; None when it is missing or too long (RFC 2046 §5.1.1)."""
        text = (header.parameter(self.parameters, b"boundary") or b"").rstrip(b" \t")
        return text if 0 < len(text) <= limits.MIME_BOUNDARY_OCTETS_MAX else None

    def as_text(self) -> Content:
        """The same part, opaque: what is beyond a limit counts as plain text, readable as a whole."""
        return replace(self, media=b"text", subtype=b"plain", parameters=())

    def as_octets(self) -> Content:
        return replace(self, media=b"application", subtype=b"octet-stream", parameters=())


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EnvelopeFields:
    """The fields that IMAP's ENVELOPE is made of, unfolded; None: the field is missing. When an address field
    is repeated, its values are joined to one list."""

    date: bytes | None = None
    subject: bytes | None = None
    from_: bytes | None = None
    sender: bytes | None = None
    reply_to: bytes | None = None
    to: bytes | None = None
    cc: bytes | None = None
    bcc: bytes | None = None
    in_reply_to: bytes | None = None
    message_id: bytes | None = None


_NO_FIELDS = EnvelopeFields()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """One header block, read: `received` counts its Received fields (RFC 5321 §6.3)."""

    content: Content
    envelope: EnvelopeFields = _NO_FIELDS
    received: int = 0


def read(block: bytes, *, of_message: bool, in_digest: bool = False) -> Heading:
    """Reads a header block. With `of_message` it reads the envelope fields and counts the hops too. With
    `in_digest` a part without Content-Type is a message."""
    wanted = _MESSAGE_FIELDS if of_message else _CONTENT_FIELDS
    found: dict[bytes, bytes] = {}
    lists: dict[bytes, list[bytes]] = {}
    received = 0
    for name, raw in header.pairs(block):
        if name in wanted:
            if name in _ADDRESS_FIELDS:
                lists.setdefault(name, []).append(header.unfold(raw))
            elif name not in found:  # of a repeated field the first counts, as for the clients we know
                found[name] = header.unfold(raw)
        elif name == b"received":
            received += 1
    content = _content(found, in_digest=in_digest)
    if not of_message:
        return Heading(content=content)
    for name, written in lists.items():
        found[name] = b", ".join(written)
    return Heading(content=content, envelope=_envelope(found), received=received)


def _envelope(found: dict[bytes, bytes]) -> EnvelopeFields:
    return EnvelopeFields(
        date=found.get(b"date"),
        subject=found.get(b"subject"),
        from_=found.get(b"from"),
        sender=found.get(b"sender"),
        reply_to=found.get(b"reply-to"),
        to=found.get(b"to"),
        cc=found.get(b"cc"),
        bcc=found.get(b"bcc"),
        in_reply_to=found.get(b"in-reply-to"),
        message_id=found.get(b"message-id"),
    )


def _content(found: dict[bytes, bytes], *, in_digest: bool) -> Content:
    media, subtype, parameters = _type(found.get(b"content-type"), in_digest=in_digest)
    disposition: bytes | None = None
    disposition_parameters: Parameters = ()
    if b"content-disposition" in found:
        disposition, disposition_parameters = header.with_parameters(_start(found[b"content-disposition"]))
    languages = header.without_comments(_start(found.get(b"content-language", b""))).split(b",")
    encoding = header.without_comments(_start(found.get(b"content-transfer-encoding", b""))).lower()
    return Content(
        media=media,
        subtype=subtype,
        parameters=parameters,
        encoding=encoding or b"7bit",
        id=found.get(b"content-id"),
        description=found.get(b"content-description"),
        disposition=disposition.lower() if disposition else None,
        disposition_parameters=disposition_parameters if disposition else (),
        languages=tuple(stripped for tag in languages if (stripped := tag.strip())),
        location=found.get(b"content-location"),
        md5=found.get(b"content-md5"),
    )


def _start(value: bytes) -> bytes:
    """What is read of a field with parameters or comments."""
    return value[: limits.MIME_VALUE_OCTETS_MAX]


def _type(value: bytes | None, *, in_digest: bool) -> tuple[bytes, bytes, Parameters]:
    if value is None:
        return _MESSAGE if in_digest else _PLAIN
    main, parameters = header.with_parameters(_start(value))
    media, _, subtype = main.lower().partition(b"/")
    media, subtype = media.strip(), subtype.strip()
    if not media or not subtype or not _TOKEN_FORBIDDEN.isdisjoint(media + subtype):
        return _PLAIN  # RFC 2045 §5.2: a type that cannot be read is plain text
    if media == b"text" and header.parameter(parameters, b"charset") is None:
        parameters = (*parameters, *_PLAIN[2])  # RFC 2045 §5.2: the charset of a text that names none
    return media, subtype, parameters
