"""Threads in which mail is searched and indexed, shared by all the searches of a port.

Invariants: these threads do nothing else, so checking a peer or opening keys never waits behind a search; no
more than IMAP_CONTENTS_SEARCHED_AT_ONCE messages or batches are looked through at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from mssante.limits import IMAP_CONTENTS_SEARCHED_AT_ONCE
from mssante.mailbox.index.budget import Budget
from mssante.model import MailboxId

P = ParamSpec("P")
T = TypeVar("T")


class SearchThreads:
    """The threads of one port: made and closed together with it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(IMAP_CONTENTS_SEARCHED_AT_ONCE, thread_name_prefix="search")
        self._filling: WeakValueDictionary[MailboxId, asyncio.Lock] = WeakValueDictionary()
        self._turns = asyncio.Semaphore(IMAP_CONTENTS_SEARCHED_AT_ONCE)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` in one of the threads; returns or raises what it does."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args, **kwargs))

    @asynccontextmanager
    async def turn(self, budget: Budget) -> AsyncIterator[None]:
        """Held while contents are in memory to be searched. Waiting for it does not count in `budget`."""
        with budget.apart():
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    def filling(self, mailbox: MailboxId) -> asyncio.Lock:
        """The lock that is held while the index of a mailbox is being filled."""
        return self._filling.setdefault(mailbox, asyncio.Lock())

    def close(self) -> None:
        """Does not wait for what is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)
