"""Messages as the layers above see them: `MailStore.messages`, with a method for all that can be done to
them.

Invariants: once a method has returned, what it wrote is committed; nothing here opens a ciphertext. The
statements are in `message_reading`, `message_writing`, `reception`, `blobs` and `shredding`.
"""

from __future__ import annotations

from collections.abc import Sequence

from mssante import limits
from mssante.crypto import Closed
from mssante.model import BlobId, FolderId, ModSeq, Uid
from mssante.store import blobs, message_reading, message_writing, reception, shredding
from mssante.store.disk_reserve import DiskReserve
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
    """What is kept of letters, which folders they lie in, and their flags.

    Each method is one transaction, except where it says so. Each raises Passing when the database does not
    answer or is too busy. Sessions of the mailbox are told what a method changed, if they can see it.
    Messages come in by `MailStore.accept`."""

    def __init__(self, transactions: Transactions, reserve: DiskReserve) -> None:
        self._transactions = transactions
        self._reserve = reserve

    # Coming in

    async def append_chunks(self, blob: BlobId, first_n: int, sealed: list[bytes]) -> None:
        """Keeps chunks `first_n`, `first_n` + 1, … of a message still being received. Raises
        database.Conflict when one of them is there already, Passing(STORAGE_FULL) when the disk is filled up
        to its reserve."""
        await self._reserve.require()
        now = self._transactions.now
        await self._transactions.write_quietly(lambda c: blobs.append_chunks(c, blob, first_n, sealed, now))

    async def abandon(self, blob: BlobId) -> None:
        """Deletes the chunks of a message that will not be kept. Does nothing to a message that was kept."""
        await self._transactions.write_quietly(lambda c: blobs.abandon(c, [blob]))

    async def replace(self, folder: FolderId, uid: Uid, acceptance: Acceptance) -> Accepted:
        """Keeps a new message in one mailbox and removes an old one, both or neither: the quota judges the
        result of both. Raises as `MailStore.accept` does, and Refused(MESSAGE_GONE)."""
        self._transactions.shredded = True
        return await self._transactions.write(
            lambda ledger: reception.replace(ledger, folder, uid, acceptance)
        )

    # Reading

    async def summaries(
        self, folder: FolderId, uids: Uids, *, header: bool = False, bytes_max: int | None = None
    ) -> list[SealedMessage]:
        """Those of `uids` that exist, ascending, as a listing needs them: sealed, with the header if asked
        for. Reading stops some rows after `bytes_max`; the caller then asks for the rest."""
        return await self._transactions.read(
            lambda c: message_reading.summaries(c, folder, uids, header=header, bytes_max=bytes_max)
        )

    async def places(self, folder: FolderId, uids: Uids) -> list[Place]:
        """Which messages the UIDs `uids` stand for, ascending; those that do not exist are left out."""
        return await self._transactions.read(lambda c: message_reading.places(c, folder, uids))

    async def chunks(self, blob: BlobId, first_n: int, count: int) -> list[bytes]:
        """At most `count` sealed chunks from `first_n` on, fewer at the end. If one is missing, opening them
        fails."""
        return await self._transactions.read(lambda c: message_reading.chunks(c, blob, first_n, count))

    async def deks(self, numbers: Sequence[MessageNumber], *, contents: bool = False) -> list[SealedDek]:
        """The sealed keys of those messages that exist, ascending. With `contents`, also the content of each
        that is a single chunk."""
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
        """Adds, removes or replaces flags. Returns the messages of `uids` that exist, with their new flags,
        except those that changed after `unchangedsince`, which are left as they are (RFC 7162 §3.1.3). Raises
        Refused(FOLDER_UNKNOWN)."""
        return await self._transactions.write(
            lambda ledger: message_writing.store_flags(
                ledger, folder, uids, mode, mask, unchanged_since=unchangedsince
            )
        )

    async def copy(self, folder: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
        """Copies the messages of `uids` that exist, with their flags, and returns the old and new UID of
        each. The quota counts a content only once. Raises Refused(FOLDER_UNKNOWN) when a folder is gone or
        belongs to another mailbox, Refused(LIMIT_REACHED) when there are no UIDs left, Passing(STORAGE_FULL)
        when the disk is filled up to its reserve."""
        await self._reserve.require()
        return await self._transactions.write(lambda ledger: message_writing.copy(ledger, folder, uids, to))

    async def move(self, folder: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
        """As `copy`, but also removes the old placements, in the same transaction (RFC 6851 §3). It is done
        on a full disk too: that is how mail programs delete."""
        return await self._transactions.write(lambda ledger: message_writing.move(ledger, folder, uids, to))

    async def expunge(
        self, folder: FolderId, uids: Uids | None = None, *, deleted_only: bool = True
    ) -> list[Uid]:
        """Removes those messages of `uids`, or of the folder, that have \\Deleted (RFC 4315 §2.1), some
        hundred or some MiB in each transaction; with `deleted_only` False, all of `uids`. Returns the removed
        UIDs, ascending. Raises Refused(FOLDER_UNKNOWN)."""
        most = limits.EXPUNGED_AT_ONCE
        gone: list[Uid] = []
        while True:
            part, more = await self._transactions.write(
                lambda ledger: shredding.expunge_slice(
                    ledger, ledger.open_folder(folder), uids, most, deleted_only=deleted_only
                )
            )
            self._transactions.shredded = self._transactions.shredded or bool(part)
            gone += part
            if not more:
                return gone

    async def reseal(self, messages: Sequence[tuple[MessageNumber, Closed]]) -> None:
        """Replaces DEKs and summaries of one mailbox by forms that open faster. What is stored under a newer
        epoch stays, and messages that are gone meanwhile are skipped. It may be left out, so it raises
        Passing soon where the database is busy, and no letter waits for it."""
        await self._transactions.write_at_leisure(lambda c: message_writing.reseal(c, messages))
