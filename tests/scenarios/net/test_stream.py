"""The end of a connection, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import struct

from mssante.net.stream import Stream


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
