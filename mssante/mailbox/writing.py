"""Writing in an open mailbox: a message appended, flags, copies, moves and expunges.

Invariants: an appended message is handled like a delivered one (sealed as it streams in, stored in one
transaction); with a grant that only reads, nothing is written; a copy within a mailbox needs no key.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mssante import limits
from mssante.flags import FlagList, FlagNames
from mssante.loans import MemoryShare
from mssante.mailbox.folders import Folders, NamedFolder
from mssante.mailbox.opening import OpenMailbox
from mssante.mime.canonical import CanonicalText
from mssante.model import FolderId, ModSeq, Uid
from mssante.reasons import Reason, Refused
from mssante.sealing import Blobs, MessageSealer, Sealed, deposit, kept_kib
from mssante.store.quota_promises import Promise
from mssante.store.records import Acceptance, Deposit, FlagsMode, FlagsRows, Placed, Uids


class Draft:
    """One message being appended: `write` its octets, `finish` it, then give it to `Writer.keep`, together
    with the other messages of the same APPEND, with which it shares its `blobs`."""

    def __init__(
        self, sealer: MessageSealer, folder: NamedFolder, flags: int, room: Promise, blobs: Blobs
    ) -> None:
        self.folder = folder
        self.blobs = blobs
        self._room = room
        self._sealer: MessageSealer | None = sealer  # until it is finished: it holds what scanning needs
        self._flags = flags
        self._blob = blobs.open(sealer.blob_id)
        self._sealed: Sealed | None = None
        # Lines may have any length: a message that its own client appends is never relayed.
        self._text = CanonicalText(line_octets_max=limits.MESSAGE_OCTETS_MAX)

    async def write(self, octets: bytes) -> None:
        """Raises Refused(BARE_LINE_ENDING, NUL_OCTET), as for a delivered message: a text in which two
        programs could see different lines is not stored. Raises Passing when the database cannot write."""
        assert self._sealer is not None
        self._text.see(octets)
        self._require_lines()
        chunks = await self._sealer.feed_in_turns(octets)
        if chunks:
            await self.blobs.add(self._blob, chunks)

    async def finish(self, internal_date: datetime) -> None:
        """The message is complete. `internal_date` must be aware. Raises Refused(BARE_LINE_ENDING), and
        Passing(LIMIT_REACHED) when the messages that wait to be kept with it take too much memory."""
        assert self._sealer is not None
        self._text.end()
        self._require_lines()
        self._sealed, last = await self._sealer.finish(internal_date=internal_date)
        self._sealer = None
        await self.blobs.add(self._blob, last)
        await self.blobs.hold_beside(len(self._sealed.summary_ct) + len(self._sealed.header_ct))

    def kept(self) -> None:
        """The message is stored: from now on its room counts as used, no longer as promised."""
        self._room.free()
        self.blobs.forget()

    def free(self) -> None:
        """Gives back the room it was promised, for a message that will not be kept. Its `blobs` are then to
        be abandoned, once for all messages of the same APPEND."""
        self._room.free()

    def _require_lines(self) -> None:
        if self._text.fault is not None:
            raise Refused(self._text.fault)

    @property
    def deposit(self) -> Deposit:
        """What the store is asked to keep. Only after `finish`."""
        assert self._sealed is not None
        return deposit(self._sealed, self._blob, self.folder.id, flags=self._flags)


class Writer:
    """Writes for one session. `memory` lends what is held of messages that come in; several sessions of one
    person may share it."""

    def __init__(self, mailbox: OpenMailbox, folders: Folders, memory: MemoryShare | None = None) -> None:
        self._mailbox = mailbox
        self._folders = folders
        self._memory = memory

    async def draft(
        self,
        folder: NamedFolder,
        flags: int,
        size: int,
        *,
        together: Sequence[Draft] = (),
        replacing: bool = False,
    ) -> Draft:
        """Begins a message of `size` octets, whose room is promised from now on; `together` are the earlier
        ones of the same APPEND. With `replacing` it takes another message's place, and the transaction that
        keeps it judges the quota. Raises Refused(NOT_PERMITTED), Refused(MAILBOX_FULL),
        Passing(STORAGE_FULL)."""
        self._mailbox.require_writable()
        await self._mailbox.store.reserve.require()
        row = await self._mailbox.store.accounts.by_id(self._mailbox.id)
        promises = self._mailbox.store.promises
        beside = replace(row, used_kib=0, places=0) if replacing else row
        if not beside.has_room(kept_kib(size), promised_kib=promises.promised(row.id)):
            raise Refused(Reason.MAILBOX_FULL)
        room = promises.promise(row.id, kept_kib(size))
        blobs = together[0].blobs if together else Blobs(self._mailbox.store, self._memory)
        return Draft(MessageSealer(self._mailbox.ring), folder, flags, room, blobs)

    async def keep(self, drafts: Sequence[Draft]) -> tuple[Placed, ...]:
        """Stores all of the drafts or none (RFC 3502). Raises Refused, Passing: the caller then abandons
        them."""
        accepted = await self._mailbox.store.accept(self._acceptance(drafts))
        for draft in drafts:
            draft.kept()
        return accepted.placements

    async def replace(self, folder: FolderId, uid: Uid, draft: Draft) -> tuple[Placed, ...]:
        """Keeps `draft` and removes the message `uid` of `folder`, together or not at all (RFC 8508 §3.4).
        Raises Refused, Passing: the caller then abandons the draft."""
        accepted = await self._mailbox.store.messages.replace(folder, uid, self._acceptance([draft]))
        draft.kept()
        return accepted.placements

    def _acceptance(self, drafts: Sequence[Draft]) -> Acceptance:
        return Acceptance(
            dedup_key=None,
            deposits=tuple(draft.deposit for draft in drafts),
            outbound=None,
            journal_detail=json.dumps({"person": self._mailbox.person}),
        )

    async def mask(self, flags: FlagList, names: FlagNames) -> tuple[int, FlagNames]:
        """The bits of `flags`, and the names they come from. Keywords that the mailbox does not know yet are
        added to it first. Raises Refused(LIMIT_REACHED), Refused(NOT_PERMITTED)."""
        unknown = names.unknown(flags)
        if unknown:
            self._mailbox.require_writable()
            for keyword in unknown:
                await self._folders.add_keyword(keyword)
            names = await self._folders.flag_names()
        return names.mask(flags), names

    async def flags(
        self,
        folder: FolderId,
        uids: Uids,
        mode: FlagsMode,
        mask: int,
        *,
        unchanged_since: int | None = None,
    ) -> FlagsRows:
        """Changes the flags of the messages `uids` and returns those that exist, as they are now. Messages
        that changed after `unchanged_since` are left alone, and left out of the answer."""
        self._mailbox.require_writable()
        since = None if unchanged_since is None else ModSeq(unchanged_since)
        return await self._mailbox.store.messages.store_flags(folder, uids, mode, mask, unchangedsince=since)

    async def copy(self, folder: FolderId, uids: Uids, to: FolderId, *, move: bool) -> list[tuple[Uid, Uid]]:
        """Copies or moves messages. Returns (old UID, new UID) of each, ascending."""
        self._mailbox.require_writable()
        act = self._mailbox.store.messages.move if move else self._mailbox.store.messages.copy
        return await act(folder, uids, to)

    async def expunge(self, folder: FolderId, uids: Uids | None) -> list[Uid]:
        """Removes the messages with \\Deleted, among `uids` or in the whole folder. Returns their UIDs."""
        self._mailbox.require_writable()
        return await self._mailbox.store.messages.expunge(folder, uids)
