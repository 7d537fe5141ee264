"""The search index's side of the store: what `MailStore.segments` answers. Documented by the functions of
`segments` they delegate to.

Invariants: as `segments`; each method is one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from mssante.model import FolderId, MailboxId
from mssante.store import segments
from mssante.store.segments import FolderPlaces, SealedSegment, SegmentHead
from mssante.store.transactions import Transactions


class Segments:
    """A mailbox's index, sealed."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def heads(self, mailbox: MailboxId) -> list[SegmentHead]:
        return await self._transactions.read(lambda c: segments.heads(c, mailbox))

    async def sealed(self, ids: Sequence[int]) -> list[SealedSegment]:
        return await self._transactions.read(lambda c: segments.sealed(c, ids))

    async def places(self, folder: FolderId, *, after: int = 0) -> FolderPlaces:
        return await self._transactions.read(lambda c: segments.places(c, folder, after))

    async def lacking(self, mailbox: MailboxId) -> int:
        return await self._transactions.read(lambda c: segments.lacking(c, mailbox))

    async def unindexed(self, folder: FolderId, *, after: int, most: int) -> list[int]:
        return await self._transactions.read(lambda c: segments.unindexed(c, folder, after, most))

    async def put(
        self,
        mailbox: MailboxId,
        segment: SealedSegment | None,
        numbers: Sequence[int] = (),
        *,
        instead_of: Sequence[int] = (),
    ) -> bool:
        """Raises Passing soon rather than wait: a comfort."""
        return await self._transactions.database.write_at_leisure(
            lambda c: segments.put(c, mailbox, segment, numbers, instead_of)
        )
