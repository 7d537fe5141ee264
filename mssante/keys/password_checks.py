"""Checking passwords without stopping the house: few at once, a bounded queue, a short memory.

Invariants: unknown persons and wrong passwords take the same time; a password that was right is
remembered for PASSWORD_REMEMBERED_SECONDS as an HMAC under a key of this process, bound to the stored
hash, so a changed password is forgotten by itself. Wrong ones are never remembered: guessing stays expensive.
Threads, not processes: Argon2 runs outside the GIL, and the loop stalls no less with processes
(p99 3–10 ms either way, measured on 2 cores); a process would cost 20 MiB more.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mssante.clock import Clock
from mssante.crypto import passwords
from mssante.crypto.keys import mac, random_key
from mssante.limits import (
    PASSWORD_CHECKS_AT_ONCE,
    PASSWORD_CHECKS_QUEUED_MAX,
    PASSWORD_REMEMBERED_SECONDS,
    PASSWORDS_REMEMBERED_MAX,
)
from mssante.model import Secret
from mssante.reasons import Passing, Reason

T = TypeVar("T")


class PasswordChecks:
    """One for a broker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = ThreadPoolExecutor(PASSWORD_CHECKS_AT_ONCE, thread_name_prefix="password")
        self._waiting = 0
        self._key = random_key()
        self._remembered: OrderedDict[bytes, float] = OrderedDict()  # mark -> forgotten at

    async def hashed(self, password: Secret) -> str:
        """A new PHC string. Raises ValueError, Passing."""
        return await self._run(passwords.hashed, password)

    async def verify(self, password: Secret, stored: str | None) -> None:
        """Raises WrongPassword, or Passing(KEYS_UNAVAILABLE) when too many wait."""
        mark = None
        if stored is not None:
            mark = mac(self._key, stored.encode() + b"\0" + passwords.prepared(password))
            if self._remembered.get(mark, 0.0) > self._clock.monotonic():
                return
        await self._run(passwords.verify, password, stored)
        if mark is not None:
            self._remember(mark)

    def _remember(self, mark: bytes) -> None:
        self._remembered.pop(mark, None)
        self._remembered[mark] = self._clock.monotonic() + PASSWORD_REMEMBERED_SECONDS
        if len(self._remembered) > PASSWORDS_REMEMBERED_MAX:
            self._remembered.popitem(last=False)

    async def _run(self, fn: Callable[..., T], *arguments: object) -> T:
        if self._waiting >= PASSWORD_CHECKS_QUEUED_MAX:
            raise Passing(Reason.KEYS_UNAVAILABLE, "too many password checks")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, fn, *arguments)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
