"""Room in mailboxes that is promised to messages still coming in, so that many at once cannot outgrow a quota
that each alone would keep (catalogue I7). Of this process; the transaction that keeps them is the
last word, over all.
"""

from __future__ import annotations

from collections import Counter

from mssante.model import MailboxId


class QuotaPromises:
    """KiB promised, by mailbox."""

    def __init__(self) -> None:
        self._promised: Counter[MailboxId] = Counter()

    def promised(self, mailbox: MailboxId) -> int:
        return self._promised[mailbox]

    def promise(self, mailbox: MailboxId, kib: int) -> Promise:
        """Free it when the message is kept, or given up."""
        self._promised[mailbox] += kib
        return Promise(self._promised, mailbox, kib)


class Promise:
    """What one message was promised."""

    def __init__(self, promised: Counter[MailboxId], mailbox: MailboxId, kib: int) -> None:
        self._promised = promised
        self._mailbox = mailbox
        self._kib = kib

    def free(self) -> None:
        """Once or more."""
        self._promised[self._mailbox] -= self._kib
        self._kib = 0
        if not self._promised[self._mailbox]:
            del self._promised[self._mailbox]
