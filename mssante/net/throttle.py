"""Guessing passwords is slow: attempts from one address, or at one person, are looked at one after another,
further and further apart as they fail.

Invariants: a delay, never a lock-out (a colleague's typing error must not shut a service out); attempts
made in parallel wait in one line; who has signed in from an address before waits only for their own errors
there; bounded in memory.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from mssante.clock import Clock
from mssante.observe.events import PasswordsGuessed, report
from mssante.reasons import Passing, Reason, Refused

FREE_FAILURES = 2  # typing errors
DELAY_SECONDS_FIRST = 1.0
DELAY_SECONDS_MAX = 15.0  # Dovecot's (security-reliability §3.4 I9)
WAIT_SECONDS_MAX = 30.0  # a longer wait is refused instead
FORGET_SECONDS = 600.0
REMEMBERED_MAX = 10_000
ALARM_EVERY = 10  # wrong passwords from one address or at one person (security-reliability §6: 10 an hour)

Key = tuple[str, ...]
T = TypeVar("T")


@dataclass(slots=True)
class _Line:
    """The attempts of one key: how many failed or are under way, and when the next is looked at."""

    failures: int = 0
    next_at: float = 0.0
    last_at: float = 0.0
    refused: int = 0


class Throttle:
    """Shared by the ports where people sign in."""

    def __init__(self, clock: Clock, *, delay_seconds_max: float = DELAY_SECONDS_MAX) -> None:
        self._clock = clock
        self._delay_seconds_max = delay_seconds_max
        self._lines: OrderedDict[Key, _Line] = OrderedDict()
        self._known: OrderedDict[Key, None] = OrderedDict()  # pairs of address and person that were right

    @asynccontextmanager
    async def attempt(self, remote: str, person: str) -> AsyncIterator[None]:
        """Waits for this attempt's turn; look at the password inside, and let Refused out when it is wrong.
        Raises Passing(LIMIT_REACHED) when too many wait already: then it must not be looked at."""
        keys = self._keys(remote, person)
        await asyncio.sleep(self._reserve(keys))
        try:
            yield
        except Refused:
            self._tell(keys, remote)
            raise
        except BaseException:
            self._take_back(keys)  # nobody looked at the password: no failure was made
            raise
        for key in keys:
            self._lines.pop(key, None)
        _remember(self._known, _pair(remote, person), None)

    def _reserve(self, keys: list[Key]) -> float:
        """Seconds until the attempt's turn. It counts as a failure until it is known to be none, so those
        made in parallel stand one behind the other."""
        now = self._clock.monotonic()
        lines = [self._line(key, now) for key in keys]
        start = max([now, *(line.next_at for line in lines)])
        if start - now > WAIT_SECONDS_MAX:
            raise Passing(Reason.LIMIT_REACHED, "too many attempts to sign in")
        for line in lines:
            line.failures += 1
            line.next_at = start + self._delay(line.failures)
            line.last_at = start
        return start - now

    def _tell(self, keys: list[Key], remote: str) -> None:
        for key in keys:
            line = self._lines.get(key)
            if line is not None:
                line.refused += 1
                if line.refused % ALARM_EVERY == 0:
                    report(PasswordsGuessed(remote=remote, refused=line.refused))

    def _take_back(self, keys: list[Key]) -> None:
        for key in keys:
            if key in self._lines:
                self._lines[key].failures -= 1

    def _keys(self, remote: str, person: str) -> list[Key]:
        pair = _pair(remote, person)
        return [pair] if pair in self._known else [("address", pair[1]), ("person", person)]

    def _line(self, key: Key, now: float) -> _Line:
        line = self._lines.get(key)
        if line is None or now - line.last_at > FORGET_SECONDS:
            line = _Line()
        _remember(self._lines, key, line)
        return line

    def _delay(self, failures: int) -> float:
        if failures <= FREE_FAILURES:
            return 0.0
        doubled = DELAY_SECONDS_FIRST * float(1 << min(failures - FREE_FAILURES - 1, 10))
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
    if len(memory) > REMEMBERED_MAX:
        memory.popitem(last=False)
