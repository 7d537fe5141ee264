"""Row 2: one small letter, copied into its own folder until somebody says no: each COPY doubles it."""

from __future__ import annotations

from tests.support.attacks.stage import Stage, Tally, patiently

PERSON = "copieur"
HERE = "127.2.0.1"
LETTER = b"Subject: graine\r\n\r\nBonjour\r\n"
SECONDS_PER_COMMAND = 90  # the twentieth COPY writes half a million rows
WEAK_LETTERS = 100_000  # below full strength it doubles no further than its share of these


async def play(stage: Stage, tally: Tally) -> None:
    person = f"{PERSON}@{stage.scene.domain}"

    async def one() -> None:
        async with stage.reading(person, HERE) as client:
            tally.made["sessions"] += 1
            tally.hear(await client.ask("APPEND INBOX \n", LETTER))
            letters = "1:*"
            while not stage.stop.is_set():
                tally.made["COPY"] += 1
                await client.send(f"c COPY {letters} INBOX\r\n".encode())
                answer = await patiently(client, "c", SECONDS_PER_COMMAND)
                tally.hear(answer)
                if copied := [line.number for line in answer.lines if line.name == "EXISTS" and line.number]:
                    tally.most("letters in the folder", copied[-1])
                    if stage.scene.strength < 1 and copied[-1] > stage.many(WEAK_LETTERS):
                        letters = "1"
                await stage.rest(0.2 if answer.status == "OK" else 2)

    await stage.rounds(tally, one, every=2)
