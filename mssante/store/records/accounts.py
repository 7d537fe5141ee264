"""A mailbox, as the store takes and returns it."""

from __future__ import annotations

from dataclasses import dataclass

from mssante import limits
from mssante.crypto import MailboxIdentity
from mssante.limits import KIB
from mssante.model import Address, MailboxId, MailboxKind, MailboxStatus


def kib_of_places(places: int) -> int:
    """What so many places count in a quota, beside the sizes of the messages."""
    return places * limits.PLACE_OCTETS // KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxRow:
    """A BAL. With `address` None it is the queue's mailbox, to which nobody can write. `quota_kib` None means
    no quota. `used_kib` is what counts against it: the messages, and their places in folders. Of
    `created_at` only the day is kept."""

    id: MailboxId
    address: Address | None
    kind: MailboxKind
    created_at: int
    quota_kib: int | None
    status: MailboxStatus = MailboxStatus.ACTIVE
    used_kib: int = 0
    places: int = 0
    modseq: int = 0

    @property
    def identity(self) -> MailboxIdentity:
        """What the broker signs of it, besides its key."""
        return MailboxIdentity(mailbox=self.id, address=self.address, kind=self.kind)

    def has_room(self, kib: int, *, promised_kib: int = 0) -> bool:
        """Whether a message of this size would be kept beside what is `promised_kib` to others."""
        within_quota = self.quota_kib is None or self.used_kib + promised_kib + kib <= self.quota_kib
        return within_quota and self.places < limits.PLACES_MAX
