"""Outcomes that the database did not take at once: they are kept in memory and written until it does.

What a remote has taken must not be forgotten because our database was locked, restarted or full at that
moment, or the remote would get it again. So whoever has an outcome waits here with it. There are never more
of them than attempts under way (COURIERS_AT_ONCE, and those to our own mailboxes), because the runner begins
no attempt while anything is unwritten; those of one letter are written in the order of their attempt.

Invariant: a write is given up only after `give_up`, when the process ends, and whoever waits is told so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mssante import limits
from mssante.reasons import Passing


class Unwritten:
    """True while something could not be written yet."""

    def __init__(self) -> None:
        self._waiting = 0
        self._given_up = asyncio.Event()

    def __bool__(self) -> bool:
        return self._waiting > 0

    def begin(self) -> None:
        """From now on nothing is given up."""
        self._given_up.clear()

    def give_up(self) -> None:
        """Whatever is not written by its next try is given up, because the process ends."""
        self._given_up.set()

    async def write(self, write: Callable[[], Awaitable[object]]) -> bool:
        """Calls `write`, which may be called again after it was done, until the database takes it. Returns
        False if it was given up."""
        try:
            await write()
        except Passing:
            self._waiting += 1
        else:
            return True
        try:
            while not self._given_up.is_set():
                try:
                    async with asyncio.timeout(limits.QUEUE_OUTCOME_AGAIN_SECONDS):
                        await self._given_up.wait()
                except TimeoutError:
                    pass  # time for another try
                try:
                    await write()
                except Passing:
                    continue
                return True
            return False
        finally:
            self._waiting -= 1
