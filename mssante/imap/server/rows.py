"""One message's values as FetchFormat reads them; expensive ones are made only when they are asked for."""

from __future__ import annotations

from typing import NamedTuple

from mssante.imap.grammar import encode
from mssante.imap.grammar.bodystructure import body, bodystructure
from mssante.imap.grammar.envelope import envelope
from mssante.mailbox.places import KnownPlace
from mssante.mime.summary import Summary


class PlaceLine(NamedTuple):
    """What FETCH needs of a message that is not opened."""

    sequence: int
    uid: int
    flags: bytes
    place: KnownPlace
    modseq: int = 0

    @property
    def save_date(self) -> bytes:
        return encode.date_time(self.place.saved_at)

    @property
    def email_id(self) -> bytes:
        return encode.object_id(self.place.email_id)

    @property
    def thread_id(self) -> bytes:
        return encode.NIL  # RFC 8474 §5.2 allows it; clients find related messages by THREAD


class MessageLine(NamedTuple):
    """One message's values, as FetchFormat reads them; `place` only where the command asks for it."""

    sequence: int
    uid: int
    flags: bytes
    summary: Summary
    modseq: int = 0
    place: PlaceLine | None = None

    @property
    def save_date(self) -> bytes:
        assert self.place is not None
        return self.place.save_date

    @property
    def email_id(self) -> bytes:
        assert self.place is not None
        return self.place.email_id

    @property
    def thread_id(self) -> bytes:
        return encode.NIL

    @property
    def internal_date(self) -> bytes:
        return encode.instant(self.summary.internal_date, self.summary.internal_offset)

    @property
    def size(self) -> int:
        return self.summary.size

    @property
    def envelope(self) -> bytes:
        return envelope(self.summary.envelope)

    @property
    def body(self) -> bytes:
        return body(self.summary.structure)

    @property
    def structure(self) -> bytes:
        return bodystructure(self.summary.structure)

    @property
    def preview(self) -> bytes:
        # RFC 8970 §3.2: NIL is for previews that are not made yet; ours are made when a message is received.
        return encode.string(self.summary.preview)


class FlagsLine(NamedTuple):
    """The values that FETCH (UID FLAGS) needs, and no others."""

    sequence: int
    uid: int
    flags: bytes
    modseq: int = 0
