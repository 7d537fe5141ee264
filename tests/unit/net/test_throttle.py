"""mssante.net.throttle: guessing is slow, in parallel too, and nobody is shut out."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from mssante.clock import ManualClock
from mssante.net import throttle as module
from mssante.net.throttle import Throttle
from mssante.reasons import Passing, Reason, Refused

HERE, THERE, CAMILLE = "192.0.2.1", "198.51.100.7", "camille"


class Desk:
    """A throttle whose waits are written down, and take no time but the clock's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.throttle = Throttle(self.clock)
        self.waits: list[float] = []

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            self.clock.advance(timedelta(seconds=seconds))

        monkeypatch.setattr(module.asyncio, "sleep", sleep)

    async def wrong(self, remote: str = HERE, person: str = CAMILLE) -> float:
        with pytest.raises(Refused):
            async with self.throttle.attempt(remote, person):
                raise Refused(Reason.AUTHENTICATION_FAILED)
        return self.waits[-1]

    async def right(self, remote: str = HERE, person: str = CAMILLE) -> float:
        async with self.throttle.attempt(remote, person):
            pass
        return self.waits[-1]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


async def test_two_typing_errors_cost_nothing_then_each_one_doubles_the_wait(desk: Desk) -> None:
    assert [await desk.wrong() for _ in range(8)] == [0, 0, 0, 1, 2, 4, 8, 15]


async def test_the_same_person_from_elsewhere_waits_too(desk: Desk) -> None:
    for number in range(5):
        await desk.wrong(f"192.0.2.{number}")
    assert await desk.wrong(THERE) == 4


async def test_the_same_address_guessing_at_others_waits_too(desk: Desk) -> None:
    for number in range(5):
        await desk.wrong(HERE, f"person{number}")
    assert await desk.wrong(HERE, "another") == 4
    assert await desk.right(THERE, "elsewhere") == 0


async def test_an_ipv6_host_is_its_network(desk: Desk) -> None:
    for number in range(5):
        await desk.wrong(f"2001:db8:1:2::{number}", f"person{number}")
    assert await desk.wrong("2001:db8:1:2:ffff::1", "another") == 4
    assert await desk.wrong("2001:db8:1:3::1", "one more") == 0


async def test_a_right_password_forgives(desk: Desk) -> None:
    for _ in range(5):
        await desk.wrong()
    await desk.right()
    assert await desk.right() == 0


async def test_who_signed_in_here_before_does_not_wait_for_what_others_guess(desk: Desk) -> None:
    await desk.right(HERE, CAMILLE)
    for number in range(6):
        await desk.wrong(THERE, CAMILLE)
        await desk.wrong(HERE, f"person{number}")
    assert await desk.right(HERE, CAMILLE) == 0


async def test_ten_minutes_without_a_failure_forgive(desk: Desk) -> None:
    for _ in range(5):
        await desk.wrong()
    desk.clock.advance(timedelta(minutes=11))
    assert await desk.wrong() == 0


async def test_trouble_of_ours_is_nobodys_failure(desk: Desk) -> None:
    for _ in range(5):
        with pytest.raises(Passing):
            async with desk.throttle.attempt(HERE, CAMILLE):
                raise Passing(Reason.KEYS_UNAVAILABLE)
    assert [await desk.wrong() for _ in range(3)] == [0, 0, 0]


async def test_guesses_made_at_once_stand_in_one_line_and_few_are_looked_at() -> None:
    clock = ManualClock()
    throttle = Throttle(clock)
    starts, refused = [], 0
    for number in range(1000):
        try:
            starts.append(throttle._reserve(throttle._keys(HERE, f"person{number}")))
        except Passing:
            refused += 1
    assert starts == [0, 0, 0, 1, 3, 7, 15, 30]
    assert refused == 992


async def test_an_attempt_given_up_while_it_waits_is_a_failure_still() -> None:
    """Else hanging up before the answer would make guessing free."""
    clock = ManualClock()
    throttle = Throttle(clock)

    async def guess() -> None:
        async with throttle.attempt(HERE, CAMILLE):
            raise Refused(Reason.AUTHENTICATION_FAILED)

    tasks = [asyncio.create_task(guess()) for _ in range(6)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert throttle._reserve(throttle._keys(HERE, CAMILLE)) == 15


async def test_a_flood_of_names_holds_bounded_memory(desk: Desk) -> None:
    for number in range(module.REMEMBERED_MAX + 500):
        desk.throttle._line(("person", f"person{number}"), 0.0)
    assert len(desk.throttle._lines) == module.REMEMBERED_MAX
