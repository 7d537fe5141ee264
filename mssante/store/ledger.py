"""The mailboxes that one writing transaction changes: their rows locked, their new numbers and journal lines.

A transaction opens the mailboxes it will change, works on their rows in memory (`step` for a new modseq,
`record` for a journal line, `used_kib` for the quota), and `Ledger.close` writes it all back at the end.

Invariants: a mailbox is opened (its row locked, in the order of ids) before anything in it is written, so
that one transaction at a time gives out its numbers; modseq and journal only grow; the journal lines of a
transaction are chained and are written with it or not at all; what a line tells is sealed before it is
written, and its time in clear is a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
    update,
)

from mssante import limits
from mssante.crypto import LineForm, LineKey, LineText
from mssante.model import BlobId, FolderId, MailboxId, MailboxKind, MailboxStatus, MessageId, ModSeq, Uid
from mssante.reasons import Reason, Refused
from mssante.store import tables
from mssante.store.chain import link
from mssante.store.notifier import CHANNEL
from mssante.store.records import SECONDS_PER_DAY, JournalEntry, JournalKind
from mssante.store.records.accounts import kib_of_places
from mssante.store.statements import Among, Bulk

_OPEN = Among(
    select(
        tables.mailbox.c.id,
        tables.mailbox.c.kind,
        tables.mailbox.c.status,
        tables.mailbox.c.quota_kib,
        tables.mailbox.c.used_kib,
        tables.mailbox.c.places,
        tables.mailbox.c.modseq,
        tables.mailbox.c.journal_n,
        tables.mailbox.c.journal_at,
        tables.mailbox.c.journal_head,
    )
    .where(tables.mailbox.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(tables.mailbox.c.id)
    .with_for_update(key_share=True),
    "ids",
)
_CLOSE = Bulk(
    update(tables.mailbox)
    .where(tables.mailbox.c.id == bindparam("the_id"))
    .values(
        used_kib=bindparam("new_used_kib"),
        places=bindparam("new_places"),
        modseq=bindparam("new_modseq"),
        journal_n=bindparam("new_n"),
        journal_at=bindparam("new_at"),
        journal_head=bindparam("new_head"),
    ),
    *("the_id", "new_used_kib", "new_places", "new_modseq", "new_n", "new_at", "new_head"),
)
_RECORD = Bulk(insert(tables.journal), *tables.journal.c.keys())
_FOLDER_OWNER = select(tables.folder.c.mailbox_id).where(tables.folder.c.id == bindparam("folder"))
_FOLDER = select(tables.folder.c.role, tables.folder.c.uidnext, tables.folder.c.modseq).where(
    tables.folder.c.id == bindparam("folder"), tables.folder.c.mailbox_id == bindparam("mailbox")
)
_TOLD = func.unnest(bindparam("told", type_=ARRAY(Text))).column_valued("told")
_TELL = select(func.pg_notify(CHANNEL, _TOLD))  # PostgreSQL only


def lock_owner(of: Table, this: ColumnElement[bool]) -> Select[MailboxId]:
    """Locks the mailbox that owns the row `this` of the table `of`, for writes that need no Ledger. Every
    writer locks the mailbox before anything else, so that two hosts never wait for each other."""
    owner = select(of.c.mailbox_id).where(this).scalar_subquery()
    return select(tables.mailbox.c.id).where(tables.mailbox.c.id == owner).with_for_update(key_share=True)


def lock(connection: Connection, mailbox: MailboxId) -> None:
    """Locks a mailbox, for writes that need no Ledger. Raises Refused(MAILBOX_UNKNOWN)."""
    if not _OPEN.run(connection, [mailbox]):
        raise Refused(Reason.MAILBOX_UNKNOWN)


@dataclass(slots=True)
class MailboxInTransaction:
    """A mailbox row while its transaction runs."""

    now: int
    line_key: LineKey
    id: MailboxId
    kind: MailboxKind
    status: MailboxStatus
    quota_kib: int | None
    used_kib: int
    places: int
    modseq: int
    journal_n: int
    journal_at: int
    journal_head: bytes
    entries: list[JournalEntry] = field(default_factory=list)
    _stepped: bool = False

    @property
    def stepped(self) -> bool:
        """Whether something changed that sessions of this mailbox must be told."""
        return self._stepped

    @property
    def touched(self) -> bool:
        """Whether its row must be written. Wherever `used_kib` or `places` changes, a journal line is written
        as well."""
        return self._stepped or bool(self.entries)

    def require_room(self, *, kib: int = 0, places: int) -> None:
        """Raises Refused(MAILBOX_FULL) when the mailbox has no room for messages of `kib` in all, or for so
        many places, which the quota counts too."""
        after = self.places + places
        used_kib = self.used_kib + kib + kib_of_places(after)
        if after > limits.PLACES_MAX or (self.quota_kib is not None and used_kib > self.quota_kib):
            raise Refused(Reason.MAILBOX_FULL)

    def step(self) -> ModSeq:
        """The modseq of this transaction's changes: one more than the highest before it."""
        if not self._stepped:
            self.modseq += 1
            self._stepped = True
        return ModSeq(self.modseq)

    def record(
        self,
        kind: JournalKind,
        *,
        message_id: MessageId | None = None,
        folder: FolderId | None = None,
        uid: Uid | None = None,
        detail: str = "{}",
    ) -> None:
        """Adds a line to the journal, `detail` (JSON) and the second sealed. Its day never goes back, even if
        the clock does (invariant 10)."""
        self.journal_n += 1
        self.journal_at = max(self.journal_at, self.now - self.now % SECONDS_PER_DAY)
        told = LineText(self.now, detail)
        entry = link(
            self.journal_head,
            mailbox=self.id,
            n=self.journal_n,
            at=self.journal_at,
            kind=kind,
            message_id=message_id,
            folder_id=folder,
            uid=uid,
            key_id=self.line_key.id,
            detail=self.line_key.seal(LineForm.SEALED, self.id, self.journal_n, told),
        )
        self.journal_head = entry.hash
        self.entries.append(entry)


