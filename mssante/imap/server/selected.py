"""A selected folder as one session sees it: its view, its flags, and what has changed since.

Invariants: flags and mod-sequences come from the live folder that all sessions share, so they are the newest
that anybody in this process knows; which changes its client has been told, each session remembers for
itself: a change is told once, and not at all to the session that made it, whose command was answered with
it. As long as a session has heard the same as the others, it costs a few KiB on top of the shared folder.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress

from mssante.imap.grammar.lexer import NUMBER_MAX
from mssante.imap.grammar.sets import SequenceSet, merged
from mssante.imap.rules.fetched import Change, change_lines
from mssante.imap.rules.view import FolderNews, FolderView
from mssante.limits import IMAP_ROWS_AT_ONCE
from mssante.mailbox.folders import NamedFolder
from mssante.model import Flag, FolderId, ModSeq, Uid
from mssante.reasons import Passing
from mssante.store import MailStore
from mssante.store.live import LiveFolder
from mssante.store.records import FlagsRow, FlagsRows
from mssante.uid_arrays import UID_ARRAY


@dataclass(frozen=True, slots=True)
class Manner:
    """How changes are told to a client: whether flags come with the `uid` and the `modseq` of their message,
    and whether expunges come as VANISHED."""

    uid: bool = True
    modseq: bool = False
    vanished: bool = False


class Selected:
    """Made by `open`; `refresh` looks at the store, `news` says what it found.

    `saved`: the UIDs found by the last SEARCH that saved its result, ascending (RFC 5182); those of messages
    that have gone since are ignored. `behind`: the last HIGHESTMODSEQ told, which is `complete`, was lower
    than mod-sequences the client has heard."""

    def __init__(self, store: MailStore, folder: NamedFolder, live: LiveFolder, *, read_only: bool) -> None:
        self.id: FolderId = folder.id
        self.folder = folder
        self.read_only = read_only
        self.view = FolderView(live.uids)
        self.saved = array(UID_ARRAY)
        self.behind = False
        self.tells_recent = True
        self._store = store
        self._live = live
        self._modseq = live.modseq  # up to which this session has heard
        self._complete = live.modseq  # up to which its client has been told everything

    @classmethod
    async def open(
        cls, store: MailStore, folder: NamedFolder, *, read_only: bool, recent: bool = True
    ) -> Selected:
        """Without `recent` the client is never told of \\Recent, and this session does not take it away from
        others who still use it (RFC 9051 §2.3.2). Raises Refused(FOLDER_UNKNOWN)."""
        selected = cls(store, folder, await store.folders.live(folder.id), read_only=read_only)
        uids = selected.view.uids
        if not recent:
            selected.tells_recent = False
            selected.view = FolderView(uids, tells_recent=False)
            return selected
        before = await selected._heard_before(uids[-1] if uids else 0, folder.folder.recent_uid)
        selected.view = FolderView(uids, recent_from=before + 1)
        return selected

    @property
    def flags_seen(self) -> int:
        """Every flag bit that any message of the folder has had."""
        return self._live.flags_seen

    @property
    def complete(self) -> ModSeq:
        """The HIGHESTMODSEQ with which the client can resume without losing a change, should the connection
        break now. It stays below that of an expunge which waits to be told (RFC 7162 §3.2)."""
        return self._complete

    def row(self, uid: int) -> FlagsRow | None:
        """A message's stored flags and mod-sequence; None when it is gone, even if the client has not been
        told yet."""
        return self._live.row(uid)

    def modseqs(self, uids: Sequence[int]) -> dict[int, int]:
        """Mod-sequences by UID, for those of `uids` (ascending) that still exist. The answer may hold other
        messages too."""
        if not uids:
            return {}
        rows = self._live.between(uids[0], uids[-1])
        if len(rows) <= 2 * len(uids):
            return dict(zip(rows.uids, rows.modseqs, strict=True))
        return {uid: row.modseq for uid in uids if (row := self.row(uid)) is not None}

    def messages(self, places: Iterable[range]) -> Iterator[tuple[int, int, int]]:
        """(sequence number, UID, flags with \\Recent) of the messages at these places of the view, without
        those that are gone."""
        for numbers, rows in self.columns(places):
            yield from zip(numbers, rows.uids, rows.flags, strict=True)

    def columns(self, places: Iterable[range]) -> Iterator[tuple[Sequence[int], FlagsRows]]:
        """The same in portions, with sequence numbers and rows in separate columns."""
        for piece in _pieces(places):
            numbers, rows = self._rows(piece)
            yield numbers, replace(rows, flags=self.view.masks(rows.uids, rows.flags))

    def changes(self, places: Iterable[range], render: Callable[[int], bytes]) -> Iterator[Change]:
        """The messages at these places, as `change_lines` tells them; `render` makes a mask's names."""
        for piece in _pieces(places):
            for number, row in zip(*self._rows(piece), strict=True):
                yield self.change(number, row, render)

    def change(self, number: int, row: FlagsRow, render: Callable[[int], bytes]) -> Change:
        """One message as `change_lines` tells it, its sequence number given."""
        return Change(number, row.uid, render(self.view.mask(row.uid, row.flags)), row.modseq)

    def changed_since(self, places: Iterable[range], since: int) -> list[range]:
        """Those of these places whose message has a mod-sequence above `since` (RFC 7162 §3.1.4.1)."""
        found: list[range] = []
        for piece in _pieces(places):
            numbers, rows = self._rows(piece)
            for number in compress(numbers, map(since.__lt__, rows.modseqs)):
                if found and found[-1].stop == number - 1:
                    found[-1] = range(found[-1].start, number)
                else:
                    found.append(range(number - 1, number))
        return found

    async def expunged_since(self, since: int, known: SequenceSet | None) -> Sequence[int]:
        """The UIDs expunged after `since`, out of `known` or of all, as far as this session has heard (RFC
        7162 §3.2.6). Here `*` means the last message that exists and every UID above it."""
        gone = array(UID_ARRAY, await self._store.folders.expunged(self.id, ModSeq(since), self._modseq))
        if known is None:
            return gone
        if known.saved:
            return sorted(set(gone).intersection(self.saved))
        if known.to_last is not None:
            low = min(known.to_last, self.view.last)
            known = SequenceSet((*known.intervals, (low, NUMBER_MAX)))
        return [uid for low, high in merged(known.intervals) for uid in _between(gone, low, high)]

    def places(self, messages: SequenceSet, *, uid: bool) -> list[range]:
        """As `FolderView.positions`, but knows `$` too: its messages that are gone are passed over (RFC 5182
        §2.1)."""
        return self.view.places_of(self.saved) if messages.saved else self.view.positions(messages, uid=uid)

    def first_unseen(self) -> int | None:
        """The sequence number of the first message without \\Seen."""
        for piece in _pieces([range(len(self.view))]):
            numbers, rows = self._rows(piece)
            seen = list(map(Flag.SEEN.value.__and__, rows.flags))
            if 0 in seen:
                return numbers[seen.index(0)]
        return None

    async def learn(self, rows: FlagsRows) -> bool:
        """Takes in what this session itself changed. Answers True if nobody else had changed anything since
        it last looked: then `refresh` would find nothing new, and will not report this change either."""
        await self._live.learn(rows)
        if rows.before > self._modseq:
            return False
        if rows.own:
            self._modseq = ModSeq(rows.own)
        return True

    async def refresh(self) -> None:
        """Takes in what others did since the last time. Raises Refused(FOLDER_UNKNOWN) when the folder is
        gone."""
        changes = await self._store.folders.changes(self.id, self._modseq)
        if changes.modseq == self._modseq:
            return
        await self._live.take(changes)
        present = changes.present
        known = bisect_right(present.uids, self.view.last)
        await self._arrive(present.uids[known:], changes.recent_uid)
        self.view.note(FolderNews(flagged=present.uids[:known], expunged=changes.expunged))
        self._modseq = changes.modseq

    def news(self, render: Callable[[int], bytes], *, manner: Manner, expunges: bool) -> Iterator[bytes]:
        """The untagged responses for what waits, in portions; `render` makes the names of a mask. The caller
        must take all of them before it notes anything new, but may let other tasks work in between."""
        yield self.view.tell_numbers(expunges=expunges, vanished=manner.vanished)
        self.view.share(self._live.uids)
        flagged = self.view.take_flagged()
        for start in range(0, len(flagged), IMAP_ROWS_AT_ONCE):
            changes = []
            for number, uid in flagged[start : start + IMAP_ROWS_AT_ONCE]:
                row = self.row(uid)
                if row is not None:
                    changes.append(self.change(number, row, render))
            yield change_lines(changes, uid=manner.uid, modseq=manner.modseq)

    def told(self) -> None:
        """To be called when everything this session has heard of is told, except for expunges that wait."""
        if not self.view.holds_back:
            self._complete = self._modseq

    # Inside

    async def _arrive(self, uids: Sequence[int], recent_uid: int) -> None:
        if uids and not self.tells_recent:
            self.view.note(FolderNews(arrived=uids))
        elif uids:
            before = await self._heard_before(uids[-1], recent_uid)
            self.view.note(FolderNews(arrived=[uid for uid in uids if uid <= before]))
            self.view.note(FolderNews(arrived=[uid for uid in uids if uid > before], recent=True))

    async def _heard_before(self, last: int, known: int) -> int:
        """The highest UID that some session heard of before us: the messages above it are \\Recent here. A
        session that may write claims all up to `last` for itself, so that no other session takes them for
        \\Recent (RFC 3501 §2.3.2); EXAMINE claims nothing."""
        if last <= known or self.read_only:
            return known
        try:
            return await self._store.folders.claim_recent(self.id, Uid(last))
        except Passing:
            return known  # C3: folders stay readable while the database takes no writes

    def _rows(self, place: range) -> tuple[Sequence[int], FlagsRows]:
        """The sequence numbers and rows of the messages at a place, without those that are gone."""
        uids = self.view.uids[place.start : place.stop]
        rows = self._live.between(uids[0], uids[-1])
        if rows.uids == uids:
            return range(place.start + 1, place.stop + 1), rows
        # Messages have gone, or come, that the client was not told of yet: match them up one by one.
        numbers, there = [], FlagsRows()
        number_of = {uid: number for number, uid in enumerate(uids, place.start + 1)}
        for row in rows:
            number = number_of.get(row.uid)
            if number is not None:
                numbers.append(number)
                there.uids.append(row.uid)
                there.flags.append(row.flags)
                there.modseqs.append(row.modseq)
        return numbers, there


def _between(numbers: array[int], low: int, high: int) -> Sequence[int]:
    return numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]


def _pieces(places: Iterable[range]) -> Iterator[range]:
    for place in places:
        for start in range(place.start, place.stop, IMAP_ROWS_AT_ONCE):
            yield range(start, min(start + IMAP_ROWS_AT_ONCE, place.stop))
