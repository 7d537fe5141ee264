"""Turning a message into what is kept of it: sealed chunks, summary and header, and a DEK closed for a
mailbox.

Delivery and APPEND both use it. Invariants: the public half of a mailbox's key is enough; the content streams
through and is never held whole; each mailbox has its own DEK, even for the same message; nothing is written
to the store here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from mssante.crypto import ChunkOpener, ChunkSealer, Closed, Dek, Purpose, SealedKey
from mssante.crypto.keys import random_id
from mssante.crypto.padding import padded_content
from mssante.limits import KIB, MIME_SUMMARISED_INLINE_OCTETS_MAX, PREVIEW_OCTETS_READ_MAX
from mssante.mime.structure import Scanner, Structure
from mssante.mime.summary import summarise
from mssante.model import BlobId, MailboxId, MessageId

_SECONDS_PER_DAY = 86_400


class Closer(Protocol):
    """Closes a DEK and a summary for one mailbox. It is the mailbox's PublicKey, which is all that delivery
    has, or the Ring of a session that opened the mailbox, which at once gives the form that is otherwise
    reached at first use."""

    @property
    def mailbox(self) -> MailboxId: ...

    def closed(self, message: MessageId, blob: BlobId, dek: Dek, summary: bytes) -> Closed: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A message as one mailbox keeps it, without its chunks. `listing_epoch` is as in Closed. The database
    may know only roughly when it came and how large it is: `day` is its date in days since 1 January 1970,
    UTC, and `size_kib` what its padded content takes (`kept_kib`), so that a quota counts the padding too."""

    mailbox: MailboxId
    message_id: MessageId
    blob_id: BlobId
    sealed_key: SealedKey
    chunk_count: int
    summary_ct: bytes
    listing_epoch: int | None
    header_ct: bytes
    day: int
    size_kib: int


def kept_kib(octets: int) -> int:
    """The KiB that a content of this length takes once it is sealed: what a quota counts."""
    return -(-padded_content(octets) // KIB)


class MessageSealer:
    """Seals one message for the mailbox of `closer` while it streams in: `feed` its octets, then call
    `finish` once.

    `message_id` and `blob_id` are drawn here. `dek` never leaves memory except sealed."""

    def __init__(self, closer: Closer) -> None:
        self.message_id = MessageId(random_id())
        self.blob_id = BlobId(random_id())
        self.dek = Dek.draw()
        self._closer = closer
        self._chunks = ChunkSealer(self.dek, self.blob_id)
        self._scanner = Scanner()
        self._head = bytearray()  # what the preview is made of
        self._count = 0
        self._structure: Structure | None = None
        self._summary = b""

    @property
    def structure(self) -> Structure:
        """What the message is made of. Only known once it is finished."""
        assert self._structure is not None
        return self._structure

    @property
    def size(self) -> int:
        """Octets fed so far."""
        return self._chunks.content_octets

    def feed(self, octets: bytes | bytearray | memoryview) -> list[bytes]:
        """Takes more octets and returns the sealed chunks that are complete, in order; often there are
        none. It takes them at once: for what a stranger wrote, use `feed_in_turns`."""
        self._scanner.feed(octets)
        return self._seal(octets)

    async def feed_in_turns(self, octets: bytes | bytearray | memoryview) -> list[bytes]:
        """As `feed`. Others have their turn when the octets hold many parts (R10)."""
        for _ in self._scanner.feeding(octets):
            await asyncio.sleep(0)
        return self._seal(octets)

    def _seal(self, octets: bytes | bytearray | memoryview) -> list[bytes]:
        if len(self._head) < PREVIEW_OCTETS_READ_MAX:
            self._head += octets[: PREVIEW_OCTETS_READ_MAX - len(self._head)]
        sealed = self._chunks.feed(octets)
        self._count += len(sealed)
        return sealed

    async def finish(self, *, internal_date: datetime) -> tuple[Sealed, list[bytes]]:
        """Returns what is kept, and the last chunks. `internal_date` (RFC 3501 §2.3.3) must have a time
        zone. A message of very many parts or addresses is summarised in a thread, because nobody else has a
        turn meanwhile (R10)."""
        last = self._chunks.finish()
        self._count += len(last)
        self._structure = self._scanner.close()
        summarised = partial(self._summarised, self._structure, internal_date)
        if self._scanner.weight <= MIME_SUMMARISED_INLINE_OCTETS_MAX:
            self._summary = summarised()
        else:
            self._summary = await asyncio.to_thread(summarised)
        self._day = int(internal_date.timestamp()) // _SECONDS_PER_DAY
        return self._kept(self._closer, self.message_id, self.blob_id, self.dek), last

    def _summarised(self, structure: Structure, internal_date: datetime) -> bytes:
        return summarise(structure, internal_date=internal_date, head=bytes(self._head)).to_bytes()

    def copy(self, closer: Closer) -> SealedCopy:
        """The finished message for another mailbox, with other ids and another DEK."""
        message_id, blob_id, dek = MessageId(random_id()), BlobId(random_id()), Dek.draw()
        opener = ChunkOpener(self.dek, self.blob_id, content_octets=self.structure.size)
        return SealedCopy(self._kept(closer, message_id, blob_id, dek), opener, ChunkSealer(dek, blob_id))

    def _kept(self, closer: Closer, message_id: MessageId, blob_id: BlobId, dek: Dek) -> Sealed:
        structure = self.structure
        closed = closer.closed(message_id, blob_id, dek, self._summary)
        return Sealed(
            mailbox=closer.mailbox,
            message_id=message_id,
            blob_id=blob_id,
            sealed_key=closed.key,
            chunk_count=self._count,
            summary_ct=closed.summary_ct,
            listing_epoch=closed.listing_epoch,
            header_ct=dek.seal(Purpose.HEADER, message_id, structure.header),
            day=self._day,
            size_kib=kept_kib(structure.size),
        )


class SealedCopy:
    """The same content under another key: `feed` it the original's sealed chunks in order, then call
    `finish`."""

    def __init__(self, sealed: Sealed, opener: ChunkOpener, chunks: ChunkSealer) -> None:
        self.sealed = sealed
        self._opener = opener
        self._chunks = chunks
        self._n = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Returns the chunks of the copy that are complete. Raises NotAuthentic when `chunk` is not the next
        one of the original. Chunks of padding are passed over: the copy gets its own."""
        if self._n == self._opener.count:
            return []
        plaintext = self._opener.open(self._n, chunk)
        self._n += 1
        return self._chunks.feed(plaintext)

    def finish(self) -> list[bytes]:
        """Returns the last chunks of the copy."""
        assert self._n == self._opener.count
        return self._chunks.finish()
