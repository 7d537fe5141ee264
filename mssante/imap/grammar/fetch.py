"""What a FETCH asks for (RFC 3501 §6.4.5, RFC 3516 §4.2): items, sections, and how far each opens a message.

Invariants: items are distinct and in the client's order; a section's label is what the response repeats to
the client, and everything in it was written or checked by this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from mssante.imap.grammar.lexer import Beyond, Cursor, Unacceptable
from mssante.imap.grammar.need import Need
from mssante.limits import (
    IMAP_DECODED_SECTIONS_MAX,
    IMAP_FETCH_ITEMS_MAX,
    IMAP_FETCH_REMEMBERED_OCTETS_MAX,
    IMAP_HEADER_NAMES_MAX,
    IMAP_PART_DEPTH_MAX,
)


class Attribute(Enum):
    """An item whose answer is one value prepared in advance. The enum's value is the item's name on the
    wire."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    STRUCTURE = b"BODYSTRUCTURE"
    MODSEQ = b"MODSEQ"  # RFC 7162 §3.1.4.2
    SAVEDATE = b"SAVEDATE"  # RFC 8514 §4.2
    EMAILID = b"EMAILID"  # RFC 8474 §5.3
    THREADID = b"THREADID"
    PREVIEW = b"PREVIEW"  # RFC 8970 §3

    @property
    def need(self) -> Need:
        return _NEEDS.get(self, Need.SUMMARY)


_NEEDS = {
    Attribute.UID: Need.FLAGS,
    Attribute.FLAGS: Need.FLAGS,
    Attribute.MODSEQ: Need.FLAGS,
    Attribute.SAVEDATE: Need.PLACE,
    Attribute.EMAILID: Need.PLACE,
    Attribute.THREADID: Need.PLACE,
}


class Slice(Enum):
    """Which octets of a part a section names (RFC 3501 §6.4.5 section-spec)."""

    WHOLE = ""  # BODY[] the message; BODY[1.2] the part's content
    HEADER = "HEADER"
    FIELDS = "HEADER.FIELDS"
    FIELDS_NOT = "HEADER.FIELDS.NOT"
    TEXT = "TEXT"
    MIME = "MIME"


class SectionForm(Enum):
    """How a section's octets are given. The enum's value is the item's name in a response."""

    AS_IS = b"BODY"
    DECODED = b"BINARY"  # RFC 3516 §4.2: without its Content-Transfer-Encoding
    DECODED_SIZE = b"BINARY.SIZE"


_TO_THE_END = 0xFFFFFFFF  # no message is longer


@dataclass(frozen=True, slots=True)
class Partial:
    """`<start.count>`: at most `count` octets from `start`."""

    start: int
    count: int

    def cut(self, size: int) -> range:
        """The octets it names in a section of `size` octets; empty beyond the end."""
        return range(min(self.start, size), min(self.start + self.count, size))


@dataclass(frozen=True, slots=True)
class BodySection:
    """Octets of a message. `path` is the part's number, () for the message itself; `names` are header field
    names in lower case; `label` is the item's name in the response; with `peek`, reading it does not set
    \\Seen. The `partial` of a decoded section counts decoded octets."""

    label: bytes
    path: tuple[int, ...] = ()
    slice: Slice = Slice.WHOLE
    names: frozenset[bytes] = frozenset()
    partial: Partial | None = None
    peek: bool = False
    form: SectionForm = SectionForm.AS_IS

    @property
    def need(self) -> Need:
        in_header = self.slice in (Slice.HEADER, Slice.FIELDS, Slice.FIELDS_NOT)
        return Need.HEADER if in_header and not self.path else Need.BODY


Item = Attribute | BodySection


