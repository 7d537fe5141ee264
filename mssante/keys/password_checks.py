"""Checking passwords without slowing down everything else: few at once, a bounded queue, a short memory.

A check with Argon2 takes a quarter of a second on purpose, and mail programs sign in again and again with the
same password. So a password that was right is remembered for PASSWORD_REMEMBERED_SECONDS, as an HMAC under a
key that only this process has.

Invariants: a check takes the same time for an unknown person as for a wrong password; the HMAC also covers
the stored hash, so that after a change the old password is not recognised any more; a wrong password is never
remembered, so that guessing stays expensive.

Checks run in threads, not processes: Argon2 runs outside the GIL, and the event loop stalls as much with
processes (p99 3–10 ms either way, measured on 2 cores), while a process would take 20 MiB more.
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
    """The password checks of one broker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = ThreadPoolExecutor(PASSWORD_CHECKS_AT_ONCE, thread_name_prefix="password")
        self._waiting = 0
        self._key = random_key()
        self._remembered: OrderedDict[bytes, float] = OrderedDict()  # mark -> when it expires

    async def hashed(self, password: Secret) -> str:
        """Hashes a new password into a PHC string. Raises ValueError, Passing."""
        return await self._run(passwords.hashed, password)

    async def verify(self, password: Secret, stored: str | None) -> None:
        """Checks a password. Raises WrongPassword, or Passing(KEYS_UNAVAILABLE) when too many checks wait."""
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
