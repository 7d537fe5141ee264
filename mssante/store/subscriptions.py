"""Subscribed names that are no folder's (any more): RFC 3501 §6.3.9 lets only the client take them away.

Invariants: a name is a folder's or lies here, never both; at most FOLDERS_MAX lie here, later ones are
not kept.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from mssante.limits import FOLDERS_MAX
from mssante.model import MailboxId

_NAMES = text("SELECT name_ct FROM subscription WHERE mailbox_id = :mailbox ORDER BY name_tag")
_COUNT = text("SELECT count(*) FROM subscription WHERE mailbox_id = :mailbox")
_KEEP = text(
    "INSERT INTO subscription (mailbox_id, name_tag, name_ct) VALUES (:mailbox, :tag, :ct)"
    " ON CONFLICT DO NOTHING"
)
_TAKE = text("DELETE FROM subscription WHERE mailbox_id = :mailbox AND name_tag = :tag")


def names(connection: Connection, mailbox: MailboxId) -> list[bytes]:
    """The names, sealed."""
    return list(connection.execute(_NAMES, {"mailbox": mailbox}).scalars())


def keep(connection: Connection, mailbox: MailboxId, tag: bytes, ct: bytes) -> None:
    """Its folder is gone, the subscription stays."""
    if connection.execute(_COUNT, {"mailbox": mailbox}).scalar_one() < FOLDERS_MAX:
        connection.execute(_KEEP, {"mailbox": mailbox, "tag": tag, "ct": ct})


def take(connection: Connection, mailbox: MailboxId, tag: bytes) -> bool:
    """Takes a name away: a folder has it now, or the client unsubscribed. Whether it was there."""
    return connection.execute(_TAKE, {"mailbox": mailbox, "tag": tag}).rowcount > 0
