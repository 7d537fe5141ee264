"""DATA: what aiosmtpd 1.4.6 does, and what the guard makes of it (findings A1, A3, A21-A24, A28)."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from mssante.smtp.server.wire import SessionLimits
from tests.support.smtp.house import Talk, relay
from tests.support.smtp.plain_aiosmtpd import plain

MIB = 2**20


@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n"])
async def test_a3_bare_line_endings_and_nul_pass_through_aiosmtpd_but_not_the_guard(octets: bytes) -> None:
    async with plain() as server:
        talk = await server.ready()
        await talk.send(octets + b".\r\n")
        assert (await talk.reply()).startswith("250")
        assert server.handler.contents == [octets]
    async with relay() as house:
        talk = await house.ready()
        await talk.send(octets + b".\r\n")
        assert (await talk.reply()).startswith("550 5.")
        assert not house.backend.kept


async def test_a3_a_dot_behind_a_bare_line_feed_is_lost_by_aiosmtpd() -> None:
    wire = b"a\r\n.\n\r\n.\r\n"
    async with plain() as server:
        talk = await server.ready()
        await talk.send(wire)
        assert (await talk.reply()).startswith("250")
        assert server.handler.contents == [b"a\r\n\n\r\n"]
    async with relay() as house:
        talk = await house.ready()
        await talk.send(wire)
        assert (await talk.reply()).startswith("550 5.5.2")


async def test_a28_a_line_of_1001_octets_is_refused_by_aiosmtpd_and_taken_by_the_guard() -> None:
    line = b"x" * 1001 + b"\r\n.\r\n"
    async with plain() as server:
        talk = await server.ready()
        await talk.send(line)
        assert (await talk.reply()).startswith("500 Line too long")
    async with relay() as house:
        talk = await house.ready()
        await talk.send(line)
        assert (await talk.reply()).startswith("250")


async def _poured(talk: Talk, block: bytes, octets: int) -> None:
    try:
        for _ in range(octets // len(block)):
            talk.writer.write(block)
            await talk.writer.drain()
            await asyncio.sleep(0)
    except ConnectionError:
        pass


async def _peak(ready: Callable[[], Awaitable[Talk]], block: bytes, octets: int) -> int:
    """Peak memory above the start while `octets` are poured into DATA."""
    talk = await ready()
    tracemalloc.start()
    try:
        await _poured(talk, block, octets)
        await asyncio.sleep(0.05)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        talk.abort()


async def _objects(ready: Callable[[], Awaitable[Talk]], block: bytes) -> int:
    """How many objects are kept once `block` has been poured into DATA."""
    talk = await ready()
    gc.collect()
    before = sys.getallocatedblocks()
    await talk.send(block)
    await asyncio.sleep(0.2)
    kept = sys.getallocatedblocks() - before
    talk.abort()
    return kept


async def test_a21_an_endless_line_fills_aiosmtpd_and_not_the_guard() -> None:
    async with plain(data_size_limit=MIB) as server:
        peak = await _peak(server.ready, b"x" * 65536, 16 * MIB)
        assert peak > 12 * MIB  # it keeps fragments it will never use
    async with relay(limits=SessionLimits(message_octets_max=MIB)) as house:
        peak = await _peak(house.ready, b"x" * 65536, 16 * MIB)
        assert peak < 2 * MIB


async def test_a22_draining_what_is_too_large_has_no_end_in_aiosmtpd() -> None:
    block = (b"x" * 76 + b"\r\n") * 800
    async with plain(data_size_limit=MIB) as server:
        talk = await server.ready()
        await _poured(talk, block, 6 * MIB)
        assert talk.writer.transport.is_closing() is False
        await talk.send(b".\r\n")
        assert (await talk.reply()).startswith("552")
    async with relay(limits=SessionLimits(message_octets_max=MIB)) as house:
        talk = await house.ready()
        await _poured(talk, block, 6 * MIB)
        assert (await talk.reply()).startswith("552 5.3.4")
        assert await talk.reply() == ""


@pytest.mark.parametrize("length", [0, 1, 10])
async def test_a23_aiosmtpd_keeps_an_object_for_every_line(length: int) -> None:
    lines = 10_000
    block = (b"x" * length + b"\r\n") * lines
    async with plain() as server:
        assert await _objects(server.ready, block) > lines  # 60 octets and more for an empty line
    async with relay() as house:
        house.backend.keeps_content = False
        assert await _objects(house.ready, block) < lines / 10


async def _processor(ready: Callable[[], Awaitable[Talk]], wire: bytes) -> float:
    talk = await ready()
    began = time.process_time()
    await talk.send(wire)
    assert (await talk.reply()).startswith("250")
    return time.process_time() - began


async def test_a24_empty_lines_take_aiosmtpd_ten_times_as_long() -> None:
    wire = b"\r\n" * (MIB // 4) + b".\r\n"
    async with plain() as server:
        theirs = await _processor(server.ready, wire)
    async with relay() as house:
        ours = await _processor(house.ready, wire)
    assert ours * 10 < theirs, (ours, theirs)
