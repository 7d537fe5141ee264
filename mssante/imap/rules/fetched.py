"""FETCH responses (RFC 3501 §7.4.2), assembled from values that are ready to send.

Invariants: the fixed text of a line is made once per command, so that each message costs one substitution
only; a body is announced by its size and its octets follow, so it need never be held as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol

from mssante.imap.grammar.fetch import Attribute, FetchItems, SectionForm

CLOSING = b")\r\n"


class Fetchable(Protocol):
    """One message's prepared values. Only those the command asks for are read."""

    @property
    def sequence(self) -> int: ...

    @property
    def uid(self) -> int: ...

    @property
    def flags(self) -> bytes:
        """Rendered names, without parentheses (FlagWords.render)."""

    @property
    def internal_date(self) -> bytes:
        """`encode.date_time`."""

    @property
    def size(self) -> int: ...

    @property
    def envelope(self) -> bytes:
        """The parenthesised ENVELOPE."""

    @property
    def body(self) -> bytes:
        """The parenthesised BODY (structure without extension data)."""

    @property
    def structure(self) -> bytes:
        """The parenthesised BODYSTRUCTURE."""

    @property
    def preview(self) -> bytes:
        """A string."""

    @property
    def modseq(self) -> int: ...

    @property
    def save_date(self) -> bytes:
        """`encode.date_time`."""

    @property
    def email_id(self) -> bytes:
        """`encode.object_id`."""

    @property
    def thread_id(self) -> bytes:
        """`encode.object_id`, or NIL."""


# How each attribute is written, and the name of the property of Fetchable that gives its value.
_WRITTEN: dict[Attribute, tuple[bytes, str]] = {
    Attribute.UID: (b"UID %d", "uid"),
    Attribute.FLAGS: (b"FLAGS (%b)", "flags"),
    Attribute.INTERNALDATE: (b"INTERNALDATE %b", "internal_date"),
    Attribute.SIZE: (b"RFC822.SIZE %d", "size"),
    Attribute.ENVELOPE: (b"ENVELOPE %b", "envelope"),
    Attribute.BODY: (b"BODY %b", "body"),
    Attribute.STRUCTURE: (b"BODYSTRUCTURE %b", "structure"),
    Attribute.PREVIEW: (b"PREVIEW %b", "preview"),
    Attribute.MODSEQ: (b"MODSEQ (%d)", "modseq"),
    Attribute.SAVEDATE: (b"SAVEDATE %b", "save_date"),
    Attribute.EMAILID: (b"EMAILID %b", "email_id"),
    Attribute.THREADID: (b"THREADID %b", "thread_id"),
}


class FetchFormat:
    """How one FETCH command's responses are written. Attributes come first, sections after them."""

    def __init__(self, items: FetchItems) -> None:
        written = [_WRITTEN[attribute] for attribute in items.attributes]
        self.sections = items.sections
        self._opening = b"* %d FETCH (" + b" ".join(piece for piece, _ in written)
        self._line = self._opening + CLOSING
        self._labels = [
            (b" " if written or at else b"") + section.label for at, section in enumerate(self.sections)
        ]
        # A label may hold header names from the client with a "%" in them: it must not be taken for a format.
        announced = [label.replace(b"%", b"%%") + b" {%d}\r\n%b" for label in self._labels]
        self._listed = self._opening + b"".join(announced) + CLOSING
        self._values = _values_of(["sequence", *(name for _, name in written)])

    def lines(self, rows: Iterable[Fetchable]) -> bytes:
        """Whole responses of a FETCH without sections."""
        values, line = self._values, self._line
        return b"".join([line % values(row) for row in rows])

    def line(self, row: Fetchable, contents: Sequence[bytes | None]) -> bytes:
        """One whole response; `contents` are the sections' octets in order, None for a part that the
        message does not have."""
        pieces = [self.opening(row)]
        for at, content in enumerate(contents):
            if content is None:
                pieces.append(self.announcement(at, None))
            else:
                nul = b"\0" in content
                pieces.append(self.announcement(at, len(content), nul=nul))
                if self.sections[at].form is not SectionForm.DECODED_SIZE:
                    pieces.append(content)
        pieces.append(CLOSING)
        return b"".join(pieces)

    def listed(self, row: Fetchable, contents: Sequence[bytes]) -> bytes:
        """The same as `line`, but quicker: for sections that are all header fields, and all present."""
        if len(contents) == 1:
            return self._listed % (*self._values(row), len(contents[0]), contents[0])
        announced = [part for content in contents for part in (len(content), content)]
        return self._listed % (*self._values(row), *announced)

    def opening(self, row: Fetchable) -> bytes:
        """The response up to its first section. After the sections comes CLOSING."""
        return self._opening % self._values(row)

    def announcement(self, at: int, size: int | None, *, nul: bool = False) -> bytes:
        """What stands before the octets of section number `at`: its label, and then `{size}`, or `~{size}`
        for decoded octets that hold NUL (RFC 3516 §4.3), or NIL for a part that does not exist. BINARY.SIZE
        is followed by its number only, which is 0 for a part that does not exist."""
        label, form = self._labels[at], self.sections[at].form
        if form is SectionForm.DECODED_SIZE:
            return label + b" %d" % (size or 0)
        if size is None:
            return label + b" NIL"
        return label + (b" ~{%d}\r\n" if nul and form is SectionForm.DECODED else b" {%d}\r\n") % size


def _values_of(names: Sequence[str]) -> Callable[[Fetchable], tuple[object, ...]]:
    """Takes the named values from a Fetchable, as the tuple that `%` needs. With a single name, attrgetter
    would give the bare value and not a tuple."""
    if len(names) == 1:
        (name,) = names
        return lambda row: (getattr(row, name),)
    return attrgetter(*names)


class Change(NamedTuple):
    """A message whose flags changed; `flags` are their names as sent, without parentheses."""

    sequence: int
    uid: int
    flags: bytes
    modseq: int


def change_lines(changes: Iterable[Change], *, uid: bool = True, modseq: bool = False) -> bytes:
    """`* n FETCH (UID u FLAGS (...))`, as STORE answers and as other sessions' changes are told. Without
    `uid` there are only the flags, as RFC 3501 §6.4.6 shows; with `modseq` both UID and MODSEQ are there too
    (RFC 7162 §3.2.4)."""
    if modseq:
        return b"".join([b"* %d FETCH (UID %d FLAGS (%b) MODSEQ (%d))\r\n" % each for each in changes])
    if uid:
        return b"".join([b"* %d FETCH (UID %d FLAGS (%b))\r\n" % each[:3] for each in changes])
    return b"".join([b"* %d FETCH (FLAGS (%b))\r\n" % (each.sequence, each.flags) for each in changes])


def modseq_lines(changes: Iterable[tuple[int, int, int]]) -> bytes:
    """`* n FETCH (UID u MODSEQ (m))` for (sequence, uid, modseq): after a silent STORE the client knows the
    new flags, but not their mod-sequence (RFC 7162 §3.1.3)."""
    return b"".join([b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % each for each in changes])
