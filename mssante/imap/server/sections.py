"""The octets of a message that a FETCH section names: taken from what is read already, or read in pieces.

Invariants: a section's size is known before it is announced to the client; of a section that is made from
what is read (decoded, or chosen fields of a long header) no more than one piece is held; a part that does not
exist in the message is None.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mssante.imap.grammar.fetch import BodySection, SectionForm, Slice
from mssante.limits import IMAP_SECTION_WHOLE_OCTETS_MAX, MIME_HEADER_OCTETS_MAX
from mssante.mailbox.reading import Message, Reader
from mssante.mime import content as mime_content
from mssante.mime.decoding import Decoder, decoded, decoder
from mssante.mime.header import FieldPicker, chosen_fields
from mssante.mime.listed import Chooser
from mssante.mime.summary import SectionText, Summary
from mssante.reasons import Reason, Refused

_CHOOSES = (Slice.FIELDS, Slice.FIELDS_NOT)
_IN_HEADER = (Slice.HEADER, *_CHOOSES)
_TEXTS: dict[Slice, SectionText] = {
    Slice.WHOLE: "",
    Slice.HEADER: "HEADER",
    Slice.FIELDS: "HEADER",
    Slice.FIELDS_NOT: "HEADER",
    Slice.TEXT: "TEXT",
    Slice.MIME: "MIME",
}


@dataclass(frozen=True, slots=True)
class SectionExtent:
    """Where the octets of a section are: `held` in memory, or else `size` octets at `offset` of the message's
    content. With `makes`, the `read` octets at `offset` go through the maker that it gives, and the section
    is the range `cut` of the result. `nul`: that range holds a NUL."""

    message: Message
    offset: int
    size: int
    held: bytes | None = None
    makes: Callable[[], Decoder] | None = None
    read: int = 0
    cut: range = range(0)
    nul: bool = False

    async def octets(self, reader: Reader, *, keep: bool) -> bytes:
        """All the octets. Without `keep` they are only read, to prove that they open, and the answer is
        empty. Raises Refused(CORRUPTION)."""
        if keep:
            return b"".join([piece async for piece in self.pieces(reader)])
        if self.makes is None:  # a section that is made has been read once already, to measure it
            async for _ in self.pieces(reader):
                pass
        return b""

    async def pieces(self, reader: Reader) -> AsyncIterator[bytes]:
        """The octets in pieces. Raises Refused(CORRUPTION) where the content is damaged."""
        if self.held is not None:
            yield self.held
        elif self.makes is not None:
            async for piece in self._made(reader, self.makes()):
                yield piece
        elif self.size:
            async for piece in reader.content(self.message, self.offset, self.size):
                yield piece

    async def _made(self, reader: Reader, maker: Decoder) -> AsyncIterator[bytes]:
        wanted, at = self.cut, 0
        async for piece in reader.content(self.message, self.offset, self.read):
            plain = maker.feed(piece)
            kept = plain[max(0, wanted.start - at) : max(0, wanted.stop - at)]
            at += len(plain)
            if kept:
                yield kept
            if at >= wanted.stop:
                return
        plain = maker.finish()
        kept = plain[max(0, wanted.start - at) : max(0, wanted.stop - at)]
        if kept:
            yield kept


def at_hand(
    sections: Sequence[BodySection], message: Message, content: bytes | None
) -> list[bytes | None] | None:
    """The sections' octets, taken from the whole `content` or from the header, which is kept separately. None
    when something must be read for one of them, or when they would be too much to hold together. Raises
    Refused(ENCODING_UNKNOWN)."""
    found: list[bytes | None] = []
    held = 0
    for section in sections:
        place = _located(message.summary, section)
        if place is None:
            found.append(None)
        elif content is not None:
            found.append(_chosen(section, _content(message.summary, section, content, place)))
        elif message.header is not None and not section.path and section.slice in _IN_HEADER:
            found.append(_chosen(section, message.header))
        else:
            return None
        held += len(found[-1] or b"")
        if held > IMAP_SECTION_WHOLE_OCTETS_MAX:
            return None
    return found


class ListedSections:
    """Sections made of header fields that summaries keep (mime.listed), so that nothing else is read."""

    def __init__(self, sections: Sequence[BodySection], choosers: Sequence[Chooser]) -> None:
        self._sections = sections
        self._choosers = choosers

    @classmethod
    def of(cls, sections: Sequence[BodySection]) -> ListedSections | None:
        """None unless all of `sections` are of that kind."""
        choosers = [_chooser(section) for section in sections]
        found = [chooser for chooser in choosers if chooser is not None]
        return cls(sections, found) if found and len(found) == len(choosers) else None

    def octets(self, summary: Summary) -> list[bytes] | None:
        """The sections' octets, in order; None when this summary does not keep one of them, so that the
        header must be read."""
        found = []
        for section, chooser in zip(self._sections, self._choosers, strict=True):
            block = chooser.fields(summary.packed_listed)
            if block is None:
                return None
            found.append(block if section.partial is None else _cut(section, block))
        return found


async def extents(
    reader: Reader, message: Message, sections: Sequence[BodySection]
) -> list[SectionExtent | None]:
    """Where the sections lie. What is held of them all together is IMAP_SECTION_WHOLE_OCTETS_MAX at most.
    Raises Refused(CORRUPTION, ENCODING_UNKNOWN)."""
    found: list[SectionExtent | None] = []
    room = IMAP_SECTION_WHOLE_OCTETS_MAX
    for section in sections:
        found.append(await _extent(reader, message, section, room))
        room -= len(found[-1].held or b"") if found[-1] is not None else 0
    return found


async def _extent(reader: Reader, message: Message, section: BodySection, room: int) -> SectionExtent | None:
    place = _located(message.summary, section)
    if place is None:
        return None
    offset, size = place
    if section.slice in _CHOOSES and size > room:
        others = section.slice is Slice.FIELDS_NOT
        picks = partial(FieldPicker, section.names, others=others)
        return await _measured(reader, message, section, place, picks)
    if section.slice in _CHOOSES:
        block = _chosen(section, await reader.octets(message, offset, size))
        return SectionExtent(message, 0, len(block), block)
    if _is_decoded(section):
        start, octets = _heading(message.summary, section)
        encoding = _encoding(await reader.octets(message, start, octets))
        if encoding:
            return await _measured(reader, message, section, place, partial(_decoder, encoding))
    kept = range(size) if section.partial is None else section.partial.cut(size)
    return SectionExtent(message, offset + kept.start, len(kept))


# Inside


def _located(summary: Summary, section: BodySection) -> tuple[int, int] | None:
    """Offset and length of a section's octets; None for a part that does not exist in the message."""
    if section.path:
        return summary.parts.locate(_path(section), _TEXTS[section.slice])
    # For the message itself, the table of its parts is not needed.
    if section.slice is Slice.WHOLE:
        return 0, summary.size
    if section.slice is Slice.TEXT:
        return summary.header_octets, summary.size - summary.header_octets
    return 0, summary.header_octets


