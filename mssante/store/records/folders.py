"""Folders, their names and keywords, and what changed in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mssante.model import FolderId, MailboxId, ModSeq, SpecialUse, Uid
from mssante.store.records.messages import FlagsRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder without a sealed name is called after its `role`. Messages above `recent_uid` are recent: no
    session that may write has been told of them (RFC 3501 §2.3.2)."""

    id: FolderId
    mailbox: MailboxId
    role: SpecialUse | None
    name_tag: bytes | None
    name_ct: bytes | None
    uidvalidity: int
    uidnext: Uid
    subscribed: bool
    modseq: ModSeq
    recent_uid: Uid


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderName:
    """A sealed name for a folder. `tag` is the mailbox's keyed hash of it, equal for equal names. `former` is
    the tag and ciphertext of the name it had, which stays subscribed if it was."""

    folder: FolderId
    tag: bytes
    ct: bytes
    former: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class Keyword:
    """An IMAP keyword of a mailbox, with its name sealed. Its flag is bit 8 + `number`."""

    number: int
    name_ct: bytes


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a folder after a modseq: `present` are the messages that are new or changed,
    `expunged` the UIDs that are gone, both in ascending UID. `recent_uid` is as in Folder."""

    present: FlagsRows
    expunged: Sequence[int]
    modseq: ModSeq
    recent_uid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderCounts:
    """What STATUS tells of a folder (RFC 3501 §6.3.10, RFC 8438)."""

    messages: int
    unseen: int
    deleted: int
    uidnext: Uid
    uidvalidity: int
    modseq: ModSeq
    size_kib: int
    deleted_kib: int
    recent: int
