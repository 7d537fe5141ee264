"""The chain of hashes in a mailbox's journal: what the hash of a line covers, and whether a line is genuine.

Each line holds a hash of its own fields and of the hash before it. Whoever changes or removes a line breaks
every hash after it, and the last one stands in the mailbox's row.

Invariants: the hash covers every field of the line; the way to compute it never changes, because lines that
are stored must verify for ever. Nothing is read or written here: `journal` reads lines and `ledger` writes
them.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from mssante.model import FolderId, MailboxId, MessageId, Uid
from mssante.store.records import JournalEntry

START = bytes(32)  # the head of an empty journal
_LABEL = b"mssop/v1/journal\0"
_FIXED = struct.Struct(">16sQqqqHHI")
_ABSENT = -1


class ChainBroken(Exception):
    """A journal line is not what was once written, or a line before it is missing."""


def link(
    before: bytes,
    *,
    mailbox: MailboxId,
    n: int,
    at: int,
    kind: str,
    message_id: MessageId | None,
    folder_id: FolderId | None,
    uid: Uid | None,
    detail: str,
) -> JournalEntry:
    """Makes the line that follows the hash `before`. Its format must never change (see the top)."""
    kind_octets, detail_octets, message = kind.encode(), detail.encode(), message_id or b""
    content = (
        _FIXED.pack(
            mailbox,
            n,
            at,
            _ABSENT if folder_id is None else folder_id,
            _ABSENT if uid is None else uid,
            len(kind_octets),
            len(message),
            len(detail_octets),
        )
        + kind_octets
        + message
        + detail_octets
    )
    return JournalEntry(
        mailbox=mailbox,
        n=n,
        at=at,
        kind=kind,
        message_id=message_id,
        folder_id=folder_id,
        uid=uid,
        detail=detail,
        hash=hashlib.sha256(_LABEL + before + content).digest(),
    )


def check_link(before: bytes, entry: JournalEntry) -> None:
    """Raises ChainBroken unless `entry` is the line that was written after the hash `before`."""
    again = link(
        before,
        mailbox=entry.mailbox,
        n=entry.n,
        at=entry.at,
        kind=entry.kind,
        message_id=entry.message_id,
        folder_id=entry.folder_id,
        uid=entry.uid,
        detail=entry.detail,
    )
    if not hmac.compare_digest(again.hash, entry.hash):
        raise ChainBroken
