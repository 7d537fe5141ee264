"""Slows down password guessing: failed attempts from one address, or for one person, delay the next ones.

Once a few attempts have failed, those that follow are checked one at a time, with a delay that grows with
each failure.

Invariants: there is a delay and never a lock-out, because a colleague's typing error must not shut out a
whole service; parallel attempts wait in one queue, and a correct one holds the others up only while its
password is checked, because a hospital signs in all at once after a restart; a person who has signed in from
an address before waits only for their own errors there; whoever tries a person's password from a network
where it was hardly ever wrong waits a bounded time, however many guess elsewhere; every wait has an end;
memory is bounded.

Wrong passwords of people who are known at an address count for that address too: when they are many, each
one more is answered late and the same person waits there, but not the colleagues who are right.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
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
    GUESS_FREE_FAILURES_INSIDE,
    GUESS_REMEMBERED_MAX,
    GUESS_WAIT_SECONDS_MAX,
)
from mssante.model import PersonId
from mssante.net.places import network_of, prefix_of
from mssante.observe.event import report
from mssante.observe.events import PasswordsGuessed
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


@dataclass(slots=True)
class _Attempt:
    """What one attempt waits for, and what its failure counts for. The lines come in one order for all, so
    that there is no deadlock."""

    lines: list[_Line]
    alarming: list[_Line]  # whose failures raise the alarm
    inside: _Line | None = None  # of a known person: what known people fail at this address
    guest: _Line | None = None  # of a stranger: what this network fails for this person
    person: _Line | None = None

    @property
    def failing(self) -> list[_Line]:
        return [*self.lines, *(line for line in (self.inside, self.person) if line is not None)]


class Throttle:
    """Shared by the ports where people sign in. `known` says whether a person has signed in from an address
    before, for as long as that is kept; without it, only this object's own memory says so."""

    def __init__(
        self,
        clock: Clock,
        *,
        known: Callable[[PersonId, str], Awaitable[bool]] | None = None,
        delay_seconds_max: float = GUESS_DELAY_SECONDS_MAX,
    ) -> None:
        self._clock = clock
        self._asked = known
        self._delay_seconds_max = delay_seconds_max
        self._lines: OrderedDict[Key, _Line] = OrderedDict()
        self._known: OrderedDict[Key, None] = OrderedDict()  # (address, person) pairs that have signed in

    @asynccontextmanager
    async def attempt(self, remote: str, person: PersonId) -> AsyncIterator[None]:
        """Waits for this attempt's turn. Check the password inside, and let Refused out when it is wrong.
        Raises Passing(LIMIT_REACHED) when the wait would be too long: the password is then not checked."""
        known = await self._is_known(remote, person)
        attempt = self._attempt(remote, person, known=known)
        async with AsyncExitStack() as turns:
            try:
                async with asyncio.timeout(GUESS_WAIT_SECONDS_MAX):
                    for line in attempt.lines:
                        await line.enter()
                        turns.callback(line.leave)
                    await self._at_person(attempt, turns)
            except TimeoutError:
                raise Passing(Reason.LIMIT_REACHED, "too many attempts to sign in") from None
            try:
                yield
            except Refused:
                self._fail(attempt, remote)
                await self._answered_late(attempt)
                raise
            except asyncio.CancelledError:  # hanging up before the answer counts as a guess too
                self._fail(attempt)
                raise
            for line in attempt.lines if attempt.person is None else [*attempt.lines, attempt.person]:
                line.forgive()
            _remember(self._known, _pair(remote, person), None)

    async def _at_person(self, attempt: _Attempt, turns: AsyncExitStack) -> None:
        """The last wait: for what others have failed for this person. Networks that fail there stand in one
        line; one that has hardly failed passes beside it, one attempt at a time, after at most the longest
        delay, so that the person can sign in from a new address while others guess."""
        guest, person = attempt.guest, attempt.person
        if guest is None or person is None:
            return await self._delayed(attempt.lines)
        if guest.failures > GUESS_FREE_FAILURES or guest.under_way > 1:
            await person.enter()
            turns.callback(person.leave)
            return await self._delayed([*attempt.lines, person])
        latest = self._clock.monotonic() + self._delay_seconds_max
        return await self._delayed(attempt.lines, lambda: min(person.next_at, latest))

    async def _delayed(self, lines: list[_Line], other: Callable[[], float] = lambda: 0.0) -> None:
        """Waits until the attempt may be checked. That time may move while others fail."""
        while (wait := max(other(), *(line.next_at for line in lines)) - self._clock.monotonic()) > 0:
            if wait > GUESS_WAIT_SECONDS_MAX:
                raise TimeoutError
            await asyncio.sleep(wait)

    async def _answered_late(self, attempt: _Attempt) -> None:
        """Where known people's passwords are being guessed, a wrong one is answered after the delay, during
        which nobody else is tried in that person's name from there."""
        if attempt.inside is None or attempt.inside.failures <= GUESS_FREE_FAILURES_INSIDE:
            return
        failures = attempt.inside.failures - GUESS_FREE_FAILURES_INSIDE + GUESS_FREE_FAILURES
        until = self._clock.monotonic() + self._delay(failures)
        for line in attempt.lines:
            line.next_at = max(line.next_at, until)
        await self._delayed(attempt.lines)

    def _fail(self, attempt: _Attempt, remote: str | None = None) -> None:
        """Counts a failure. `remote` is where a wrong password came from; None when no answer was given."""
        now = self._clock.monotonic()
        for line in attempt.failing:
            line.fail(now, self._delay)
        for line in attempt.alarming if remote is not None else ():
            line.refused += 1
            if line.refused % GUESS_ALARM_EVERY == 0:
                report(PasswordsGuessed(remote=remote or "", refused=line.refused))

    async def _is_known(self, remote: str, person: PersonId) -> bool:
        pair = _pair(remote, person)
        if pair in self._known:
            return True
        if self._asked is None or not await self._asked(person, remote):
            return False
        _remember(self._known, pair, None)
        return True

    def _attempt(self, remote: str, person: PersonId, *, known: bool) -> _Attempt:
        now, prefix = self._clock.monotonic(), prefix_of(remote)
        if known:
            inside = self._line(("inside", prefix), now)
            return _Attempt([self._line(_pair(remote, person), now)], [inside], inside=inside)
        address = self._line(("address", prefix), now)
        guest = self._line(("guest", network_of(remote), person), now)
        of_person = self._line(("person", person), now)
        return _Attempt([address, guest], [address, of_person], guest=guest, person=of_person)

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
    return "pair", prefix_of(remote), person


def _remember(memory: OrderedDict[Key, T], key: Key, value: T) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > GUESS_REMEMBERED_MAX:
        memory.popitem(last=False)
