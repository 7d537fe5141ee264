"""mssante.net.throttle: guessing is slow, and nobody is shut out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mssante.clock import ManualClock
from mssante.net import throttle as module
from mssante.net.throttle import Throttle

HERE, CAMILLE = "192.0.2.1", "camille"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds each wait took, without taking them."""
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return taken


async def test_two_typing_errors_cost_nothing_then_each_one_doubles_the_wait(waits: list[float]) -> None:
    throttle = Throttle(ManualClock())
    for _ in range(8):
        await throttle.wait(HERE, CAMILLE)
        throttle.failed(HERE, CAMILLE)
    assert waits == [1.0, 2.0, 4.0, 8.0, 15.0]


async def test_the_same_person_from_elsewhere_waits_too(waits: list[float]) -> None:
    throttle = Throttle(ManualClock())
    for number in range(5):
        throttle.failed(f"192.0.2.{number}", CAMILLE)
    await throttle.wait("198.51.100.7", CAMILLE)
    assert waits == [4.0]


async def test_a_right_password_forgives(waits: list[float]) -> None:
    throttle = Throttle(ManualClock())
    for _ in range(5):
        throttle.failed(HERE, CAMILLE)
    throttle.succeeded(HERE, CAMILLE)
    await throttle.wait(HERE, CAMILLE)
    assert waits == []


async def test_ten_minutes_without_a_failure_forgive(waits: list[float]) -> None:
    clock = ManualClock()
    throttle = Throttle(clock)
    for _ in range(5):
        throttle.failed(HERE, CAMILLE)
    clock.advance(timedelta(minutes=11))
    await throttle.wait(HERE, CAMILLE)
    assert waits == []


async def test_a_flood_of_names_holds_bounded_memory() -> None:
    throttle = Throttle(ManualClock())
    for number in range(module.REMEMBERED_MAX + 500):
        throttle.failed(HERE, f"person{number}")
    assert len(throttle._failures) == module.REMEMBERED_MAX
