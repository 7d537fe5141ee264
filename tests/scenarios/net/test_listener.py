"""What a port does with those who find no place, over real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from mssante import limits
from mssante.net.listener import Listener
from mssante.net.places import Caps
from mssante.net.stream import Stream
from mssante.observe.event import Event, add_sink
from mssante.observe.events import ConnectionRefused


async def test_those_who_are_refused_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They lingered two seconds each, uncounted: every descriptor was gone, with a log line for each."""
    monkeypatch.setattr(limits, "CONNECTIONS_DISMISSED_AT_ONCE", 5)
    told: list[Event] = []
    remove = add_sink(told.append)

    async def wait(stream: Stream) -> None:
        await stream.read()

    listener = Listener(name="port", handler=wait, caps=Caps(total=2, per_address=2), busy=b"busy\r\n")
    await listener.open("127.0.0.1", 0)
    clients = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(40)]
    try:
        await asyncio.sleep(0.2)
        assert listener.connections == 2
        assert listener.dismissed == 5
        refused = [event for event in told if isinstance(event, ConnectionRefused)]
        assert [(event.cause, event.times) for event in refused] == [
            ("too many connections from this address", 1)
        ]
        words = 0
        for client in clients:
            client.settimeout(0.1)
            try:
                words += client.recv(100) == b"busy\r\n"
            except OSError:  # still open, or cut
                pass
        assert words == 5
    finally:
        remove()
        for client in clients:
            client.close()
        await listener.close(1)
    assert listener.dismissed == 0
