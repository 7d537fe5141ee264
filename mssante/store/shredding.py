"""Expunging placements, and shredding messages that lie in no folder any more.

A placement says that a message lies in a folder; after a COPY one message has several. Expunging removes a
placement. When it was the last one, the message itself is shredded: it is deleted so that nobody can read it
again. On SQLite its bytes leave the file by secure_delete and when the write-ahead log is next emptied (K6).

Deleting overwrites, which takes as long as the content is large. So one transaction removes some hundred
placements of some mebibytes, and of a large message everything but its content: the content becomes one of
an abandoned reception (`blobs`), which nobody can read, and is deleted bit by bit in the transactions that
follow (`Ledger.left_over`), or by the next sweep if the process is killed before.

Invariants: shredding deletes everything of a message: DEK, metadata, header, content, and the segment of the
search index that holds its words; each deletion is written in the journal, which proves it; the space counts
as free for the quota at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Delete,
    Insert,
    Row,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from mssante import limits
from mssante.model import BlobId, Flag, FolderId, MessageId, Uid
from mssante.store import blobs, index, tables
from mssante.store.ledger import Ledger, MailboxInTransaction, OpenFolder
from mssante.store.packed import Form, Runs
from mssante.store.records import JournalKind, Uids

_SHREDDED_FIRST = (tables.dek, tables.header, tables.outbound)  # keyed by message_number

_p, _m = tables.placement.c, tables.message.c
_OUTBOUND = select(_m.number, _m.id, _m.size_kib, _m.chunks, _m.blob_id).where(
    _m.number == bindparam("number")
)
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
    return (
        select(_m.number, _m.id, _m.size_kib, _m.chunks, _m.blob_id, placed.label("placed"))
        .where(form.includes(_m.number))
        .order_by(_m.number)
    )


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


class ExpungedSlice(NamedTuple):
    """The UIDs that one transaction removed, ascending. `cut`: it stopped early, so that there may be more
    among those it was asked for."""

    gone: list[Uid]
    cut: bool


def expunge_slice(
    ledger: Ledger, folder: OpenFolder, uids: Uids | None, most: int, *, deleted_only: bool = True
) -> ExpungedSlice:
    """Removes at most `most` messages from an open folder, fewer if they are large or known to many segments
    of the index. They are chosen among `uids` or among all of them: those with \\Deleted (RFC 4315 §2.1), or
    any if `deleted_only` is False."""
    runs = None if uids is None else Runs.of(uids)
    if runs is not None and not runs:
        return ExpungedSlice([], cut=False)
    connection = ledger.connection
    found = connection.execute(
        _doomed(runs.form if runs else None, deleted_only),
        {"folder": folder.id, "most": most, **(runs.parameters if runs else {})},
    ).all()
    if not found:
        return ExpungedSlice([], cut=False)
    doomed = found[: _fit(connection, found)]
    gone = [Uid(uid) for uid, _, _ in doomed]
    remove_placements(connection, folder.id, Runs.of(gone), folder.mailbox.step())
    folder.mailbox.places -= len(gone)
    uid_of = {number: Uid(uid) for uid, number, _ in doomed}
    _record_and_shred(ledger, folder, uid_of)
    all_found = len(found) < most or (uids is not None and len(uids) <= most)
    return ExpungedSlice(gone, cut=len(doomed) < len(found) or not all_found)


def _fit(connection: Connection, found: Sequence[Row[*tuple[Any, ...]]]) -> int:
    """How many of the messages `found` may be shredded in one transaction; one at least."""
    segment_of = index.segments_of(connection, Runs.of([number for _, number, _ in found]))
    kib, segments = 0, set[int]()
    for place, (_, number, size_kib) in enumerate(found):
        kib += size_kib
        if number in segment_of:
            segments.add(segment_of[number])
        too_much = (
            kib > limits.SHREDDED_KIB_AT_ONCE or len(segments) > limits.INDEX_SEGMENTS_FORGOTTEN_AT_ONCE
        )
        if too_much and place:
            return place
    return len(found)


def remove_placements(connection: Connection, folder: FolderId, runs: Runs, modseq: int) -> None:
    """Removes the placements of the UIDs `runs` and remembers that they are gone. The messages stay."""
    asked = {"folder": folder, **runs.parameters}
    step = {"new_modseq": modseq}
    connection.execute(_remember_gone(runs.form), asked | step)
    connection.execute(_placements_gone(runs.form), asked)
    connection.execute(FOLDER_STEP, {"folder": folder} | step)


def _record_and_shred(ledger: Ledger, folder: OpenFolder, uid_of: dict[int, Uid]) -> None:
    """Writes in the journal what became of the messages whose placement was removed, and shreds those that
    lie in no folder any more."""
    runs = Runs.of(list(uid_of))
    rows = ledger.connection.execute(_lying_elsewhere(runs.form), runs.parameters).all()
    orphans = []
    for row in rows:
        if not row.placed:
            orphans.append(row)
            folder.mailbox.used_kib -= row.size_kib
        folder.mailbox.record(
            JournalKind.EXPUNGED if row.placed else JournalKind.SHREDDED,
            message_id=row.id,
            folder=folder.id,
            uid=uid_of[row.number],
        )
    _shred(ledger, orphans)


def shred_outbound(ledger: Ledger, mailbox: MailboxInTransaction, number: int) -> None:
    """Shreds a message of the queue once all its recipients are in a final state."""
    row = ledger.connection.execute(_OUTBOUND, {"number": number}).one()
    ledger.connection.execute(_RECIPIENTS_GONE, {"number": number})
    mailbox.used_kib -= row.size_kib
    mailbox.record(JournalKind.SHREDDED, message_id=MessageId(row.id))
    _shred(ledger, [row])


def _shred(ledger: Ledger, messages: Sequence[Row[*tuple[Any, ...]]]) -> None:
    """Deletes everything of these messages, beginning with their keys, after which nothing can be read. Each
    row has `number`, `blob_id` and `chunks`."""
    runs = Runs.of([row.number for row in messages])
    if not runs:
        return
    connection = ledger.connection
    index.forget(connection, runs)  # the search index holds words of theirs
    for table in _SHREDDED_FIRST:
        connection.execute(_rows_gone(runs.form, table), runs.parameters)
    large = [BlobId(row.blob_id) for row in messages if row.chunks > limits.CHUNKS_ERASED_AT_ONCE]
    small = Runs.of([row.number for row in messages if row.chunks <= limits.CHUNKS_ERASED_AT_ONCE])
    if small:
        connection.execute(_chunks_gone(small.form), small.parameters)
    blobs.give_up(connection, large, ledger.now)
    ledger.left_over += large
    connection.execute(_messages_gone(runs.form), runs.parameters)