@dataclass(frozen=True, slots=True)
class FetchItems:
    """The items of one FETCH, in the client's order and by kind. `need`: how far a message must be opened to
    answer all of them; `sets_seen`: whether they set \\Seen. Make it with `of`."""

    items: tuple[Item, ...]
    attributes: tuple[Attribute, ...]
    sections: tuple[BodySection, ...]
    need: Need
    sets_seen: bool
    tells_modseq: bool

    @classmethod
    def of(cls, *items: Item) -> FetchItems:
        # BODY[] and BODY.PEEK[] have the same name in a response: together they are answered once, and
        # set \Seen.
        distinct = tuple({getattr(item, "label", item): item for item in items}.values())
        return cls(
            items=distinct,
            attributes=tuple(item for item in distinct if isinstance(item, Attribute)),
            sections=tuple(item for item in distinct if isinstance(item, BodySection)),
            need=max(item.need for item in distinct),
            sets_seen=any(isinstance(item, BodySection) and not item.peek for item in items),
            tells_modseq=Attribute.MODSEQ in distinct,
        )

    def with_uid(self) -> FetchItems:
        """What UID FETCH answers: it always tells the UID (RFC 3501 §6.4.8)."""
        return self if Attribute.UID in self.items else FetchItems.of(Attribute.UID, *self.items)

    def with_modseq(self) -> FetchItems:
        """What CHANGEDSINCE adds (RFC 7162 §3.1.4.1)."""
        return self if self.tells_modseq else FetchItems.of(*self.items, Attribute.MODSEQ)


