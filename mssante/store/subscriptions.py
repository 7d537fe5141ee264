"""Subscribed names that are no folder's (any more): RFC 3501 §6.3.9 lets only the client take them away.

Invariants: a name belongs to a folder or is kept here, never both; at most FOLDERS_MAX names are kept here,
and later ones are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, select

from mssante.limits import FOLDERS_MAX
from mssante.model import MailboxId
from mssante.store import tables
from mssante.store.statements import insert_unless_there

_s = tables.subscription.c
_NAMES = select(_s.name_ct).where(_s.mailbox_id == bindparam("mailbox")).order_by(_s.name_tag)
_TAGS = select(_s.name_tag).where(_s.mailbox_id == bindparam("mailbox"))
_COUNT = select(func.count()).where(_s.mailbox_id == bindparam("mailbox"))
_TAKE = delete(tables.subscription).where(
    _s.mailbox_id == bindparam("mailbox"), _s.name_tag == bindparam("tag")
)


def names(connection: Connection, mailbox: MailboxId) -> list[bytes]:
    """The names, sealed."""
    return list(connection.execute(_NAMES, {"mailbox": mailbox}).scalars())


def tags(connection: Connection, mailbox: MailboxId) -> set[bytes]:
    """The tags of the names."""
    return set(connection.execute(_TAGS, {"mailbox": mailbox}).scalars())


def keep(connection: Connection, mailbox: MailboxId, names: Sequence[tuple[bytes, bytes]]) -> None:
    """Keeps the subscription of names whose folder is gone, given as tag and ciphertext."""
    if names:
        room = max(0, FOLDERS_MAX - connection.execute(_COUNT, {"mailbox": mailbox}).scalar_one())
        rows = [{"mailbox_id": mailbox, "name_tag": tag, "name_ct": ct} for tag, ct in names[:room]]
        if rows:
            connection.execute(insert_unless_there(connection, tables.subscription), rows)


def take(connection: Connection, mailbox: MailboxId, tag: bytes) -> bool:
    """Removes a name, because a folder has it now or the client unsubscribed. Returns whether it was here."""
    return connection.execute(_TAKE, {"mailbox": mailbox, "tag": tag}).rowcount > 0
