"""Expunging placements, and shredding messages that lie in no folder any more.

A placement says that a message lies in a folder; after a COPY one message has several. Expunging removes a
placement. When it was the last one, the message itself is shredded: it is deleted so that nobody can read it
again. On SQLite its bytes leave the file by secure_delete and when the write-ahead log is next emptied (K6).

Invariants: shredding deletes everything of a message: DEK, metadata, header, content, and the segment of the
search index that holds its words; each deletion is written in the journal, which proves it; the space counts
as free for the quota at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Select, Table, bindparam, delete, insert, select, update

from mssante.limits import EXPUNGED_KIB_AT_ONCE
from mssante.model import Flag, FolderId, MessageId, Uid
from mssante.store import index, tables
from mssante.store.ledger import Ledger, MailboxInTransaction, OpenFolder
from mssante.store.packed import Form, Runs
from mssante.store.records import JournalKind, Uids

_SHREDDED_FIRST = (tables.dek, tables.header, tables.outbound)  # keyed by message_number

_p, _m = tables.placement.c, tables.message.c
_OUTBOUND = select(_m.id, _m.size_kib).where(_m.number == bindparam("number"))
_RECIPIENTS_GONE = delete(tables.queue_recipient).where(
    tables.queue_recipient.c.message_number == bindparam("number")
)
FOLDER_STEP = (
    update(tables.folder)
    .where(tables.folder.c.id == bindparam("folder"))
    .values(modseq=bindparam("new_modseq"))
)


@cache
def _doomed(form: Form | None, deleted_only: bool) -> Select[*tuple[Any, ...]]:
    wanted = select(_p.uid, _p.message_number, _p.size_kib).where(_p.folder_id == bindparam("folder"))
    if form is not None:
        wanted = wanted.where(form.includes(_p.uid))
    if deleted_only:
        wanted = wanted.where(_p.flags.bitwise_and(Flag.DELETED.value) != 0)
    return wanted.order_by(_p.uid).limit(bindparam("most"))


@cache
def _remember_gone(form: Form) -> Insert:
    gone = select(_p.folder_id, _p.uid, bindparam("new_modseq", type_=tables.Number)).where(
        _p.folder_id == bindparam("folder"), form.includes(_p.uid)
    )
    return insert(tables.expunged).from_select(["folder_id", "uid", "modseq"], gone)


@cache
def _placements_gone(form: Form) -> Delete:
    return delete(tables.placement).where(_p.folder_id == bindparam("folder"), form.includes(_p.uid))


@cache
def _lying_elsewhere(form: Form) -> Select[*tuple[Any, ...]]:
    placed = select(1).where(_p.message_number == _m.number).exists()
    return select(_m.number, _m.id, _m.size_kib, placed).where(form.includes(_m.number)).order_by(_m.number)


@cache
def _rows_gone(form: Form, table: Table) -> Delete:
    return delete(table).where(form.includes(table.c.message_number))


@cache
def _chunks_gone(form: Form) -> Delete:
    blobs = select(_m.blob_id).where(form.includes(_m.number))
    return delete(tables.chunk).where(tables.chunk.c.blob_id.in_(blobs))


@cache
def _messages_gone(form: Form) -> Delete:
    return delete(tables.message).where(form.includes(_m.number))


def expunge_slice(
    ledger: Ledger, folder: OpenFolder, uids: Uids | None, most: int, *, deleted_only: bool = True
) -> tuple[list[Uid], bool]:
    """Removes at most `most` messages from an open folder, chosen among `uids` or among all of them: those
    with \\Deleted (RFC 4315 §2.1), or any if `deleted_only` is False. It removes fewer when they are large,
    but at least one if there is one. Returns the removed UIDs, ascending, and whether there may be more."""
    runs = None if uids is None else Runs.of(uids)
    if runs is not None and not runs:
        return [], False
    connection = ledger.connection
    doomed = connection.execute(
        _doomed(runs.form if runs else None, deleted_only),
        {"folder": folder.id, "most": most, **(runs.parameters if runs else {})},
    ).all()
    if not doomed:
        return [], False
    sizes = list(accumulate(size_kib for _, _, size_kib in doomed))
    fitting = max(1, bisect_right(sizes, EXPUNGED_KIB_AT_ONCE))
    more = len(doomed) == most or fitting < len(doomed)
    doomed = doomed[:fitting]
    gone = [Uid(uid) for uid, _, _ in doomed]
    remove_placements(connection, folder.id, Runs.of(gone), folder.mailbox.step())
    uid_of = {number: Uid(uid) for uid, number, _ in doomed}
    _record_and_shred(connection, folder, uid_of)
    return gone, more


def remove_placements(connection: Connection, folder: FolderId, runs: Runs, modseq: int) -> None:
    """Removes the placements of the UIDs `runs` and remembers that they are gone. The messages stay."""
    asked = {"folder": folder, **runs.parameters}
    step = {"new_modseq": modseq}
    connection.execute(_remember_gone(runs.form), asked | step)
    connection.execute(_placements_gone(runs.form), asked)
    connection.execute(FOLDER_STEP, {"folder": folder} | step)


def _record_and_shred(connection: Connection, folder: OpenFolder, uid_of: dict[int, Uid]) -> None:
    """Writes in the journal what became of the messages whose placement was removed, and shreds those that
    lie in no folder any more."""
    runs = Runs.of(list(uid_of))
    rows = connection.execute(_lying_elsewhere(runs.form), runs.parameters).all()
    orphans: list[int] = []
    for number, message_id, size_kib, placed in rows:
        if not placed:
            orphans.append(number)
            folder.mailbox.used_kib -= size_kib
        folder.mailbox.record(
            JournalKind.EXPUNGED if placed else JournalKind.SHREDDED,
            message_id=message_id,
            folder=folder.id,
            uid=uid_of[number],
        )
    shred(connection, orphans)


def shred_outbound(connection: Connection, mailbox: MailboxInTransaction, number: int) -> None:
    """Shreds a message of the queue once all its recipients are in a final state."""
    message_id, size_kib = connection.execute(_OUTBOUND, {"number": number}).one()
    connection.execute(_RECIPIENTS_GONE, {"number": number})
    mailbox.used_kib -= size_kib
    mailbox.record(JournalKind.SHREDDED, message_id=MessageId(message_id))
    shred(connection, [number])


def shred(connection: Connection, numbers: Sequence[int]) -> None:
    """Deletes everything of these messages, beginning with their keys, after which nothing can be read."""
    runs = Runs.of(numbers)
    if not runs:
        return
    index.forget(connection, runs)  # the search index holds words of theirs
    for table in _SHREDDED_FIRST:
        connection.execute(_rows_gone(runs.form, table), runs.parameters)
    connection.execute(_chunks_gone(runs.form), runs.parameters)
    connection.execute(_messages_gone(runs.form), runs.parameters)
