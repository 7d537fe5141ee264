"""A mailbox's journal: what happened to its messages, line by line, without their content.

What a line tells besides its kind (who brought or did it, and the second) is sealed under the audit key;
`details` opens it for whoever has its secret half. Invariants: n counts from 1 without a gap; the last hash
stands in the mailbox's row. Someone who can write to the database can make a new chain or put back an old
database; marks kept elsewhere (`heads`) reveal both (K4). `ledger` writes the lines, in the transaction that
they tell of; `chain` computes their hashes; `line_keys` has the keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, select, update

from mssante.crypto import AuditSecretKey, LineForm, LineKey, LineText
from mssante.limits import JOURNAL_ROWS_AT_ONCE, JOURNAL_SEALED_AT_ONCE
from mssante.model import MailboxId
from mssante.store import tables
from mssante.store.line_keys import LineOpener
from mssante.store.records import SECONDS_PER_DAY, JournalEntry, JournalMark
from mssante.store.statements import Bulk
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
        _line.key_id,
        _line.detail,
        _line.hash,
    )
    .where(_line.mailbox_id == bindparam("mailbox"), _line.n > bindparam("after"))
    .order_by(_line.n)
    .limit(bindparam("most"))
)
_CLEAR = (
    select(_line.mailbox_id, _line.n, _line.at, _line.detail)
    .where(_line.key_id.is_(None))
    .order_by(_line.mailbox_id, _line.n)
    .limit(bindparam("most"))
)
_CLEAR_HERE = _CLEAR.with_for_update(skip_locked=True)  # two hosts never seal one line twice
_SEAL = Bulk(
    update(tables.journal)
    .where(_line.mailbox_id == bindparam("mailbox"), _line.n == bindparam("number"))
    .values(at=bindparam("day"), key_id=bindparam("key"), detail=bindparam("sealed")),
    *("mailbox", "number", "day", "key", "sealed"),
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


async def any_in_clear(transactions: Transactions) -> bool:
    """Whether an earlier version left lines in clear. Raises Passing."""
    return bool(await transactions.read(lambda c: c.execute(_CLEAR, {"most": 1}).all()))


def seal_some(connection: Connection, key: LineKey) -> int:
    """Seals some of the lines in clear, and returns how many. Their hashes stay: `chain` says how they are
    checked from now on."""
    rows = connection.execute(_CLEAR_HERE, {"most": JOURNAL_SEALED_AT_ONCE}).all()
    sealed = []
    for mailbox, n, at, detail in rows:
        told = key.seal(LineForm.SEALED_LATER, mailbox, n, LineText(at, bytes(detail).decode()))
        sealed.append((mailbox, n, at - at % SECONDS_PER_DAY, key.id, told))
    _SEAL.run(connection, sealed)
    return len(sealed)


class JournalDoor:
    """`MailStore.journal`: the journals of all mailboxes, to be read. Raises Passing when the database does
    not answer."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def entries(self, mailbox: MailboxId, *, after: int = 0, most: int = 1000) -> list[JournalEntry]:
        """At most `most` lines of one mailbox's journal after number `after`, in order. An unknown mailbox
        has none."""
        return await self._transactions.read(lambda c: entries(c, mailbox, after, most))

    async def details(
        self, mailbox: MailboxId, audit: AuditSecretKey, *, after: int = 0, most: int = 1000
    ) -> list[tuple[JournalEntry, LineText]]:
        """As `entries`, with what each line tells: the second and the detail (JSON). Raises NotAuthentic."""

        def opened(connection: Connection) -> list[tuple[JournalEntry, LineText]]:
            opener = LineOpener(connection, audit)
            return [(entry, opener.text(entry)) for entry in entries(connection, mailbox, after, most)]

        return await self._transactions.read(opened)

    async def heads(self) -> dict[MailboxId, JournalMark]:
        """The number and hash of the last line of each mailbox's journal: to be kept where nobody who can
        write to this database can change it, and given to `MailStore.verify` later."""
        return await self._transactions.read(heads)
