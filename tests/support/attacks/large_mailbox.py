"""Row 13: STORE and SEARCH over everything, in a large folder."""

from __future__ import annotations

import itertools

from tests.support.attacks.stage import Stage, Tally, patiently

PERSON = "archiviste"
HERE = "127.13.0.1"
LETTERS = 20_000
LETTERS_AT_ONCE = 100
COMMAND_SECONDS_MAX = 110
PREPARED_SECONDS_MAX = 300
COMMANDS = (
    "STORE 1:* +FLAGS.SILENT (\\Flagged)",
    "SEARCH FROM service7",
    "STORE 1:* -FLAGS.SILENT (\\Flagged)",
    "SEARCH TEXT introuvable",
)


async def prepare(stage: Stage, tally: Tally) -> None:
    """The letters lie in the folder."""
    wanted = stage.many(LETTERS, least=500)
    async with stage.reading(f"{PERSON}@{stage.scene.domain}", HERE) as client:
        for start in range(0, wanted, LETTERS_AT_ONCE):
            letters = [_letter(number) for number in range(start, start + LETTERS_AT_ONCE)]
            pieces = b"".join(b" {%d+}\r\n" % len(each) + each for each in letters)
            await client.send(b"a APPEND INBOX" + pieces + b"\r\n")
            answer = await patiently(client, "a", PREPARED_SECONDS_MAX)
            assert answer.status == "OK", answer
    tally.made["letters in the folder"] = wanted


async def play(stage: Stage, tally: Tally) -> None:
    person = f"{PERSON}@{stage.scene.domain}"
    commands = itertools.cycle(COMMANDS)

    async def session() -> None:
        async with stage.reading(person, HERE) as client:
            while not stage.stop.is_set():
                command = next(commands)
                tally.made[command.partition(" ")[0]] += 1
                await client.send(f"b {command}\r\n".encode())
                tally.hear(await patiently(client, "b", COMMAND_SECONDS_MAX))
                await stage.rest(2)

    await stage.rounds(tally, session, every=2, at_once=2)


def _letter(number: int) -> bytes:
    return (
        f"From: Service {number % 50} <service{number % 50}@labo-c.mssante.test>\r\n"
        f"Subject: compte rendu {number}\r\nMessage-ID: <archive-{number}@essai.test>\r\n\r\n"
        f"Patient {number * 7919 % 100_003}, examen {number * 104_729 % 65_537}.\r\n"
    ).encode()
