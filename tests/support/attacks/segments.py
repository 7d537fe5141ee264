"""Row 10: a destination greets with 24 KB in small segments, before it has proved anything."""

from __future__ import annotations

import asyncio
import itertools

from mssante.demo.operator import HOST
from tests.support.attacks.stage import Stage, Tally, expect

PERSON = "correspondant"
HERE = "127.10.0.1"
GREETING = b"220-x\r\n" * (24 * 1024 // 7) + b"220 x\r\n"
SEGMENT_OCTETS = 16
SEGMENT_REST_SECONDS = 0.002


async def play(stage: Stage, tally: Tally) -> None:
    """Plays the servers of those destinations too."""
    callers: set[asyncio.StreamWriter] = set()

    async def talkative(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.add(writer)
        tally.made["greetings"] += 1
        with tally.trouble():
            for start in range(0, len(GREETING), SEGMENT_OCTETS):
                writer.write(GREETING[start : start + SEGMENT_OCTETS])
                await writer.drain()
                await asyncio.sleep(SEGMENT_REST_SECONDS)
            tally.made["greetings to the end"] += 1
            async with asyncio.timeout(30):
                tally.heard["EHLO" if await reader.readline() else "closed"] += 1
        callers.discard(writer)
        writer.transport.abort()

    person = f"{PERSON}@{stage.scene.domain}"
    domains = itertools.cycle(stage.scene.slow_domains)

    async def one() -> None:
        async with stage.submitting(person, HERE) as talk:
            expect("250", await talk.ask(f"MAIL FROM:<{person}>"))
            expect("250", await talk.ask(f"RCPT TO:<medecin@{next(domains)}>"))
            expect("354", await talk.ask("DATA"))
            await talk.send(f"From: <{person}>\r\nSubject: segments\r\n\r\nx\r\n.\r\n".encode())
            tally.made["letters"] += 1
            tally.hear(await talk.reply())

    async with await asyncio.start_server(talkative, HOST, stage.scene.slow_port):
        try:
            await stage.rounds(tally, one, every=4)
        finally:
            for caller in callers:
                caller.transport.abort()
