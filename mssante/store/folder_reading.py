"""Reading folders: their rows, the numbers of a whole folder at once, what changed, what STATUS counts.

Invariants: no name is opened here; every function reads on the one snapshot of its caller, so that its
answers fit together.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, case, func, select

from mssante.model import Flag, FolderId, MailboxId, ModSeq, SpecialUse, Uid
from mssante.reasons import Reason, Refused
from mssante.store import tables
from mssante.store.packed import columns, unpacked
from mssante.store.records import Changes, FlagsRows, Folder, FolderCounts, Keyword

_f, _p, _k, _e = tables.folder.c, tables.placement.c, tables.keyword.c, tables.expunged.c
_ROWS = select(
    _f.id,
    _f.mailbox_id,
    _f.role,
    _f.name_tag,
    _f.name_ct,
    _f.uidvalidity,
    _f.uidnext,
    _f.subscribed,
    _f.modseq,
    _f.recent_uid,
)
_FOLDER = _ROWS.where(_f.id == bindparam("folder"))
_FOLDERS = _ROWS.where(_f.mailbox_id == bindparam("mailbox")).order_by(_f.id)
_KEYWORDS = select(_k.number, _k.name_ct).where(_k.mailbox_id == bindparam("mailbox")).order_by(_k.number)
_IN_FOLDER = select(_p.uid, _p.flags, _p.modseq).where(_p.folder_id == bindparam("folder"))
_NUMBERS = columns(_IN_FOLDER, order="uid")
_CHANGED = columns(_IN_FOLDER.where(_p.modseq > bindparam("since")), order="uid")
_EXPUNGED = columns(
    select(_e.uid).where(
        _e.folder_id == bindparam("folder"),
        _e.modseq > bindparam("since"),
        _e.modseq <= bindparam("up_to"),
    ),
    order="uid",
)
_IS_SEEN = _p.flags.bitwise_and(Flag.SEEN.value)
_IS_DELETED = _p.flags.bitwise_and(Flag.DELETED.value) // Flag.DELETED.value
assert Flag.SEEN.value == 1  # as _IS_SEEN has it: 0 or 1
_COUNTS = select(
    func.count(),
    func.coalesce(func.sum(1 - _IS_SEEN), 0),
    func.coalesce(func.sum(_IS_DELETED), 0),
    func.coalesce(func.sum(_p.size_kib), 0),
    func.coalesce(func.sum(_IS_DELETED * _p.size_kib), 0),
    func.coalesce(func.sum(case((_p.uid > bindparam("recent"), 1), else_=0)), 0),
).where(_p.folder_id == bindparam("folder"))


class FolderNumbers(NamedTuple):
    """A folder's messages as three columns of equal length, in ascending UID, and its highest modseq."""

    uids: array[int]
    flags: array[int]
    modseqs: array[int]
    modseq: ModSeq


def folder(connection: Connection, folder_id: FolderId) -> Folder:
    """Raises Refused(FOLDER_UNKNOWN)."""
    row = connection.execute(_FOLDER, {"folder": folder_id}).first()
    if row is None:
        raise Refused(Reason.FOLDER_UNKNOWN)
    return _folder(row)


def folders(connection: Connection, mailbox: MailboxId) -> list[Folder]:
    """A mailbox's folders, oldest first."""
    return [_folder(row) for row in connection.execute(_FOLDERS, {"mailbox": mailbox})]


def keywords(connection: Connection, mailbox: MailboxId) -> list[Keyword]:
    """A mailbox's keywords, in the order of their numbers."""
    return [Keyword(row.number, row.name_ct) for row in connection.execute(_KEYWORDS, {"mailbox": mailbox})]


def numbers(connection: Connection, folder_id: FolderId) -> FolderNumbers:
    """The whole folder. Raises Refused(FOLDER_UNKNOWN)."""
    modseq = folder(connection, folder_id).modseq
    uids, flags, modseqs = unpacked(connection.execute(_NUMBERS, {"folder": folder_id}).one())
    return FolderNumbers(uids, flags, modseqs, modseq)


def changes(connection: Connection, folder_id: FolderId, since: ModSeq) -> Changes:
    """What is new, changed or gone after `since`. Raises Refused(FOLDER_UNKNOWN) if the folder is gone."""
    of = folder(connection, folder_id)
    if of.modseq <= since:
        return Changes(FlagsRows(), (), of.modseq, of.recent_uid)
    row = connection.execute(_CHANGED, {"folder": folder_id, "since": since}).one()
    uids, flags, modseqs = unpacked(row)
    present = FlagsRows(uids, flags, modseqs)
    return Changes(present, expunged(connection, folder_id, since, of.modseq), of.modseq, of.recent_uid)


def expunged(connection: Connection, folder_id: FolderId, since: ModSeq, up_to: ModSeq) -> Sequence[int]:
    """The UIDs gone after `since` and not after `up_to`, ascending."""
    asked = {"folder": folder_id, "since": since, "up_to": up_to}
    (uids,) = unpacked(connection.execute(_EXPUNGED, asked).one())
    return uids


def counts(connection: Connection, folder_id: FolderId) -> FolderCounts:
    """Raises Refused(FOLDER_UNKNOWN)."""
    of = folder(connection, folder_id)
    messages, unseen, deleted, size_kib, deleted_kib, recent = connection.execute(
        _COUNTS, {"folder": folder_id, "recent": of.recent_uid}
    ).one()
    return FolderCounts(
        messages=messages,
        unseen=int(unseen),
        deleted=int(deleted),
        uidnext=of.uidnext,
        uidvalidity=of.uidvalidity,
        modseq=of.modseq,
        size_kib=int(size_kib),
        deleted_kib=int(deleted_kib),
        recent=int(recent),
    )


def _folder(row: Row[*tuple[Any, ...]]) -> Folder:
    return Folder(
        id=FolderId(row.id),
        mailbox=MailboxId(row.mailbox_id),
        role=None if row.role is None else SpecialUse(row.role),
        name_tag=row.name_tag,
        name_ct=row.name_ct,
        uidvalidity=row.uidvalidity,
        uidnext=Uid(row.uidnext),
        subscribed=row.subscribed,
        modseq=ModSeq(row.modseq),
        recent_uid=Uid(row.recent_uid),
    )
