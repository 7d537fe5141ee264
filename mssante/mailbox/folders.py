"""The folders of an open mailbox, by name. Names are stored sealed: only the mailbox's ring can read them.

Invariants: a folder that has a role but no name of its own gets its name from the role; two folders never
have the same name; INBOX is never deleted or renamed away, and a folder with a role is never deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from mssante.crypto import NotAuthentic
from mssante.flags import FlagNames
from mssante.limits import FOLDER_NAME_OCTETS_MAX
from mssante.mailbox.opening import OpenMailbox
from mssante.model import DELIMITER, INBOX, FolderId, SpecialUse
from mssante.reasons import Reason, Refused
from mssante.store import MailStore
from mssante.store.records import Folder, FolderName

FOLDER, KEYWORD = "folder", "keyword"  # the ring keeps the two kinds of name apart
_NAME_OF_ROLE = {
    SpecialUse.INBOX: INBOX,
    SpecialUse.SENT: "Sent",
    SpecialUse.DRAFTS: "Drafts",
    SpecialUse.TRASH: "Trash",
    SpecialUse.JUNK: "Junk",
    SpecialUse.ARCHIVE: "Archive",
}


@dataclass(frozen=True, slots=True)
class NamedFolder:
    """A folder with its name open."""

    name: str
    folder: Folder

    @property
    def id(self) -> FolderId:
        return self.folder.id


class Folders:
    """The folders of one session's mailbox. Opened names are remembered by their ciphertext."""

    def __init__(self, mailbox: OpenMailbox) -> None:
        self._mailbox = mailbox
        self._opened: dict[bytes, str] = {}
        self.names_last_read = FlagNames()  # what `flag_names` answered last

    async def all(self) -> list[NamedFolder]:
        """The folders as they are now. One whose name does not open is named by its number, so that its
        messages can still be reached."""
        return [
            NamedFolder(self._name(folder), folder)
            for folder in await self._store.folders.all(self._mailbox.id)
        ]

    async def named(self, name: str) -> NamedFolder:
        """Raises Refused(FOLDER_UNKNOWN)."""
        for each in await self.all():
            if each.name == name:
                return each
        raise Refused(Reason.FOLDER_UNKNOWN)

    async def create(self, name: str) -> FolderId:
        """Raises Refused(FOLDER_EXISTS), Refused(LIMIT_REACHED), Refused(NOT_PERMITTED)."""
        self._mailbox.require_writable()
        if any(each.name == name for each in await self.all()):
            raise Refused(Reason.FOLDER_EXISTS)
        tag, sealed = self._sealed(name)
        return (await self._store.folders.create(self._mailbox.id, tag, sealed)).id

    async def delete(self, name: str) -> FolderId:
        """Returns the id of the deleted folder. Raises Refused(FOLDER_UNKNOWN, FOLDER_HAS_CHILDREN,
        FOLDER_PROTECTED, NOT_PERMITTED)."""
        self._mailbox.require_writable()
        there = {each.name: each.id for each in await self.all()}
        if name not in there:
            # RFC 9051 §6.3.5: a level of hierarchy is not deleted while folders lie below it.
            below = any(other.startswith(name + DELIMITER) for other in there)
            raise Refused(Reason.FOLDER_HAS_CHILDREN if below else Reason.FOLDER_UNKNOWN)
        await self._store.folders.delete(there[name])
        return there[name]

    async def rename(self, source: str, target: str) -> None:
        """Renames a folder and all folders below it (RFC 3501 §6.3.5). Renaming INBOX moves its messages to a
        new folder and leaves INBOX empty. Raises Refused(FOLDER_UNKNOWN), Refused(FOLDER_EXISTS),
        Refused(LIMIT_REACHED), Refused(NOT_PERMITTED)."""
        self._mailbox.require_writable()
        there = {each.name: each for each in await self.all()}
        if target in there:
            raise Refused(Reason.FOLDER_EXISTS)
        if source == INBOX:
            tag, sealed = self._sealed(target)
            made = await self._store.folders.create(self._mailbox.id, tag, sealed)
            # What arrives from now on stays, so that the move has an end.
            uids = range(1, there[INBOX].folder.uidnext)
            await self._store.messages.move(there[INBOX].id, uids, made.id)
            return
        below = source + DELIMITER
        # A level of hierarchy need not be a folder itself (RFC 3501 §6.3.4): what lies below it is renamed.
        moved = {
            name: target + name[len(source) :] for name in there if name == source or name.startswith(below)
        }
        if not moved:
            raise Refused(Reason.FOLDER_UNKNOWN)
        if any(new in there and new not in moved for new in moved.values()):
            raise Refused(Reason.FOLDER_EXISTS)
        if any(len(new.encode()) > FOLDER_NAME_OCTETS_MAX for new in moved.values()):
            raise Refused(Reason.LIMIT_REACHED, "a name below would be too long")
        names = []
        for old, new in moved.items():
            tag, sealed = self._sealed(new)
            names.append(FolderName(folder=there[old].id, tag=tag, ct=sealed, former=self._sealed(old)))
        await self._store.folders.rename(self._mailbox.id, names)

    async def subscribed_names(self) -> list[str]:
        """Names that are subscribed although no folder has them (any more)."""
        sealed = await self._store.folders.subscriptions(self._mailbox.id)
        return [name for each in sealed if (name := self._opened_name(FOLDER, each)) is not None]

    async def subscribe(self, name: str, *, on: bool) -> None:
        """Subscribes to a name, or with `on` False ends the subscription. Raises Refused(FOLDER_UNKNOWN) when
        subscribing to a name that is neither a folder's nor subscribed already; ending a subscription that
        does not exist succeeds. All who open the mailbox share one list of subscriptions, so a grant that
        only reads raises Refused(NOT_PERMITTED)."""
        self._mailbox.require_writable()
        try:
            found = await self.named(name)
        except Refused:
            if not on:
                await self._store.folders.end_subscription(self._mailbox.id, self._sealed(name)[0])
            elif name not in await self.subscribed_names():
                raise
        else:
            await self._store.folders.subscribe(found.id, subscribed=on)

    async def flag_names(self) -> FlagNames:
        """The mailbox's keywords, opened, as they are now. Returns the same object as long as there is no new
        keyword; keywords are never removed."""
        keywords = await self._store.folders.keywords(self._mailbox.id)
        names: list[str] = []
        for keyword in keywords:
            # A number without a keyword gets a placeholder, so that the names after it keep their bits.
            names += [f"unused-{n}" for n in range(len(names), keyword.number)]
            names.append(self._opened_name(KEYWORD, keyword.name_ct) or f"unreadable-{keyword.number}")
        if tuple(names) != self.names_last_read.keywords:
            self.names_last_read = FlagNames(names)
        return self.names_last_read

    async def add_keyword(self, keyword: str) -> None:
        """Raises Refused(LIMIT_REACHED)."""
        ring = self._mailbox.ring
        tag = ring.name_tag(KEYWORD, keyword.upper())  # RFC 3501 §2.3.2: flags have no case
        await self._store.folders.add_keyword(self._mailbox.id, tag, ring.seal_name(KEYWORD, keyword))

    # Inside

    @property
    def _store(self) -> MailStore:
        return self._mailbox.store

    def _sealed(self, name: str) -> tuple[bytes, bytes]:
        return self._mailbox.ring.name_tag(FOLDER, name), self._mailbox.ring.seal_name(FOLDER, name)

    def _name(self, folder: Folder) -> str:
        if folder.name_ct is None:
            return _NAME_OF_ROLE[folder.role] if folder.role else f"unreadable-{folder.id}"
        return self._opened_name(FOLDER, folder.name_ct) or f"unreadable-{folder.id}"

    def _opened_name(self, kind: str, sealed: bytes) -> str | None:
        name = self._opened.get(sealed)
        if name is None:
            try:
                name = self._opened[sealed] = self._mailbox.ring.open_name(kind, sealed)
            except NotAuthentic:
                return None
        return name
