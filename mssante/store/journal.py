"""A mailbox's journal: what happened to its messages, line by line, without their content.

Invariants: n counts from 1 without a gap; the last hash stands in the mailbox's row. Someone who can write to
the database can make a new chain or put back an old database; marks kept elsewhere (`heads`) reveal both
(K4). `ledger` writes the lines, in the transaction that they tell of; `chain` computes their hashes.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, select

from mssante.limits import JOURNAL_ROWS_AT_ONCE
from mssante.model import MailboxId
from mssante.store import tables
from mssante.store.records import JournalEntry, JournalMark
from mssante.store.transactions import Transactions

_line, _box = tables.journal.c, tables.mailbox.c
_AFTER = (
    select(
        _line.mailbox_id,
        _line.n,
        _line.at,
        _line.kind,
        _line.message_id,
        _line.folder_id,
        _line.uid,
        _line.detail,
        _line.hash,
    )
    .where(_line.mailbox_id == bindparam("mailbox"), _line.n > bindparam("after"))
    .order_by(_line.n)
    .limit(bindparam("most"))
)
_HEADS = select(_box.id, _box.journal_n, _box.journal_head)


def entries(connection: Connection, mailbox: MailboxId, after: int, most: int) -> list[JournalEntry]:
    """At most `most` lines after number `after`."""
    rows = connection.execute(_AFTER, {"mailbox": mailbox, "after": after, "most": most})
    return list(map(JournalEntry._make, rows))


def all_entries(connection: Connection, mailbox: MailboxId) -> Iterator[JournalEntry]:
    """Every line of a journal, a few thousand in memory at a time."""
    after = 0
    while batch := entries(connection, mailbox, after, JOURNAL_ROWS_AT_ONCE):
        yield from batch
        after = batch[-1].n


def heads(connection: Connection) -> dict[MailboxId, JournalMark]:
    """The number and hash of the last line of each journal."""
    return {row.id: JournalMark(row.journal_n, row.journal_head) for row in connection.execute(_HEADS)}


class JournalDoor:
    """`MailStore.journal`: the journals of all mailboxes, to be read. Raises Passing when the database does
    not answer."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def entries(self, mailbox: MailboxId, *, after: int = 0, most: int = 1000) -> list[JournalEntry]:
        """At most `most` lines of one mailbox's journal after number `after`, in order. An unknown mailbox
        has none."""
        return await self._transactions.read(lambda c: entries(c, mailbox, after, most))

    async def heads(self) -> dict[MailboxId, JournalMark]:
        """The number and hash of the last line of each mailbox's journal: to be kept where nobody who can
        write to this database can change it, and given to `MailStore.verify` later."""
        return await self._transactions.read(heads)
