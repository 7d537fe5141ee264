"""Expunging placements, and shredding messages that lie nowhere any more.

Invariants: a message goes with its last placement and all of it goes: DEK, metadata, header, content,
and the segment of the index that knows its words; each is told in the journal (the proof of deletion); what
was freed counts for the quota at once.
On SQLite the bytes leave the file with secure_delete and the next emptied write-ahead log (K6).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from mssante.model import Flag, FolderId, MessageId, Uid
from mssante.store import segments
from mssante.store.ledger import Ledger, MailboxInTransaction, OpenFolder
from mssante.store.packed import Runs
from mssante.store.records import JournalKind, Uids

_SHREDDED_FIRST = ("dek", "header", "outbound")  # tables keyed by message_number


def expunge_slice(
    ledger: Ledger, folder: OpenFolder, uids: Uids | None, most: int, *, deleted_only: bool = True
) -> list[Uid]:
    """Removes at most `most` messages from an open folder: of `uids` or of all, those with \\Deleted
    (RFC 4315 §2.1) unless `deleted_only` is False. The UIDs gone, ascending."""
    runs = None if uids is None else Runs.of(uids)
    if runs is not None and not runs:
        return []
    connection = ledger.connection
    doomed = connection.execute(
        text(
            "SELECT uid, message_number FROM placement WHERE folder_id = :folder"
            + (f" AND {runs.include(connection, 'uid')}" if runs else "")
            + (f" AND flags & {Flag.DELETED.value} <> 0" if deleted_only else "")
            + " ORDER BY uid LIMIT :most"
        ),
        {"folder": folder.id, "most": most, **(runs.parameters if runs else {})},
    ).all()
    if not doomed:
        return []
    gone = [Uid(uid) for uid, _ in doomed]
    remove_placements(connection, folder.id, Runs.of(gone), folder.mailbox.step())
    uid_of = {number: Uid(uid) for uid, number in doomed}
    _settle(connection, folder, uid_of)
    return gone


def remove_placements(connection: Connection, folder: FolderId, runs: Runs, modseq: int) -> None:
    """Takes the placements of `runs` away and remembers that they are gone. The messages stay."""
    asked = {"folder": folder, "modseq": modseq, **runs.parameters}
    where = f"WHERE folder_id = :folder AND {runs.include(connection, 'uid')}"
    connection.execute(
        text(
            "INSERT INTO expunged (folder_id, uid, modseq)"
            f" SELECT folder_id, uid, CAST(:modseq AS bigint) FROM placement {where}"
        ),
        asked,
    )
    connection.execute(text(f"DELETE FROM placement {where}"), asked)
    connection.execute(
        text("UPDATE folder SET modseq = :modseq WHERE id = :folder"), {"folder": folder, "modseq": modseq}
    )


def _settle(connection: Connection, folder: OpenFolder, uid_of: dict[int, Uid]) -> None:
    runs = Runs.of(list(uid_of))
    rows = connection.execute(
        text(
            "SELECT number, id, size_kib,"
            " EXISTS (SELECT 1 FROM placement AS p WHERE p.message_number = message.number)"
            f" FROM message WHERE {runs.include(connection, 'number')} ORDER BY number"
        ),
        runs.parameters,
    ).all()
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
    """Forgets a message of the queue whose recipients are all final."""
    message_id, size_kib = connection.execute(
        text("SELECT id, size_kib FROM message WHERE number = :number"), {"number": number}
    ).one()
    connection.execute(text("DELETE FROM queue_recipient WHERE message_number = :number"), {"number": number})
    mailbox.used_kib -= size_kib
    mailbox.record(JournalKind.SHREDDED, message_id=MessageId(message_id))
    shred(connection, [number])


def shred(connection: Connection, numbers: Sequence[int]) -> None:
    """Deletes messages whole: their keys first, so that nothing can be read however far it came."""
    runs = Runs.of(numbers)
    if not runs:
        return
    segments.forget(connection, runs)  # words too
    asked = runs.parameters
    for table in _SHREDDED_FIRST:
        connection.execute(
            text(f"DELETE FROM {table} WHERE {runs.include(connection, 'message_number')}"), asked
        )
    messages = runs.include(connection, "number")
    connection.execute(
        text(f"DELETE FROM chunk WHERE blob_id IN (SELECT blob_id FROM message WHERE {messages})"), asked
    )
    connection.execute(text(f"DELETE FROM message WHERE {messages}"), asked)
