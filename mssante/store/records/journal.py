"""Lines of a mailbox's journal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mssante.model import FolderId, MailboxId, MessageId, Uid


class JournalKind(StrEnum):
    """What a mailbox's journal tells (project format)."""

    CREATED = "created"  # the mailbox
    STATUS = "status"
    KEY = "key"  # a new epoch
    ACCEPTED = "accepted"  # a message, before its 250
    QUEUED = "queued"  # a message to be sent on
    COPIED = "copied"
    COPY_UNDONE = "copy_undone"  # what an unfinished COPY had placed was taken back
    MOVED = "moved"
    EXPUNGED = "expunged"  # a placement; the message still lies elsewhere
    SHREDDED = "shredded"  # the last placement, and with it DEK, metadata and content
    OUTCOME = "outcome"  # of a queued recipient
    FOLDER_CREATED = "folder_created"
    FOLDER_RENAMED = "folder_renamed"
    FOLDER_DELETED = "folder_deleted"


class JournalEntry(NamedTuple):
    """One line of a mailbox's journal, with the columns of its row. `hash` covers it and all lines before.
    `at` is the first second of its day, and `detail` is sealed under the data key `key_id` (crypto.audit).
    Where that is None, an earlier version left both in clear."""

    mailbox: MailboxId
    n: int
    at: int
    kind: str
    message_id: MessageId | None
    folder_id: FolderId | None
    uid: Uid | None
    key_id: int | None
    detail: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class JournalMark:
    """The number and hash of the last line of a journal at some time. Kept elsewhere, it reveals that an
    older database was put back later."""

    n: int
    hash: bytes
