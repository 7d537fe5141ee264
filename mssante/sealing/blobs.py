"""Sealed chunks on their way to the database: first in memory, and above a bound written early.

A small message stays in memory until it is accepted. The chunks of a large one are written to the database
while it is still coming in. Invariants: all the blobs of one message, or of all the messages of one APPEND,
together hold at most INTAKE_MEMORY_OCTETS_MAX and one chunk in memory, and less where the share of memory
that they use has no more to lend; chunks whose message is not kept cannot be read, and are deleted by
`abandon` or by the sweep.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from mssante import limits
from mssante.loans import MemoryShare
from mssante.model import BlobId, FolderId, SpecialUse
from mssante.sealing.chunks import sealed_chunks
from mssante.sealing.message import Sealed
from mssante.store import Deposit, MailStore


class Blob:
    """The chunks of one content. `pending` are those not yet in the database, as `(n, chunk)`."""

    def __init__(self, blob_id: BlobId) -> None:
        self.id = blob_id
        self.pending: list[tuple[int, bytes]] = []
        self.count = 0
        self.flowed = 0  # how many are in the database


class Blobs:
    """The blobs of one message, or of the messages of one APPEND. What they hold in memory is lent by
    `memory`, which others use too. The owner calls `forget` once they are kept, or else `abandon`."""

    def __init__(self, store: MailStore, memory: MemoryShare | None = None) -> None:
        self._store = store
        self._loan = (memory or MemoryShare(limits.INTAKE_MEMORY_OCTETS_MAX)).loan()
        self._held = 0
        self._beside = 0
        self._all: list[Blob] = []

    def open(self, blob_id: BlobId) -> Blob:
        blob = Blob(blob_id)
        self._all.append(blob)
        return blob

    async def add(self, blob: Blob, chunks: Sequence[bytes]) -> None:
        """Adds the next chunks of a blob. Raises Passing when the database cannot take them."""
        for chunk in chunks:
            blob.pending.append((blob.count, chunk))
            blob.count += 1
            self._held += len(chunk)
        if self._held > limits.INTAKE_MEMORY_OCTETS_MAX or not self._loan.hold(self._held + self._beside):
            await self._flow_all()

    async def hold_beside(self, octets: int) -> None:
        """Counts octets that stay in memory until the messages are kept, and that no database can take
        earlier, such as summaries. Raises Passing(LIMIT_REACHED) when nobody lends memory for them."""
        self._beside += octets
        if not self._loan.hold(self._held + self._beside):
            await self._flow_all()
            self._loan.require(self._beside)

    async def chunks(self, blob: Blob) -> AsyncIterator[bytes]:
        """All chunks of a blob so far, in order. Nothing may be added to the blob meanwhile."""
        n = 0
        while n < blob.count:
            before = n
            async for chunk in sealed_chunks(self._store, blob.id, range(n, blob.flowed)):
                yield chunk
                n += 1
            for chunk in [chunk for number, chunk in blob.pending if number >= n]:
                yield chunk
                n += 1
            assert n > before, "a chunk given is a chunk kept"

    def forget(self) -> None:
        """Gives back the memory: the messages are kept."""
        self._loan.end()
        self._all.clear()

    async def abandon(self) -> None:
        """Deletes the chunks that were written early. Raises Passing; the sweep deletes them later in that
        case."""
        blobs = list(self._all)
        self.forget()
        for blob in blobs:
            blob.pending = []
            if blob.flowed:
                await self._store.messages.abandon(blob.id)

    async def _flow_all(self) -> None:
        for each in self._all:
            await self._flow(each)
        self._loan.hold(self._held + self._beside)

    async def _flow(self, blob: Blob) -> None:
        if blob.pending:
            first, pending = blob.flowed, blob.pending
            await self._store.messages.append_chunks(blob.id, first, [chunk for _, chunk in pending])
            blob.flowed += len(pending)
            blob.pending = []
            self._held -= sum(len(chunk) for _, chunk in pending)


def deposit(sealed: Sealed, blob: Blob, folder: SpecialUse | FolderId | None, *, flags: int = 0) -> Deposit:
    """What the store is asked to keep: `sealed`, with those of its chunks that are not in the database
    yet."""
    return Deposit(
        mailbox=sealed.mailbox,
        folder=folder,
        message_id=sealed.message_id,
        blob_id=sealed.blob_id,
        sealed_key=sealed.sealed_key,
        chunk_count=sealed.chunk_count,
        pending_chunks=tuple(blob.pending),
        summary_ct=sealed.summary_ct,
        listing_epoch=sealed.listing_epoch,
        header_ct=sealed.header_ct,
        day=sealed.day,
        size_kib=sealed.size_kib,
        flags=flags,
    )
