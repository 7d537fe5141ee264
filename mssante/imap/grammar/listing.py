"""What LIST and LSUB ask, and one line of the answer (RFC 3501 §6.3.8, RFC 5258, RFC 5819, RFC 6154)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mssante.model import SpecialUse


class StatusItem(StrEnum):
    """RFC 3501 §6.3.10; SIZE after RFC 8438, DELETED after RFC 9051 §6.3.11 and, with DELETED-STORAGE, RFC
    9208 §4.1.4, APPENDLIMIT after RFC 7889 §3.1, MAILBOXID after RFC 8474 §4.3."""

    MESSAGES = "MESSAGES"
    RECENT = "RECENT"
    UIDNEXT = "UIDNEXT"
    UIDVALIDITY = "UIDVALIDITY"
    UNSEEN = "UNSEEN"
    SIZE = "SIZE"
    DELETED = "DELETED"
    HIGHESTMODSEQ = "HIGHESTMODSEQ"  # RFC 7162 §3.1.7
    DELETED_STORAGE = "DELETED-STORAGE"
    APPENDLIMIT = "APPENDLIMIT"
    MAILBOXID = "MAILBOXID"


class Selection(StrEnum):
    """RFC 5258 §3.1 and RFC 6154 §5.2: which folders are listed."""

    SUBSCRIBED = "SUBSCRIBED"
    REMOTE = "REMOTE"
    RECURSIVEMATCH = "RECURSIVEMATCH"
    SPECIAL_USE = "SPECIAL-USE"


class ListReturn(StrEnum):
    """RFC 5258 §3.2 and RFC 6154 §5.2: what is told about each folder."""

    SUBSCRIBED = "SUBSCRIBED"
    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"


@dataclass(frozen=True, slots=True)
class ListExtended:
    """A LIST command. `status` is what RETURN (STATUS (...)) asks for, empty without it."""

    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[Selection] = frozenset()
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()

    @property
    def extended(self) -> bool:
        """Whether the client speaks RFC 5258: then it gets the attributes it asks for, and only those."""
        return bool(self.selection or self.returns or self.status or len(self.patterns) > 1)


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """What LIST and LSUB must know about a name. `exists` is false for a subscribed name without a folder."""

    name: str
    subscribed: bool = False
    use: SpecialUse | None = None
    exists: bool = True


@dataclass(frozen=True, slots=True)
class ListRow:
    """One LIST response. `attributes` are as on the wire; `selectable` rows also get a STATUS if the client
    asked for it; `child_subscribed` adds CHILDINFO ("SUBSCRIBED") (RFC 5258 §3.5), and `old_name` adds
    OLDNAME (RFC 9051 §6.3.9.7)."""

    name: str
    attributes: tuple[str, ...]
    selectable: bool
    child_subscribed: bool = False
    old_name: str | None = None


USE_ATTRIBUTES = {
    SpecialUse.SENT: r"\Sent",
    SpecialUse.DRAFTS: r"\Drafts",
    SpecialUse.TRASH: r"\Trash",
    SpecialUse.JUNK: r"\Junk",
    SpecialUse.ARCHIVE: r"\Archive",
}
USE_OF_ATTRIBUTE = {attribute.upper(): use for use, attribute in USE_ATTRIBUTES.items()}
