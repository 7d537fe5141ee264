"""Checking passwords without slowing down everything else: few at once, fair turns, a short memory.

A check with Argon2 takes a quarter of a second on purpose, and mail programs sign in again and again with the
same password. So a password that was right is remembered for PASSWORD_REMEMBERED_SECONDS, as an HMAC under a
key that only this process has. Who is checked next is decided in `turns`.

Invariants: a check takes the same time for an unknown person as for a wrong password; the HMAC also covers
the stored hash, so that after a change the old password is not recognised any more; a wrong password is never
remembered, so that guessing stays expensive; every wait for a turn has an end, and guesses do not take the
turns of people who were right before.

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
from mssante.keys.turns import Caller, Crowded, Turns
from mssante.limits import (
    GUESS_FORGET_SECONDS,
    GUESS_REMEMBERED_MAX,
    PASSWORD_CHECK_WAIT_SECONDS_MAX,
    PASSWORD_CHECKS_AT_ONCE,
    PASSWORD_REMEMBERED_SECONDS,
    PASSWORDS_REMEMBERED_MAX,
)
from mssante.model import Secret
from mssante.net.places import network_of
from mssante.reasons import Passing, Reason

T = TypeVar("T")
K = TypeVar("K")


class PasswordChecks:
    """The password checks of one broker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = ThreadPoolExecutor(PASSWORD_CHECKS_AT_ONCE, thread_name_prefix="password")
        self._turns = Turns()
        self._under_way = 0
        self._key = random_key()
        self._remembered: OrderedDict[bytes, float] = OrderedDict()  # mark -> when it expires
        self._failed: OrderedDict[str, float] = OrderedDict()  # strangers' network -> when it is forgotten

    @property
    def pending(self) -> int:
        """How many checks are under way or waiting."""
        return self._under_way + len(self._turns)

    async def hashed(self, password: Secret) -> str:
        """Hashes a new password into a PHC string. Raises ValueError, Passing."""
        return await self._run(Caller.KNOWN, "", passwords.hashed, password)

    async def verify(
        self, password: Secret, stored: str | None, *, remote: str = "", known: bool = False
    ) -> None:
        """Checks a password given from `remote`; `known` if the person has signed in from there before.
        Raises WrongPassword, or Passing(KEYS_UNAVAILABLE) when too many checks wait."""
        mark = None
        if stored is not None:
            mark = mac(self._key, stored.encode() + b"\0" + passwords.prepared(password))
            if self._remembered.get(mark, 0.0) > self._clock.monotonic():
                return
        network = network_of(remote)
        try:
            await self._run(self._kind(network, known), network, passwords.verify, password, stored)
        except passwords.WrongPassword:
            if not known:
                until = self._clock.monotonic() + GUESS_FORGET_SECONDS
                _remember(self._failed, network, until, GUESS_REMEMBERED_MAX)
            raise
        if mark is not None:
            until = self._clock.monotonic() + PASSWORD_REMEMBERED_SECONDS
            _remember(self._remembered, mark, until, PASSWORDS_REMEMBERED_MAX)

    def _kind(self, network: str, known: bool) -> Caller:
        if known:
            return Caller.KNOWN
        return Caller.FAILED if self._failed.get(network, 0.0) > self._clock.monotonic() else Caller.NEW

    async def _run(self, kind: Caller, network: str, fn: Callable[..., T], *arguments: object) -> T:
        """Runs `fn` in a thread when its turn has come. The turn lasts until the thread has ended, even if
        the caller has left."""
        await self._turn(kind, network)
        loop = asyncio.get_running_loop()
        try:
            job = self._threads.submit(fn, *arguments)
        except BaseException:
            self._ended()
            raise

        def tell(_: object) -> None:
            try:
                loop.call_soon_threadsafe(self._ended)
            except RuntimeError:
                pass  # the loop is closed: nobody waits any more

        job.add_done_callback(tell)
        return await asyncio.wrap_future(job)

    async def _turn(self, kind: Caller, network: str) -> None:
        """Raises Passing when there is no place, or the turn does not come in time."""
        if self._under_way < PASSWORD_CHECKS_AT_ONCE:
            self._under_way += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._turns.wait(turn, kind, network)
            async with asyncio.timeout(PASSWORD_CHECK_WAIT_SECONDS_MAX):
                await turn
        except (Crowded, TimeoutError):
            self._give_up(turn, kind, network)
            raise Passing(Reason.KEYS_UNAVAILABLE, "too many password checks") from None
        except BaseException:
            self._give_up(turn, kind, network)
            raise

    def _give_up(self, turn: asyncio.Future[None], kind: Caller, network: str) -> None:
        self._turns.leave(turn, kind, network)
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._ended()  # it was given its turn at the moment it gave up

    def _ended(self) -> None:
        """Hands the place under way on to the next caller, or takes it back."""
        if not self._turns.give():
            self._under_way -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _remember(memory: OrderedDict[K, float], key: K, until: float, most: int) -> None:
    memory[key] = until
    memory.move_to_end(key)
    if len(memory) > most:
        memory.popitem(last=False)
