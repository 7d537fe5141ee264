"""How many passwords are checked at once, what is remembered, and what never is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from mssante.clock import ManualClock
from mssante.crypto import passwords
from mssante.crypto.passwords import WrongPassword
from mssante.keys import password_checks, turns
from mssante.keys.password_checks import PasswordChecks
from mssante.limits import PASSWORD_CHECKS_AT_ONCE, PASSWORD_REMEMBERED_SECONDS
from mssante.model import Secret
from mssante.reasons import Passing, Reason

GOOD = Secret("good")


class SlowArgon:
    """Stands in for Argon2: counts, waits while told to, and knows one password."""

    def __init__(self) -> None:
        self.calls = self.running = self.most = 0
        self.seen: list[str] = []
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def verify(self, password: Secret, stored: str | None) -> None:
        with self._lock:
            self.calls += 1
            self.seen.append(password.value)
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


def _waiting(checks: PasswordChecks, count: int) -> list[asyncio.Task[None]]:
    """So many checks of strangers' right passwords, each from its own network."""
    return [
        asyncio.create_task(
            checks.verify(Secret(str(n)), f"hash of {n}", remote=f"10.{n // 250}.{n % 250}.1")
        )
        for n in range(count)
    ]


async def _settled(checks: PasswordChecks, count: int) -> None:
    while checks.pending < count:
        await asyncio.sleep(0)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many are pending when there is no place for one more stranger."""
    monkeypatch.setattr(turns, "PASSWORD_CHECKS_QUEUED_MAX", 10)
    return 10 + PASSWORD_CHECKS_AT_ONCE


async def test_few_are_checked_at_once_and_the_queue_ends(
    checks: PasswordChecks, argon: SlowArgon, few: int
) -> None:
    argon.go.clear()
    waiting = _waiting(checks, few)
    await _settled(checks, few)
    with pytest.raises(Passing) as refusal:
        await checks.verify(GOOD, "hash of good", remote="192.0.2.1")
    assert refusal.value.reason is Reason.KEYS_UNAVAILABLE
    argon.go.set()
    await asyncio.gather(*waiting)
    assert argon.most <= PASSWORD_CHECKS_AT_ONCE
    await checks.verify(GOOD, "hash of good")


async def test_strangers_who_fill_their_places_leave_those_of_known_people(
    checks: PasswordChecks, argon: SlowArgon, few: int
) -> None:
    argon.go.clear()
    waiting = _waiting(checks, few)
    await _settled(checks, few)
    known = asyncio.create_task(checks.verify(GOOD, "hash of good", remote="192.0.2.1", known=True))
    await _settled(checks, few + 1)
    argon.go.set()
    await asyncio.gather(known, *waiting)
    assert argon.seen.index("good") <= PASSWORD_CHECKS_AT_ONCE + 1


async def test_a_place_is_free_only_when_its_thread_has_ended(
    checks: PasswordChecks, argon: SlowArgon
) -> None:
    """Who hangs up while checked does not let one more check begin beside it."""
    argon.go.clear()
    for _ in range(20):
        gone = asyncio.create_task(checks.verify(GOOD, "hash of good"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    assert checks.pending == PASSWORD_CHECKS_AT_ONCE
    argon.go.set()
    await checks.verify(GOOD, "hash of good")
    assert argon.calls == PASSWORD_CHECKS_AT_ONCE + 1


async def test_a_wait_for_a_turn_ends(
    checks: PasswordChecks, argon: SlowArgon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password_checks, "PASSWORD_CHECK_WAIT_SECONDS_MAX", 0.05)
    argon.go.clear()
    under_way = _waiting(checks, PASSWORD_CHECKS_AT_ONCE)
    await _settled(checks, PASSWORD_CHECKS_AT_ONCE)
    with pytest.raises(Passing):
        await checks.verify(GOOD, "hash of good")
    assert checks.pending == PASSWORD_CHECKS_AT_ONCE
    argon.go.set()
    await asyncio.gather(*under_way)


async def test_callers_that_leave_free_their_place(checks: PasswordChecks, argon: SlowArgon) -> None:
    argon.go.clear()
    waiting = _waiting(checks, 100)
    await _settled(checks, 100)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    argon.go.set()
    await checks.verify(GOOD, "hash of good")
    assert argon.calls <= PASSWORD_CHECKS_AT_ONCE + 1
