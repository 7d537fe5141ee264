"""Row 8: one address takes all its places, and goes on knocking; refused connections are not closed by it."""

from __future__ import annotations

import asyncio

from tests.support.attacks.stage import Stage, Tally

HERE = "127.8.0.1"
KNOCKING = 40
EVERY_SECONDS = 0.5  # some 80 connections in a second


async def play(stage: Stage, tally: Tally) -> None:
    async def one() -> None:
        async with stage.connected(stage.port("relay"), HERE) as (reader, _):
            tally.made["connections"] += 1
            async with asyncio.timeout(20):
                said = await reader.readline()
                if said.startswith(b"220"):  # a place: kept in silence
                    said = await reader.readline()
                tally.hear(said.decode("latin-1"))
                while await reader.read(4096):  # until the server has closed
                    pass

    await stage.rounds(tally, one, every=EVERY_SECONDS, at_once=stage.many(KNOCKING, least=15))
