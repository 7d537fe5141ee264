"""LIST and LSUB (RFC 3501 §6.3.8, RFC 5258, RFC 5819, RFC 6154): which folders, with which attributes.

Invariants: patterns cost time linear in the names, whatever their wildcards; a folder is listed once;
rows come in the order of the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mssante.imap.names import DELIMITER, INBOX, canonical
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


class Return(StrEnum):
    """RFC 5258 §3.2 and RFC 6154 §5.2: what is said of each."""

    SUBSCRIBED = "SUBSCRIBED"
    CHILDREN = "CHILDREN"
    SPECIAL_USE = "SPECIAL-USE"


@dataclass(frozen=True, slots=True)
class ListExtended:
    """A LIST command. `status` is what RETURN (STATUS (...)) asks for, empty without it."""

    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[Selection] = frozenset()
    returns: frozenset[Return] = frozenset()
    status: tuple[StatusItem, ...] = ()

    @property
    def extended(self) -> bool:
        """Whether the client speaks RFC 5258: then it gets the attributes it asks for, and only those."""
        return bool(self.selection or self.returns or self.status or len(self.patterns) > 1)


@dataclass(frozen=True, slots=True)
class Folder:
    """What listing must know of a name. A subscribed name that is no folder has `exists` false."""

    name: str
    subscribed: bool = False
    use: SpecialUse | None = None
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """One LIST response: attributes as on the wire; `selectable` rows also get a STATUS if asked;
    `child_subscribed` adds CHILDINFO ("SUBSCRIBED") (RFC 5258 §3.5), `old_name` OLDNAME (RFC 9051
    §6.3.9.7)."""

    name: str
    attributes: tuple[str, ...]
    selectable: bool
    child_subscribed: bool = False
    old_name: str | None = None


_USE_ATTRIBUTES = {
    SpecialUse.SENT: r"\Sent",
    SpecialUse.DRAFTS: r"\Drafts",
    SpecialUse.TRASH: r"\Trash",
    SpecialUse.JUNK: r"\Junk",
    SpecialUse.ARCHIVE: r"\Archive",
}
USE_OF_ATTRIBUTE = {attribute.upper(): use for use, attribute in _USE_ATTRIBUTES.items()}


class Pattern:
    """A LIST pattern: `*` stands for anything, `%` for anything but the delimiter. INBOX in any case.

    Every place the pattern may have reached is one bit of an integer, so time is the name's length
    times a constant, never exponential in the wildcards."""

    def __init__(self, text: str) -> None:
        text = _squeezed(canonical(text))
        self._literal = text if "*" not in text and "%" not in text else None
        self._places: dict[str, int] = {}
        self._any = self._within = 0
        for at, character in enumerate(text):
            if character == "*":
                self._any |= 1 << at
            elif character == "%":
                self._within |= 1 << at
            else:
                self._places[character] = self._places.get(character, 0) | 1 << at
        self._end = 1 << len(text)

    def matches(self, name: str) -> bool:
        if self._literal is not None:
            return name == self._literal
        wild = self._any | self._within
        state = 1 | (1 & wild) << 1
        for character in name:
            stays = state & (self._any if character == DELIMITER else wild)
            state = stays | (state & self._places.get(character, 0)) << 1
            # A wildcard may stand for nothing; two never stand side by side, so one step is enough.
            state |= (state & wild) << 1
            if not state:
                return False
        return bool(state & self._end)


def _squeezed(text: str) -> str:
    """Runs of wildcards say no more than one: `*` if the run holds one, else `%`."""
    kept: list[str] = []
    for character in text:
        if kept and character in "*%" and kept[-1] in "*%":
            if character == "*":
                kept[-1] = "*"
        else:
            kept.append(character)
    return "".join(kept)


def rows(command: ListExtended, folders: Iterable[Folder]) -> list[Row]:
    """What LIST answers, `folders` being every folder and every subscribed name of the mailbox."""
    if not command.extended and command.patterns == ("",):
        return [Row("", (r"\Noselect",), selectable=False)]  # RFC 3501 §6.3.8: asks for the delimiter.
    known = {folder.name: folder for folder in folders}
    parents = {parent for folder in known.values() if folder.exists for parent in _parents(folder.name)}
    for parent in parents:
        known.setdefault(parent, Folder(parent, exists=False))
    # RFC 9051 §6.3.9: in the extended syntax an empty pattern is ignored.
    patterns = [Pattern(command.reference + pattern) for pattern in command.patterns if pattern]
    matching = {name for name in known if any(pattern.matches(name) for pattern in patterns)}
    selected = {name for name in known if _selected(known[name], command.selection)}
    if not command.extended or (
        not command.selection and any(pattern.endswith("%") for pattern in command.patterns)
    ):
        # RFC 3501 §6.3.8: a level of hierarchy shows, folder or not, and with "*" too (the example of
        # §6.3.4); RFC 5258 §3: who speaks the extension hears of what exists, or asks otherwise.
        selected |= parents
    with_child: set[str] = set()
    if Selection.RECURSIVEMATCH in command.selection:
        # RFC 5258 §3.5: a parent speaks for the selected descendants that the pattern leaves out.
        with_child = {parent for name in selected - matching for parent in _parents(name)}
    return [
        _row(known[name], command, has_children=name in parents, child_subscribed=name in with_child)
        for name in sorted(matching & (selected | with_child), key=_inbox_first)
    ]


def row_of(name: str, folders: Iterable[Folder], *, old_name: str | None = None) -> Row | None:
    """What LIST answers of one folder, which a pattern might not name alone: with its attributes, as SELECT
    and RENAME tell it (RFC 9051 §6.3.2, §6.3.6). None when there is no such folder."""
    every = {folder.name: folder for folder in folders if folder.exists}
    if name not in every:
        return None
    below = any(other.startswith(name + DELIMITER) for other in every)
    row = _row(every[name], ListExtended("", (name,)), has_children=below, child_subscribed=False)
    return replace(row, old_name=old_name)


def lsub_rows(reference: str, pattern: str, folders: Iterable[Folder]) -> list[Row]:
    """What LSUB answers: subscribed names, as \\Noselect those that do not exist and, with `%`, the
    unsubscribed parents of subscribed names (RFC 3501 §6.3.9)."""
    subscribed = {folder.name: folder for folder in folders if folder.subscribed}
    compiled = Pattern(reference + pattern)
    found = {
        name: Row(name, () if folder.exists else (r"\Noselect",), selectable=folder.exists)
        for name, folder in subscribed.items()
        if compiled.matches(name)
    }
    if pattern.endswith("%"):
        for name in subscribed:
            for parent in _parents(name):
                if parent not in subscribed and compiled.matches(parent):
                    found[parent] = Row(parent, (r"\Noselect",), selectable=False)
    return [found[name] for name in sorted(found, key=_inbox_first)]


def _inbox_first(name: str) -> tuple[bool, str]:
    return name != INBOX, name


def _parents(name: str) -> Sequence[str]:
    components = name.split(DELIMITER)
    return [DELIMITER.join(components[:count]) for count in range(1, len(components))]


def _selected(folder: Folder, selection: frozenset[Selection]) -> bool:
    if Selection.SUBSCRIBED in selection:
        if not folder.subscribed:
            return False
    elif not folder.exists:
        return False
    return Selection.SPECIAL_USE not in selection or folder.use in _USE_ATTRIBUTES


def _row(folder: Folder, command: ListExtended, *, has_children: bool, child_subscribed: bool) -> Row:
    asked: frozenset[str] = command.returns | command.selection
    attributes = []
    if not folder.exists:
        attributes.append(r"\NonExistent" if command.extended else r"\Noselect")
    if folder.subscribed and Return.SUBSCRIBED in asked:
        attributes.append(r"\Subscribed")
    if Return.CHILDREN in asked or not command.extended:
        attributes.append(r"\HasChildren" if has_children else r"\HasNoChildren")
    if folder.use in _USE_ATTRIBUTES and (Return.SPECIAL_USE in asked or not command.extended):
        attributes.append(_USE_ATTRIBUTES[folder.use])
    return Row(folder.name, tuple(attributes), folder.exists, child_subscribed)
