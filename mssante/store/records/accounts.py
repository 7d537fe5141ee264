"""A mailbox, as the store takes and gives it."""

from __future__ import annotations

from dataclasses import dataclass

from mssante.model import Address, MailboxId, MailboxKind, MailboxStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRow:
    """A BAL. `address` None is the queue's mailbox: nobody can write to it. `quota_kib` None: no bound."""

    id: MailboxId
    address: Address | None
    kind: MailboxKind
    created_at: int
    quota_kib: int | None
    status: MailboxStatus = MailboxStatus.ACTIVE
    used_kib: int = 0
    modseq: int = 0
