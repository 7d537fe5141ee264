"""FETCH: batches of lines from flags and summaries; bodies streamed piece by piece.

Invariants: no transaction is open while the client is written to; the loop is given to others between
batches; what waits to be sent is bounded whatever is asked; a damaged message costs itself only: nothing
of it is promised before it has been opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple

from mssante.imap import encode
from mssante.imap.commands import Fetch
from mssante.imap.fetch import Attribute, BodySection, FetchItems, Partial, Slice
from mssante.imap.fetched import CLOSING, FetchFormat
from mssante.imap.flags import RECENT, FlagNames
from mssante.imap.header_fields import chosen_fields
from mssante.imap.need import Need
from mssante.imap.responses import Code, Status
from mssante.limits import CHUNK_BYTES, KIB
from mssante.mailbox.reading import Message, Reader, breathe
from mssante.mailbox.selected import Selected
from mssante.mime.summary import SectionText, Summary
from mssante.model import Flag
from mssante.net.imapd_talk import OK_FETCH, Answer, Talk
from mssante.reasons import Refused
from mssante.store.records import FlagsMode

_MESSAGES_AT_ONCE = 500
_LINES_AT_ONCE = 2000  # of flags
_SEND_BYTES = 64 * KIB  # lines are gathered up to this
_WHOLE_BYTES_MAX = 4 * CHUNK_BYTES  # sections up to this are held whole, larger ones are read twice

Place = tuple[int, int, int]  # sequence number, UID, flags


@lru_cache(maxsize=64)
def _zone(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes))


class Row(NamedTuple):
    """One message's values, as FetchFormat reads them."""

    sequence: int
    uid: int
    flags: bytes
    summary: Summary

    @property
    def internal_date(self) -> bytes:
        zone = _zone(self.summary.internal_offset)
        return encode.date_time(datetime.fromtimestamp(self.summary.internal_date, zone))

    @property
    def size(self) -> int:
        return self.summary.size

    @property
    def envelope(self) -> bytes:
        return self.summary.envelope

    @property
    def body(self) -> bytes:
        return self.summary.body

    @property
    def structure(self) -> bytes:
        return self.summary.bodystructure


class FlagsRow(NamedTuple):
    """What FETCH (UID FLAGS) needs; nothing else is asked of it."""

    sequence: int
    uid: int
    flags: bytes


async def fetch(talk: Talk, command: Fetch) -> Answer:
    """RFC 3501 §6.4.5."""
    places = talk.places(command.messages, uid=command.uid)
    job = _Job(talk, command.items, await talk.names())
    wanted = chain.from_iterable(map(talk.selected.messages, ([place] for place in places)))
    if command.items.need is Need.FLAGS:
        while batch := list(islice(wanted, _LINES_AT_ONCE)):
            await job.flags_only(batch)
    else:
        while batch := list(islice(wanted, _MESSAGES_AT_ONCE)):
            await job.messages(batch)
    await job.flush()
    if job.damaged:
        text = (
            f"{job.damaged} message(s) endommage(s), prevenez votre operateur / damaged, tell your operator"
        )
        return Answer(Status.NO, text, Code.CORRUPTION)
    # RFC 3501 §6.4.8: a UID that does not exist is passed over; a number that the client counts is told.
    if not command.uid and job.answered < sum(map(len, places)):
        return Answer(Status.NO, "Some messages are no longer there", Code.EXPUNGEISSUED)
    return OK_FETCH


