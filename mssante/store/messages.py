"""Messages as the layers above see them: `MailStore.messages`, with a method for all that can be done to
them.

What concerns many messages is done in slices, each in a transaction of its own with its own modseq, and
letters and other people's commands pass between them. A COPY is all or nothing all the same (`long_copies`);
a STORE, MOVE or EXPUNGE that fails midway has changed the messages of the slices before.

Invariants: once a method has returned, what it wrote is committed; nothing here opens a ciphertext. The
statements are in `message_reading`, `message_writing`, `reception`, `blobs` and `shredding`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial

from mssante import limits
from mssante.crypto import Closed
from mssante.model import BlobId, FolderId, ModSeq, SpecialUse, Uid
from mssante.reasons import Declined, Passing
from mssante.store import (
    blobs,
    folder_reading,
    long_copies,
    message_reading,
    message_writing,
    reception,
    shredding,
)
from mssante.store.disk_reserve import DiskReserve
from mssante.store.ledger import Ledger
from mssante.store.packed import Runs
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

    Each method is one transaction, or one for some thousand messages. Each raises Passing when the database
    does not answer or is too busy. Sessions of the mailbox are told what a method changed, if they can see
    it. Messages come in by `MailStore.accept`."""

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
        await self._transactions.write_quietly(
            lambda c: blobs.append_chunks(c, blob, first_n, sealed, now), rows=len(sealed)
        )

    async def abandon(self, blob: BlobId) -> None:
        """Deletes the chunks of a message that will not be kept. Does nothing to a message that was kept."""
        await self._transactions.erase([blob])

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
        done: FlagsRows | None = None
        for some in await self._slices(folder, uids, limits.FLAGS_STORED_AT_ONCE):
            change = partial(
                message_writing.store_flags,
                folder_id=folder,
                uids=some,
                mode=mode,
                mask=mask,
                unchanged_since=unchangedsince,
            )
            rows = await self._transactions.write(change, rows=len(some))
            done = rows if done is None else done.then(rows)
        assert done is not None, "there is one slice at least"
        return done

    async def copy(self, folder: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
        """Copies the messages of `uids` that exist, with their flags, and returns the old and new UID of
        each: all of them or none, even if it takes several transactions and the process is killed. The quota
        counts a content only once, but each place. Raises Refused(FOLDER_UNKNOWN) when a folder is gone or
        belongs to another mailbox, Refused(MAILBOX_FULL), Refused(LIMIT_REACHED) when there are no UIDs
        left, Passing(STORAGE_FULL) when the disk is filled up to its reserve."""
        await self._reserve.require()
        slices = await self._slices(folder, uids, limits.PLACES_COPIED_AT_ONCE)
        if len(slices) > 1:
            return await self._transactions.unbroken(self._copy_long(folder, slices, to))
        return await self._transactions.write(
            lambda ledger: message_writing.copy(ledger, folder, slices[0], to), rows=len(slices[0])
        )

    async def move(self, folder: FolderId, uids: Uids, to: FolderId) -> list[tuple[Uid, Uid]]:
        """As `copy`, but also removes the old placements, each in the transaction that makes its new one: if
        it fails midway, a message is in one of the two folders (RFC 6851 §4). The number of places stays. On
        a full disk it is done into the trash only: that is how mail programs delete, while to and fro each
        message leaves a UID that is remembered as gone."""
        try:
            await self._reserve.require()
        except Passing:
            target = await self._transactions.read(lambda c: folder_reading.folder(c, to))
            if target.role is not SpecialUse.TRASH:
                raise
        pairs: list[tuple[Uid, Uid]] = []
        for some in await self._slices(folder, uids, limits.PLACES_MOVED_AT_ONCE):
            part = partial(message_writing.move, folder_id=folder, uids=some, to=to)
            pairs += await self._transactions.write(part, rows=len(some))
        return pairs

    async def expunge(
        self, folder: FolderId, uids: Uids | None = None, *, deleted_only: bool = True
    ) -> list[Uid]:
        """Removes those messages of `uids`, or of the folder, that have \\Deleted (RFC 4315 §2.1), some
        hundred in each transaction; with `deleted_only` False, all of `uids`. Returns the removed UIDs,
        ascending. Raises Refused(FOLDER_UNKNOWN)."""
        if uids is None:
            uids = await self._transactions.read(
                lambda c: message_reading.to_expunge(c, folder, deleted_only=deleted_only)
            )
        gone: list[Uid] = []
        for some in await self._slices(folder, uids, limits.EXPUNGED_AT_ONCE):
            part = partial(_expunge_slice, folder=folder, uids=some, deleted_only=deleted_only)
            cut = True
            while cut:
                removed, cut = await self._transactions.write(part, rows=len(some))
                self._transactions.shredded = self._transactions.shredded or bool(removed)
                gone += removed
        return gone

    async def finish_copies(self, *, all_of_them: bool) -> int:
        """Takes back what unfinished copies have placed: those that have written nothing for
        COPY_DEAD_SECONDS, or all, for the start of the only process. Returns how many there were."""
        before = self._transactions.now if all_of_them else long_copies.last_sign(self._transactions.now)
        dead = await self._transactions.read(lambda c: long_copies.dead(c, before))
        for copy in dead:
            await self._take_back(copy)
        return len(dead)

    async def _copy_long(
        self, folder: FolderId, slices: Sequence[Uids], to: FolderId
    ) -> list[tuple[Uid, Uid]]:
        copy, more = secrets.randbits(63), sum(map(len, slices))
        pairs: list[tuple[Uid, Uid]] = []
        try:
            for some in slices:
                more -= len(some)
                part = partial(
                    long_copies.copy_slice,
                    copy=copy,
                    folder=folder,
                    uids=some,
                    to=to,
                    noted=bool(pairs),
                    more=more,
                )
                pairs += await self._transactions.write(part, rows=len(some))
        except BaseException:
            try:
                await self._take_back(copy)
            except Declined:
                pass  # the folder is gone, or the sweep does it
            raise
        return pairs

    async def _take_back(self, copy: int) -> None:
        while await self._transactions.write(
            lambda ledger: long_copies.take_back_slice(ledger, copy), rows=limits.PLACES_COPIED_AT_ONCE
        ):
            pass

    async def _slices(self, folder: FolderId, uids: Uids, most: int) -> list[Uids]:
        """`uids` in ascending portions, one at least, none of more than `most`. If they are more, only those
        that exist now: what a slice puts into the folder must not be taken for what was asked for."""
        if len(uids) <= most:
            return [uids]
        there = await self._transactions.read(lambda c: message_reading.there(c, folder, Runs.of(uids)))
        return [there[start : start + most] for start in range(0, len(there), most)] or [()]

    async def reseal(self, messages: Sequence[tuple[MessageNumber, Closed]]) -> None:
        """Replaces DEKs and summaries of one mailbox by forms that open faster. What is stored under a newer
        epoch stays, and messages that are gone meanwhile are skipped. It may be left out, so it raises
        Passing soon where the database is busy, and no letter waits for it."""
        await self._transactions.write_at_leisure(lambda c: message_writing.reseal(c, messages))


def _expunge_slice(
    ledger: Ledger, folder: FolderId, uids: Uids, deleted_only: bool
) -> shredding.ExpungedSlice:
    opened = ledger.open_folder(folder)
    return shredding.expunge_slice(ledger, opened, uids, limits.EXPUNGED_AT_ONCE, deleted_only=deleted_only)
