"""Row 5: passwords are guessed from very many networks at once; one guess in four is for the good doctor."""

from __future__ import annotations

import asyncio
import itertools

from tests.support.attacks.stage import Stage, Tally, patiently

AT_ONCE = 130
EVERY_SECONDS = 30  # a burst keeps two cores busy with Argon2id for half of that


async def play(stage: Stage, tally: Tally) -> None:
    numbers = itertools.count()

    async def guess(number: int) -> None:
        victims = stage.scene.victims
        victim = victims[0] if number % 4 == 0 else victims[number % len(victims)]
        here = f"127.{50 + number // 250 % 150}.{1 + number % 250}.1"  # each in another /24
        with tally.trouble():
            async with stage.greeted(here) as client:
                tally.made["guesses"] += 1
                await client.send(b'g LOGIN "%b" "devine-%d"\r\n' % (victim.encode(), number))
                tally.hear(await patiently(client, "g", 60))

    async def burst() -> None:
        guesses = [guess(next(numbers)) for _ in range(stage.many(AT_ONCE, least=8))]
        await asyncio.gather(*guesses)

    await stage.rounds(tally, burst, every=EVERY_SECONDS)
