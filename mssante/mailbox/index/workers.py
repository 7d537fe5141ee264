"""Threads in which mail is searched and indexed, shared by all the searches of a port.

Invariants: these threads do nothing else, so checking a peer or opening keys never waits behind a search; no
more than IMAP_CONTENTS_SEARCHED_AT_ONCE messages or batches are looked through at a time, and only one of
them is large; what is under way ends soon after the port does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, nullcontext
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from mssante.limits import IMAP_CONTENTS_SEARCHED_AT_ONCE, SEARCH_LARGE_OCTETS_MIN
from mssante.model import MailboxId
from mssante.reasons import Passing, Reason

P = ParamSpec("P")
T = TypeVar("T")


class SearchThreads:
    """The threads of one port: made and closed together with it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(IMAP_CONTENTS_SEARCHED_AT_ONCE, thread_name_prefix="search")
        self._filling: WeakValueDictionary[MailboxId, asyncio.Lock] = WeakValueDictionary()
        self._turns = asyncio.Semaphore(IMAP_CONTENTS_SEARCHED_AT_ONCE)
        self._large = asyncio.Lock()
        self._closed = False

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` in one of the threads; returns or raises what it does."""
        self.require_open()
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args, **kwargs))

    @asynccontextmanager
    async def turn(self, octets: int = 0) -> AsyncIterator[None]:
        """Held while contents are in memory to be searched: a batch of small ones, or one of `octets`. Of
        large ones only one is in memory at a time, because looking through it costs several times its
        size."""
        async with self._large if octets > SEARCH_LARGE_OCTETS_MIN else nullcontext(), self._turns:
            yield

    def filling(self, mailbox: MailboxId) -> asyncio.Lock:
        """The lock that is held while the index of a mailbox is being filled."""
        return self._filling.setdefault(mailbox, asyncio.Lock())

    def require_open(self) -> None:
        """Called often by the work under way. Raises Passing(SHUTTING_DOWN) once the threads are closed."""
        if self._closed:
            raise Passing(Reason.SHUTTING_DOWN)

    def close(self) -> None:
        """Does not wait for what is under way."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
