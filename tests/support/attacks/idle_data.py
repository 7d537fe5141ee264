"""Row 4: letters that are begun and not gone on with, of one peer, and of several peers and people."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from tests.support.attacks.stage import Stage, Tally, expect
from tests.support.smtp.house import Talk

PEOPLE = tuple(f"lent{n}" for n in range(8))
OF_ONE, OF_MANY = 45, 40  # the two together were too many for 64 places
HALF_A_LETTER = b"Subject: lent\r\n\r\n" + b"x" * 70 + b"\r\n"
HELD_SECONDS = 45


async def play_one(stage: Stage, tally: Tally) -> None:
    """One peer; nothing follows its DATA."""

    async def one() -> None:
        async with stage.relayed("valide", "127.4.0.1") as talk:
            await _hold(stage, tally, talk, stage.scene.peers["valide"].sender, b"")

    await stage.rounds(tally, one, every=2, at_once=stage.many(OF_ONE))


async def play_many(stage: Stage, tally: Tally) -> None:
    """Another peer, and people on port 587; half a letter each."""
    people = itertools.cycle([None, *PEOPLE])

    async def one() -> None:
        name = next(people)
        if name is None:
            async with stage.relayed("operator-c", "127.4.1.1") as talk:
                await _hold(stage, tally, talk, stage.scene.peers["operator-c"].sender, HALF_A_LETTER)
            return
        person = f"{name}@{stage.scene.domain}"
        async with stage.submitting(person, f"127.4.2.{1 + PEOPLE.index(name)}") as talk:
            await _hold(stage, tally, talk, person, HALF_A_LETTER)

    await stage.rounds(tally, one, every=2, at_once=stage.many(OF_MANY))


async def _hold(stage: Stage, tally: Tally, talk: Talk, sender: str, beginning: bytes) -> None:
    tally.made["sessions"] += 1
    expect("250", await talk.ask(f"MAIL FROM:<{sender}>"))
    expect("250", await talk.ask(f"RCPT TO:<{stage.scene.recipient}>"))
    tally.hear(reply := await talk.ask("DATA"))
    if not reply.startswith("354"):
        return
    await talk.send(beginning)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HELD_SECONDS):
            tally.hear((await talk.reader.readline()).decode("latin-1"))  # only a server that cuts says any
