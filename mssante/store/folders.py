"""Making, naming and removing folders, and the keywords of a mailbox. Names come sealed.

Invariants: no two folders of a mailbox have the same name (compared by its tag); a folder with a role is
never deleted, so that there is always a folder for a letter, and INBOX keeps its name (RFC 3501 §5.1); a
folder's number, which is also its UIDVALIDITY, is never used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakValueDictionary

from sqlalchemy import Connection, bindparam, delete, insert, null, select, update

from mssante import limits
from mssante.limits import FOLDERS_MAX, KEYWORDS_MAX
from mssante.model import FolderId, MailboxId, ModSeq, SpecialUse, Uid
from mssante.reasons import Reason, Refused
from mssante.store import folder_reading, subscriptions, tables
from mssante.store.accounts import UIDVALIDITY_FROM_ID
from mssante.store.folder_reading import FolderNumbers
from mssante.store.ledger import Ledger, lock_owner
from mssante.store.live import LiveFolder
from mssante.store.records import Changes, Folder, FolderCounts, FolderName, JournalKind, Keyword
from mssante.store.shredding import expunge_slice
from mssante.store.statements import Bulk
from mssante.store.transactions import Transactions

_f, _k, _e = tables.folder.c, tables.keyword.c, tables.expunged.c
_THIS = _f.id == bindparam("folder")
_NEW = insert(tables.folder).returning(_f.id)
_UNNAME = Bulk(update(tables.folder).where(_f.id == bindparam("the_id")).values(name_tag=null()), "the_id")
_NAME = Bulk(
    update(tables.folder)
    .where(_f.id == bindparam("the_id"))
    .values(name_tag=bindparam("new_tag"), name_ct=bindparam("new_ct"), modseq=bindparam("new_modseq")),
    *("new_tag", "new_ct", "new_modseq", "the_id"),
)
_SUBSCRIBE = update(tables.folder).where(_THIS).values(subscribed=bindparam("new_subscribed"))
_FORGET_COPIES = delete(tables.copied_slice).where(tables.copied_slice.c.folder_id == bindparam("folder"))
_FORGET = delete(tables.folder).where(_THIS)
_REMEMBER_DELETED = insert(tables.deleted_folder)
_DELETED = select(tables.deleted_folder.c.folder_id)
_FORGET_DELETED = delete(tables.deleted_folder).where(
    tables.deleted_folder.c.folder_id == bindparam("folder")
)
_FORGET_EXPUNGED = delete(tables.expunged).where(
    _e.folder_id == bindparam("folder"),
    _e.uid.in_(
        select(_e.uid).where(_e.folder_id == bindparam("folder")).order_by(_e.uid).limit(bindparam("most"))
    ),
)
_LOCK_OWNER = lock_owner(tables.folder, _THIS)
_RECENT = select(_f.recent_uid).where(_THIS)
_CLAIM = update(tables.folder).where(_THIS).values(recent_uid=bindparam("up_to"))
_KEYWORDS = select(_k.number).where(_k.mailbox_id == bindparam("mailbox"))
_KEYWORD = _KEYWORDS.where(_k.name_tag == bindparam("tag"))
_NEW_KEYWORD = insert(tables.keyword)


def create(
    ledger: Ledger, mailbox: MailboxId, name_tag: bytes, name_ct: bytes, *, subscribed: bool
) -> Folder:
    """Raises Refused(MAILBOX_UNKNOWN), Refused(FOLDER_EXISTS), Refused(LIMIT_REACHED)."""
    opened = ledger.open_one(mailbox)
    there = folder_reading.folders(ledger.connection, mailbox)
    if any(folder.name_tag == name_tag for folder in there):
        raise Refused(Reason.FOLDER_EXISTS)
    if len(there) >= FOLDERS_MAX:
        raise Refused(Reason.LIMIT_REACHED)
    made: FolderId = ledger.connection.execute(
        _NEW,
        {
            "mailbox_id": mailbox,
            "name_tag": name_tag,
            "name_ct": name_ct,
            "uidvalidity": 0,
            "uidnext": 1,
            "subscribed": subscriptions.take(ledger.connection, mailbox, name_tag) or subscribed,
            "modseq": opened.step(),
        },
    ).scalar_one()
    ledger.connection.execute(UIDVALIDITY_FROM_ID, {"mailbox": mailbox})
    opened.record(JournalKind.FOLDER_CREATED, folder=made)
    return folder_reading.folder(ledger.connection, made)


def rename(ledger: Ledger, mailbox: MailboxId, names: Sequence[FolderName]) -> None:
    """Gives all these folders (a parent and those below it) their new names at once. If an old name was
    subscribed, it stays subscribed and the new one is too. Raises Refused(FOLDER_UNKNOWN),
    Refused(FOLDER_PROTECTED) for INBOX, Refused(FOLDER_EXISTS)."""
    opened = ledger.open_one(mailbox)
    there = {folder.id: folder for folder in folder_reading.folders(ledger.connection, mailbox)}
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
    # First free the old names: two folders may swap theirs.
    _UNNAME.run(ledger.connection, [(name.folder,) for name in names])
    _NAME.run(ledger.connection, [(name.tag, name.ct, modseq, name.folder) for name in names])
    former = [name.former for name in names if name.former is not None and there[name.folder].subscribed]
    subscriptions.keep(ledger.connection, mailbox, former)
    for name in names:
        opened.record(JournalKind.FOLDER_RENAMED, folder=name.folder)
    kept = subscriptions.tags(ledger.connection, mailbox)
    for name in names:
        if name.tag in kept and subscriptions.take(ledger.connection, mailbox, name.tag):
            ledger.connection.execute(_SUBSCRIBE, {"folder": name.folder, "new_subscribed": True})


def subscribe(ledger: Ledger, folder: FolderId, subscribed: bool) -> None:
    """Raises Refused(FOLDER_UNKNOWN)."""
    ledger.open_folder(folder)
    ledger.connection.execute(_SUBSCRIBE, {"folder": folder, "new_subscribed": subscribed})


def claim_recent(connection: Connection, folder: FolderId, up_to: int) -> int:
    """Notes that a session has been told of the messages up to this UID, so that they are recent for no other
    session. Returns the UID up to which sessions had been told before. Nobody is notified, because no client
    can see the difference."""
    connection.execute(_LOCK_OWNER, {"folder": folder})
    before = connection.execute(_RECENT, {"folder": folder}).scalar()
    if before is None:
        return up_to  # the folder is gone
    if before < up_to:
        connection.execute(_CLAIM, {"folder": folder, "up_to": up_to})
    return int(before)


def delete_slice(ledger: Ledger, folder: FolderId, slice_max: int) -> bool:
    """Expunges at most `slice_max` messages. When none is left, it removes the folder and returns True; what
    `expunged` remembers of it is then to be deleted by `forget_slice`. The subscription stays. Raises
    Refused(FOLDER_UNKNOWN), Refused(FOLDER_PROTECTED) for a folder with a role."""
    opened = ledger.open_folder(folder)
    if opened.role is not None:
        raise Refused(Reason.FOLDER_PROTECTED)
    if expunge_slice(ledger, opened, None, slice_max, deleted_only=False).cut:
        return False
    row = folder_reading.folder(ledger.connection, folder)
    if row.subscribed and row.name_tag is not None and row.name_ct is not None:
        subscriptions.keep(ledger.connection, row.mailbox, [(row.name_tag, row.name_ct)])
    ledger.connection.execute(_FORGET_COPIES, {"folder": folder})
    ledger.connection.execute(_FORGET, {"folder": folder})
    ledger.connection.execute(_REMEMBER_DELETED, {"folder_id": folder})
    opened.mailbox.step()
    opened.mailbox.record(JournalKind.FOLDER_DELETED, folder=folder)
    return True


def deleted(connection: Connection) -> Sequence[FolderId]:
    """The deleted folders of which `expunged` may still have rows."""
    return connection.execute(_DELETED).scalars().all()


def forget_slice(connection: Connection, folder: FolderId, most: int) -> bool:
    """Deletes at most `most` of the UIDs that a deleted folder remembered as expunged. Returns whether there
    may be more."""
    gone = connection.execute(_FORGET_EXPUNGED, {"folder": folder, "most": most}).rowcount
    if gone == most:
        return True
    connection.execute(_FORGET_DELETED, {"folder": folder})
    return False


def add_keyword(ledger: Ledger, mailbox: MailboxId, name_tag: bytes, name_ct: bytes) -> int:
    """The number of the keyword with this name, which is added if it is new. Raises Refused(LIMIT_REACHED)
    when all KEYWORDS_MAX are taken, Refused(MAILBOX_UNKNOWN)."""
    ledger.open_one(mailbox)
    connection: Connection = ledger.connection
    known: int | None = connection.execute(_KEYWORD, {"mailbox": mailbox, "tag": name_tag}).scalar()
    if known is not None:
        return known
    taken = set(connection.execute(_KEYWORDS, {"mailbox": mailbox}).scalars())
    number = next((n for n in range(KEYWORDS_MAX) if n not in taken), None)
    if number is None:
        raise Refused(Reason.LIMIT_REACHED)
    connection.execute(
        _NEW_KEYWORD, {"mailbox_id": mailbox, "number": number, "name_tag": name_tag, "name_ct": name_ct}
    )
    return number


class FoldersDoor:
    """`MailStore.folders`: the folders of mailboxes, what they are called, which messages lie in them by
    number, and the keywords a mailbox marks messages with.

    Each method is one transaction, except where it says so. Each raises Passing when the database does not
    answer or is too busy. Sessions of the mailbox are told what a method changed, if they can see it."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._live = WeakValueDictionary[FolderId, LiveFolder]()  # of folders that a session has open

    # Which there are

    async def all(self, mailbox: MailboxId) -> list[Folder]:
        """A mailbox's folders, oldest first; none of an unknown mailbox."""
        return await self._transactions.read(lambda c: folder_reading.folders(c, mailbox))

    async def by_id(self, folder: FolderId) -> Folder:
        """A folder as it is now. Raises Refused(FOLDER_UNKNOWN)."""
        return await self._transactions.read(lambda c: folder_reading.folder(c, folder))

    async def create(
        self, mailbox: MailboxId, name_tag: bytes, name_ct: bytes, *, subscribed: bool = False
    ) -> Folder:
        """A new, empty folder, subscribed if asked for or if its name was already. Raises
        Refused(MAILBOX_UNKNOWN), Refused(FOLDER_EXISTS), Refused(LIMIT_REACHED)."""
        return await self._transactions.write(
            lambda ledger: create(ledger, mailbox, name_tag, name_ct, subscribed=subscribed)
        )

    async def rename(self, mailbox: MailboxId, names: Sequence[FolderName]) -> None:
        """Gives all these folders (a parent and those below it) their new names at once, or none of them. If
        an old name was subscribed, it stays subscribed and the new one is too. Raises
        Refused(MAILBOX_UNKNOWN), Refused(FOLDER_UNKNOWN), Refused(FOLDER_PROTECTED) for INBOX,
        Refused(FOLDER_EXISTS)."""
        await self._transactions.write(lambda ledger: rename(ledger, mailbox, names), rows=len(names))

    async def delete(self, folder: FolderId) -> None:
        """Shreds the messages that lie in no other folder, some hundred in each transaction, then removes the
        folder and what it remembered of expunged ones; its subscription stays. Raises
        Refused(FOLDER_UNKNOWN), Refused(FOLDER_PROTECTED) for a folder with a role."""
        self._transactions.shredded = True
        most = limits.EXPUNGED_AT_ONCE
        while not await self._transactions.write(
            lambda ledger: delete_slice(ledger, folder, most), rows=most
        ):
            pass
        await self._forget(folder)

    async def finish_deletions(self) -> None:
        """Forgets the expunged UIDs of folders whose deletion was cut off, some thousand in each
        transaction."""
        for folder in await self._transactions.read(deleted):
            await self._forget(folder)

    async def _forget(self, folder: FolderId) -> None:
        most = limits.EXPUNGED_FORGOTTEN_AT_ONCE
        while await self._transactions.write_quietly(lambda c: forget_slice(c, folder, most), rows=most):
            pass

    # Who subscribed to them

    async def subscribe(self, folder: FolderId, *, subscribed: bool) -> None:
        """Subscribes to a folder, or unsubscribes from it. Raises Refused(FOLDER_UNKNOWN)."""
        await self._transactions.write(lambda ledger: subscribe(ledger, folder, subscribed))

    async def subscriptions(self, mailbox: MailboxId) -> list[bytes]:
        """The subscribed names that no folder has any more, sealed."""
        return await self._transactions.read(lambda c: subscriptions.names(c, mailbox))

    async def end_subscription(self, mailbox: MailboxId, name_tag: bytes) -> bool:
        """Unsubscribes from a name that no folder has. Returns whether it was subscribed."""
        return await self._transactions.write_quietly(lambda c: subscriptions.take(c, mailbox, name_tag))

    # What lies in them

    async def numbers(self, folder: FolderId) -> FolderNumbers:
        """UID, flags and modseq of every message in it. Raises Refused(FOLDER_UNKNOWN)."""
        return await self._transactions.read(lambda c: folder_reading.numbers(c, folder))

    async def live(self, folder: FolderId) -> LiveFolder:
        """The folder's numbers as they are now, in one object that all sessions with this folder open share.
        Takes two transactions at most. Raises Refused(FOLDER_UNKNOWN)."""
        known = self._live.get(folder)
        if known is None:
            numbers = await self.numbers(folder)
            known = self._live.get(folder)
            if known is None:
                known = self._live[folder] = LiveFolder(numbers)
                return known
        await known.take(await self.changes(folder, known.modseq))
        return known

    async def changes(self, folder: FolderId, since: ModSeq) -> Changes:
        """What is new, changed or gone after `since`. Raises Refused(FOLDER_UNKNOWN)."""
        return await self._transactions.read(lambda c: folder_reading.changes(c, folder, since))

    async def expunged(self, folder: FolderId, since: ModSeq, up_to: ModSeq) -> Sequence[int]:
        """The UIDs gone after `since` and not after `up_to`, ascending; none for an unknown folder."""
        return await self._transactions.read(lambda c: folder_reading.expunged(c, folder, since, up_to))

    async def counts(self, folder: FolderId) -> FolderCounts:
        """What STATUS tells. Raises Refused(FOLDER_UNKNOWN)."""
        return await self._transactions.read(lambda c: folder_reading.counts(c, folder))

    async def claim_recent(self, folder: FolderId, up_to: Uid) -> int:
        """Notes that a session has been told of the messages up to this UID, so that they are recent for no
        other session. Returns the UID up to which sessions had been told before, or `up_to` when the folder
        is gone. Nobody is notified."""
        return await self._transactions.write_quietly(lambda c: claim_recent(c, folder, up_to))

    # Keywords

    async def keywords(self, mailbox: MailboxId) -> list[Keyword]:
        """A mailbox's keywords, in the order of their numbers."""
        return await self._transactions.read(lambda c: folder_reading.keywords(c, mailbox))

    async def add_keyword(self, mailbox: MailboxId, name_tag: bytes, name_ct: bytes) -> int:
        """The number of the keyword with this name, which is added if it is new. Raises
        Refused(MAILBOX_UNKNOWN), Refused(LIMIT_REACHED) when all KEYWORDS_MAX are taken."""
        return await self._transactions.write(lambda ledger: add_keyword(ledger, mailbox, name_tag, name_ct))
