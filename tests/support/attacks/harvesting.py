"""Row 12: a listed peer asks for names until it is told to stop, and comes back at once."""

from __future__ import annotations

import itertools

from tests.support.attacks.stage import Stage, Tally, expect

HERE = "127.12.0.1"
NAMES_PER_SESSION = 19
AT_ONCE = 2


async def play(stage: Stage, tally: Tally) -> None:
    sender = stage.scene.peers["operator-c"].sender
    numbers = itertools.count()

    async def one() -> None:
        async with stage.relayed("operator-c", HERE) as talk:
            tally.made["sessions"] += 1
            expect("250", await talk.ask(f"MAIL FROM:<{sender}>"))
            for _ in range(NAMES_PER_SESSION):
                tally.made["names"] += 1
                reply = await talk.ask(f"RCPT TO:<nom{next(numbers)}@{stage.scene.domain}>")
                tally.hear(reply)
                if not reply.startswith("550"):
                    return

    await stage.rounds(tally, one, every=0.5, at_once=AT_ONCE)
