"""Row 9: one person writes to hundreds of domains whose servers take the connection and say nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from mssante.demo.operator import HOST
from tests.support.attacks.stage import Stage, Tally, expect

PERSON = "bavard"
HERE = "127.9.9.1"
RECIPIENTS_AT_ONCE = 50


async def play(stage: Stage, tally: Tally) -> None:
    """Plays the silent servers too, and counts how many connections they have at once."""
    callers: set[asyncio.StreamWriter] = set()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.add(writer)
        tally.made["connections to silent servers"] += 1
        tally.most("of these at once", len(callers))
        with contextlib.suppress(OSError):
            await reader.read()
        callers.discard(writer)
        writer.close()

    person = f"{PERSON}@{stage.scene.domain}"
    domains = itertools.cycle(stage.scene.silent_domains)

    async def one() -> None:
        async with stage.submitting(person, HERE) as talk:
            expect("250", await talk.ask(f"MAIL FROM:<{person}>"))
            for domain in itertools.islice(domains, RECIPIENTS_AT_ONCE):
                reply = await talk.ask(f"RCPT TO:<medecin@{domain}>")
                if not reply.startswith("250"):
                    tally.hear(reply)
            expect("354", await talk.ask("DATA"))
            await talk.send(f"From: <{person}>\r\nSubject: bavard\r\n\r\nx\r\n.\r\n".encode())
            tally.made["letters"] += 1
            tally.hear(await talk.reply())

    async with await asyncio.start_server(silent, HOST, stage.scene.silent_port):
        try:
            await stage.rounds(tally, one, every=3)
        finally:
            for caller in callers:
                caller.transport.abort()
