"""Keeping an open mailbox's index filled behind the session that opened it.

Invariants: it works only while the session's client asks for nothing, and at most half of that time; it ends
with the session, whose keys it uses; trouble of the store leaves it for the next change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from mssante.mailbox.index.search_index import Index
from mssante.mailbox.opening import OpenMailbox
from mssante.observe.events import crashed, report
from mssante.reasons import Declined

_SETTLE_SECONDS = 5.0  # after a change: more may come


class Rest:
    """Whether a session's client asks for nothing, and since when."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    @contextmanager
    def begun(self) -> Iterator[None]:
        """While the context lasts, the client is waited for."""
        self._since = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._since = None

    async def lasted(self) -> None:
        """Returns once the client has asked for nothing for `seconds`."""
        while True:
            rested = 0.0
            if self._since is not None:
                rested = asyncio.get_running_loop().time() - self._since
            if rested >= self._seconds:
                return
            await asyncio.sleep(self._seconds - rested)


async def tend(mailbox: OpenMailbox, index: Index, rest: Callable[[], Awaitable[None]]) -> None:
    """Until cancelled. `rest` returns when the client has asked for nothing for a moment."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def pause() -> None:
        """Before each piece of work: as long as the last one took."""
        nonlocal began
        await asyncio.sleep(loop.time() - began)
        await rest()
        began = loop.time()

    with mailbox.store.subscribe(mailbox.id) as changed:
        while True:
            await rest()
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
            await asyncio.sleep(_SETTLE_SECONDS)
