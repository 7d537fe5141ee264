"""The search index as the store sees it: sealed segments, and which message is in which segment.

Invariants: nothing of a segment can be read here; a message is in one segment at most; a segment is deleted
in the transaction that shreds any of its messages (`forget`, called by shredding), and its other messages are
then indexed again; a new segment holds only messages that still exist, whatever another host did meanwhile.
The quota does not count the index.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Delete, Select, Table, bindparam, delete, func, insert, select

from mssante.model import FolderId, MailboxId
from mssante.store import tables
from mssante.store.ledger import lock
from mssante.store.packed import Form, Runs, columns, unpacked
from mssante.store.transactions import Transactions

_s, _e, _p, _m = tables.index_segment.c, tables.index_entry.c, tables.placement.c, tables.message.c
_HEADS = select(_s.id, _s.epoch, _s.messages).where(_s.mailbox_id == bindparam("mailbox")).order_by(_s.id)
_UNINDEXED = (
    select(_p.uid)
    .join_from(tables.placement, tables.index_entry, _e.message_number == _p.message_number, isouter=True)
    .where(_p.folder_id == bindparam("folder"), _p.uid > bindparam("after"), _e.message_number.is_(None))
    .order_by(_p.uid)
    .limit(bindparam("most"))
)
_MESSAGES = select(func.count()).select_from(tables.message).where(_m.mailbox_id == bindparam("mailbox"))
_INDEXED = select(func.coalesce(func.sum(_s.messages), 0)).where(_s.mailbox_id == bindparam("mailbox"))
_LACKING = select(_MESSAGES.scalar_subquery() - _INDEXED.scalar_subquery())
_PLACES = columns(
    select(_p.uid, _p.message_number).where(_p.folder_id == bindparam("folder"), _p.uid > bindparam("after")),
    order="uid",
)
_ADD = insert(tables.index_segment)
_ENTER = insert(tables.index_entry)


@cache
def _sealed(form: Form) -> Select[*tuple[Any, ...]]:
    return select(_s.id, _s.epoch, _s.ct).where(form.includes(_s.id))


@cache
def _how_many(form: Form, table: Table, column: str) -> Select[int]:
    return (
        select(func.count())
        .select_from(table)
        .where(table.c.mailbox_id == bindparam("mailbox"), form.includes(table.c[column]))
    )


@cache
def _knowing(form: Form) -> Select[int]:
    return select(_e.segment_id).distinct().where(form.includes(_e.message_number))


@cache
def _entries(form: Form) -> Select[*tuple[Any, ...]]:
    return select(_e.message_number, _e.segment_id).where(form.includes(_e.message_number))


@cache
def _dropped(form: Form, table: Table, column: str) -> Delete:
    return delete(table).where(form.includes(table.c[column]))


class SegmentHead(NamedTuple):
    """A segment without its sealed content. `messages` is how many messages it was made of."""

    id: int
    epoch: int
    messages: int


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """A segment with its sealed content. `id` is 63 random bits, drawn by whoever sealed it."""

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
    """Those of the segments `ids` that exist."""
    runs = Runs.of(ids)
    if not runs:
        return []
    return [SealedSegment(*row) for row in connection.execute(_sealed(runs.form), runs.parameters)]


def places(connection: Connection, folder: FolderId, after: int) -> FolderPlaces:
    """A folder's messages with UIDs above `after`."""
    row = connection.execute(_PLACES, {"folder": folder, "after": after}).one()
    return FolderPlaces(*unpacked(row))