def _path(section: BodySection) -> str:
    return ".".join(map(str, section.path))


def _chosen(section: BodySection, block: bytes) -> bytes:
    if section.slice in _CHOOSES:
        block = chosen_fields(block, section.names, others=section.slice is Slice.FIELDS_NOT)
    return _cut(section, block)


def _cut(section: BodySection, block: bytes) -> bytes:
    if section.partial is None:
        return block
    kept = section.partial.cut(len(block))
    return block[kept.start : kept.stop]


def _chooser(section: BodySection) -> Chooser | None:
    return None if section.path or section.slice is not Slice.FIELDS else Chooser.of(section.names)


# RFC 3516: decoding. A message as a whole has no encoding, so BINARY[] is the same as BODY[].


def _is_decoded(section: BodySection) -> bool:
    return section.form is not SectionForm.AS_IS and bool(section.path) and section.slice is Slice.WHOLE


def _heading(summary: Summary, section: BodySection) -> tuple[int, int]:
    """Offset and length of the header of the section's part; of a longer one, only as much as was read when
    the message was received."""
    found = summary.parts.locate(_path(section), "MIME")
    assert found is not None, "a part has a header"
    return found[0], min(found[1], MIME_HEADER_OCTETS_MAX)


def _encoding(header: bytes) -> bytes:
    """The encoding to be decoded, empty if there is none. Raises Refused(ENCODING_UNKNOWN)."""
    content = mime_content.read(header, of_message=False).content
    if content.is_multipart or not content.is_encoded:  # RFC 2045 §6.4: a multipart is not encoded
        return b""
    if decoder(content.encoding) is None:
        raise Refused(Reason.ENCODING_UNKNOWN)
    return content.encoding


def _decoder(encoding: bytes) -> Decoder:
    made = decoder(encoding)
    assert made is not None, "an unknown encoding was refused"
    return made


def _content(summary: Summary, section: BodySection, content: bytes, place: tuple[int, int]) -> bytes:
    """A section's octets, taken from the whole content."""
    block = content[place[0] : place[0] + place[1]]
    if not _is_decoded(section):
        return block
    start, octets = _heading(summary, section)
    encoding = _encoding(content[start : start + octets])
    plain = decoded(encoding, block)
    assert plain is not None, "an unknown encoding was refused"
    return plain


async def _measured(
    reader: Reader,
    message: Message,
    section: BodySection,
    place: tuple[int, int],
    makes: Callable[[], Decoder],
) -> SectionExtent:
    """A section that is made, with its size, for which it must be made once from beginning to end."""
    offset, octets = place
    most = 1 << 62 if section.partial is None else section.partial.start + section.partial.count
    first = 0 if section.partial is None else section.partial.start
    made = SectionExtent(message, offset, 0, makes=makes, read=octets, cut=range(first, most))
    size, nul = 0, False
    async for piece in made.pieces(reader):
        size += len(piece)
        nul = nul or b"\0" in piece
    return replace(made, size=size, cut=range(first, first + size), nul=nul)
