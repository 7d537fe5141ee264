"""Many clients at random on one mailbox: every response against a model; then all at once, and they agree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from mssante.observe.events import Crashed
from tests.support.imap.client import ImapClient
from tests.support.imap.crowd import let_walk
from tests.support.imap.house import ImapHouse, imap_house
from tests.support.imap.play import play
from tests.support.postgres import Postgres

# One after the other: every response is compared with the model's


async def test_every_response_is_what_the_model_says(house: ImapHouse) -> None:
    await play([await house.login() for _ in range(4)], seed=1, moves=300)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 120))
async def test_every_response_is_what_the_model_says_long(house: ImapHouse, seed: int) -> None:
    await play([await house.login() for _ in range(6)], seed=seed, moves=2500)


# Two processes


async def let_two_processes(
    tmp_path: Path, postgres: Postgres, clients: int, act: Callable[[list[ImapClient]], Awaitable[None]]
) -> None:
    """`act` with clients that are served by two processes on one database, in turn."""
    mail, keys = postgres.url(), postgres.url()
    async with AsyncExitStack() as stack:
        houses = [await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys))]
        await houses[0].mailbox()
        houses.append(await stack.enter_async_context(imap_house(tmp_path, mail_url=mail, keys_url=keys)))
        await act([await houses[number % 2].login() for number in range(clients)])
        assert houses[0].told(Crashed) == []


async def test_every_response_of_two_processes_is_what_the_model_says(
    tmp_path: Path, postgres: Postgres
) -> None:
    await let_two_processes(tmp_path, postgres, 4, partial(play, seed=3, moves=80))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(400, 405))
async def test_every_response_of_two_processes_is_what_the_model_says_long(
    tmp_path: Path, postgres: Postgres, seed: int
) -> None:
    await let_two_processes(tmp_path, postgres, 6, partial(play, seed=seed, moves=1500))


# All at once


async def test_however_their_commands_fall_all_come_to_the_same(house: ImapHouse) -> None:
    clients = [await house.login() for _ in range(6)]
    await let_walk(clients, seed=1, steps=40, login=house.login)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(200, 210))
async def test_however_their_commands_fall_all_come_to_the_same_long(house: ImapHouse, seed: int) -> None:
    clients = [await house.login() for _ in range(15)]
    await let_walk(clients, seed=seed, steps=300, login=house.login)


async def test_in_two_processes_all_come_to_the_same(tmp_path: Path, postgres: Postgres) -> None:
    await let_two_processes(tmp_path, postgres, 4, partial(let_walk, seed=1, steps=20))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(300, 305))
async def test_in_two_processes_all_come_to_the_same_long(
    tmp_path: Path, postgres: Postgres, seed: int
) -> None:
    await let_two_processes(tmp_path, postgres, 10, partial(let_walk, seed=seed, steps=200))
