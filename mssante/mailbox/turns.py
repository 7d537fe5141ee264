"""Waiting for a turn at work that only a few may do at once.

Invariants: every wait ends, with a turn, with a refusal, or when whoever it is for has gone; a turn is given
back when its context ends; turns are given in the order in which they were asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from mssante.limits import IMAP_ALIVE_SECONDS, IMAP_HEAVY_WAIT_SECONDS_MAX
from mssante.reasons import Passing, Reason

# Awaited between two steps of long work, and now and then while it waits: gives others their turn. It raises
# when nobody wants the result any more.
Rest = Callable[[], Awaitable[None]]
Turns = asyncio.Semaphore | asyncio.Lock


async def breathe() -> None:
    """Gives other conversations their turn on the event loop."""
    await asyncio.sleep(0)


class Turn:
    """A turn that is held, and may be passed on to those who wait for one."""

    def __init__(self, of: Turns) -> None:
        self._of = of
        self._held = True

    async def pass_on(self, rest: Rest) -> None:
        """Lets those who wait go first, and takes a turn again behind them."""
        self.end()
        await _acquired(self._of, rest)
        self._held = True

    def end(self) -> None:
        if self._held:
            self._held = False
            self._of.release()


@asynccontextmanager
async def turn(of: Turns, busy: str) -> AsyncIterator[Turn]:
    """A turn, held while the context lasts. When none comes within IMAP_HEAVY_WAIT_SECONDS_MAX, raises
    Passing(LIMIT_REACHED) with `busy` as its detail."""
    try:
        async with asyncio.timeout(IMAP_HEAVY_WAIT_SECONDS_MAX):
            await of.acquire()
    except TimeoutError:
        raise Passing(Reason.LIMIT_REACHED, busy) from None
    held = Turn(of)
    try:
        yield held
    finally:
        held.end()


@asynccontextmanager
async def patient_turn(of: Turns, rest: Rest) -> AsyncIterator[None]:
    """A turn, held while the context lasts, however long it takes to come: for work in short steps. `rest` is
    awaited now and then meanwhile."""
    await _acquired(of, rest)
    try:
        yield
    finally:
        of.release()


async def _acquired(of: Turns, rest: Rest) -> None:
    acquiring = asyncio.ensure_future(of.acquire())
    try:
        while not (await asyncio.wait((acquiring,), timeout=IMAP_ALIVE_SECONDS))[0]:
            await rest()
    except BaseException:
        if not acquiring.cancel() and not acquiring.cancelled():
            of.release()  # it came at the moment when nobody wanted it any more
        raise
