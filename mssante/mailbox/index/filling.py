"""Filling an open mailbox's index behind the session that opened it.

Indexing needs the keys of somebody who may read the mailbox, so it happens during a session, in the time that
the client does not need: it begins when the client has asked for nothing for a while, and it works for at
most half of that time.

Invariants: it ends with the session, because it uses the session's keys; after trouble with the store it
waits for the next change of the mailbox, then tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from mssante.limits import INDEX_SETTLE_SECONDS
from mssante.mailbox.index.search_index import Index
from mssante.mailbox.opening import OpenMailbox
from mssante.observe.event import report
from mssante.observe.events import crashed
from mssante.reasons import Declined


class Silence:
    """The time in which a session's client asks for nothing. A silence shorter than `seconds` is not used."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None

    @contextmanager
    def begun(self) -> Iterator[None]:
        """The silence lasts as long as the context, in which the session waits for its client."""
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
        """Before each piece of work: rests as long as the last piece took, then waits for silence."""
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
            await changed.wait()
            await asyncio.sleep(INDEX_SETTLE_SECONDS)
