"""How many passwords are checked at once, what is remembered, and what never is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from mssante.clock import ManualClock
from mssante.crypto import passwords
from mssante.crypto.passwords import WrongPassword
from mssante.keys import password_checks
from mssante.keys.password_checks import PasswordChecks
from mssante.limits import PASSWORD_CHECKS_AT_ONCE, PASSWORD_CHECKS_QUEUED_MAX, PASSWORD_REMEMBERED_SECONDS
from mssante.model import Secret
from mssante.reasons import Passing, Reason

GOOD = Secret("good")


class SlowArgon:
    """Stands in for Argon2: counts, waits while told to, and knows one password."""

    def __init__(self) -> None:
        self.calls = self.running = self.most = 0
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def verify(self, password: Secret, stored: str | None) -> None:
        with self._lock:
            self.calls += 1
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.go.wait(timeout=30)
        with self._lock:
            self.running -= 1
        if stored is None or stored != f"hash of {password.value}":
            raise WrongPassword


@pytest.fixture
def argon(monkeypatch: pytest.MonkeyPatch) -> SlowArgon:
    slow = SlowArgon()
    monkeypatch.setattr(passwords, "verify", slow.verify)
    return slow


@pytest.fixture
async def checks(argon: SlowArgon, clock: ManualClock) -> AsyncIterator[PasswordChecks]:
    checks = PasswordChecks(clock)
    yield checks
    argon.go.set()
    checks.close()


async def test_a_right_password_is_hashed_once_then_remembered(
    checks: PasswordChecks, argon: SlowArgon, clock: ManualClock
) -> None:
    for _ in range(5):
        await checks.verify(GOOD, "hash of good")
    assert argon.calls == 1
    clock.elapsed += PASSWORD_REMEMBERED_SECONDS
    await checks.verify(GOOD, "hash of good")
    assert argon.calls == 2


async def test_a_wrong_password_is_hashed_every_time(checks: PasswordChecks, argon: SlowArgon) -> None:
    await checks.verify(GOOD, "hash of good")
    for _ in range(3):
        with pytest.raises(WrongPassword):
            await checks.verify(Secret("bad"), "hash of good")
    for _ in range(3):
        with pytest.raises(WrongPassword):
            await checks.verify(GOOD, None)
    assert argon.calls == 7


async def test_a_remembered_password_is_forgotten_when_the_stored_hash_changes(
    checks: PasswordChecks, argon: SlowArgon
) -> None:
    await checks.verify(GOOD, "hash of good")
    with pytest.raises(WrongPassword):
        await checks.verify(GOOD, "hash of another")


async def test_what_is_remembered_is_bounded_and_not_the_password(
    checks: PasswordChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password_checks, "PASSWORDS_REMEMBERED_MAX", 3)
    for n in range(6):
        await checks.verify(Secret(f"canary{n}"), f"hash of canary{n}")
    assert len(checks._remembered) == 3
    assert b"canary" not in b"".join(checks._remembered)


async def test_few_are_checked_at_once_and_the_queue_ends(checks: PasswordChecks, argon: SlowArgon) -> None:
    argon.go.clear()
    waiting = [
        asyncio.create_task(checks.verify(Secret(str(n)), f"hash of {n}"))
        for n in range(PASSWORD_CHECKS_QUEUED_MAX)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Passing) as refusal:
        await checks.verify(GOOD, "hash of good")
    assert refusal.value.reason is Reason.KEYS_UNAVAILABLE
    argon.go.set()
    await asyncio.gather(*waiting)
    assert argon.most <= PASSWORD_CHECKS_AT_ONCE
    await checks.verify(GOOD, "hash of good")


async def test_callers_that_leave_free_their_place(checks: PasswordChecks, argon: SlowArgon) -> None:
    argon.go.clear()
    waiting = [
        asyncio.create_task(checks.verify(Secret(str(n)), f"hash of {n}"))
        for n in range(PASSWORD_CHECKS_QUEUED_MAX)
    ]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    argon.go.set()
    await checks.verify(GOOD, "hash of good")
    assert argon.calls <= PASSWORD_CHECKS_AT_ONCE + 1
