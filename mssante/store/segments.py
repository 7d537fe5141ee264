"""The search index as the store sees it: sealed segments, and which message is in which.

Invariants: nothing of a segment can be read here; a message is in one segment at most; a segment goes in the
transaction that shreds any of its messages (`forget`, called by shredding), its other messages are then
indexed anew; what is put holds only messages that are there, whatever another host did meanwhile. The quota
does not count it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, text

from mssante.model import FolderId, MailboxId
from mssante.store.ledger import Ledger
from mssante.store.packed import Runs, columns, unpacked

_HEADS = text("SELECT id, epoch, messages FROM index_segment WHERE mailbox_id = :mailbox ORDER BY id")
_NUMBERS = ("uid", "message_number")
_UNINDEXED = text(
    "SELECT p.uid FROM placement AS p LEFT JOIN index_entry AS e ON e.message_number = p.message_number"
    " WHERE p.folder_id = :folder AND p.uid > :after AND e.message_number IS NULL ORDER BY p.uid LIMIT :most"
)
_LACKING = text(
    "SELECT (SELECT count(*) FROM message WHERE mailbox_id = :mailbox)"
    " - (SELECT coalesce(sum(messages), 0) FROM index_segment WHERE mailbox_id = :mailbox)"
)
_ADD = text(
    "INSERT INTO index_segment (id, mailbox_id, epoch, messages, ct)"
    " VALUES (:id, :mailbox, :epoch, :messages, :ct)"
)
_ENTER = text("INSERT INTO index_entry (message_number, segment_id) VALUES (:number, :segment)")


class SegmentHead(NamedTuple):
    """`messages`: how many it was made of."""

    id: int
    epoch: int
    messages: int


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """`id`: 63 random bits, drawn by whoever sealed it."""

    id: int
    epoch: int
    ct: bytes = field(repr=False)


class FolderPlaces(NamedTuple):
    """Two columns: UIDs, ascending, and the numbers of their messages."""

    uids: array[int]
    numbers: array[int]


def heads(connection: Connection, mailbox: MailboxId) -> list[SegmentHead]:
    """A mailbox's segments."""
    return [SegmentHead._make(row) for row in connection.execute(_HEADS, {"mailbox": mailbox})]


def lacking(connection: Connection, mailbox: MailboxId) -> int:
    """How many messages are in no segment."""
    return int(connection.execute(_LACKING, {"mailbox": mailbox}).scalar_one())


def unindexed(connection: Connection, folder: FolderId, after: int, most: int) -> list[int]:
    """The first UIDs above `after` whose messages are in no segment."""
    asked = {"folder": folder, "after": after, "most": most}
    return list(connection.execute(_UNINDEXED, asked).scalars())


def sealed(connection: Connection, ids: Sequence[int]) -> list[SealedSegment]:
    """Those of `ids` that are there."""
    runs = Runs.of(ids)
    if not runs:
        return []
    where = runs.include(connection, "id")
    result = connection.execute(
        text(f"SELECT id, epoch, ct FROM index_segment WHERE {where}"), runs.parameters
    )
    return [SealedSegment(*row) for row in result]


def places(connection: Connection, folder: FolderId, after: int) -> FolderPlaces:
    """A folder's messages with UIDs above `after`."""
    row = connection.execute(
        text(
            f"SELECT {columns(connection, _NUMBERS, order='uid')} FROM"
            " (SELECT uid, message_number FROM placement"
            " WHERE folder_id = :folder AND uid > :after ORDER BY uid) AS rows_in_order"
        ),
        {"folder": folder, "after": after},
    ).one()
    return FolderPlaces(*unpacked(row))


def put(
    connection: Connection,
    mailbox: MailboxId,
    segment: SealedSegment | None,
    numbers: Sequence[int],
    instead_of: Sequence[int],
) -> bool:
    """Adds a segment of the messages `numbers` and takes those of `instead_of` away. False, and nothing is
    done, when any of them is not as its maker saw it."""
    # The mailbox first, as every writer does: whoever shreds waits, and sees the segment.
    Ledger(connection, now=0).open_one(mailbox)
    old, there = Runs.of(instead_of), Runs.of(numbers)
    if not (
        _are_all(connection, mailbox, "index_segment", "id", old)
        and _are_all(connection, mailbox, "message", "number", there)
        and set(instead_of).issuperset(_segments_of(connection, there))
    ):
        return False
    _drop(connection, old)
    if segment is not None:
        row = {"id": segment.id, "epoch": segment.epoch, "ct": segment.ct, "messages": len(numbers)}
        connection.execute(_ADD, {"mailbox": mailbox} | row)
        connection.execute(_ENTER, [{"number": number, "segment": segment.id} for number in numbers])
    return True


def forget(connection: Connection, numbers: Runs) -> None:
    """Takes away the segments that know any of the messages `numbers`, which are being shredded."""
    _drop(connection, Runs.of(_segments_of(connection, numbers)))


def _are_all(connection: Connection, mailbox: MailboxId, table: str, column: str, runs: Runs) -> bool:
    if not runs:
        return True
    found = connection.execute(
        text(
            f"SELECT count(*) FROM {table} WHERE mailbox_id = :mailbox AND {runs.include(connection, column)}"
        ),
        {"mailbox": mailbox, **runs.parameters},
    ).scalar_one()
    return bool(found == sum(high - low + 1 for low, high in runs.stretches))


def _segments_of(connection: Connection, numbers: Runs) -> list[int]:
    if not numbers:
        return []
    where = numbers.include(connection, "message_number")
    return list(
        connection.execute(
            text(f"SELECT DISTINCT segment_id FROM index_entry WHERE {where}"), numbers.parameters
        ).scalars()
    )


def _drop(connection: Connection, segments: Runs) -> None:
    if segments:
        for table, column in (("index_entry", "segment_id"), ("index_segment", "id")):
            where = segments.include(connection, column)
            connection.execute(text(f"DELETE FROM {table} WHERE {where}"), segments.parameters)
