"""Row 12b: one letter that is all header, and ten sessions that each ask for one field of it."""

from __future__ import annotations

from tests.support.attacks.stage import Stage, Tally, patiently

PERSON = "entetes"
HERE = "127.12.1.1"
HEADER_OCTETS = 33 * 2**20
SESSIONS = 10
PREPARED_SECONDS_MAX = 300
FETCH = b"f FETCH 1 (BODY.PEEK[HEADER.FIELDS (X-FIN)])\r\n"


async def prepare(stage: Stage, tally: Tally) -> None:
    """The letter lies in the folder."""
    line = b"X-Rembourrage: " + b"r" * 980 + b"\r\n"
    letter = line * (stage.many(HEADER_OCTETS) // len(line)) + b"X-Fin: oui\r\n\r\nx\r\n"
    async with stage.reading(f"{PERSON}@{stage.scene.domain}", HERE) as client:
        await client.send(b"a APPEND INBOX {%d}\r\n" % len(letter))
        while (await client.line()).tag != "+":
            pass
        await client.send(letter + b"\r\n")
        tally.hear(await patiently(client, "a", PREPARED_SECONDS_MAX))


async def play(stage: Stage, tally: Tally) -> None:
    person = f"{PERSON}@{stage.scene.domain}"

    async def session() -> None:
        async with stage.reading(person, HERE) as client:
            tally.made["sessions"] += 1
            while not stage.stop.is_set():
                tally.made["FETCH"] += 1
                await client.send(FETCH)
                tally.hear(await patiently(client, "f", 90))
                await stage.rest(10)

    await stage.rounds(tally, session, every=2, at_once=stage.many(SESSIONS, least=2))
