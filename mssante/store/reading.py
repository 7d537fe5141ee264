"""Reading folders: numbers of a whole folder at once, sealed metadata in stretches, content by chunks.

Invariants: nothing is opened here; every function reads on its caller's one snapshot, so what it
answers belongs together.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, text
from sqlalchemy.engine.interfaces import DBAPICursor

from mssante.model import BlobId, Flag, FolderId, MailboxId, ModSeq, SpecialUse, Uid
from mssante.reasons import Reason, Refused
from mssante.store.packed import Runs, columns, unpacked
from mssante.store.records import (
    Changes,
    FlagsRows,
    Folder,
    FolderCounts,
    Keyword,
    MessageNumber,
    Place,
    SealedDek,
    SealedMessage,
    Uids,
)

_FOLDER_COLUMNS = (
    "id, mailbox_id, role, name_tag, name_ct, uidvalidity, uidnext, subscribed, modseq, recent_uid"
)
_FOLDER = text(f"SELECT {_FOLDER_COLUMNS} FROM folder WHERE id = :folder")
_FOLDERS = text(f"SELECT {_FOLDER_COLUMNS} FROM folder WHERE mailbox_id = :mailbox ORDER BY id")
_KEYWORDS = text("SELECT number, name_ct FROM keyword WHERE mailbox_id = :mailbox ORDER BY number")
_NUMBERS = ("uid", "flags", "modseq")
_CHANGED = (
    "SELECT {0} FROM (SELECT uid, flags, modseq FROM placement"
    " WHERE folder_id = :folder AND modseq > :since ORDER BY uid) AS rows_in_order"
)
_EXPUNGED = (
    "SELECT {0} FROM (SELECT uid FROM expunged"
    " WHERE folder_id = :folder AND modseq > :since AND modseq <= :up_to ORDER BY uid) AS rows_in_order"
)
_CHUNKS = text(
    "SELECT ct FROM chunk WHERE blob_id = :blob AND n >= :first AND n < :first + :count ORDER BY n"
)
_COUNTS = text(
    "SELECT count(*), coalesce(sum(1 - (flags & 1)), 0), coalesce(sum((flags & 8) / 8), 0),"
    " coalesce(sum(size_kib), 0), coalesce(sum((flags & 8) / 8 * size_kib), 0),"
    " coalesce(sum(CASE WHEN uid > :recent THEN 1 ELSE 0 END), 0)"
    " FROM placement WHERE folder_id = :folder"
)
_SEALED_OCTETS = text(
    "SELECT coalesce(sum(length(c.ct)), 0) FROM message AS m JOIN chunk AS c ON c.blob_id = m.blob_id"
    " WHERE m.mailbox_id = :mailbox"
)
_ROWS_AT_ONCE = 16
assert (Flag.SEEN.value, Flag.DELETED.value) == (1, 8)  # as _COUNTS has them


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
    return [Keyword(row.number, row.name_ct) for row in connection.execute(_KEYWORDS, {"mailbox": mailbox})]


def uids(connection: Connection, folder_id: FolderId) -> FolderNumbers:
    """The whole folder. Raises Refused(FOLDER_UNKNOWN)."""
    modseq = folder(connection, folder_id).modseq
    row = connection.execute(
        text(
            f"SELECT {columns(connection, _NUMBERS, order='uid')} FROM (SELECT uid, flags, modseq"
            " FROM placement WHERE folder_id = :folder ORDER BY uid) AS rows_in_order"
        ),
        {"folder": folder_id},
    ).one()
    numbers, flags, modseqs = unpacked(row)
    return FolderNumbers(numbers, flags, modseqs, modseq)


def changes(connection: Connection, folder_id: FolderId, since: ModSeq) -> Changes:
    """What is new, changed or gone after `since`. Raises Refused(FOLDER_UNKNOWN) if the folder is gone."""
    of = folder(connection, folder_id)
    if of.modseq <= since:
        return Changes(FlagsRows(), (), of.modseq, of.recent_uid)
    found = connection.execute(
        text(_CHANGED.format(columns(connection, _NUMBERS, order="uid"))),
        {"folder": folder_id, "since": since},
    )
    numbers, flags, modseqs = unpacked(found.one())
    present = FlagsRows(numbers, flags, modseqs)
    return Changes(present, expunged(connection, folder_id, since, of.modseq), of.modseq, of.recent_uid)


def expunged(connection: Connection, folder_id: FolderId, since: ModSeq, up_to: ModSeq) -> Sequence[int]:
    """The UIDs gone after `since` and not after `up_to`, ascending."""
    found = connection.execute(
        text(_EXPUNGED.format(columns(connection, ("uid",), order="uid"))),
        {"folder": folder_id, "since": since, "up_to": up_to},
    )
    (uids_gone,) = unpacked(found.one())
    return uids_gone


def sealed_summaries(
    connection: Connection,
    folder_id: FolderId,
    wanted: Uids,
    *,
    header: bool = False,
    bytes_max: int | None = None,
) -> list[SealedMessage]:
    """The messages of `wanted` that are there, in ascending UID, with the sealed header if asked for. A row
    is 1 to 3 KiB, with the header up to 64: what goes beyond `bytes_max` (and some rows) is left out, to be
    asked for again from the last UID on."""
    runs = Runs.of(wanted)
    if not runs:
        return []
    column, table = (
        ("h.ct", "LEFT JOIN header AS h ON h.message_number = p.message_number") if header else ("NULL", "")
    )
    result = connection.execute(
        text(
            f"SELECT p.uid, m.number, m.id, m.blob_id, m.listing_epoch, m.summary_ct, {column}"
            f" FROM placement AS p JOIN message AS m ON m.number = p.message_number {table}"
            f" WHERE p.folder_id = :folder AND {runs.include(connection, 'p.uid')} ORDER BY p.uid"
        ),
        {"folder": folder_id, **runs.parameters},
    )
    assert result.cursor is not None
    # The driver's own rows: SQLAlchemy's cost half as much again.
    rows = result.cursor.fetchall() if bytes_max is None else _up_to(bytes_max, result.cursor)
    result.close()
    return list(map(SealedMessage._make, rows))


def _up_to(bytes_max: int, cursor: DBAPICursor) -> list[Any]:
    rows: list[Any] = []
    held = 0
    while held < bytes_max and (more := cursor.fetchmany(_ROWS_AT_ONCE)):
        rows += more
        held += sum(len(row[-2]) + len(row[-1] or b"") for row in more)
    return rows


def places(connection: Connection, folder_id: FolderId, wanted: Uids) -> list[Place]:
    """The messages of `wanted` that are there, in ascending UID."""
    runs = Runs.of(wanted)
    if not runs:
        return []
    result = connection.execute(
        text(
            "SELECT p.uid, m.id, p.saved_day FROM placement AS p"
            " JOIN message AS m ON m.number = p.message_number"
            f" WHERE p.folder_id = :folder AND {runs.include(connection, 'p.uid')} ORDER BY p.uid"
        ),
        {"folder": folder_id, **runs.parameters},
    )
    assert result.cursor is not None
    rows = result.cursor.fetchall()
    result.close()
    return list(map(Place._make, rows))


def chunks(connection: Connection, blob: BlobId, first_n: int, count: int) -> list[bytes]:
    """At most `count` sealed chunks from `first_n` on, fewer at the end. Opening them tells if one lacks."""
    return list(connection.execute(_CHUNKS, {"blob": blob, "first": first_n, "count": count}).scalars().all())


def present(connection: Connection, numbers: Sequence[MessageNumber]) -> set[MessageNumber]:
    """Those of `numbers` that are not shredded."""
    runs = Runs.of(numbers)
    if not runs:
        return set()
    found = connection.execute(
        text(f"SELECT number FROM message WHERE {runs.include(connection, 'number')}"), runs.parameters
    )
    return set(found.scalars())


def deks(
    connection: Connection, numbers: Sequence[MessageNumber], *, contents: bool = False
) -> list[SealedDek]:
    """The DEKs of messages, in ascending number; with `contents` also the content of those that have one
    chunk only: many small ones cost one round trip."""
    runs = Runs.of(numbers)
    if not runs:
        return []
    column, table = (
        (
            "c.ct",
            " JOIN message AS m ON m.number = d.message_number"
            " LEFT JOIN chunk AS c ON m.chunks = 1 AND c.blob_id = m.blob_id AND c.n = 0",
        )
        if contents
        else ("NULL", "")
    )
    result = connection.execute(
        text(
            f"SELECT d.message_number, d.epoch, d.suite, d.form, d.ct, {column} FROM dek AS d{table}"
            f" WHERE {runs.include(connection, 'd.message_number')} ORDER BY d.message_number"
        ),
        runs.parameters,
    )
    assert result.cursor is not None
    rows = result.cursor.fetchall()
    result.close()
    return list(map(SealedDek._make, rows))


def sealed_bytes(connection: Connection, mailbox: MailboxId) -> int:
    """Octets of ciphertext kept for a mailbox: its contents' chunks."""
    return int(connection.execute(_SEALED_OCTETS, {"mailbox": mailbox}).scalar_one())


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
        subscribed=bool(row.subscribed),
        modseq=ModSeq(row.modseq),
        recent_uid=Uid(row.recent_uid),
    )