@dataclass(slots=True)
class OpenFolder:
    """A folder of an open mailbox. `modseq` is its value before this transaction."""

    id: FolderId
    mailbox: MailboxInTransaction
    role: str | None
    uidnext: int
    modseq: int


class Ledger:
    """The mailboxes that one transaction writes to. Call `close` before the transaction ends.

    `now` is the time of the journal lines, and `line_key` seals them; `origin` names this process in
    notifications. `left_over` are the contents that this transaction gave up and left for later ones to
    delete, because they are large."""

    def __init__(self, connection: Connection, *, now: int, line_key: LineKey, origin: str = "") -> None:
        self.connection = connection
        self.now = now
        self._line_key = line_key
        self.left_over: list[BlobId] = []
        self._origin = origin
        self._opened: dict[MailboxId, MailboxInTransaction] = {}

    def open(self, mailboxes: Iterable[MailboxId]) -> dict[MailboxId, MailboxInTransaction]:
        """Locks and reads those of `mailboxes` that exist. Name all that the transaction needs in one call:
        they are locked in one order, so that two hosts never wait for each other."""
        ids = list(mailboxes)
        rows = _OPEN.run(self.connection, ids) if ids else ()
        self._opened = {row[0]: MailboxInTransaction(self.now, self._line_key, *row) for row in rows}
        return self._opened

    def open_one(self, mailbox: MailboxId) -> MailboxInTransaction:
        """Locks and reads one mailbox. Raises Refused(MAILBOX_UNKNOWN)."""
        opened = self.open([mailbox]).get(mailbox)
        if opened is None:
            raise Refused(Reason.MAILBOX_UNKNOWN)
        return opened

    def open_folder(self, folder: FolderId) -> OpenFolder:
        """Opens a folder's mailbox, then reads the folder. Raises Refused(FOLDER_UNKNOWN)."""
        owner = self.connection.execute(_FOLDER_OWNER, {"folder": folder}).scalar()
        if owner is None:
            raise Refused(Reason.FOLDER_UNKNOWN)
        mailbox = self.open_one(owner)
        return self.folder_of(mailbox, folder)

    def folder_of(self, mailbox: MailboxInTransaction, folder: FolderId) -> OpenFolder:
        """A folder of an open mailbox. Raises Refused(FOLDER_UNKNOWN)."""
        row = self.connection.execute(_FOLDER, {"folder": folder, "mailbox": mailbox.id}).first()
        if row is None:
            raise Refused(Reason.FOLDER_UNKNOWN)
        return OpenFolder(folder, mailbox, row.role, row.uidnext, row.modseq)

    @property
    def changed(self) -> tuple[MailboxId, ...]:
        """The mailboxes whose sessions must be told of a change."""
        return tuple(box.id for box in self._opened.values() if box.stepped)

    def close(self) -> None:
        """Writes the journal lines and the mailbox rows, and notifies other hosts, which hear of it only
        after the commit."""
        boxes = list(self._opened.values())
        _RECORD.run(self.connection, [entry for box in boxes for entry in box.entries])
        _CLOSE.run(self.connection, [_closing(box) for box in boxes if box.touched])
        if self.changed and self.connection.dialect.name == "postgresql":
            self.connection.execute(_TELL, {"told": [f"{self._origin}:{id.hex()}" for id in self.changed]})


def _closing(box: MailboxInTransaction) -> tuple[object, ...]:
    return box.id, box.used_kib, box.places, box.modseq, box.journal_n, box.journal_at, box.journal_head
