"""QRESYNC in earnest: wherever a connection breaks, the client comes back to exactly what the server has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from mssante.observe.events import Crashed
from tests.support.imap.client import ImapClient
from tests.support.imap.house import ImapHouse, imap_house, letter
from tests.support.imap.resync import Keeper, disturb
from tests.support.postgres import Postgres


async def comes_and_goes(houses: Sequence[ImapHouse], *, seed: int, steps: int) -> None:
    """A keeper and two others, on the houses in turn, one after the other. Whenever nothing may be held back
    the keeper knows the truth."""
    chance = Random(seed)
    others = [await houses[number % len(houses)].selected() for number in (1, 2)]
    for number in range(6):
        await others[0].ok("APPEND INBOX \n", letter(number))
    keeper = Keeper(chance)
    await keeper.connect(await chance.choice(houses).login())
    for _ in range(steps):
        kind = chance.random()
        if kind < 0.45:
            await disturb(chance.choice(others), chance)
        elif kind < 0.75:
            await keeper.step()
        else:
            await keeper.break_in()
            for _ in range(chance.randint(0, 3)):
                await disturb(chance.choice(others), chance)
            await keeper.connect(await chance.choice(houses).login())
        if kind >= 0.75 or chance.random() < 0.2:
            assert await keeper.agrees(others[0]), keeper.did[-8:]


@pytest.mark.parametrize("seed", [3, 5])
async def test_wherever_the_connection_breaks_the_client_catches_up(house: ImapHouse, seed: int) -> None:
    await comes_and_goes([house], seed=seed, steps=150)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(400, 420))
async def test_wherever_the_connection_breaks_the_client_catches_up_long(house: ImapHouse, seed: int) -> None:
    await comes_and_goes([house], seed=seed, steps=1500)


async def all_at_once(houses: Sequence[ImapHouse], *, seed: int, steps: int, keepers: int) -> None:
    """However their commands fall: numbers and UIDs always agree, and in the end all know the same."""
    chance = Random(seed)
    others = [await houses[number % len(houses)].selected() for number in range(2)]
    for number in range(6):
        await others[0].ok("APPEND INBOX \n", letter(number))

    async def keep(keeper: Keeper) -> None:
        await keeper.connect(await keeper.chance.choice(houses).login())
        for _ in range(steps):
            if keeper.chance.random() < 0.9:
                await keeper.step()
            else:
                await keeper.break_in()
                await keeper.connect(await keeper.chance.choice(houses).login())

    async def disturbing(client: ImapClient, own: Random) -> None:
        for _ in range(steps):
            await disturb(client, own)

    several = [Keeper(Random(chance.random())) for _ in range(keepers)]
    await asyncio.gather(
        *(keep(keeper) for keeper in several),
        *(disturbing(client, Random(chance.random())) for client in others),
    )
    for keeper in several:
        assert await keeper.agrees(others[0]), keeper.did[-8:]


async def test_however_commands_fall_all_come_to_the_same(house: ImapHouse) -> None:
    await all_at_once([house], seed=1, steps=40, keepers=3)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(600, 610))
async def test_however_commands_fall_all_come_to_the_same_long(house: ImapHouse, seed: int) -> None:
    await all_at_once([house], seed=seed, steps=300, keepers=8)


async def in_two_processes(tmp_path: Path, postgres: Postgres, *, seed: int, steps: int) -> None:
    mail, keys = postgres.url(), postgres.url()
    async with AsyncExitStack() as stack:
        houses = [await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys))]
        await houses[0].mailbox()
        houses.append(await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys)))
        await comes_and_goes(houses, seed=seed, steps=steps)
        await all_at_once(houses, seed=seed, steps=steps // 4, keepers=4)
        assert [each for house in houses for each in house.told(Crashed)] == []


async def test_in_two_processes_too(tmp_path: Path, postgres: Postgres) -> None:
    await in_two_processes(tmp_path, postgres, seed=1, steps=50)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(500, 505))
async def test_in_two_processes_too_long(tmp_path: Path, postgres: Postgres, seed: int) -> None:
    await in_two_processes(tmp_path, postgres, seed=seed, steps=1000)