def put(
    connection: Connection,
    mailbox: MailboxId,
    segment: SealedSegment | None,
    numbers: Sequence[int],
    instead_of: Sequence[int],
) -> bool:
    """Adds a segment of the messages `numbers` and deletes the segments `instead_of`. Returns False, and does
    nothing, when one of these messages or segments is gone or a message is in another segment by now."""
    # Locks the mailbox first, as every writer does: a shredding then waits, and sees the new segment.
    lock(connection, mailbox)
    old, there = Runs.of(instead_of), Runs.of(numbers)
    if not (
        _are_all(connection, mailbox, tables.index_segment, "id", old)
        and _are_all(connection, mailbox, tables.message, "number", there)
        and set(instead_of).issuperset(_segments_of(connection, there))
    ):
        return False
    _drop(connection, old)
    if segment is not None:
        row = {"id": segment.id, "epoch": segment.epoch, "ct": segment.ct, "messages": len(numbers)}
        connection.execute(_ADD, {"mailbox_id": mailbox} | row)
        connection.execute(
            _ENTER, [{"message_number": number, "segment_id": segment.id} for number in numbers]
        )
    return True


def segments_of(connection: Connection, numbers: Runs) -> dict[int, int]:
    """Which segment each of the messages `numbers` is in, without those that are in none."""
    return {row[0]: row[1] for row in connection.execute(_entries(numbers.form), numbers.parameters)}


def forget(connection: Connection, numbers: Runs) -> None:
    """Deletes the segments that hold words of the messages `numbers`, which are being shredded."""
    _drop(connection, Runs.of(_segments_of(connection, numbers)))


def _are_all(connection: Connection, mailbox: MailboxId, table: Table, column: str, runs: Runs) -> bool:
    if not runs:
        return True
    asked = {"mailbox": mailbox, **runs.parameters}
    found = connection.execute(_how_many(runs.form, table, column), asked).scalar_one()
    return bool(found == runs.count)


def _segments_of(connection: Connection, numbers: Runs) -> list[int]:
    if not numbers:
        return []
    return list(connection.execute(_knowing(numbers.form), numbers.parameters).scalars())


def _drop(connection: Connection, segments: Runs) -> None:
    if segments:
        for table, column in ((tables.index_entry, "segment_id"), (tables.index_segment, "id")):
            connection.execute(_dropped(segments.form, table, column), segments.parameters)


class IndexDoor:
    """`MailStore.index`: the search index of mailboxes, sealed, segment by segment.

    Each method is one transaction. Each raises Passing when the database does not answer or is too busy."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def heads(self, mailbox: MailboxId) -> list[SegmentHead]:
        """A mailbox's segments, without their sealed content."""
        return await self._transactions.read(lambda c: heads(c, mailbox))

    async def sealed(self, ids: Sequence[int]) -> list[SealedSegment]:
        """Those of the segments `ids` that exist."""
        return await self._transactions.read(lambda c: sealed(c, ids))

    async def holding(self, numbers: Sequence[int]) -> set[int]:
        """The segments that hold any of the messages `numbers` (ascending)."""
        return await self._transactions.read(lambda c: set(_segments_of(c, Runs.of(numbers))))

    async def places(self, folder: FolderId, *, after: int = 0) -> FolderPlaces:
        """A folder's messages with UIDs above `after`; none of an unknown folder."""
        return await self._transactions.read(lambda c: places(c, folder, after))

    async def lacking(self, mailbox: MailboxId) -> int:
        """How many of a mailbox's messages are in no segment."""
        return await self._transactions.read(lambda c: lacking(c, mailbox))

    async def unindexed(self, folder: FolderId, *, after: int, most: int) -> list[int]:
        """At most `most` UIDs above `after`, the first ones, whose messages are in no segment."""
        return await self._transactions.read(lambda c: unindexed(c, folder, after, most))

    async def put(
        self,
        mailbox: MailboxId,
        segment: SealedSegment | None,
        numbers: Sequence[int] = (),
        *,
        instead_of: Sequence[int] = (),
    ) -> bool:
        """Adds a segment of the messages `numbers` and deletes the segments `instead_of`. Returns False, and
        does nothing, when one of these messages or segments is gone or a message is in another segment by
        now. Raises Refused(MAILBOX_UNKNOWN), and Passing soon where the database is busy, since the index can
        always be filled later."""
        return await self._transactions.write_at_leisure(
            lambda c: put(c, mailbox, segment, numbers, instead_of)
        )
