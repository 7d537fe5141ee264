"""Row 3: one APPEND of hundreds of letters of a mebibyte each, all to be kept until its last."""

from __future__ import annotations

import base64
import os

from tests.support.attacks.stage import Stage, Tally, patiently

PERSON = "empileur"
HERE = "127.3.0.1"
LETTERS = 300
LETTER_OCTETS = 2**20
LETTER_REST_SECONDS = 0.1  # at most ten letters in a second
END_SECONDS_MAX = 60


async def play(stage: Stage, tally: Tally) -> None:
    person = f"{PERSON}@{stage.scene.domain}"
    body = base64.encodebytes(os.urandom(LETTER_OCTETS * 3 // 4)).replace(b"\n", b"\r\n")
    letter = b"Subject: pile\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body

    async def one() -> None:
        async with stage.reading(person, HERE) as client:
            tally.made["APPEND"] += 1
            await client.send(b"a APPEND INBOX")
            for _ in range(stage.many(LETTERS, least=20)):
                await client.send(b" {%d}\r\n" % len(letter))
                while (line := await client.line()).tag == "*":
                    pass
                if line.tag != "+":
                    tally.hear(f"{line.name} [{line.code}]")
                    return
                await client.send(letter)
                tally.made["letters"] += 1
                await stage.rest(LETTER_REST_SECONDS)
                if stage.stop.is_set():
                    return
            await client.send(b"\r\n")
            tally.hear(await patiently(client, "a", END_SECONDS_MAX))

    await stage.rounds(tally, one, every=1)
