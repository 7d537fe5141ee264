"""Making, naming and removing folders, and the keywords of a mailbox. Names come sealed.

Invariants: no two folders of a mailbox have one name (its tag); a folder with a role is never deleted,
so a letter always finds its place, and INBOX keeps its name (RFC 3501 §5.1); numbers, and with them
UIDVALIDITY, never come back.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text

from mssante.limits import FOLDERS_MAX, KEYWORDS_MAX
from mssante.model import FolderId, MailboxId, SpecialUse
from mssante.reasons import Reason, Refused
from mssante.store import reading, subscriptions, tables
from mssante.store.accounts import UIDVALIDITY_FROM_ID
from mssante.store.ledger import Ledger, lock_owner
from mssante.store.records import Folder, FolderName, JournalKind
from mssante.store.shredding import expunge_slice

_NEW = text(
    "INSERT INTO folder (mailbox_id, name_tag, name_ct, uidvalidity, uidnext, subscribed, modseq)"
    " VALUES (:mailbox, :tag, :ct, 0, 1, :subscribed, :modseq) RETURNING id"
)
_UNNAME = text("UPDATE folder SET name_tag = NULL WHERE id = :folder")
_NAME = text("UPDATE folder SET name_tag = :tag, name_ct = :ct, modseq = :modseq WHERE id = :folder")
_SUBSCRIBE = text("UPDATE folder SET subscribed = :subscribed WHERE id = :folder")
_FORGET_EXPUNGED = text("DELETE FROM expunged WHERE folder_id = :folder")
_FORGET = text("DELETE FROM folder WHERE id = :folder")
_LOCK_OWNER = lock_owner(tables.folder, tables.folder.c.id == bindparam("folder"))
_RECENT = text("SELECT recent_uid FROM folder WHERE id = :folder")
_CLAIM = text("UPDATE folder SET recent_uid = :up_to WHERE id = :the_folder")
_KEYWORD = text("SELECT number FROM keyword WHERE mailbox_id = :mailbox AND name_tag = :tag")
_KEYWORDS_TAKEN = text("SELECT number FROM keyword WHERE mailbox_id = :mailbox")
_NEW_KEYWORD = text(
    "INSERT INTO keyword (mailbox_id, number, name_tag, name_ct) VALUES (:mailbox, :number, :tag, :ct)"
)


def create(
    ledger: Ledger, mailbox: MailboxId, name_tag: bytes, name_ct: bytes, *, subscribed: bool
) -> Folder:
    """Raises Refused(MAILBOX_UNKNOWN), Refused(FOLDER_EXISTS), Refused(LIMIT_REACHED)."""
    opened = ledger.open_one(mailbox)
    there = reading.folders(ledger.connection, mailbox)
    if any(folder.name_tag == name_tag for folder in there):
        raise Refused(Reason.FOLDER_EXISTS)
    if len(there) >= FOLDERS_MAX:
        raise Refused(Reason.LIMIT_REACHED)
    made: FolderId = ledger.connection.execute(
        _NEW,
        {
            "mailbox": mailbox,
            "tag": name_tag,
            "ct": name_ct,
            "subscribed": subscriptions.take(ledger.connection, mailbox, name_tag) or subscribed,
            "modseq": opened.step(),
        },
    ).scalar_one()
    ledger.connection.execute(UIDVALIDITY_FROM_ID, {"mailbox": mailbox})
    opened.record(JournalKind.FOLDER_CREATED, folder=made)
    return reading.folder(ledger.connection, made)


def rename(ledger: Ledger, mailbox: MailboxId, names: Sequence[FolderName]) -> None:
    """Gives all these folders their names at once (a parent and what lies below it). The new names are
    subscribed if the old ones were, which stay so. Raises Refused(FOLDER_UNKNOWN),
    Refused(FOLDER_PROTECTED) for INBOX, Refused(FOLDER_EXISTS)."""
    opened = ledger.open_one(mailbox)
    there = {folder.id: folder for folder in reading.folders(ledger.connection, mailbox)}
    tags = {folder.id: folder.name_tag for folder in there.values() if folder.name_tag is not None}
    for name in names:
        if name.folder not in there:
            raise Refused(Reason.FOLDER_UNKNOWN)
        if there[name.folder].role is SpecialUse.INBOX:
            raise Refused(Reason.FOLDER_PROTECTED)
        tags[name.folder] = name.tag
    if len(set(tags.values())) < len(tags):
        raise Refused(Reason.FOLDER_EXISTS)
    modseq = opened.step()
    for name in names:  # first out of each other's way: two folders may change names
        ledger.connection.execute(_UNNAME, {"folder": name.folder})
    for name in names:
        ledger.connection.execute(
            _NAME, {"folder": name.folder, "tag": name.tag, "ct": name.ct, "modseq": modseq}
        )
        if name.former is not None and there[name.folder].subscribed:
            subscriptions.keep(ledger.connection, mailbox, *name.former)
        opened.record(JournalKind.FOLDER_RENAMED, folder=name.folder)
    for name in names:
        if subscriptions.take(ledger.connection, mailbox, name.tag):
            ledger.connection.execute(_SUBSCRIBE, {"folder": name.folder, "subscribed": True})


def subscribe(ledger: Ledger, folder: FolderId, subscribed: bool) -> None:
    """Raises Refused(FOLDER_UNKNOWN)."""
    ledger.open_folder(folder)
    ledger.connection.execute(_SUBSCRIBE, {"folder": folder, "subscribed": subscribed})


def claim_recent(connection: Connection, folder: FolderId, up_to: int) -> int:
    """A session has heard of the messages up to this UID: they are recent to nobody else. Answers the UID
    up to which others had heard before. Tells nobody: no client sees anything change."""
    connection.execute(_LOCK_OWNER, {"folder": folder})
    before = connection.execute(_RECENT, {"folder": folder}).scalar()
    if before is None:
        return up_to  # the folder is gone
    if before < up_to:
        connection.execute(_CLAIM, {"the_folder": folder, "up_to": up_to})
    return int(before)


def delete(ledger: Ledger, folder: FolderId, slice_max: int) -> bool:
    """Expunges at most `slice_max` messages; when none is left removes the folder and answers True.
    A subscription outlives it. Raises Refused(FOLDER_UNKNOWN), Refused(FOLDER_PROTECTED) for a folder
    with a role."""
    opened = ledger.open_folder(folder)
    if opened.role is not None:
        raise Refused(Reason.FOLDER_PROTECTED)
    if len(expunge_slice(ledger, opened, None, slice_max, deleted_only=False)) >= slice_max:
        return False
    row = reading.folder(ledger.connection, folder)
    if row.subscribed and row.name_tag is not None and row.name_ct is not None:
        subscriptions.keep(ledger.connection, row.mailbox, row.name_tag, row.name_ct)
    ledger.connection.execute(_FORGET_EXPUNGED, {"folder": folder})
    ledger.connection.execute(_FORGET, {"folder": folder})
    opened.mailbox.step()
    opened.mailbox.record(JournalKind.FOLDER_DELETED, folder=folder)
    return True


def add_keyword(ledger: Ledger, mailbox: MailboxId, name_tag: bytes, name_ct: bytes) -> int:
    """The number of the keyword of this name, old or new. Raises Refused(LIMIT_REACHED) when all
    KEYWORDS_MAX are taken, Refused(MAILBOX_UNKNOWN)."""
    ledger.open_one(mailbox)
    connection: Connection = ledger.connection
    known: int | None = connection.execute(_KEYWORD, {"mailbox": mailbox, "tag": name_tag}).scalar()
    if known is not None:
        return known
    taken = set(connection.execute(_KEYWORDS_TAKEN, {"mailbox": mailbox}).scalars())
    number = next((n for n in range(KEYWORDS_MAX) if n not in taken), None)
    if number is None:
        raise Refused(Reason.LIMIT_REACHED)
    connection.execute(_NEW_KEYWORD, {"mailbox": mailbox, "number": number, "tag": name_tag, "ct": name_ct})
    return number
