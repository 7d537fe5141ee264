"""Guessing passwords is slow: each wrong one delays the next from the same address, or for the same person.

Invariants: a delay, never a lock-out (a colleague's typing error must not shut a service out); bounded in
memory; a right password forgives its address and person.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from mssante.clock import Clock

DELAY_SECONDS_FIRST = 1.0
DELAY_SECONDS_MAX = 15.0  # Dovecot's (security-reliability §6)
FORGET_SECONDS = 600
FREE_FAILURES = 2  # typing errors
REMEMBERED_MAX = 10_000


class Throttle:
    """Shared by the ports where people sign in."""

    def __init__(self, clock: Clock, *, delay_seconds_max: float = DELAY_SECONDS_MAX) -> None:
        self._clock = clock
        self._delay_seconds_max = delay_seconds_max
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def wait(self, remote: str, person: str) -> None:
        """Waits as long as the worse of the two has earned."""
        delay = max(self._delay(f"address {remote}"), self._delay(f"person {person}"))
        if delay:
            await asyncio.sleep(delay)

    def failed(self, remote: str, person: str) -> None:
        for key in (f"address {remote}", f"person {person}"):
            count, _ = self._recent(key)
            self._failures[key] = (count + 1, self._clock.monotonic())
            self._failures.move_to_end(key)
        while len(self._failures) > REMEMBERED_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, remote: str, person: str) -> None:
        for key in (f"address {remote}", f"person {person}"):
            self._failures.pop(key, None)

    def _recent(self, key: str) -> tuple[int, float]:
        count, at = self._failures.get(key, (0, 0.0))
        return (count, at) if self._clock.monotonic() - at < FORGET_SECONDS else (0, 0.0)

    def _delay(self, key: str) -> float:
        count, _ = self._recent(key)
        if count <= FREE_FAILURES:
            return 0.0
        return min(
            DELAY_SECONDS_FIRST * float(1 << min(count - FREE_FAILURES - 1, 10)), self._delay_seconds_max
        )
