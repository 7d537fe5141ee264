"""Waiting for a turn at work that only a few may do at once.

Invariants: every wait ends, with a turn or with a refusal; a turn is given back when its context ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mssante.limits import IMAP_HEAVY_WAIT_SECONDS_MAX
from mssante.reasons import Passing, Reason


@asynccontextmanager
async def turn(of: asyncio.Semaphore | asyncio.Lock, busy: str) -> AsyncIterator[None]:
    """A turn, held while the context lasts. When none comes within IMAP_HEAVY_WAIT_SECONDS_MAX, raises
    Passing(LIMIT_REACHED) with `busy` as its detail."""
    try:
        async with asyncio.timeout(IMAP_HEAVY_WAIT_SECONDS_MAX):
            await of.acquire()
    except TimeoutError:
        raise Passing(Reason.LIMIT_REACHED, busy) from None
    try:
        yield
    finally:
        of.release()
