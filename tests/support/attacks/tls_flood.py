"""Row 1: a password that waits, then one broken TLS record or a close_notify, then octets without end."""

from __future__ import annotations

import asyncio
import itertools
import os
import ssl

from tests.support.attacks.stage import Stage, Tally

HERE = "127.1.0.1"
BROKEN_RECORD = b"\x17\x03\x03\x00\x40" + bytes(64)
BLOCK_OCTETS = 64 * 1024
BLOCKS = 1024  # 64 MiB on one connection
BLOCK_REST_SECONDS = 0.02  # at most 3 MiB/s on each connection


async def play(stage: Stage, tally: Tally) -> None:
    block = os.urandom(BLOCK_OCTETS)
    turns = itertools.count()

    async def one() -> None:
        async with stage.connected(stage.port("imaps"), HERE) as (reader, writer):
            tls = await _handshaken(stage.anybody, reader, writer)
            tls.say(b'a LOGIN "%s" "nobody-knows"\r\n' % stage.scene.victims[0].encode())
            await stage.rest(0.3)
            if next(turns) % 2:
                writer.write(BROKEN_RECORD)
            else:
                tls.say_goodbye()
            tally.made["connections"] += 1
            for _ in range(BLOCKS):
                if stage.stop.is_set():
                    return
                writer.write(block)
                async with asyncio.timeout(10):  # a server that reads no more is what is wanted
                    await writer.drain()
                tally.made["KiB"] += BLOCK_OCTETS // 1024
                await stage.rest(BLOCK_REST_SECONDS)

    await stage.rounds(tally, one, every=0.5, at_once=stage.many(6))


class _Tls:
    """TLS by hand, so that something else can follow on the same socket."""

    def __init__(self, context: ssl.SSLContext, writer: asyncio.StreamWriter) -> None:
        self.received = ssl.MemoryBIO()
        self._sealed = ssl.MemoryBIO()
        self._writer = writer
        self.inside = context.wrap_bio(self.received, self._sealed, server_hostname="localhost")

    def flush(self) -> None:
        self._writer.write(self._sealed.read())

    def say(self, octets: bytes) -> None:
        self.inside.write(octets)
        self.flush()

    def say_goodbye(self) -> None:
        try:
            self.inside.unwrap()
        except ssl.SSLError:  # its answer has not come, and is not waited for
            pass
        self.flush()


async def _handshaken(
    context: ssl.SSLContext, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> _Tls:
    tls = _Tls(context, writer)
    async with asyncio.timeout(20):
        while True:
            try:
                tls.inside.do_handshake()
                tls.flush()
                return tls
            except ssl.SSLWantReadError:
                tls.flush()
                octets = await reader.read(65536)
                if not octets:
                    raise EOFError from None
                tls.received.write(octets)
