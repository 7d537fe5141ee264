"""Reading an open mailbox: summaries in batches, contents by the octets asked for.

Delivery has only the mailbox's public key, so it seals a message's summary under the message's own key (its
DEK), and that key for the mailbox. Opening both is slow. At first use, the reader therefore seals the summary
again under the mailbox's listing key, and the DEK under the mailbox's own key: from then on a listing opens
summaries with keys that the session already has.

Invariants: a listing never opens a message's content and, after first use, no message's key; a damaged
message is reported and keeps no other from being read; no transaction is open while the caller works on what
it was given.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import NamedTuple

from mssante.crypto import ChunkOpener, Closed, Dek, NotAuthentic, Purpose
from mssante.crypto.stream import chunks_covering
from mssante.limits import (
    CHUNK_OCTETS,
    READ_MESSAGES_AT_ONCE,
    READ_METADATA_OCTETS_AT_ONCE,
    READ_OPENED_AT_ONCE,
    READ_SMALL_OCTETS_AT_ONCE,
    READ_SUMMARY_OCTETS_AT_ONCE,
)
from mssante.mailbox.opening import OpenMailbox
from mssante.mailbox.places import KnownPlace
from mssante.mailbox.turns import breathe
from mssante.mime.summary import Summary, is_of_before
from mssante.model import BlobId, FolderId, MessageId, Uid
from mssante.observe import report
from mssante.observe.events import CorruptionFound, crashed
from mssante.reasons import Passing, Reason, Refused
from mssante.sealing.chunks import opened_chunks
from mssante.store.records import MessageNumber, SealedDek, SealedMessage

_SMALL_OCTETS_MAX = CHUNK_OCTETS


class Message(NamedTuple):
    """A message whose metadata is open. `header` is None when it was not asked for, and when it is too long
    to be kept apart from the content."""

    uid: Uid
    number: MessageNumber
    message_id: MessageId
    blob_id: BlobId
    summary: Summary
    header: bytes | None

    def __repr__(self) -> str:  # it holds names and subjects
        return f"Message(uid={self.uid})"


class Reader:
    """Reads the messages of one session's mailbox."""

    def __init__(self, mailbox: OpenMailbox) -> None:
        self._mailbox = mailbox
        self._resealing: asyncio.Task[None] | None = None
        # A client may fetch one chunk in many small pieces: the last chunk stays open (catalogue I6).
        self._lately: tuple[BlobId, int, bytes] | None = None

    async def messages(
        self, folder: FolderId, uids: Sequence[int], *, header: bool = False
    ) -> AsyncIterator[tuple[list[Message], list[Uid]]]:
        """Yields the messages of `uids` (ascending) that exist, in ascending order and some at a time, each
        time with the UIDs of those that do not open. Other conversations have their turn in between."""
        at = 0
        while at < len(uids):
            wanted = uids[at : at + READ_MESSAGES_AT_ONCE]
            sealed = await self._mailbox.store.messages.summaries(
                folder, wanted, header=header, bytes_max=READ_METADATA_OCTETS_AT_ONCE
            )
            at += bisect_right(wanted, sealed[-1].uid) if sealed else len(wanted)
            more = at < len(uids)
            for step in _steps(sealed):
                yield await self._open(step, header=header)
                if more or step[-1] is not sealed[-1]:
                    await breathe()
        if self._resealing is not None:
            await self._settle_reseal()

    async def places(self, folder: FolderId, uids: Sequence[int]) -> dict[int, KnownPlace]:
        """What is known of the places of `uids`, by UID, for those that exist. Nothing is opened."""
        return {
            each.uid: KnownPlace(each) for each in await self._mailbox.store.messages.places(folder, uids)
        }

    async def content(self, message: Message, offset: int, length: int) -> AsyncIterator[bytes]:
        """Yields `length` octets from `offset`, in pieces. Raises Refused(CORRUPTION) where the content is
        damaged (what was yielded before is genuine), Refused(MESSAGE_GONE) when the message was shredded
        meanwhile."""
        size = message.summary.size
        end = min(offset + length, size)
        wanted = chunks_covering(offset, length, size)
        if len(wanted) == 1 and self._lately is not None and self._lately[:2] == (message.blob_id, wanted[0]):
            start = wanted[0] * CHUNK_OCTETS
            yield self._lately[2][offset - start : end - start]
            return
        dek = (await self._deks([message])).get(message.number)
        if dek is None:
            raise await self._unreadable(message)
        opener = ChunkOpener(dek, message.blob_id, content_octets=size)
        try:
            async for n, plain in opened_chunks(self._mailbox.store, message.blob_id, opener, wanted):
                start = n * CHUNK_OCTETS
                if len(wanted) == 1 and size > CHUNK_OCTETS:
                    self._lately = message.blob_id, n, plain
                yield plain[max(0, offset - start) : end - start]
        except NotAuthentic:
            raise await self._unreadable(message) from None

    async def small_contents(
        self, messages: Sequence[Message]
    ) -> AsyncIterator[list[tuple[Message, bytes | None]]]:
        """Yields all of `messages` in order, some at a time, each with its content if that is one chunk only:
        many such contents are read in one go. The content is None for larger messages, of which there is one
        at most, the last, in each go, and for damaged ones; reading a damaged one with `content` reports
        it."""
        group: list[Message] = []
        held = 0
        for message in messages:
            group.append(message)
            held += message.summary.size
            if held >= READ_SMALL_OCTETS_AT_ONCE:
                yield await self._contents_of(group)
                group, held = [], 0
        if group:
            yield await self._contents_of(group)

    async def octets(self, message: Message, offset: int, length: int) -> bytes:
        """As `content`, in one piece: for what is known to be small, or must be searched as a whole."""
        return b"".join([piece async for piece in self.content(message, offset, length)])

    async def close(self) -> None:
        """Waits until resealing is done, so that nothing is written once the keys are forgotten."""
        try:
            await self._settle_reseal()
        except Exception as bug:
            report(crashed("resealing", bug))

    # Inside

    async def _contents_of(self, messages: Sequence[Message]) -> list[tuple[Message, bytes | None]]:
        small = {message.number: message for message in messages if message.summary.size <= _SMALL_OCTETS_MAX}
        rows = await self._mailbox.store.messages.deks(sorted(small), contents=True) if small else []
        found: dict[MessageNumber, bytes] = {}
        for row, dek in zip(rows, await self._unwrapped(rows, small), strict=True):
            message = small[row.number]
            if dek is not None and row.small_ct is not None:
                opener = ChunkOpener(dek, message.blob_id, content_octets=message.summary.size)
                try:
                    found[row.number] = opener.open(0, row.small_ct)
                except NotAuthentic:
                    pass  # reported when it is read by itself
        return [(message, found.get(message.number)) for message in messages]

    async def _deks(self, messages: Sequence[Message | SealedMessage]) -> dict[MessageNumber, Dek]:
        """The DEKs of these messages, without those that are gone or do not open."""
        if not messages:
            return {}  # the store need not be asked
        by_number = {message.number: message for message in messages}
        rows = await self._mailbox.store.messages.deks(sorted(by_number))
        deks = await self._unwrapped(rows, by_number)
        return {row.number: dek for row, dek in zip(rows, deks, strict=True) if dek is not None}

    async def _unwrapped(
        self, rows: Sequence[SealedDek], by_number: Mapping[MessageNumber, Message | SealedMessage]
    ) -> list[Dek | None]:
        asked = []
        for row in rows:
            message = by_number[row.number]
            asked.append((message.message_id, message.blob_id, row.sealed_key))
        return await self._mailbox.ring.unwrap_many(asked)

    async def _open(
        self, sealed: Sequence[SealedMessage], *, header: bool
    ) -> tuple[list[Message], list[Uid]]:
        """Opens summaries. Those under a listing key need no other key; the others are resealed under it."""
        listed = [
            (each.message_id, each.blob_id, each.listing_epoch, each.summary_ct)
            for each in sealed
            if each.listing_epoch is not None
        ]
        first = await self._first_use([each for each in sealed if each.listing_epoch is None])
        deks = await self._deks(sealed) if header else {}
        octets = iter(self._mailbox.ring.open_summaries(listed))
        opened: list[Message] = []
        closed: list[SealedMessage] = []
        headless: list[SealedMessage] = []
        of_before: list[tuple[SealedMessage, Summary]] = []
        for each in sealed:
            listing = each.listing_epoch is not None
            plain = next(octets) if listing else first.get(each.number)
            summary = None if plain is None else _summary(plain)
            if plain is None or summary is None:
                closed.append(each)
                continue
            if is_of_before(plain):
                of_before.append((each, summary))
            block = None
            if each.header_ct is not None:
                block = _header(each, deks.get(each.number))
                if block is None:
                    headless.append(each)
                elif len(block) != summary.header_octets:
                    block = None  # only its beginning is kept apart: the header was too long
            opened.append(Message(each.uid, each.number, each.message_id, each.blob_id, summary, block))
        if of_before:
            await self._renew(of_before)
        there = await self._damaged([*closed, *headless]) if closed or headless else set()
        return opened, [each.uid for each in closed if each.number in there]

    async def _first_use(self, sealed: Sequence[SealedMessage]) -> dict[MessageNumber, bytes]:
        """Opens summaries as delivery left them, under their DEKs; those that do not open are left out. From
        now on they lie under the listing key, and their DEKs under the mailbox's own: both open a hundred
        times faster."""
        if not sealed:
            return {}
        by_number = {each.number: each for each in sealed}
        asked = []
        for row in await self._mailbox.store.messages.deks(sorted(by_number)):
            each = by_number[row.number]
            asked.append((each.message_id, each.blob_id, row.sealed_key, each.summary_ct, row.number))
        opened = await self._mailbox.ring.first_use([each[:4] for each in asked])
        found = {each[4]: both for each, both in zip(asked, opened, strict=True) if both is not None}
        await self._reseal([(n, closed) for n, (octets, closed) in found.items() if not is_of_before(octets)])
        return {number: octets for number, (octets, _) in found.items()}

    async def _renew(self, of_before: Sequence[tuple[SealedMessage, Summary]]) -> None:
        """Writes summaries of an earlier version anew, in the form that they have today."""
        ring = self._mailbox.ring
        deks = await self._deks([each for each, _ in of_before])
        await self._reseal(
            [
                (each.number, ring.closed(each.message_id, each.blob_id, dek, summary.to_bytes()))
                for each, summary in of_before
                if (dek := deks.get(each.number)) is not None
            ]
        )

    async def _reseal(self, closed: Sequence[tuple[MessageNumber, Closed]]) -> None:
        await self._settle_reseal()
        if closed:
            self._resealing = asyncio.create_task(self._mailbox.store.messages.reseal(closed))

    async def _settle_reseal(self) -> None:
        """Waits for the resealing under way. It runs beside the reading, one batch at a time."""
        task, self._resealing = self._resealing, None
        if task is not None:
            try:
                await task
            except Passing:
                pass  # resealing only makes later reading faster: without writes, mail is still read (C3)

    async def _unreadable(self, message: Message) -> Refused:
        there = await self._damaged([message])
        return Refused(Reason.CORRUPTION if there else Reason.MESSAGE_GONE)

    async def _damaged(self, suspects: Sequence[Message | SealedMessage]) -> set[MessageNumber]:
        """Reports to the operator those of `suspects` that still exist, and returns their numbers. A message
        that was shredded between two looks at it is not damaged."""
        there = await self._mailbox.store.messages.present(sorted({each.number for each in suspects}))
        for each in suspects:
            if each.number in there:
                mailbox, message, blob = self._mailbox.id, each.message_id, each.blob_id
                report(CorruptionFound(mailbox=mailbox.hex(), message=message.hex(), blob=blob.hex()))
        return there


def _steps(sealed: Sequence[SealedMessage]) -> Iterator[Sequence[SealedMessage]]:
    start = held = 0
    for end, each in enumerate(sealed, 1):
        held += len(each.summary_ct)
        if end - start == READ_OPENED_AT_ONCE or held >= READ_SUMMARY_OCTETS_AT_ONCE:
            yield sealed[start:end]
            start, held = end, 0
    if start < len(sealed):
        yield sealed[start:]


def _summary(octets: bytes) -> Summary | None:
    try:
        return Summary.from_bytes(octets)
    except Refused:
        return None


def _header(sealed: SealedMessage, dek: Dek | None) -> bytes | None:
    """The header that is kept apart from the content; None when it does not open."""
    assert sealed.header_ct is not None
    try:
        return None if dek is None else dek.open(Purpose.HEADER, sealed.message_id, sealed.header_ct)
    except NotAuthentic:
        return None
