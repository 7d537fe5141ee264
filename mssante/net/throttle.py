"""Slows down password guessing: failed attempts from one address, or for one person, delay the next ones.

Once a few attempts have failed, those that follow are checked one at a time, with a delay that grows with
each failure.

Invariants: there is a delay and never a lock-out, because a colleague's typing error must not shut out a
whole service; parallel attempts wait in one queue, and a correct one holds the others up only while its
password is checked, because a hospital signs in all at once after a restart; a person who has signed in from
an address before waits only for their own errors there; every wait has an end; memory is bounded.
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
    """The attempts of one key: how many failed, when the next may be checked, and which ones are waiting."""

    failures: int = 0
    next_at: float = 0.0
    last_at: float = 0.0
    refused: int = 0
    under_way: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def has_room(self) -> bool:
        """Whether one more may be checked now. As many are checked at once as may still fail without a delay;
        after that, one at a time."""
        return self.under_way < max(1, GUESS_FREE_FAILURES + 1 - self.failures)

    async def enter(self) -> None:
        """Waits for a turn. Turns are given in the order of the calls."""
        if not self.waiting and self.has_room:
            self.under_way += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.leave()  # it was given its turn at the moment it gave up
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
        self._known: OrderedDict[Key, None] = OrderedDict()  # (address, person) pairs that have signed in

    @asynccontextmanager
    async def attempt(self, remote: str, person: str) -> AsyncIterator[None]:
        """Waits for this attempt's turn. Check the password inside, and let Refused out when it is wrong.
        Raises Passing(LIMIT_REACHED) when the wait would be too long: the password is then not checked."""
        keys = self._keys(remote, person)
        lines = [self._line(key, self._clock.monotonic()) for key in keys]
        async with AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(GUESS_WAIT_SECONDS_MAX):
                    for line in lines:  # always the address's before the person's, so there is no deadlock
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
            except asyncio.CancelledError:  # hanging up before the answer counts as a guess too
                self._fail(lines)
                raise
            for line in lines:
                line.forgive()
            _remember(self._known, _pair(remote, person), None)

    async def _delayed(self, lines: list[_Line]) -> None:
        """Waits until the attempt may be checked. That time may move while others fail."""
        while (wait := max(line.next_at for line in lines) - self._clock.monotonic()) > 0:
            if wait > GUESS_WAIT_SECONDS_MAX:
                raise TimeoutError
            await asyncio.sleep(wait)

    def _fail(self, lines: list[_Line], remote: str | None = None) -> None:
        """Counts a failure. `remote` is where a wrong password came from; None when no answer was given."""
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
    """The key of an address and a person. An IPv6 host can use a whole /64, so that counts as one address."""
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