_FAST = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)
_MACROS = {
    "FAST": _FAST,
    "ALL": (*_FAST, Attribute.ENVELOPE),
    "FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}
_ATTRIBUTES = {attribute.value.decode("ascii"): attribute for attribute in Attribute}
_RFC822 = {
    "RFC822": BodySection(b"RFC822"),
    "RFC822.HEADER": BodySection(b"RFC822.HEADER", slice=Slice.HEADER, peek=True),
    "RFC822.TEXT": BodySection(b"RFC822.TEXT", slice=Slice.TEXT),
}
_BRACKETED = {
    "BODY": (SectionForm.AS_IS, False),
    "BODY.PEEK": (SectionForm.AS_IS, True),
    "BINARY": (SectionForm.DECODED, False),
    "BINARY.PEEK": (SectionForm.DECODED, True),
    "BINARY.SIZE": (SectionForm.DECODED_SIZE, True),
}
_LAZY = re.compile(rb" \(LAZY(?: LAZY)*+\)", re.IGNORECASE)  # RFC 8970 §6 preview-mod
_SLICES = {piece.value: piece for piece in Slice if piece.value}
_PATH = re.compile(rb"[1-9][0-9]{0,4}(?:\.[1-9][0-9]{0,4})*(?![0-9])")
_FIELD_NAME = re.compile(rb"[!-9;-~]+")  # RFC 5322 §2.2
_ATOM_NAME = re.compile(rb"[A-Z0-9_.+-]+")


def parse(cursor: Cursor) -> FetchItems:
    """Reads a macro, one item, or a parenthesised list of at most IMAP_FETCH_ITEMS_MAX items."""
    rest = cursor.text[cursor.at :]
    if b"\n" in rest or len(rest) > IMAP_FETCH_REMEMBERED_OCTETS_MAX:
        return _read(cursor)
    items, octets = _remembered(rest)
    cursor.at += octets
    return items


@lru_cache(maxsize=256)
def _remembered(text: bytes) -> tuple[FetchItems, int]:
    """The items at the start of `text`, and where they end. Remembered, because a client asks for the same
    items again and again."""
    cursor = Cursor(text)
    return _read(cursor), cursor.at


def _read(cursor: Cursor) -> FetchItems:
    if not cursor.take(b"("):
        name = cursor.word()
        macro = _MACROS.get(name)
        return FetchItems.of(*macro) if macro else FetchItems.of(_item(cursor, name))
    items = [_item(cursor, cursor.word())]
    while cursor.take(b" "):
        if len(items) == IMAP_FETCH_ITEMS_MAX:
            raise Beyond("Trop d'elements demandes / Too many items in one FETCH")
        items.append(_item(cursor, cursor.word()))
    cursor.expect(b")")
    decoded = [item for item in items if isinstance(item, BodySection) and item.form is not SectionForm.AS_IS]
    if len(decoded) > IMAP_DECODED_SECTIONS_MAX:
        raise Beyond("Trop de parties a decoder / Too many parts to decode in one FETCH")
    return FetchItems.of(*items)


def _item(cursor: Cursor, name: str) -> Item:
    bracketed = _BRACKETED.get(name)
    if bracketed is not None and cursor.take(b"["):
        form, peek = bracketed
        return _section(cursor, form, peek=peek)
    item = _ATTRIBUTES.get(name) or _RFC822.get(name)
    if item is None:
        raise Unacceptable("Unknown FETCH item")
    if item is Attribute.PREVIEW and (lazy := _LAZY.match(cursor.text, cursor.at)):
        cursor.at = lazy.end()  # LAZY makes no difference: previews are made when a message is received
    return item


def _section(cursor: Cursor, form: SectionForm, *, peek: bool) -> BodySection:
    """What stands between brackets, and behind them. RFC 3516 defines BINARY for parts only; here it takes
    headers and texts too, and gives them as BODY does, since they have no encoding to undo."""
    start = cursor.at
    path: tuple[int, ...] = ()
    piece = Slice.WHOLE
    names: dict[bytes, None] = {}
    if _PATH.match(cursor.text, cursor.at):
        path = tuple(map(int, cursor.match(_PATH, "a part number").split(b".")))
        if len(path) > IMAP_PART_DEPTH_MAX:
            raise Beyond("Partie trop profonde / A part number is too deep")
    if cursor.peek() != b"]" and (not path or cursor.take(b".")):
        piece = _slice(cursor, in_part=bool(path))
    spec = cursor.text[start : cursor.at].upper()
    if piece in (Slice.FIELDS, Slice.FIELDS_NOT):
        names = _field_names(cursor)
        spec += b" (" + b" ".join(map(_spelt, names)) + b")"
    cursor.expect(b"]")
    label = form.value + b"[" + spec + b"]"
    partial = None if form is SectionForm.DECODED_SIZE else _partial(cursor)
    if partial is not None:
        label += b"<%d>" % partial.start
    lowered = frozenset(name.lower() for name in names)
    return BodySection(label, path, piece, lowered, partial, peek, form)


def _slice(cursor: Cursor, *, in_part: bool) -> Slice:
    piece = _SLICES.get(cursor.word())
    if piece is None or (piece is Slice.MIME and not in_part):
        raise Unacceptable("Unknown section")
    return piece


def _field_names(cursor: Cursor) -> dict[bytes, None]:
    """The names in upper case, each once, in the client's order."""
    cursor.space()
    cursor.expect(b"(")
    names: dict[bytes, None] = {}
    while True:
        name = cursor.astring().upper()
        if not _FIELD_NAME.fullmatch(name):
            raise Unacceptable("Not a header field name")
        names[name] = None
        if len(names) > IMAP_HEADER_NAMES_MAX:
            raise Beyond("Trop de champs / Too many header fields in one section")
        if not cursor.take(b" "):
            cursor.expect(b")")
            return names


def _spelt(name: bytes) -> bytes:
    if _ATOM_NAME.fullmatch(name):
        return name
    return b'"' + name.replace(b"\\", rb"\\").replace(b'"', rb"\"") + b'"'


def _partial(cursor: Cursor) -> Partial | None:
    if not cursor.take(b"<"):
        return None
    start = cursor.number64()  # RFC 9051 §9
    # RFC 3501 §9 demands both numbers. But some clients and test suites leave the second out, and other
    # servers take that to mean "to the end".
    count = cursor.nz_number() if cursor.take(b".") else _TO_THE_END
    cursor.expect(b">")
    return Partial(start, count)
