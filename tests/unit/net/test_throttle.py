"""mssante.net.throttle: guessing is slow, in parallel too, and nobody is shut out."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from mssante import limits
from mssante.clock import ManualClock
from mssante.model import PersonId
from mssante.net import throttle as module
from mssante.net.throttle import Throttle
from mssante.reasons import Passing, Reason, Refused

HERE, THERE, CAMILLE = "192.0.2.1", "198.51.100.7", PersonId("camille")


class Desk:
    """A throttle whose waits are written down, and take no time but the clock's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self.throttle = Throttle(self.clock)
        self.waits: list[float] = []

        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            self.clock.advance(timedelta(seconds=seconds))

        monkeypatch.setattr(asyncio, "sleep", sleep)

    def _waited(self) -> float:
        """Since the last time it was asked."""
        waited = sum(self.waits)
        self.waits.clear()
        return waited

    async def wrong(self, remote: str = HERE, person: str = CAMILLE) -> float:
        with pytest.raises(Refused):
            async with self.throttle.attempt(remote, PersonId(person)):
                raise Refused(Reason.AUTHENTICATION_FAILED)
        return self._waited()

    async def right(self, remote: str = HERE, person: str = CAMILLE) -> float:
        async with self.throttle.attempt(remote, PersonId(person)):
            pass
        return self._waited()


async def settle() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(5):
        turn = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn


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


async def test_guesses_made_at_once_stand_in_one_line_and_few_are_looked_at(desk: Desk) -> None:
    looked_at: list[float] = []

    async def guess(number: int) -> None:
        async with desk.throttle.attempt(HERE, PersonId(f"person{number}")):
            looked_at.append(desk.clock.monotonic())
            await settle()
            raise Refused(Reason.AUTHENTICATION_FAILED)

    guesses = [asyncio.create_task(guess(n)) for n in range(1000)]
    while len(looked_at) < 9:
        await settle()
    for task in guesses:
        task.cancel()
    await asyncio.gather(*guesses, return_exceptions=True)
    assert looked_at[:9] == [0, 0, 0, 1, 3, 7, 15, 30, 45]


async def test_those_who_are_right_do_not_hold_each_other_up(desk: Desk) -> None:
    """After a restart a whole hospital signs in at once, from one address."""
    at_once, most = 0, 0

    async def sign_in(number: int) -> None:
        nonlocal at_once, most
        async with desk.throttle.attempt(HERE, PersonId(f"person{number}")):
            at_once += 1
            most = max(most, at_once)
            await settle()
            at_once -= 1

    await asyncio.gather(*(sign_in(n) for n in range(300)))
    assert desk.waits == []
    assert most == limits.GUESS_FREE_FAILURES + 1


async def test_a_wait_in_the_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GUESS_WAIT_SECONDS_MAX", 0.05)
    throttle, never = Throttle(ManualClock()), asyncio.Event()

    async def slow() -> None:
        async with throttle.attempt(HERE, CAMILLE):
            await never.wait()

    held = [asyncio.create_task(slow()) for _ in range(3)]
    await settle()
    with pytest.raises(Passing) as refused:
        async with throttle.attempt(HERE, CAMILLE):
            raise AssertionError("not looked at")
    assert refused.value.reason is Reason.LIMIT_REACHED
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)


async def test_who_hangs_up_while_looked_at_has_guessed_and_who_waits_has_not(desk: Desk) -> None:
    """Else hanging up before the answer would make guessing free; and nobody's place in the line is lost."""
    looked_at = 0

    async def guess() -> None:
        nonlocal looked_at
        async with desk.throttle.attempt(HERE, CAMILLE):
            looked_at += 1
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(guess()) for _ in range(6)]
    await settle()
    for task in reversed(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert looked_at == 3
    assert await desk.wrong() == 1


async def test_a_flood_of_names_holds_bounded_memory(desk: Desk) -> None:
    for number in range(limits.GUESS_REMEMBERED_MAX + 500):
        desk.throttle._line(("person", f"person{number}"), 0.0)
    assert len(desk.throttle._lines) == limits.GUESS_REMEMBERED_MAX
