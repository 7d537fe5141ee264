"""QRESYNC in earnest: wherever a connection breaks, the client comes back to exactly what the server has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from mssante.observe.events import Crashed
from tests.support.imap_house import ImapHouse, imap_house, letter
from tests.support.imap_resync import Keeper, disturb
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
        if kind < 0.5:
            await disturb(chance.choice(others), chance)
        elif kind < 0.9:
            await keeper.step()
        else:
            await keeper.break_in()
            for _ in range(chance.randint(0, 3)):
                await disturb(chance.choice(others), chance)
            await keeper.connect(await chance.choice(houses).login())
        if kind >= 0.9 or chance.random() < 0.2:
            assert await keeper.agrees(others[0]), keeper.did[-8:]


@pytest.mark.parametrize("seed", [1, 2])
async def test_wherever_the_connection_breaks_the_client_catches_up(house: ImapHouse, seed: int) -> None:
    await comes_and_goes([house], seed=seed, steps=150)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(400, 420))
async def test_wherever_the_connection_breaks_the_client_catches_up_long(house: ImapHouse, seed: int) -> None:
    await comes_and_goes([house], seed=seed, steps=1500)


async def in_two_processes(tmp_path: Path, postgres: Postgres, *, seed: int, steps: int) -> None:
    mail, keys = postgres.url(), postgres.url()
    async with AsyncExitStack() as stack:
        houses = [await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys))]
        await houses[0].mailbox()
        houses.append(await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys)))
        await comes_and_goes(houses, seed=seed, steps=steps)
        assert [each for house in houses for each in house.told(Crashed)] == []


async def test_in_two_processes_too(tmp_path: Path, postgres: Postgres) -> None:
    await in_two_processes(tmp_path, postgres, seed=1, steps=100)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(500, 505))
async def test_in_two_processes_too_long(tmp_path: Path, postgres: Postgres, seed: int) -> None:
    await in_two_processes(tmp_path, postgres, seed=seed, steps=1000)
