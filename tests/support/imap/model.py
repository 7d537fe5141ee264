"""A mailbox as it ought to be: folders, messages, flags, names, subscriptions. Nothing here speaks IMAP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

SHARED = ("INBOX", "A", "B")  # the clients open these, so nobody deletes or renames them
SPECIAL = {
    "Archive": r"\Archive", "Drafts": r"\Drafts", "Junk": r"\Junk", "Sent": r"\Sent", "Trash": r"\Trash",
}  # fmt: skip
SPARE = ("X", "X/y", "X/y/z", "Été", "X/&", "N n")  # made, renamed, deleted


@dataclass
class Message:
    number: int  # which letter
    flags: frozenset[str]
    received: str  # INTERNALDATE as it is told
    day: date


@dataclass
class Folder:
    """`heard`: up to which UID some session that may write has heard of the messages."""

    uidnext: int = 1
    messages: dict[int, Message] = field(default_factory=dict)  # by UID, ascending
    heard: int = 0

    def add(self, message: Message) -> int:
        uid, self.uidnext = self.uidnext, self.uidnext + 1
        self.messages[uid] = message
        return uid


class Model:
    def __init__(self) -> None:
        self.folders = {name: Folder() for name in (*SHARED, *SPECIAL)}
        self.subscribed = {"INBOX", *SPECIAL}
        self.written = 0
        self.recent: dict[tuple[str, int], object] = {}  # who was told that it is \\Recent
        self.idling: list[str] = []  # folders in which somebody idles

    def copy(self, source: str, uids: Iterable[int], target: str, *, move: bool) -> list[tuple[int, int]]:
        there = self.folders[source].messages
        pairs = []
        for uid in uids:
            if uid in there:
                one = there[uid]
                copied = Message(one.number, one.flags, one.received, one.day)
                pairs.append((uid, self.folders[target].add(copied)))
        if move:
            for uid, _ in pairs:
                del there[uid]
        return pairs

    def expunge(self, folder: str, uids: Iterable[int]) -> None:
        there = self.folders[folder].messages
        for uid in tuple(uids):
            if uid in there and r"\Deleted" in there[uid].flags:
                del there[uid]

    def rename(self, source: str, target: str) -> bool:
        """Whether it can be done; then it is."""
        moved = {
            name: target + name[len(source) :]
            for name in self.folders
            if name == source or name.startswith(source + "/")
        }
        if not moved or target in self.folders:
            return False
        if any(new in self.folders and new not in moved for new in moved.values()):
            return False
        taken = {new: self.folders.pop(old) for old, new in moved.items()}
        self.folders |= taken
        self.subscribed |= {new for old, new in moved.items() if old in self.subscribed}
        return True

    def counts(self, name: str) -> dict[str, int]:
        folder = self.folders[name]
        flags = [message.flags for message in folder.messages.values()]
        return {
            "MESSAGES": len(flags),
            "UIDNEXT": folder.uidnext,
            "UNSEEN": sum(r"\Seen" not in each for each in flags),
            "DELETED": sum(r"\Deleted" in each for each in flags),
        }

    def listed(self, *, one_level: bool) -> dict[str, frozenset[str]]:
        """What LIST "" * (or %) says: attributes by name (RFC 3501 §6.3.8)."""
        parents = {
            "/".join(name.split("/")[:depth])
            for name in self.folders
            for depth in range(1, name.count("/") + 1)
        }
        found = {}
        for name in parents | set(self.folders):
            if one_level and "/" in name:
                continue
            attributes = {r"\HasChildren" if name in parents else r"\HasNoChildren"}
            if name not in self.folders:
                attributes.add(r"\Noselect")
            if name in SPECIAL:
                attributes.add(SPECIAL[name])
            found[name] = frozenset(attributes)
        return found

    def lsubbed(self) -> dict[str, frozenset[str]]:
        """What LSUB "" * says (RFC 3501 §6.3.9)."""
        return {
            name: frozenset() if name in self.folders else frozenset({r"\Noselect"})
            for name in self.subscribed
        }
