"""Reading an open mailbox: summaries in batches, contents by the octets asked for.

Invariants: a listing never opens a content; one damaged message costs itself only, and is told; no
transaction is open while a caller handles what it was given.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from mssante.crypto import ChunkOpener, Dek, Form, NotAuthentic, Purpose, SealedKey, Suite
from mssante.crypto.stream import chunks_covering
from mssante.limits import CHUNK_BYTES, KIB, MIB
from mssante.mailbox.access import OpenMailbox
from mssante.mailbox.places import KnownPlace
from mssante.mime.summary import Summary
from mssante.model import BlobId, FolderId, MessageId, Uid
from mssante.observe import report
from mssante.observe.events import CorruptionFound
from mssante.reasons import Passing, Reason, Refused
from mssante.store.records import MessageNumber, SealedMessage

_BATCH = 200  # messages opened before the loop is given to others: some milliseconds
_BATCH_BYTES = MIB  # of sealed metadata held for it
_TOGETHER_BYTES = 512 * KIB  # of small contents read in one go
CHUNKS_AT_ONCE = 16  # a mebibyte of a content at a time
# Enum calls cost a listing a microsecond each.
_SUITES = {suite.value: suite for suite in Suite}
_FORMS = {form.value: form for form in Form}


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose metadata is open. `header` is None unless asked for, or longer than is kept apart."""

    uid: Uid
    number: MessageNumber
    message_id: MessageId
    blob_id: BlobId
    dek: Dek
    summary: Summary
    header: bytes | None