class _Job:
    """One FETCH command under way."""

    def __init__(self, talk: Talk, items: FetchItems, names: FlagNames) -> None:
        self._talk = talk
        self._selected: Selected = talk.selected
        self._names = names
        self._reader: Reader = talk.reader
        self._format = FetchFormat(items)
        # RFC 3501 §6.4.5: a message that becomes \Seen tells its flags in the same response.
        self._format_seen = FetchFormat(FetchItems.of(*items.items, Attribute.FLAGS))
        self._marks = items.sets_seen and not self._selected.read_only
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._headers = any(
            isinstance(item, BodySection) and item.need is Need.HEADER for item in items.items
        )
        self.damaged = 0
        self.answered = 0

    async def flags_only(self, batch: Sequence[Place]) -> None:
        render = self._names.render
        rows = [FlagsRow(sequence, uid, render(mask)) for sequence, uid, mask in batch]
        self.answered += len(rows)
        await self._send(self._format.lines(rows))  # type: ignore[arg-type]  # UID and FLAGS, nothing else
        await breathe()

    async def messages(self, batch: Sequence[Place]) -> None:
        by_uid = {place[1]: place for place in batch}
        uids = list(by_uid)
        async for opened, damaged in self._reader.messages(self._selected.id, uids, header=self._headers):
            self.damaged += len(damaged)
            self.answered += len(opened) + len(damaged)
            await self._answer(opened, by_uid)

    async def _answer(self, opened: Sequence[Message], by_uid: Mapping[int, Place]) -> None:
        newly_seen = await self._mark_seen(opened) if self._marks else {}
        rows = []
        for message in opened:
            sequence, uid, mask = by_uid[message.uid]
            flags = self._names.render(newly_seen.get(uid, mask) | mask & RECENT)
            rows.append(Row(sequence, uid, flags, message.summary))
        if not self._format.sections:
            await self._send(self._format.lines(rows))
        else:
            for row, message in zip(rows, opened, strict=True):
                form = self._format_seen if row.uid in newly_seen else self._format
                await self._sections(form, row, message)

    async def _mark_seen(self, opened: Sequence[Message]) -> dict[int, int]:
        """Marks what a BODY[] is about to read. The new flags of those that were not \\Seen."""
        unseen = [
            message.uid
            for message in opened
            if not (self._selected.mask_of(message.uid) or 0) & Flag.SEEN.value
        ]
        if not unseen:
            return {}
        rows = await self._talk.writer.flags(self._selected.id, unseen, FlagsMode.ADD, Flag.SEEN.value)
        self._selected.learn(rows)
        if self._selected.flags_seen & ~self._names.known:
            self._names = await self._talk.names()
        return {row.uid: row.flags for row in rows}

    async def _sections(self, form: FetchFormat, row: Row, message: Message) -> None:
        """One message's line. Small sections are opened first; large ones are proved, then streamed."""
        try:
            extents = [await self._extent(message, section) for section in form.sections]
            small = sum(extent.size for extent in extents if extent is not None) <= _WHOLE_BYTES_MAX
            contents = [
                None if extent is None else await extent.octets(self._reader, keep=small)
                for extent in extents
            ]
        except Refused:
            self.damaged += 1
            return
        if small:
            await self._send(form.line(row, contents))
            return
        await self._send(form.opening(row))
        for at, extent in enumerate(extents):
            await self._send(form.announcement(at, None if extent is None else extent.size))
            if extent is not None:
                await self._stream(extent)
        await self._send(CLOSING)

    async def _stream(self, extent: _Extent) -> None:
        await self.flush()
        try:
            async for piece in extent.pieces(self._reader):
                await self._talk.send(piece)
        except Refused:
            # Shredded since it was proved: octets are promised that nobody has. Only an end is honest.
            self._talk.abort()
            raise ConnectionResetError from None

    async def _extent(self, message: Message, section: BodySection) -> _Extent | None:
        place = _located(message.summary, section)
        if place is None:
            return None
        held = message.header if section.slice in _IN_HEADER and not section.path else None
        if section.slice in (Slice.FIELDS, Slice.FIELDS_NOT):
            block = held if held is not None else await self._reader.octets(message, *place)
            held = chosen_fields(block, section.names, others=section.slice is Slice.FIELDS_NOT)
        if held is not None:
            return _Extent(message, 0, len(held), held).cut(section.partial)
        return _Extent(message, *place, None).cut(section.partial)

    async def _send(self, octets: bytes) -> None:
        self._gathered.append(octets)
        self._gathered_bytes += len(octets)
        if self._gathered_bytes >= _SEND_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Sends what was gathered."""
        octets = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_bytes = 0
        await self._talk.send(octets)


_IN_HEADER = (Slice.HEADER, Slice.FIELDS, Slice.FIELDS_NOT)
_TEXTS: dict[Slice, SectionText] = {
    Slice.WHOLE: "",
    Slice.HEADER: "HEADER",
    Slice.FIELDS: "HEADER",
    Slice.FIELDS_NOT: "HEADER",
    Slice.TEXT: "TEXT",
    Slice.MIME: "MIME",
}


def _located(summary: Summary, section: BodySection) -> tuple[int, int] | None:
    """Offset and length of a section's octets; None for a part that the message has not."""
    if section.path:
        return summary.parts.locate(".".join(map(str, section.path)), _TEXTS[section.slice])
    # Of the whole message no table is needed.
    if section.slice is Slice.WHOLE:
        return 0, summary.size
    if section.slice is Slice.TEXT:
        return summary.header_octets, summary.size - summary.header_octets
    return 0, summary.header_octets


@dataclass(frozen=True, slots=True)
class _Extent:
    """Octets of a message: `held` ones, or those at `offset` of its content."""

    message: Message
    offset: int
    size: int
    held: bytes | None

    def cut(self, partial: Partial | None) -> _Extent:
        if partial is None:
            return self
        kept = partial.cut(self.size)
        held = self.held[kept.start : kept.stop] if self.held is not None else None
        return _Extent(self.message, self.offset + kept.start, len(kept), held)

    async def octets(self, reader: Reader, *, keep: bool) -> bytes:
        """All of them or, without `keep`, only the proof that they open. Raises Refused(CORRUPTION)."""
        if keep:
            return b"".join([piece async for piece in self.pieces(reader)])
        async for _ in self.pieces(reader):
            pass
        return b""

    async def pieces(self, reader: Reader) -> AsyncIterator[bytes]:
        if self.held is not None:
            yield self.held
        elif self.size:
            async for piece in reader.content(self.message, self.offset, self.size):
                yield piece
