"""A selected folder as one session sees it: its view, its flags, and what has changed since.

Invariants: flags stand place by place beside the UIDs the client counts, those it has not been told of
behind them; a change is told once, and not told at all to the session that made it (it has its own
answer). 100,000 messages cost 1.6 MiB a session.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import or_

from mssante.imap.flags import RECENT
from mssante.imap.view import UID_ARRAY, Changes, FolderView
from mssante.mailbox.folders import NamedFolder
from mssante.mailbox.reading import breathe
from mssante.model import Flag, FolderId, ModSeq, Uid
from mssante.reasons import Passing
from mssante.store import MailStore
from mssante.store.records import FlagsRow, FlagsRows

_MASK_ARRAY = "Q"
_ROWS_AT_ONCE = 2000  # taken in before the loop is given to others


class Selected:
    """Made by `open`; `refresh` looks at the store, `tell` says what it found."""

    def __init__(self, store: MailStore, folder: NamedFolder, *, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self.view = FolderView(())
        self.flags_seen = 0  # every bit that any message has had
        self._store = store
        self._uids = array(UID_ARRAY)  # those of the view, then those not told yet
        self._masks = array(_MASK_ARRAY)
        self._gone: set[int] = set()  # in the view still
        self._modseq = ModSeq(0)
        self._own: set[int] = set()  # modseqs of changes that this session made, and knows

    @classmethod
    async def open(cls, store: MailStore, folder: NamedFolder, *, read_only: bool) -> Selected:
        """Raises Refused(FOLDER_UNKNOWN)."""
        selected = cls(store, folder, read_only=read_only)
        numbers = await store.uids(folder.id)
        selected._uids = array(UID_ARRAY, numbers.uids)
        selected._masks = array(_MASK_ARRAY, numbers.flags)
        selected._modseq = numbers.modseq
        selected.flags_seen = reduce(or_, set(numbers.flags), 0)
        last = numbers.uids[-1] if numbers.uids else 0
        before = await selected._heard_before(last, folder.folder.recent_uid)
        selected.view = FolderView(numbers.uids, recent_from=before + 1)
        return selected

    @property
    def id(self) -> FolderId:
        return self.folder.id

    def mask_of(self, uid: int) -> int | None:
        """A message's stored flags; None when it is gone, whether the client knows or not."""
        place = self._place_of(uid)
        return None if place is None or uid in self._gone else self._masks[place]

    def messages(self, places: Iterable[range]) -> Iterator[tuple[int, int, int]]:
        """(sequence number, UID, flags with \\Recent) at these places of the view, without those gone."""
        mask, plain = self.view.mask, not (self._gone or self.view.recent_count)
        for place in places:
            uids, masks = self._uids[place.start : place.stop], self._masks[place.start : place.stop]
            found = zip(range(place.start + 1, place.stop + 1), uids, masks, strict=True)
            if plain:
                yield from found
            else:
                yield from ((n, uid, mask(uid, kept)) for n, uid, kept in found if uid not in self._gone)

    def first_unseen(self) -> int | None:
        """The sequence number of the first message without \\Seen."""
        seen = Flag.SEEN.value
        return next((n for n, mask in enumerate(self._masks, 1) if not mask & seen), None)

    def learn(self, places: Sequence[range], rows: FlagsRows) -> Iterator[tuple[int, int, int, int]]:
        """What this session itself changed, known now, so that `refresh` does not tell it again: (sequence
        number, UID, flags before, flags now) of those that are there, flags with \\Recent. To be gone
        through to the end; between two of them others may work."""
        if rows.own:
            self._own.add(rows.own)
        self.flags_seen = reduce(or_, set(rows.flags), self.flags_seen)
        now = zip(rows.uids, rows.flags, strict=True)
        uid, mask = next(now, (0, 0))
        for sequence, asked, before in self.messages(places):
            if asked != uid:
                continue  # gone meanwhile
            self._masks[sequence - 1] = mask
            yield sequence, uid, before, mask | before & RECENT
            uid, mask = next(now, (0, 0))

    async def refresh(self) -> None:
        """Takes in what others did since. Raises Refused(FOLDER_UNKNOWN) when the folder is gone."""
        changes = await self._store.changes(self.id, self._modseq, self._own)
        if changes.modseq == self._modseq:
            return
        last = self._uids[-1] if self._uids else 0
        known = next((at for at, row in enumerate(changes.present) if row.uid > last), len(changes.present))
        for start in range(0, known, _ROWS_AT_ONCE):
            rows = changes.present[start : min(start + _ROWS_AT_ONCE, known)]
            self.view.note(Changes(flagged=[row.uid for row in rows if self._set(row.uid, row.flags)]))
            await breathe()
        await self._arrive(changes.present[known:], changes.recent_uid)
        self.view.note(Changes(expunged=changes.expunged))
        self._take_away(changes.expunged)
        self._modseq = changes.modseq
        self._own.clear()

    async def _arrive(self, rows: Sequence[FlagsRow], recent_uid: int) -> None:
        if not rows:
            return
        before = await self._heard_before(rows[-1].uid, recent_uid)
        self._uids.extend(row.uid for row in rows)
        self._masks.extend(row.flags for row in rows)
        self.flags_seen = reduce(or_, {row.flags for row in rows}, self.flags_seen)
        self.view.note(Changes(arrived=[row.uid for row in rows if row.uid <= before]))
        self.view.note(Changes(arrived=[row.uid for row in rows if row.uid > before], recent=True))

    def tell(self, render: Callable[[int], bytes], *, expunges: bool, uid: bool) -> bytes:
        """The untagged responses for what waits; `render` makes a mask's names."""

        def flags_of(uid: int) -> bytes | None:
            mask = self.mask_of(uid)
            return None if mask is None else render(self.view.mask(uid, mask))

        told = self.view.release(flags_of, expunges=expunges, uid=uid)
        if expunges and self._gone:
            self._drop(self._gone)
            self._gone = set()
        return told

    # Inside

    async def _heard_before(self, last: int, known: int) -> int:
        """Up to which UID some session has heard of the messages before us. A session that may write is
        the one that hears of those up to `last` (RFC 3501 §2.3.2); EXAMINE takes nothing from others."""
        if last <= known or self.read_only:
            return known
        try:
            return await self._store.recent_claim(self.id, Uid(last))
        except Passing:
            return known  # C3: a database that takes no writes is still read

    def _place_of(self, uid: int) -> int | None:
        place = bisect_left(self._uids, uid)
        return place if place < len(self._uids) and self._uids[place] == uid else None

    def _set(self, uid: int, mask: int) -> bool:
        place = self._place_of(uid)
        if place is None or self._masks[place] == mask:
            return False
        self._masks[place] = mask
        self.flags_seen |= mask
        return True

    def _take_away(self, expunged: Sequence[int]) -> None:
        """Those the client counts wait for `tell`; those it never heard of go at once."""
        unheard = set()
        for uid in expunged:
            if self.view.sequence_of(uid) is not None:
                self._gone.add(uid)
            elif self._place_of(uid) is not None:
                unheard.add(uid)
        if unheard:
            self._drop(unheard)

    def _drop(self, uids: set[int]) -> None:
        kept = [place for place, uid in enumerate(self._uids) if uid not in uids]
        self._uids = array(UID_ARRAY, [self._uids[place] for place in kept])
        self._masks = array(_MASK_ARRAY, [self._masks[place] for place in kept])
