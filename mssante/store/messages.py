"""Messages as the layers above see them: `MailStore.messages`, one method for what can be done with them.

Invariants: what a method answered is kept; nothing here opens a ciphertext. The statements are in
`message_reading`, `message_writing`, `reception`, `blobs` and `shredding`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mssante import limits
from mssante.crypto import Closed
from mssante.model import BlobId, FolderId, ModSeq, Uid
from mssante.store import blobs, message_reading, message_writing, reception, shredding
from mssante.store.records import (
    Acceptance,
    Accepted,
    FlagsMode,
    FlagsRows,
    MessageNumber,
    Place,
    SealedDek,
    SealedMessage,
    Uids,
)
from mssante.store.transactions import Transactions


class MessagesDoor:
    """What is kept of letters, where they lie, and their flags.

    Each method is one transaction, except where it says so. Each raises Passing when the database does not
    answer or is too busy. Sessions of the mailbox are told what a method changed, if they can see it.
    Messages come in by `MailStore.accept`."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    # Coming in

    async def append_chunks(self, blob: BlobId, first_n: int, sealed: list[bytes]) -> None:
        """Keeps chunks `first_n`, `first_n` + 1, … of a message still being received. Raises
        database.Conflict when one of them is there already."""
        now = self._transactions.now
        await self._transactions.write_quietly(lambda c: blobs.append_chunks(c, blob, first_n, sealed, now))

    async def abandon(self, blob: BlobId) -> None:
        """Takes away what was received of a message that will not be kept; nothing of one that was."""
        await self._transactions.write_quietly(lambda c: blobs.abandon(c, [blob]))

    async def replace(self, folder: FolderId, uid: Uid, acceptance: Acceptance) -> Accepted:
        """Keeps what one mailbox is given and removes one of its messages, both or neither: the quota
        judges what both make together. Raises as `MailStore.accept` does, and Refused(MESSAGE_GONE)."""
        self._transactions.shredded = True
        return await self._transactions.write(
            lambda ledger: reception.replace(ledger, folder, uid, acceptance)
        )

    # Reading

    async def summaries(
        self, folder: FolderId, uids: Uids, *, header: bool = False, bytes_max: int | None = None
    ) -> list[SealedMessage]:
        """Those of `uids` that are there, ascending, as a listing needs them: sealed, with the header if
        asked for. What goes beyond `bytes_max` (and some rows) is left out, to be asked for again."""
        return await self._transactions.read(
            lambda c: message_reading.summaries(c, folder, uids, header=header, bytes_max=bytes_max)
        )

    async def places(self, folder: FolderId, uids: Uids) -> list[Place]:
        """Those of `uids` that are there, ascending: which messages they are."""
        return await self._transactions.read(lambda c: message_reading.places(c, folder, uids))

    async def chunks(self, blob: BlobId, first_n: int, count: int) -> list[bytes]:
        """At most `count` sealed chunks from `first_n` on, fewer at the end. Opening them tells if one
        lacks."""
        return await self._transactions.read(lambda c: message_reading.chunks(c, blob, first_n, count))

    async def deks(self, numbers: Sequence[MessageNumber], *, contents: bool = False) -> list[SealedDek]:
        """The sealed keys of those messages that are there, ascending; with `contents` also the content of
        each that is one chunk."""
        return await self._transactions.read(lambda c: message_reading.deks(c, numbers, contents=contents))

    async def present(self, numbers: Sequence[MessageNumber]) -> set[MessageNumber]:
        """Those of `numbers` that are not shredded."""
        return await self._transactions.read(lambda c: message_reading.present(c, numbers))

    # Changing

    async def store_flags(
        self,
        folder: FolderId,
        uids: Uids,
        mode: FlagsMode,
        mask: int,
        *,
        unchangedsince: ModSeq | None = None,
    ) -> FlagsRows:
        """Adds, removes or replaces flags. Every message of `uids` that is there, as it is now; without
        those changed after `unchangedsince`, which are left alone (RFC 7162 §3.1.3). Raises
        Refused(FOLDER_UNKNOWN)."""
        return await self._transactions.write(
            lambda ledger: message_writing.store_flags(
                ledger, folder, uids, mode, mask, unchanged_since=unchangedsince
            )
        )

    async def copy(self, folder: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
        """Old and new UID of each of `uids` that is there. Flags go with it; the quota does not count a
        content twice. Raises Refused(FOLDER_UNKNOWN): a folder is gone or another mailbox's;
        Refused(LIMIT_REACHED): no more UIDs."""
        return await self._transactions.write(lambda ledger: message_writing.copy(ledger, folder, uids, to))

    async def move(self, folder: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
        """As `copy`, and the old placements are gone with it (RFC 6851 §3)."""
        return await self._transactions.write(lambda ledger: message_writing.move(ledger, folder, uids, to))

    async def expunge(
        self, folder: FolderId, uids: Uids | None = None, *, deleted_only: bool = True
    ) -> list[Uid]:
        """Removes the messages with \\Deleted, of `uids` or of all (RFC 4315 §2.1), some hundred to a
        transaction; with `deleted_only` False, all of `uids`. The UIDs gone, ascending. Raises
        Refused(FOLDER_UNKNOWN)."""
        most = limits.EXPUNGED_AT_ONCE
        gone: list[Uid] = []
        while True:
            part = await self._transactions.write(
                lambda ledger: shredding.expunge_slice(
                    ledger, ledger.open_folder(folder), uids, most, deleted_only=deleted_only
                )
            )
            self._transactions.shredded = self._transactions.shredded or bool(part)
            gone += part
            if len(part) < most:
                return gone

    async def reseal(self, messages: Sequence[tuple[MessageNumber, Closed]]) -> None:
        """Puts what opens faster in the place of DEKs and summaries of one mailbox, never of an older epoch
        than stands there; messages gone meanwhile are passed over. A comfort: raises Passing at once where
        the database is busy, so that no letter waits for it."""
        await self._transactions.write_at_leisure(lambda c: message_writing.reseal(c, messages))
