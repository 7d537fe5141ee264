"""Row 11: a listed peer brings letters in letters, each with an address field that is all groups."""

from __future__ import annotations

import asyncio

from tests.support.attacks.stage import Stage, Tally, expect

HERE = "127.11.0.1"
LETTER_OCTETS = 2**20
DEPTH = 49


async def play(stage: Stage, tally: Tally) -> None:
    sender = stage.scene.peers["valide"].sender
    letter = _letter(sender, stage.many(LETTER_OCTETS))

    async def one() -> None:
        async with stage.relayed("valide", HERE) as talk:
            expect("250", await talk.ask(f"MAIL FROM:<{sender}>"))
            expect("250", await talk.ask(f"RCPT TO:<{stage.scene.recipient}>"))
            expect("354", await talk.ask("DATA"))
            await talk.send(letter + b"\r\n.\r\n")
            tally.made["letters"] += 1
            async with asyncio.timeout(60):
                tally.hear((await talk.reader.readline()).decode("latin-1"))

    await stage.rounds(tally, one, every=3)


def _letter(sender: str, octets: int) -> bytes:
    """The groups are folded: a line has an end for SMTP, the field has none for its reader."""
    groups = (b"a:" * 400 + b"\r\n ") * max(1, octets // DEPTH // 803)
    inside = b"Content-Type: message/rfc822\r\nTo: " + groups + b"\r\n\r\n"
    return f"From: <{sender}>\r\n".encode() + inside * DEPTH + b"x\r\n"
