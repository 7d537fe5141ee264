"""Many clients at random on one mailbox: every response against a model; then all at once, and they agree."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from mssante.observe.events import Crashed
from tests.support.imap_crowd import let_walk
from tests.support.imap_house import ImapHouse, imap_house
from tests.support.imap_play import play
from tests.support.postgres import Postgres

# One after the other: every response is compared with the model's


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_response_is_what_the_model_says(house: ImapHouse, seed: int) -> None:
    await play([await house.login() for _ in range(4)], seed=seed, moves=300)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 120))
async def test_every_response_is_what_the_model_says_long(house: ImapHouse, seed: int) -> None:
    await play([await house.login() for _ in range(6)], seed=seed, moves=2500)


# All at once


async def test_however_their_commands_fall_all_come_to_the_same(house: ImapHouse) -> None:
    await let_walk([await house.login() for _ in range(6)], seed=1, steps=40)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(200, 210))
async def test_however_their_commands_fall_all_come_to_the_same_long(house: ImapHouse, seed: int) -> None:
    await let_walk([await house.login() for _ in range(15)], seed=seed, steps=300)


async def two_processes(tmp_path: Path, postgres: Postgres, *, seed: int, steps: int, clients: int) -> None:
    mail, keys = postgres.url(), postgres.url()
    async with AsyncExitStack() as stack:
        houses = [await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys))]
        await houses[0].mailbox()
        houses.append(await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys)))
        speakers = [await houses[number % 2].login() for number in range(clients)]
        await let_walk(speakers, seed=seed, steps=steps)
        assert houses[0].told(Crashed) == []


async def test_in_two_processes_all_come_to_the_same(tmp_path: Path, postgres: Postgres) -> None:
    await two_processes(tmp_path, postgres, seed=1, steps=25, clients=4)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(300, 305))
async def test_in_two_processes_all_come_to_the_same_long(
    tmp_path: Path, postgres: Postgres, seed: int
) -> None:
    await two_processes(tmp_path, postgres, seed=seed, steps=300, clients=10)
