"""Names for the mailboxes of these tests."""

from __future__ import annotations

from mssante.crypto import MailboxIdentity
from mssante.model import Address, MailboxId, MailboxKind


def named(mailbox: MailboxId) -> MailboxIdentity:
    """A person's mailbox."""
    address = Address.parse(f"{mailbox.hex()}@a.test")
    return MailboxIdentity(mailbox=mailbox, address=address, kind=MailboxKind.PER)


def outbox(mailbox: MailboxId) -> MailboxIdentity:
    return MailboxIdentity(mailbox=mailbox, address=None, kind=MailboxKind.QUEUE)
