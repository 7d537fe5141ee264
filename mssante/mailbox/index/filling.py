"""Filling an open mailbox's index behind the session that opened it.

Only who reads a mailbox can index it, so this is done in the time that its client leaves: once the client has
been silent for a while, and of that time at most half. Invariants: it ends with the session, whose keys it
uses; when the store gives trouble, the next change of the mailbox is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from mssante.limits import INDEX_SETTLE_SECONDS
from mssante.mailbox.index.search_index import Index
from mssante.mailbox.opening import OpenMailbox
from mssante.observe.events import crashed, report
from mssante.reasons import Declined


class Silence:
    """The time in which a session's client asks for nothing; of less than `seconds` nothing is made."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    @contextmanager
    def begun(self) -> Iterator[None]:
        """It lasts while the context does: the client is waited for."""
        self._since = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._since = None

    async def lasted(self) -> None:
        """Returns when it has lasted for `seconds`."""
        while True:
            silent = 0.0
            if self._since is not None:
                silent = asyncio.get_running_loop().time() - self._since
            if silent >= self._seconds:
                return
            await asyncio.sleep(self._seconds - silent)


async def keep_filled(mailbox: OpenMailbox, index: Index, silence: Callable[[], Awaitable[None]]) -> None:
    """Indexes what the index lacks, now and after every change, until cancelled. `silence` returns when the
    client has asked for nothing for a while."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def pause() -> None:
        """Before each piece of work: as long as the last one took."""
        nonlocal began
        await asyncio.sleep(loop.time() - began)
        await silence()
        began = loop.time()

    with mailbox.store.subscribe(mailbox.id) as changed:
        while True:
            await silence()
            began = loop.time()
            try:
                if await index.lacks():
                    folders = await mailbox.store.folders.all(mailbox.id)
                    await index.fill([folder.id for folder in folders], pause)
            except Declined:
                pass  # the store does not answer, or the access has ended
            except Exception as bug:
                report(crashed("search index", bug))
                return
            await changed.wait()
            await asyncio.sleep(INDEX_SETTLE_SECONDS)
