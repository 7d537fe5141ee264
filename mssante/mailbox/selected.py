"""A selected folder as one session sees it: its view, its flags, and what has changed since.

Invariants: flags are known for every UID of the view; a change is told once, and not told at all to the
session that made it (it has its own answer). 100,000 messages cost 1.2 MiB a session.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable

from mssante.imap.view import Changes, FolderView
from mssante.mailbox.folders import NamedFolder
from mssante.model import FolderId, ModSeq
from mssante.store import MailStore
from mssante.store.records import FlagsRow


class Selected:
    """Made by `open`; `refresh` looks at the store, `view.release` tells what it found."""

    def __init__(self, store: MailStore, folder: NamedFolder, *, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self.view = FolderView(())
        self._store = store
        self._uids = array("I")  # those of the view and those not told yet, ascending
        self._masks = array("Q")
        self._modseq = ModSeq(0)

    @classmethod
    async def open(cls, store: MailStore, folder: NamedFolder, *, read_only: bool) -> Selected:
        """Raises Refused(FOLDER_UNKNOWN)."""
        selected = cls(store, folder, read_only=read_only)
        numbers = await store.uids(folder.id)
        selected._uids = array("I", numbers.uids)
        selected._masks = array("Q", numbers.flags)
        selected._modseq = numbers.modseq
        # \Recent is never set: which session is "the first" cannot be known across processes
        # (RFC 3501 §2.3.2 leaves it to us; RFC 9051 has no \Recent).
        selected.view = FolderView(numbers.uids)
        return selected

    @property
    def id(self) -> FolderId:
        return self.folder.id

    @property
    def uids(self) -> array[int]:
        return self._uids

    @property
    def masks(self) -> array[int]:
        """Flag masks, place by place with `uids`."""
        return self._masks

    def mask_of(self, uid: int) -> int | None:
        at = bisect_left(self._uids, uid)
        return self._masks[at] if at < len(self._uids) and self._uids[at] == uid else None

    def first_unseen(self) -> int | None:
        """The sequence number of the first message without \\Seen."""
        for sequence, mask in enumerate(self._masks, 1):
            if not mask & 1:
                return sequence
        return None

    def learn(self, rows: Iterable[FlagsRow]) -> None:
        """What this session itself changed: known now, so that `refresh` does not tell it again."""
        for row in rows:
            self._set(row.uid, row.flags)

    async def refresh(self) -> None:
        """Takes in what others did since. Raises Refused(FOLDER_UNKNOWN) when the folder is gone."""
        changes = await self._store.changes(self.id, self._modseq)
        last = self._uids[-1] if self._uids else 0
        arrived = [row for row in changes.present if row.uid > last]
        flagged = [row.uid for row in changes.present if row.uid <= last and self._set(row.uid, row.flags)]
        self._uids.extend(row.uid for row in arrived)
        self._masks.extend(row.flags for row in arrived)
        self._modseq = changes.modseq
        self.view.note(
            Changes(arrived=[row.uid for row in arrived], expunged=changes.expunged, flagged=flagged)
        )
        if changes.expunged:
            self._forget(changes.expunged)

    def _set(self, uid: int, mask: int) -> bool:
        at = bisect_left(self._uids, uid)
        if at == len(self._uids) or self._uids[at] != uid or self._masks[at] == mask:
            return False
        self._masks[at] = mask
        return True

    def _forget(self, gone: Iterable[int]) -> None:
        missing = frozenset(gone)
        kept = [at for at, uid in enumerate(self._uids) if uid not in missing]
        if len(kept) < len(self._uids):
            self._uids = array("I", (self._uids[at] for at in kept))
            self._masks = array("Q", (self._masks[at] for at in kept))
