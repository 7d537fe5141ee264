"""FETCH: batches of lines from flags and summaries; bodies streamed piece by piece.

Invariants: no transaction is open while the client is written to; the loop is given to others between
batches; a damaged message costs itself only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mssante.imap import encode
from mssante.imap.commands import Fetch
from mssante.imap.fetch import BodySection, Partial, Slice
from mssante.imap.fetched import CLOSING, FetchFormat, flag_lines
from mssante.imap.flags import FlagNames
from mssante.imap.header_fields import chosen_fields
from mssante.imap.need import Need
from mssante.imap.responses import Code, Status
from mssante.limits import MIB
from mssante.mailbox.reading import BATCH, Message, Reader, breathe
from mssante.mailbox.selected import Selected
from mssante.mime.summary import PartTable, Summary
from mssante.model import Flag
from mssante.net.imapd_talk import OK_FETCH, Answer, Talk
from mssante.reasons import Refused
from mssante.store.records import FlagsMode

_LINES_AT_ONCE = 2000
_WHOLE_BYTES_MAX = MIB  # a section up to this is opened before it is announced, so damage costs no connection


@dataclass(slots=True)
class Row:
    """One message's values, as FetchFormat reads them."""

    sequence: int
    uid: int
    flags: bytes
    summary: Summary

    @property
    def internal_date(self) -> bytes:
        return encode.date_time(datetime.fromtimestamp(self.summary.internal_date, UTC))

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


@dataclass(slots=True)
class FlagsRow:
    """What FETCH (UID FLAGS) needs."""

    sequence: int
    uid: int
    flags: bytes


async def fetch(talk: Talk, command: Fetch) -> Answer:
    """RFC 3501 §6.4.5."""
    selected = talk.selected
    uids = talk.uids_of(command.messages, uid=command.uid)
    job = _Job(talk, selected, command, await talk.folders.flag_names())
    missing = sum(1 for uid in uids if selected.mask_of(uid) is None)
    if command.items.need is Need.FLAGS:
        await job.flags_only(uids)
    else:
        for start in range(0, len(uids), BATCH):
            await job.batch(uids[start : start + BATCH])
    if command.items.sets_seen and not selected.read_only:
        await job.mark_seen(uids)
    if job.damaged:
        numbers = f"{job.damaged} message(s) damaged: tell your operator / prevenez votre operateur"
        return Answer(Status.NO, numbers, Code.CORRUPTION)
    if missing:
        return Answer(Status.NO, "Some messages are no longer there", Code.EXPUNGEISSUED)
    return OK_FETCH


class _Job:
    """One FETCH command under way."""

    def __init__(self, talk: Talk, selected: Selected, command: Fetch, names: FlagNames) -> None:
        self._talk = talk
        self._selected = selected
        self._names = names
        self._reader: Reader = talk.reader
        self._format = FetchFormat(command.items)
        self._header = any(
            isinstance(item, BodySection) and item.need is Need.HEADER for item in command.items.items
        )
        self.damaged = 0

    async def flags_only(self, uids: Sequence[int]) -> None:
        for start in range(0, len(uids), _LINES_AT_ONCE):
            rows = []
            for uid in uids[start : start + _LINES_AT_ONCE]:
                mask, sequence = self._selected.mask_of(uid), self._selected.view.sequence_of(uid)
                if mask is not None and sequence is not None:
                    rows.append(FlagsRow(sequence, uid, self._names.render(mask)))
            await self._talk.send(self._format.lines(rows))  # type: ignore[arg-type]  # reads only these three
            await breathe()

    async def batch(self, uids: Sequence[int]) -> None:
        messages, damaged = await self._reader.messages(self._selected.id, uids, header=self._header)
        self.damaged += len(damaged)
        rows = [row for message in messages if (row := self._row(message)) is not None]
        if not self._format.sections:
            await self._talk.send(self._format.lines(rows))
        else:
            by_uid: dict[int, Message] = {message.uid: message for message in messages}
            for row in rows:
                try:
                    await self._sections(row, by_uid[row.uid])
                except Refused:
                    self.damaged += 1
        await breathe()

    def _row(self, message: Message) -> Row | None:
        mask, sequence = self._selected.mask_of(message.uid), self._selected.view.sequence_of(message.uid)
        if mask is None or sequence is None:
            return None
        return Row(sequence, message.uid, self._names.render(mask), message.summary)

    async def _sections(self, row: Row, message: Message) -> None:
        """One message's line. Small sections are opened first; a large one streams."""
        parts = message.summary.parts
        extents = [await self._extent(message, parts, section) for section in self._format.sections]
        if sum(extent.size for extent in extents if extent is not None) <= _WHOLE_BYTES_MAX:
            contents = [
                None if extent is None else b"".join([piece async for piece in extent.pieces(self._reader)])
                for extent in extents
            ]
            await self._talk.send(self._format.line(row, contents))
            return
        await self._talk.send(self._format.opening(row))
        for at, extent in enumerate(extents):
            await self._talk.send(self._format.announcement(at, None if extent is None else extent.size))
            if extent is not None:
                try:
                    async for piece in extent.pieces(self._reader):
                        await self._talk.send(piece)
                except Refused:
                    self._talk.abort()  # octets are promised that cannot be given: only an end is honest
                    raise ConnectionResetError from None
        await self._talk.send(CLOSING)

    async def _extent(self, message: Message, parts: PartTable, section: BodySection) -> _Extent | None:
        path = ".".join(map(str, section.path))
        match section.slice:
            case Slice.WHOLE:
                place = parts.locate(path)
            case Slice.HEADER | Slice.FIELDS | Slice.FIELDS_NOT:
                place = parts.locate(path, "HEADER")
            case Slice.TEXT:
                place = parts.locate(path, "TEXT")
            case Slice.MIME:
                place = parts.locate(path, "MIME")
        if place is None:
            return None
        if section.slice in (Slice.FIELDS, Slice.FIELDS_NOT) or (
            section.slice is Slice.HEADER and not path and message.header is not None
        ):
            block = message.header if not path else None
            if block is None:
                block = await self._reader.octets(message, *place)
            if section.slice is not Slice.HEADER:
                block = chosen_fields(block, section.names, others=section.slice is Slice.FIELDS_NOT)
            return _Extent(message, 0, len(block), block).cut(section.partial)
        return _Extent(message, *place, None).cut(section.partial)

    async def mark_seen(self, uids: Sequence[int]) -> None:
        """RFC 3501 §6.4.5: BODY[] sets \\Seen, and the client is told."""
        unseen = [uid for uid in uids if not (self._selected.mask_of(uid) or 0) & Flag.SEEN.value]
        if not unseen or self._talk.mailbox.read_only:
            return
        rows = await self._talk.writer.flags(self._selected.id, unseen, FlagsMode.ADD, Flag.SEEN.value)
        self._selected.learn(rows)
        told = ((self._selected.view.sequence_of(row.uid), row.uid, row.flags) for row in rows)
        lines = [(sequence, uid, self._names.render(mask)) for sequence, uid, mask in told if sequence]
        await self._talk.send(flag_lines(lines))


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

    async def pieces(self, reader: Reader) -> AsyncIterator[bytes]:
        if self.held is not None:
            yield self.held
        elif self.size:
            async for piece in reader.content(self.message, self.offset, self.size):
                yield piece
