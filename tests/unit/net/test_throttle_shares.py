"""mssante.net.throttle, many at once: nobody is kept out by who guesses elsewhere, and spraying is slow."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from mssante import limits
from mssante.clock import ManualClock
from mssante.model import PersonId
from mssante.net.throttle import Throttle
from mssante.observe.event import Event, add_sink
from mssante.observe.events import PasswordsGuessed
from mssante.reasons import Passing, Reason, Refused

HOSPITAL, HOME, CAMILLE = "192.0.2.1", "198.51.100.7", PersonId("camille")


class Days:
    """Time that passes only when everybody waits, so that a thousand waits at once take none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = ManualClock()
        self._waits: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0
        monkeypatch.setattr(asyncio, "sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waits, (self.clock.monotonic() + seconds, self._count, turn))
        await turn

    async def until(self, seconds: float) -> None:
        """Lets everything happen that is due by then."""
        await self._settle()
        while self._waits and self._waits[0][0] <= seconds:
            at, _, turn = heapq.heappop(self._waits)
            self.clock.elapsed = max(self.clock.elapsed, at)
            if not turn.done():
                turn.set_result(None)
            await self._settle()
        self.clock.elapsed = seconds

    async def _settle(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            turn = loop.create_future()
            loop.call_soon(turn.set_result, None)
            await turn


class Port:
    """Where passwords are typed; those known at an address are told by `known`."""

    def __init__(self, days: Days, known: set[tuple[str, str]]) -> None:
        self.days = days
        self.looked_at = 0
        self.tasks: list[asyncio.Task[float]] = []

        async def asked(person: PersonId, remote: str) -> bool:
            return (remote, person) in known

        self.throttle = Throttle(days.clock, known=asked)

    async def _try(self, remote: str, person: str, *, right: bool) -> float:
        started = self.days.clock.monotonic()
        try:
            async with self.throttle.attempt(remote, PersonId(person)):
                self.looked_at += 1
                if not right:
                    raise Refused(Reason.AUTHENTICATION_FAILED)
        except Refused:
            pass
        return self.days.clock.monotonic() - started

    def signs_in(self, remote: str, person: str) -> asyncio.Task[float]:
        """Seconds that a right password took."""
        return self._task(self._try(remote, person, right=True))

    def guesses(self, remotes: list[str], people: list[str], *, rounds: int) -> asyncio.Task[float]:
        """One after another, from one connection that begins again whatever it hears."""

        async def guess() -> float:
            for _ in range(rounds):
                for remote in remotes:
                    for person in people:
                        try:
                            await self._try(remote, person, right=False)
                        except Passing:
                            await asyncio.sleep(1)
            return 0.0

        return self._task(guess())

    def _task(self, doing: object) -> asyncio.Task[float]:
        self.tasks.append(asyncio.ensure_future(doing))  # type: ignore[call-overload]
        return self.tasks[-1]


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    return Days(monkeypatch)


@pytest.fixture
async def port(days: Days) -> AsyncIterator[Port]:
    staff = {(HOSPITAL, f"person{n}") for n in range(1000)} | {(HOSPITAL, CAMILLE)}
    made = Port(days, staff)
    yield made
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)


@pytest.fixture
def events() -> Iterator[list[Event]]:
    told: list[Event] = []
    remove = add_sink(told.append)
    yield told
    remove()


async def test_eight_addresses_that_guess_one_login_do_not_keep_its_owner_out(days: Days, port: Port) -> None:
    for n in range(8):
        for _ in range(3):
            port.guesses([f"203.0.{n}.5"], [CAMILLE], rounds=1000)
    await days.until(300)
    at_work, away = port.signs_in(HOSPITAL, CAMILLE), port.signs_in(HOME, CAMILLE)
    await days.until(300 + limits.GUESS_DELAY_SECONDS_MAX)
    assert at_work.result() == 0
    assert away.result() <= limits.GUESS_DELAY_SECONDS_MAX


async def test_the_owner_may_mistype_twice_from_a_new_address_while_others_guess(
    days: Days, port: Port
) -> None:
    for n in range(8):
        port.guesses([f"203.0.{n}.5"], [CAMILLE], rounds=1000)
    await days.until(300)
    port.guesses([HOME], [CAMILLE], rounds=2)
    await days.until(300 + 2 * limits.GUESS_DELAY_SECONDS_MAX)
    away = port.signs_in(HOME, CAMILLE)
    await days.until(300 + 3 * limits.GUESS_DELAY_SECONDS_MAX)
    assert away.result() <= limits.GUESS_DELAY_SECONDS_MAX


async def test_the_bound_does_not_make_guessing_one_login_quick(days: Days, port: Port) -> None:
    """Eight addresses for ten minutes: three guesses of each network beside the line, and the line's."""
    for n in range(8):
        for _ in range(20):
            port.guesses([f"203.0.{n}.{k}" for k in range(1, 250)], [CAMILLE], rounds=1000)
    await days.until(600)
    bound = 8 * (limits.GUESS_FREE_FAILURES + 1) + 600 / limits.GUESS_DELAY_SECONDS_MAX
    assert port.looked_at <= bound + limits.GUESS_FREE_FAILURES + 1


async def test_spraying_from_a_hospital_s_address_is_slow_and_told(
    days: Days, port: Port, events: list[Event]
) -> None:
    """3,000 wrong passwords over 1,000 people who all signed in there before, by fifty connections."""
    people = [f"person{n}" for n in range(1000)]
    for n in range(50):
        port.guesses([HOSPITAL], people[n * 20 : n * 20 + 20], rounds=3)
    await days.until(60)
    assert port.looked_at <= 400
    alarms = [event for event in events if isinstance(event, PasswordsGuessed)]
    assert [event.refused for event in alarms][:3] == [10, 20, 30]
    assert {event.remote for event in alarms} == {HOSPITAL}
    colleague = port.signs_in(HOSPITAL, CAMILLE)
    await days.until(60)
    assert colleague.result() == 0


async def test_who_is_sprayed_and_right_waits_no_longer_than_one_delay(days: Days, port: Port) -> None:
    port.guesses([HOSPITAL], [f"person{n}" for n in range(20)], rounds=1)
    await days.until(29)
    port.guesses([HOSPITAL], [CAMILLE], rounds=1)
    await days.until(30)
    here = port.signs_in(HOSPITAL, CAMILLE)
    await days.until(30 + limits.GUESS_DELAY_SECONDS_MAX)
    assert 0 < here.result() <= limits.GUESS_DELAY_SECONDS_MAX


async def test_a_few_typing_errors_of_colleagues_delay_nobody(days: Days, port: Port) -> None:
    typing = port.guesses(
        [HOSPITAL], [f"person{n}" for n in range(limits.GUESS_FREE_FAILURES_INSIDE)], rounds=1
    )
    await days.until(0)
    assert typing.done()
    days.clock.advance(timedelta(seconds=1))
    again = port.signs_in(HOSPITAL, "person0")
    await days.until(1)
    assert again.result() == 0
