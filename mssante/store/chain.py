"""The chain of hashes in a mailbox's journal: what the hash of a line covers, and whether a line is genuine.

Each line holds a hash of its own fields and of the hash before it. Whoever changes or removes a line breaks
every hash after it, and the last one stands in the mailbox's row.

Invariants: the hash covers every field of the line; the ways to compute it never change, because lines that
are stored must verify for ever. Of what is sealed the hash covers a digest, so that a chain is checked
without the audit key, and would still hold where retention puts the digest in the place of the text. Lines of
before have a hash of their clear text: once they are sealed, only the audit key can check it. Nothing is
read or written here: `journal` reads lines and `ledger` writes them.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from mssante.crypto import LineForm, LineText
from mssante.model import FolderId, MailboxId, MessageId, Uid
from mssante.store.records import JournalEntry

START = bytes(32)  # the head of an empty journal
_LABEL_OF_CLEAR, _LABEL = b"mssop/v1/journal\0", b"mssop/v2/journal\0"
_FIXED = struct.Struct(">16sQqqqHHI")
_KEY = struct.Struct(">Q")
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
    key_id: int,
    detail: bytes,
) -> JournalEntry:
    """Makes the line that follows the hash `before`; `detail` is sealed. Its format must never change (see
    the top)."""
    told = _KEY.pack(key_id) + hashlib.sha256(detail).digest()
    hash_ = _hash(_LABEL, before, (mailbox, n, at, kind, message_id, folder_id, uid), told)
    return JournalEntry(mailbox, n, at, kind, message_id, folder_id, uid, key_id, detail, hash_)


def check_link(before: bytes, entry: JournalEntry, text: LineText | None) -> None:
    """Raises ChainBroken unless `entry` is the line that was written after the hash `before`. `text` is what
    is sealed of it, None without the audit key: a line that was sealed later is then taken as it is."""
    mailbox, n, at, kind, message_id, folder_id, uid, key_id, detail, stored = entry
    fields = mailbox, n, at, kind, message_id, folder_id, uid
    if key_id is None:
        again = _hash(_LABEL_OF_CLEAR, before, fields, detail)
    elif not is_of_before(entry):
        again = _hash(_LABEL, before, fields, _KEY.pack(key_id) + hashlib.sha256(detail).digest())
    elif text is not None:
        fields = mailbox, n, text.at, kind, message_id, folder_id, uid
        again = _hash(_LABEL_OF_CLEAR, before, fields, text.detail.encode())
    else:
        return
    if not hmac.compare_digest(again, stored):
        raise ChainBroken


def is_of_before(entry: JournalEntry) -> bool:
    """Whether a line was written in clear, by an earlier version. None may stand behind one that was not."""
    return entry.key_id is None or entry.detail[:1] != bytes((LineForm.SEALED,))


def _hash(
    label: bytes,
    before: bytes,
    fields: tuple[MailboxId, int, int, str, MessageId | None, FolderId | None, Uid | None],
    told: bytes,
) -> bytes:
    mailbox, n, at, kind, message_id, folder_id, uid = fields
    kind_octets, message = kind.encode(), message_id or b""
    fixed = _FIXED.pack(
        mailbox,
        n,
        at,
        _ABSENT if folder_id is None else folder_id,
        _ABSENT if uid is None else uid,
        len(kind_octets),
        len(message),
        len(told),
    )
    return hashlib.sha256(label + before + fixed + kind_octets + message + told).digest()
