"""A mailbox, as the store takes and returns it."""

from __future__ import annotations

from dataclasses import dataclass

from mssante.crypto import MailboxIdentity
from mssante.model import Address, MailboxId, MailboxKind, MailboxStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRow:
    """A BAL. With `address` None it is the queue's mailbox, to which nobody can write. `quota_kib` None means
    no quota. Of `created_at` only the day is kept."""

    id: MailboxId
    address: Address | None
    kind: MailboxKind
    created_at: int
    quota_kib: int | None
    status: MailboxStatus = MailboxStatus.ACTIVE
    used_kib: int = 0
    modseq: int = 0

    @property
    def identity(self) -> MailboxIdentity:
        """What the broker signs of it, besides its key."""
        return MailboxIdentity(mailbox=self.id, address=self.address, kind=self.kind)
