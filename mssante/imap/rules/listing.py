"""LIST and LSUB (RFC 3501 §6.3.8, RFC 5258, RFC 5819, RFC 6154): which folders, with which attributes.

Invariants: matching a pattern takes time linear in the length of the names, whatever its wildcards; a folder
is listed once; rows come in the order of the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mssante.imap.grammar.folder_names import canonical
from mssante.imap.grammar.listing import (
    USE_ATTRIBUTES,
    ListedFolder,
    ListExtended,
    ListReturn,
    ListRow,
    Selection,
)
from mssante.model import DELIMITER, INBOX


class Pattern:
    """A LIST pattern: `*` stands for anything, `%` for anything but the delimiter; INBOX matches in any case.

    The pattern is matched without going back. One bit of an integer stands for each place in the pattern
    that the characters read so far may have led to, and each further character moves all these bits at once.
    So the time is the name's length times a constant, never exponential in the number of wildcards."""

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
            # A wildcard may stand for nothing, so each may also be skipped. One step is enough for that,
            # because `_squeezed` leaves no two wildcards side by side.
            state |= (state & wild) << 1
            if not state:
                return False
        return bool(state & self._end)


def _squeezed(text: str) -> str:
    """Several wildcards in a row mean the same as a single one: `*` if one of them is `*`, else `%`."""
    kept: list[str] = []
    for character in text:
        if kept and character in "*%" and kept[-1] in "*%":
            if character == "*":
                kept[-1] = "*"
        else:
            kept.append(character)
    return "".join(kept)


def rows(command: ListExtended, folders: Iterable[ListedFolder]) -> list[ListRow]:
    """What LIST answers, `folders` being every folder and every subscribed name of the mailbox."""
    if not command.extended and command.patterns == ("",):
        return [ListRow("", (r"\Noselect",), selectable=False)]  # RFC 3501 §6.3.8: asks for the delimiter.
    known = {folder.name: folder for folder in folders}
    parents = {parent for folder in known.values() if folder.exists for parent in _parents(folder.name)}
    for parent in parents:
        known.setdefault(parent, ListedFolder(parent, exists=False))
    # RFC 9051 §6.3.9: in the extended syntax an empty pattern is ignored.
    patterns = [Pattern(command.reference + pattern) for pattern in command.patterns if pattern]
    matching = {name for name in known if any(pattern.matches(name) for pattern in patterns)}
    selected = {name for name in known if _selected(known[name], command.selection)}
    if not command.extended or (
        not command.selection and any(pattern.endswith("%") for pattern in command.patterns)
    ):
        # RFC 3501 §6.3.8: a level of hierarchy is listed even if it is no folder itself, and with "*" too
        # (the example of §6.3.4). RFC 5258 §3: a client that uses the extended syntax is told only of folders
        # that exist, unless it asks for more.
        selected |= parents
    with_child: set[str] = set()
    if Selection.RECURSIVEMATCH in command.selection:
        # RFC 5258 §3.5: a parent is listed on behalf of selected descendants that the pattern does not match.
        with_child = {parent for name in selected - matching for parent in _parents(name)}
    return [
        _row(known[name], command, has_children=name in parents, child_subscribed=name in with_child)
        for name in sorted(matching & (selected | with_child), key=_inbox_first)
    ]


def row_of(name: str, folders: Iterable[ListedFolder], *, old_name: str | None = None) -> ListRow | None:
    """The LIST row of one folder with its attributes, as SELECT and RENAME tell it (RFC 9051 §6.3.2, §6.3.6).
    The name is taken as it is, not as a pattern: it may hold wildcards. None when there is no such folder."""
    every = {folder.name: folder for folder in folders if folder.exists}
    if name not in every:
        return None
    below = any(other.startswith(name + DELIMITER) for other in every)
    row = _row(every[name], ListExtended("", (name,)), has_children=below, child_subscribed=False)
    return replace(row, old_name=old_name)


def lsub_rows(reference: str, pattern: str, folders: Iterable[ListedFolder]) -> list[ListRow]:
    """What LSUB answers: the subscribed names and, for a pattern that ends in `%`, the unsubscribed parents
    of subscribed names. Those parents, and names that do not exist, are \\Noselect (RFC 3501 §6.3.9)."""
    subscribed = {folder.name: folder for folder in folders if folder.subscribed}
    compiled = Pattern(reference + pattern)
    found = {
        name: ListRow(name, () if folder.exists else (r"\Noselect",), selectable=folder.exists)
        for name, folder in subscribed.items()
        if compiled.matches(name)
    }
    if pattern.endswith("%"):
        for name in subscribed:
            for parent in _parents(name):
                if parent not in subscribed and compiled.matches(parent):
                    found[parent] = ListRow(parent, (r"\Noselect",), selectable=False)
    return [found[name] for name in sorted(found, key=_inbox_first)]


def _inbox_first(name: str) -> tuple[bool, str]:
    return name != INBOX, name


def _parents(name: str) -> Sequence[str]:
    components = name.split(DELIMITER)
    return [DELIMITER.join(components[:count]) for count in range(1, len(components))]


def _selected(folder: ListedFolder, selection: frozenset[Selection]) -> bool:
    if Selection.SUBSCRIBED in selection:
        if not folder.subscribed:
            return False
    elif not folder.exists:
        return False
    return Selection.SPECIAL_USE not in selection or folder.use in USE_ATTRIBUTES


def _row(
    folder: ListedFolder, command: ListExtended, *, has_children: bool, child_subscribed: bool
) -> ListRow:
    asked: frozenset[str] = command.returns | command.selection
    attributes = []
    if not folder.exists:
        attributes.append(r"\NonExistent" if command.extended else r"\Noselect")
    if folder.subscribed and ListReturn.SUBSCRIBED in asked:
        attributes.append(r"\Subscribed")
    if ListReturn.CHILDREN in asked or not command.extended:
        attributes.append(r"\HasChildren" if has_children else r"\HasNoChildren")
    if folder.use in USE_ATTRIBUTES and (ListReturn.SPECIAL_USE in asked or not command.extended):
        attributes.append(USE_ATTRIBUTES[folder.use])
    return ListRow(folder.name, tuple(attributes), folder.exists, child_subscribed)