class Reader:
    """Reads the messages of one session's mailbox."""

    def __init__(self, mailbox: OpenMailbox) -> None:
        self._mailbox = mailbox
        self._rewrapping: asyncio.Task[None] | None = None

    async def messages(
        self, folder: FolderId, uids: Sequence[int], *, header: bool = False
    ) -> AsyncIterator[tuple[list[Message], list[Uid]]]:
        """The messages of `uids` (ascending) that are there, ascending, some at a time, and the UIDs of
        those that do not open. The loop is given to others in between."""
        at = 0
        while at < len(uids):
            wanted = uids[at : at + _BATCH]
            sealed = await self._mailbox.store.sealed_summaries(
                folder, wanted, header=header, bytes_max=_BATCH_BYTES
            )
            at += bisect_right(wanted, sealed[-1].uid) if sealed else len(wanted)
            if sealed:
                yield await self._open(sealed)
                await breathe()
        await self._settle_rewrap()

    async def places(self, folder: FolderId, uids: Sequence[int]) -> dict[int, KnownPlace]:
        """By UID, of those that are there; nothing is opened."""
        return {each.uid: KnownPlace(each) for each in await self._mailbox.store.places(folder, uids)}

    async def content(self, message: Message, offset: int, length: int) -> AsyncIterator[bytes]:
        """The octets from `offset`, `length` of them, in pieces. Raises Refused(CORRUPTION) where the
        content is damaged: what was given before it is genuine."""
        size = message.summary.size
        end = min(offset + length, size)
        wanted = chunks_covering(offset, length, size)
        opener = ChunkOpener(message.dek, message.blob_id, content_bytes=size)
        for first in range(wanted.start, wanted.stop, CHUNKS_AT_ONCE):
            count = min(CHUNKS_AT_ONCE, wanted.stop - first)
            chunks = await self._mailbox.store.chunks(message.blob_id, first, count)
            for n in range(first, first + count):
                try:
                    plain = opener.open(n, chunks[n - first])
                except (NotAuthentic, IndexError):
                    self._tell_damage(message.message_id, message.blob_id)
                    raise Refused(Reason.CORRUPTION) from None
                start = n * CHUNK_BYTES
                yield plain[max(0, offset - start) : end - start]

    async def small_contents(
        self, messages: Sequence[Message]
    ) -> AsyncIterator[list[tuple[Message, bytes | None]]]:
        """All of `messages` in order, some at a time, with the content of those that have one chunk only:
        many of them are read in one go. None for larger ones, and for damaged ones, which reading tells."""
        group: list[Message] = []
        held = 0
        for message in messages:
            group.append(message)
            held += message.summary.size if message.summary.size <= CHUNK_BYTES else 0
            if held >= _TOGETHER_BYTES:
                yield await self._contents_of(group)
                group, held = [], 0
        if group:
            yield await self._contents_of(group)

    async def octets(self, message: Message, offset: int, length: int) -> bytes:
        """As `content`, whole: for what is known to be small, or must be looked through."""
        return b"".join([piece async for piece in self.content(message, offset, length)])

    # Inside

    async def _contents_of(self, messages: Sequence[Message]) -> list[tuple[Message, bytes | None]]:
        small = [message.blob_id for message in messages if message.summary.size <= CHUNK_BYTES]
        sealed = await self._mailbox.store.contents(small)
        found: list[tuple[Message, bytes | None]] = []
        for message in messages:
            content = None
            chunks = sealed.get(message.blob_id)
            if chunks:
                opener = ChunkOpener(message.dek, message.blob_id, content_bytes=message.summary.size)
                try:
                    content = opener.open(0, chunks[0])
                except NotAuthentic:
                    pass  # told by whoever reads it after all
            found.append((message, content))
        return found

    async def _open(self, sealed: Sequence[SealedMessage]) -> tuple[list[Message], list[Uid]]:
        deks = await self._mailbox.ring.unwrap_many(
            [(each.message_id, each.blob_id, _key_of(each)) for each in sealed]
        )
        opened: list[Message] = []
        damaged: list[Uid] = []
        for each, dek in zip(sealed, deks, strict=True):
            message = self._opened(each, dek)
            if message is None:
                damaged.append(each.uid)
            else:
                opened.append(message)
        await self._rewrap(sealed, deks)
        return opened, damaged

    def _opened(self, sealed: SealedMessage, dek: Dek | None) -> Message | None:
        try:
            if dek is None:
                raise NotAuthentic
            summary = Summary.from_bytes(dek.open(Purpose.META, sealed.message_id, sealed.summary_ct))
        except (NotAuthentic, Refused):
            self._tell_damage(sealed.message_id, sealed.blob_id)
            return None
        return Message(
            uid=sealed.uid,
            number=sealed.number,
            message_id=sealed.message_id,
            blob_id=sealed.blob_id,
            dek=dek,
            summary=summary,
            header=self._header(sealed, dek, summary),
        )

    def _header(self, sealed: SealedMessage, dek: Dek, summary: Summary) -> bytes | None:
        """The header that is kept apart. None when it lacks, is longer, or is damaged: the content has it."""
        if sealed.header_ct is None:
            return None
        try:
            header = dek.open(Purpose.HEADER, sealed.message_id, sealed.header_ct)
        except NotAuthentic:
            self._tell_damage(sealed.message_id, sealed.blob_id)
            return None
        return header if len(header) == summary.header_octets else None

    async def _rewrap(self, sealed: Sequence[SealedMessage], deks: Sequence[Dek | None]) -> None:
        """After first use a DEK lies under the mailbox's own key: it opens a hundred times faster."""
        ring = self._mailbox.ring
        fresh = [
            (each.number, ring.rewrap(each.message_id, each.blob_id, dek))
            for each, dek in zip(sealed, deks, strict=True)
            if dek is not None and each.form == Form.SEALED
        ]
        if fresh:
            await self._settle_rewrap()
            self._rewrapping = asyncio.create_task(self._mailbox.store.dek_rewrap(fresh))

    async def _settle_rewrap(self) -> None:
        """Behind the reading, one at a time."""
        task, self._rewrapping = self._rewrapping, None
        if task is not None:
            try:
                await task
            except Passing:
                pass  # a comfort, not a duty: a database that takes no writes is still read (C3)

    def _tell_damage(self, message: MessageId, blob: BlobId) -> None:
        report(CorruptionFound(mailbox=self._mailbox.id.hex(), message=message.hex(), blob=blob.hex()))


def _key_of(sealed: SealedMessage) -> SealedKey:
    suite, form = _SUITES.get(sealed.suite), _FORMS.get(sealed.form)
    if suite is None or form is None:  # a damaged row; in its place a key that opens nothing
        return SealedKey(-1, Suite.AES256_GCM, Form.WRAPPED, b"")
    return SealedKey(sealed.epoch, suite, form, sealed.dek_ct)


async def breathe() -> None:
    """Lets other conversations have the loop."""
    await asyncio.sleep(0)
