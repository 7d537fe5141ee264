"""Many clients at random on one mailbox: every response against a model; then all at once, and they agree."""

from __future__ import annotations

from random import Random

import pytest

from tests.support.imap_house import ImapHouse
from tests.support.imap_model import FOLDERS, Mirror, Model


async def mirrors(house: ImapHouse, count: int, seed: int) -> tuple[Model, list[Mirror], Random]:
    chance, model, found = Random(seed), Model(), []
    for number in range(count):
        client = await house.login()
        if number == 0:
            for name in FOLDERS[1:]:
                await client.ok(f"CREATE {name}")
        found.append(Mirror(client, model, chance))
        await found[-1].select(chance.choice(FOLDERS))
    return model, found, chance


async def one_after_another(house: ImapHouse, *, seed: int, steps: int, clients: int) -> None:
    _, found, chance = await mirrors(house, clients, seed)
    for _ in range(steps):
        await chance.choice(found).step()
    for mirror in found:
        if mirror.idling:
            await mirror.step()
        await mirror.ask("NOOP", expunges=True)


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_response_is_what_the_model_says(house: ImapHouse, seed: int) -> None:
    await one_after_another(house, seed=seed, steps=300, clients=4)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 140))
async def test_every_response_is_what_the_model_says_long(house: ImapHouse, seed: int) -> None:
    await one_after_another(house, seed=seed, steps=2500, clients=6)
