"""Waiting for a turn at what only so many may do at once.

Invariants: the wait ends, with the turn or with a refusal; who leaves gives the turn back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mssante.limits import IMAP_HEAVY_WAIT_SECONDS_MAX
from mssante.reasons import Passing, Reason


@asynccontextmanager
async def turn(of: asyncio.Semaphore | asyncio.Lock, busy: str) -> AsyncIterator[None]:
    """Held while the context lasts. Raises Passing(LIMIT_REACHED), `busy` its detail, when none comes within
    IMAP_HEAVY_WAIT_SECONDS_MAX."""
    try:
        async with asyncio.timeout(IMAP_HEAVY_WAIT_SECONDS_MAX):
            await of.acquire()
    except TimeoutError:
        raise Passing(Reason.LIMIT_REACHED, busy) from None
    try:
        yield
    finally:
        of.release()
