"""The end of a connection, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import struct
import weakref
from contextlib import suppress
from pathlib import Path

import pytest

from mssante.limits import MIB
from mssante.net.stream import Stream
from mssante.trust.tls import user_server_context
from tests.support.smtp.house import credentials


async def test_closing_a_connection_that_was_just_reset_is_no_fault() -> None:
    """mutt leaves that way: the reset lies in the socket, and asyncio has not told of it when we close."""
    made: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
    server = await asyncio.get_running_loop().create_server(
        lambda: Stream(made=made.set_result), "127.0.0.1", 0
    )
    async with server:
        peer = socket.create_connection(server.sockets[0].getsockname())
        stream = await made
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()  # SO_LINGER of no time: a reset
        stream.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert stream.closed


FLOOD_OCTETS = 64 * MIB


@pytest.mark.parametrize("last", ["a broken record", "close_notify"])
async def test_nothing_is_taken_in_behind_a_last_word_or_a_broken_record(last: str) -> None:
    """While a login is slowed down nobody reads; what a stranger sends behind the end of TLS stays his."""
    made: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
    context = user_server_context(credentials("operator-a"))

    def connected(new: Stream) -> None:
        new.expect_tls(context)
        made.set_result(new)

    def stream() -> Stream:
        return Stream(made=connected)

    server = await asyncio.get_running_loop().create_server(stream, "127.0.0.1", 0)
    async with server:
        flood = asyncio.create_task(asyncio.to_thread(_flood, server.sockets[0].getsockname(), last))
        served = await made
        await served.handshake()
        assert await served.read(5) == b"a LOGIN x secret\r\n"
        before = _resident()
        taken = await flood
        assert _resident() - before < MIB
        assert taken < 16 * MIB  # the two sockets' own buffers
        assert await served.read(5) == b""
        served.abort()


async def test_what_was_received_is_gone_with_the_connection() -> None:
    """Nobody waits for the collector of cycles: a typed password lay there."""
    made: list[weakref.ref[Stream]] = []
    gone = asyncio.Event()

    def stream() -> Stream:
        new = Stream(lost=lambda _: gone.set())
        new.secured = lambda: print(new)
        made.append(weakref.ref(new))
        return new

    server = await asyncio.get_running_loop().create_server(stream, "127.0.0.1", 0)
    async with server:
        gc.disable()
        try:
            peer = socket.create_connection(server.sockets[0].getsockname())
            peer.sendall(b"a LOGIN x secret\r\n")
            while not (made and (there := made[0]()) is not None and there.pending):
                await asyncio.sleep(0.01)
            there.abort()
            del there
            await gone.wait()
            await asyncio.sleep(0.05)
            assert made[0]() is None
        finally:
            gc.enable()


def _flood(address: tuple[str, int], last: str) -> int:
    """Octets that the server's side took from a client which goes on behind its last word."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address) as plain, context.wrap_socket(plain) as client:
        client.sendall(b"a LOGIN x secret\r\n")
        with socket.socket(fileno=os.dup(client.fileno())) as raw:
            if last == "close_notify":
                client.settimeout(0.5)
                with suppress(OSError):
                    client.unwrap()
            else:
                raw.sendall(b"\x17\x03\x03\x00\x05wrong")
            raw.settimeout(1)
            sent, block = 0, b"x" * MIB
            with suppress(OSError):
                while sent < FLOOD_OCTETS:
                    sent += raw.send(block)
            return sent


def _resident() -> int:
    """Octets of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
