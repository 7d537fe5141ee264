"""Quota room that is promised to messages still coming in.

Without it, many messages at once could each find room in a quota that they exceed together (catalogue I7).
Invariants: promises are known to this process only; the transaction that keeps the messages decides in the
end, for all processes.
"""

from __future__ import annotations

from collections import Counter

from mssante.model import MailboxId


class QuotaPromises:
    """How many KiB are promised in each mailbox."""

    def __init__(self) -> None:
        self._promised: Counter[MailboxId] = Counter()

    def promised(self, mailbox: MailboxId) -> int:
        return self._promised[mailbox]

    def promise(self, mailbox: MailboxId, kib: int) -> Promise:
        """Promises room to one message. Call `free` when the message is kept or given up."""
        self._promised[mailbox] += kib
        return Promise(self._promised, mailbox, kib)


class Promise:
    """The room that one message was promised."""

    def __init__(self, promised: Counter[MailboxId], mailbox: MailboxId, kib: int) -> None:
        self._promised = promised
        self._mailbox = mailbox
        self._kib = kib

    def free(self) -> None:
        """Ends the promise. May be called several times."""
        self._promised[self._mailbox] -= self._kib
        self._kib = 0
        if not self._promised[self._mailbox]:
            del self._promised[self._mailbox]
