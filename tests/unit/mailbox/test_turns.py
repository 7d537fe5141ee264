"""mssante.mailbox.turns: turns are given, passed on and given back, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from mssante.mailbox import turns
from mssante.mailbox.turns import breathe, patient_turn, turn


async def test_those_who_wait_go_between_two_steps_of_those_who_are_long() -> None:
    of, order = asyncio.Semaphore(2), []

    async def long(name: str) -> None:
        async with turn(of, "busy") as held:
            for _ in range(4):
                order.append(name)
                await held.pass_on(breathe)

    await asyncio.gather(*map(long, "abcde"))
    assert sorted(order[:5]) == list("abcde")  # everybody's first step before anybody's third
    assert sorted(order) == sorted("abcde" * 4)
    assert not of.locked()
    assert of._value == 2


async def test_who_is_alone_passes_nothing_on() -> None:
    of = asyncio.Semaphore(1)
    async with turn(of, "busy") as held:
        await held.pass_on(breathe)
        assert of.locked()
    assert not of.locked()


async def _gone() -> None:
    raise ConnectionResetError


async def test_who_has_gone_while_waiting_holds_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "IMAP_ALIVE_SECONDS", 0.001)
    lock = asyncio.Lock()
    await lock.acquire()
    with pytest.raises(ConnectionResetError):
        await patient_turn(lock, _gone).__aenter__()
    lock.release()
    await asyncio.sleep(0.01)
    assert not lock.locked()


async def test_who_has_gone_after_passing_it_on_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "IMAP_ALIVE_SECONDS", 0.001)
    of = asyncio.Semaphore(1)
    async with turn(of, "busy") as held:
        another = asyncio.create_task(of.acquire())
        await asyncio.sleep(0)
        with pytest.raises(ConnectionResetError):
            await held.pass_on(_gone)
    assert await another
    assert of.locked()  # it is the other's


async def test_a_cancelled_wait_holds_no_turn_even_when_it_had_just_come() -> None:
    lock = asyncio.Lock()
    await lock.acquire()

    async def wait() -> None:
        async with patient_turn(lock, breathe):
            pass

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.01)
    lock.release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.01)
    assert not lock.locked()
