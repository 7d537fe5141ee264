"""Guessing passwords is slow: attempts from one address, or at one person, are looked at one after another,
further and further apart as they fail.

Invariants: a delay, never a lock-out (a colleague's typing error must not shut a service out); attempts
made in parallel wait in one line, and those that are right hold it up no longer than it takes to see that
(a hospital signs in at once after a restart); who has signed in from an address before waits only for their
own errors there; every wait has an end; bounded in memory.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from mssante.clock import Clock
from mssante.limits import (
    GUESS_ALARM_EVERY,
    GUESS_DELAY_SECONDS_FIRST,
    GUESS_DELAY_SECONDS_MAX,
    GUESS_FORGET_SECONDS,
    GUESS_FREE_FAILURES,
    GUESS_REMEMBERED_MAX,
    GUESS_WAIT_SECONDS_MAX,
)
from mssante.observe.events import PasswordsGuessed, report
from mssante.reasons import Passing, Reason, Refused

Key = tuple[str, ...]
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Line:
    """The attempts of one key: how many failed, when the next is looked at, and who waits for that."""

    failures: int = 0
    next_at: float = 0.0
    last_at: float = 0.0
    refused: int = 0
    under_way: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def has_room(self) -> bool:
        """As many at once as may still fail for nothing; then one."""
        return self.under_way < max(1, GUESS_FREE_FAILURES + 1 - self.failures)

    async def enter(self) -> None:
        """In the order of the calls."""
        if not self.waiting and self.has_room:
            self.under_way += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was called as it gave up
            raise

    def leave(self) -> None:
        self.under_way -= 1
        while self.waiting and self.has_room:
            turn = self.waiting.popleft()
            if not turn.done():
                self.under_way += 1
                turn.set_result(None)

    def fail(self, now: float, delay: Callable[[int], float]) -> None:
        self.failures += 1
        self.next_at = now + delay(self.failures)

    def forgive(self) -> None:
        self.failures = self.refused = 0
        self.next_at = 0.0


class Throttle:
    """Shared by the ports where people sign in."""

    def __init__(self, clock: Clock, *, delay_seconds_max: float = GUESS_DELAY_SECONDS_MAX) -> None:
        self._clock = clock
        self._delay_seconds_max = delay_seconds_max
        self._lines: OrderedDict[Key, _Line] = OrderedDict()
        self._known: OrderedDict[Key, None] = OrderedDict()  # pairs of address and person that were right

    @asynccontextmanager
    async def attempt(self, remote: str, person: str) -> AsyncIterator[None]:
        """Waits for this attempt's turn; look at the password inside, and let Refused out when it is wrong.
        Raises Passing(LIMIT_REACHED) when too many wait already: then it must not be looked at."""
        keys = self._keys(remote, person)
        lines = [self._line(key, self._clock.monotonic()) for key in keys]
        async with AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(GUESS_WAIT_SECONDS_MAX):
                    for line in lines:  # the address's before the person's: nobody waits in a circle
                        await line.enter()
                        turns.callback(line.leave)
                    await self._delayed(lines)
            except TimeoutError:
                raise Passing(Reason.LIMIT_REACHED, "too many attempts to sign in") from None
            try:
                yield
            except Refused:
                self._fail(lines, remote)
                raise
            except asyncio.CancelledError:  # who hangs up before the answer has guessed all the same
                self._fail(lines)
                raise
            for line in lines:
                line.forgive()
            _remember(self._known, _pair(remote, person), None)

    async def _delayed(self, lines: list[_Line]) -> None:
        """Until the attempt's time has come; others may fail meanwhile."""
        while (wait := max(line.next_at for line in lines) - self._clock.monotonic()) > 0:
            if wait > GUESS_WAIT_SECONDS_MAX:
                raise TimeoutError
            await asyncio.sleep(wait)

    def _fail(self, lines: list[_Line], remote: str | None = None) -> None:
        """`remote`: where a wrong password came from."""
        now = self._clock.monotonic()
        for line in lines:
            line.fail(now, self._delay)
            if remote is not None:
                line.refused += 1
                if line.refused % GUESS_ALARM_EVERY == 0:
                    report(PasswordsGuessed(remote=remote, refused=line.refused))

    def _keys(self, remote: str, person: str) -> list[Key]:
        pair = _pair(remote, person)
        return [pair] if pair in self._known else [("address", pair[1]), ("person", person)]

    def _line(self, key: Key, now: float) -> _Line:
        line = self._lines.get(key)
        if line is None or (not line.under_way and now - line.last_at > GUESS_FORGET_SECONDS):
            line = _Line()
        line.last_at = now
        _remember(self._lines, key, line)
        return line

    def _delay(self, failures: int) -> float:
        if failures <= GUESS_FREE_FAILURES:
            return 0.0
        doubled = GUESS_DELAY_SECONDS_FIRST * float(1 << min(failures - GUESS_FREE_FAILURES - 1, 10))
        return min(doubled, self._delay_seconds_max)


def _pair(remote: str, person: str) -> Key:
    """An IPv6 host has a whole /64 to speak from."""
    try:
        address = ipaddress.ip_address(remote)
    except ValueError:
        return "pair", remote, person
    if address.version == 6:
        remote = str(ipaddress.ip_network((address, 64), strict=False))
    return "pair", remote, person


def _remember(memory: OrderedDict[Key, T], key: Key, value: T) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > GUESS_REMEMBERED_MAX:
        memory.popitem(last=False)
