"""Row 6: a few passwords are tried on everybody, from the very address where the good people sit."""

from __future__ import annotations

import itertools

from tests.support.attacks.stage import Stage, Tally, patiently

PASSWORDS = ("Printemps2026!", "Hopital2026!", "Bienvenue1234")
NAMES = 1000
AT_ONCE = 2


async def play(stage: Stage, tally: Tally) -> None:
    numbers = itertools.count()

    async def one() -> None:
        number = next(numbers)
        victims = stage.scene.victims
        named = f"personne{number % NAMES}@{stage.scene.domain}"
        victim = victims[number // 5 % len(victims)] if number % 5 == 0 else named
        password = PASSWORDS[number // NAMES % len(PASSWORDS)]
        async with stage.greeted(stage.scene.home) as client:
            tally.made["passwords"] += 1
            await client.send(b's LOGIN "%b" "%b"\r\n' % (victim.encode(), password.encode()))
            tally.hear(await patiently(client, "s", 60))

    await stage.rounds(tally, one, every=1, at_once=AT_ONCE)
