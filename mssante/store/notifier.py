"""Telling sessions that their mailbox changed: those of this process, and on PostgreSQL those of other hosts.

A notification only says that there may be news; the session then asks the store what they are. Invariants:
sessions are told only after the commit; a change between two `wait`s of a subscription is not lost; a
subscriber may be woken although nothing changed. When the connection that listens was broken and is back,
everybody is woken, because something may have been missed.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mssante.database import Database
from mssante.limits import DATABASE_BUSY_SECONDS, LISTEN_AGAIN_SECONDS
from mssante.model import MailboxId
from mssante.observe.event import report
from mssante.observe.events import StorageTrouble, crashed
from mssante.reasons import Passing
from mssante.store.presence import Presence
from mssante.tasks import end_task

CHANNEL = "mssante_mail"


class Subscription:
    """One reader's interest in one mailbox."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    async def wait(self) -> None:
        """Waits until the mailbox has changed since the last `wait` returned (or since subscribing)."""
        await self._changed.wait()
        self._changed.clear()

    def _wake(self) -> None:
        self._changed.set()


class Notifier:
    """Knows who waits for which mailbox. `origin` marks the notifications that this process sends to
    others."""

    def __init__(self) -> None:
        self.origin = uuid.uuid4().hex
        self._waiting: dict[MailboxId, set[Subscription]] = {}
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def subscribe(self, mailbox: MailboxId) -> Iterator[Subscription]:
        """While the context lasts, the subscription hears of every change to the mailbox."""
        subscription = Subscription()
        self._waiting.setdefault(mailbox, set()).add(subscription)
        try:
            yield subscription
        finally:
            there = self._waiting[mailbox]
            there.discard(subscription)
            if not there:
                del self._waiting[mailbox]

    def tell(self, mailboxes: Iterable[MailboxId]) -> None:
        """Wakes the subscribers of this process. Other hosts are notified by the transaction
        (Ledger.close)."""
        for mailbox in mailboxes:
            for subscription in self._waiting.get(mailbox, ()):
                subscription._wake()

    async def listen(self, database: Database, presence: Presence) -> None:
        """From now on hears the notifications of other hosts through `database`, in the session that holds
        the lock of `presence`. It waits a few seconds for the first connection; if there is none by then, a
        task goes on trying in the background."""
        ready = asyncio.Event()
        self._listening = asyncio.create_task(
            self._listen(database, presence, ready), name="mail notifications"
        )
        try:
            async with asyncio.timeout(DATABASE_BUSY_SECONDS):
                await ready.wait()
        except TimeoutError:
            pass  # the task wakes everybody when it succeeds

    async def close(self) -> None:
        if self._listening is not None:
            await end_task(self._listening)

    async def _listen(self, database: Database, presence: Presence, ready: asyncio.Event) -> None:
        while True:
            try:
                async with database.listening(CHANNEL, self._heard, holding=presence.key) as lost:
                    presence.began()
                    ready.set()
                    self.tell(tuple(self._waiting))
                    try:
                        await lost.wait()
                    finally:
                        presence.ended()
            except Passing as passing:
                report(StorageTrouble(store="mail notifications", cause=passing.detail))
            except Exception as error:
                report(crashed("mail notifications", error))
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    def _heard(self, payload: str) -> None:
        origin, _, mailbox = payload.partition(":")
        if origin != self.origin:
            try:
                self.tell([MailboxId(bytes.fromhex(mailbox))])
            except ValueError:
                return  # not a notification of this program
