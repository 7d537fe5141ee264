"""The UIDs, flags and modseqs of a folder in memory, shared by all sessions of this process that open it.

Each session reads from the database what changed and brings it here, so that sessions may bring the same news
twice or in another order than it happened. Invariants: everything up to `modseq` is here, and perhaps
something newer; the row of a message is replaced only by a newer one; `uids` is replaced by a new array and
never changed in place, so that a session may go on using the old one. 100,000 messages take 2 MiB.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import reduce
from operator import ge, or_

from mssante.limits import LIVE_ROWS_AT_ONCE
from mssante.model import ModSeq, Uid
from mssante.store.folder_reading import FolderNumbers
from mssante.store.records import Changes, FlagMask, FlagsRow, FlagsRows
from mssante.uid_arrays import UID_ARRAY, without


class LiveFolder:
    """`uids` ascend; `flags` and `modseqs` are arrays of the same length and order. `flags_seen` has every
    bit that any message here has ever had."""

    __slots__ = ("__weakref__", "flags", "flags_seen", "modseq", "modseqs", "uids")

    def __init__(self, numbers: FolderNumbers) -> None:
        self.uids = array(UID_ARRAY, numbers.uids)
        self.flags = numbers.flags
        self.modseqs = numbers.modseqs
        self.modseq = numbers.modseq
        self.flags_seen = reduce(or_, set(numbers.flags), 0)

    def row(self, uid: int) -> FlagsRow | None:
        """What is known here of a message; None when it is gone, or not known here yet."""
        place = bisect_left(self.uids, uid)
        if place == len(self.uids) or self.uids[place] != uid:
            return None
        return FlagsRow(Uid(uid), FlagMask(self.flags[place]), ModSeq(self.modseqs[place]))

    def between(self, low: int, high: int) -> FlagsRows:
        """The messages whose UIDs lie between `low` and `high`, both included."""
        start, stop = bisect_left(self.uids, low), bisect_right(self.uids, high)
        return FlagsRows(self.uids[start:stop], self.flags[start:stop], self.modseqs[start:stop])

    async def take(self, changes: Changes) -> None:
        """Applies what happened since a modseq that this folder had already reached."""
        if changes.modseq <= self.modseq:
            return
        known = bisect_right(changes.present.uids, self.uids[-1] if self.uids else 0)
        self._arrive(changes.present[known:])
        await self._replace(changes.present[:known])
        self._drop(changes.expunged)
        self.modseq = max(self.modseq, changes.modseq)

    async def learn(self, rows: FlagsRows) -> None:
        """Applies the answer of the store to a change of flags."""
        await self._replace(rows)
        if rows.own and self.modseq == rows.before:
            self.modseq = ModSeq(rows.own)

    def _arrive(self, rows: FlagsRows) -> None:
        if rows:
            self.uids = self.uids + array(UID_ARRAY, rows.uids)
            self.flags.extend(rows.flags)
            self.modseqs.extend(rows.modseqs)
            self.flags_seen = reduce(or_, set(rows.flags), self.flags_seen)

    async def _replace(self, rows: FlagsRows) -> None:
        for start in range(0, len(rows), LIVE_ROWS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            some = rows[start : start + LIVE_ROWS_AT_ONCE]
            if not self._replace_stretch(some):
                self._replace_singly(some)
            self.flags_seen = reduce(or_, set(some.flags), self.flags_seen)

    def _replace_stretch(self, rows: FlagsRows) -> bool:
        """Replaces all `rows` in one go. Returns False, and changes nothing, unless they are all the messages
        of one stretch of UIDs and none of them is older than what is here."""
        start = bisect_left(self.uids, rows.uids[0])
        here = slice(start, start + len(rows))
        same = self.uids[here] == array(UID_ARRAY, rows.uids)
        if not same or not all(map(ge, rows.modseqs, self.modseqs[here])):
            return False
        self.flags[here] = rows.flags
        self.modseqs[here] = rows.modseqs
        return True

    def _replace_singly(self, rows: FlagsRows) -> None:
        uids, modseqs = self.uids, self.modseqs
        for uid, mask, modseq in zip(rows.uids, rows.flags, rows.modseqs, strict=True):
            place = bisect_left(uids, uid)
            if place < len(uids) and uids[place] == uid and modseqs[place] < modseq:
                self.flags[place] = mask
                modseqs[place] = modseq

    def _drop(self, expunged: Sequence[int]) -> None:
        uids = self.uids
        places = [
            place for uid in expunged if (place := bisect_left(uids, uid)) < len(uids) and uids[place] == uid
        ]
        if places:
            self.uids = without(uids, places)
            self.flags = without(self.flags, places)
            self.modseqs = without(self.modseqs, places)
