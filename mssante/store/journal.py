"""A mailbox's journal: a chain of hashes over what happened to its messages, without their content.

Invariants: a line's hash covers every field of it and the hash before; n counts from 1 without a gap;
the last hash stands in the mailbox's row. Someone who can write to the database can make a new chain:
marks kept elsewhere (`heads`) betray that, and a database put back in time (K4).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, select

from mssante.model import FolderId, MailboxId, MessageId, Uid
from mssante.store import tables
from mssante.store.records import JournalEntry, JournalMark

START = bytes(32)  # the head of an empty journal
_LABEL = b"mssop/v1/journal\0"
_FIXED = struct.Struct(">16sQqqqHHI")
_ABSENT = -1
_ROWS_AT_ONCE = 2000

_AFTER = (
    select(
        tables.journal.c.mailbox_id,
        tables.journal.c.n,
        tables.journal.c.at,
        tables.journal.c.kind,
        tables.journal.c.message_id,
        tables.journal.c.folder_id,
        tables.journal.c.uid,
        tables.journal.c.detail,
        tables.journal.c.hash,
    )
    .where(tables.journal.c.mailbox_id == bindparam("mailbox"), tables.journal.c.n > bindparam("after"))
    .order_by(tables.journal.c.n)
    .limit(bindparam("most"))
)
_HEADS = select(tables.mailbox.c.id, tables.mailbox.c.journal_n, tables.mailbox.c.journal_head)


class ChainBroken(Exception):
    """A journal line is not what was written, or one is missing."""


def link(
    before: bytes,
    *,
    mailbox: MailboxId,
    n: int,
    at: int,
    kind: str,
    message_id: MessageId | None,
    folder_id: FolderId | None,
    uid: Uid | None,
    detail: str,
) -> JournalEntry:
    """The line that follows the hash `before`. Frozen: what is stored must verify for ever."""
    kind_octets, detail_octets, message = kind.encode(), detail.encode(), message_id or b""
    content = (
        _FIXED.pack(
            mailbox,
            n,
            at,
            _ABSENT if folder_id is None else folder_id,
            _ABSENT if uid is None else uid,
            len(kind_octets),
            len(message),
            len(detail_octets),
        )
        + kind_octets
        + message
        + detail_octets
    )
    return JournalEntry(
        mailbox=mailbox,
        n=n,
        at=at,
        kind=kind,
        message_id=message_id,
        folder_id=folder_id,
        uid=uid,
        detail=detail,
        hash=hashlib.sha256(_LABEL + before + content).digest(),
    )


def check_link(before: bytes, entry: JournalEntry) -> None:
    """Raises ChainBroken unless `entry` is what was written after `before`."""
    again = link(
        before,
        mailbox=entry.mailbox,
        n=entry.n,
        at=entry.at,
        kind=entry.kind,
        message_id=entry.message_id,
        folder_id=entry.folder_id,
        uid=entry.uid,
        detail=entry.detail,
    )
    if not hmac.compare_digest(again.hash, entry.hash):
        raise ChainBroken


def entries(connection: Connection, mailbox: MailboxId, after: int, most: int) -> list[JournalEntry]:
    """At most `most` lines after number `after`."""
    rows = connection.execute(_AFTER, {"mailbox": mailbox, "after": after, "most": most})
    return list(map(JournalEntry._make, rows))


def all_entries(connection: Connection, mailbox: MailboxId) -> Iterator[JournalEntry]:
    """Every line of a journal, a few thousand in memory at a time."""
    after = 0
    while batch := entries(connection, mailbox, after, _ROWS_AT_ONCE):
        yield from batch
        after = batch[-1].n


def heads(connection: Connection) -> dict[MailboxId, JournalMark]:
    """How far each journal has come: to be kept out of this database's reach."""
    return {row.id: JournalMark(row.journal_n, row.journal_head) for row in connection.execute(_HEADS)}
