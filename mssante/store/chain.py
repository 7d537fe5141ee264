"""The chain of hashes of a mailbox's journal: what a line's hash covers, and whether a line is genuine.

Invariants: a line's hash covers every field of it and the hash before; how it is computed is frozen,
because what is stored must verify for ever. Pure: the lines themselves are read and written in `journal`
and `ledger`.
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
    """A journal line is not what was written, or one is missing."""


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
    """The line that follows the hash `before`. Frozen: what is stored must verify for ever."""
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
    """Raises ChainBroken unless `entry` is what was written after `before`."""
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
