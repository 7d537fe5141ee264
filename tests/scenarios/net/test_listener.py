"""What a port does with those who find no place, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from mssante import limits
from mssante.net.listener import Listener
from mssante.net.places import Caps
from mssante.net.stream import Stream
from mssante.observe.event import Event, add_sink
from mssante.observe.events import ConnectionRefused
from tests.support.imap.house import MARIE, PASSWORD, imap_house
from tests.support.smtp.house import doctor, submission


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


KNOWN_CAPS = Caps(total=6, per_address=6, pre_tls=100, pre_tls_per_address=6, reserved_for_known=0.5)


async def test_who_has_signed_in_to_submission_is_known_there() -> None:
    async with submission(caps=KNOWN_CAPS) as house:
        signed_in = await doctor(house.port)
        await _only_the_known_are_greeted(house.port, b"220 ", b"421 ")
        await signed_in.ask("NOOP")


async def test_who_has_signed_in_to_imap_is_known_there(tmp_path: Path) -> None:
    async with imap_house(tmp_path, caps=KNOWN_CAPS) as house:
        await house.mailbox(MARIE)
        client = await house.clear()
        await client.start_tls(house.tls)
        await client.login(MARIE, PASSWORD)
        await _only_the_known_are_greeted(house.server.port, b"* OK ", b"* BYE ")
        await client.ok("NOOP")


async def _only_the_known_are_greeted(port: int, welcome: bytes, refusal: bytes) -> None:
    """Somebody has signed in from 127.0.0.1, on the first of three places that the strangers share."""
    kept = []
    for address, greeting in [
        ("127.0.1.1", welcome),
        ("127.0.1.2", welcome),
        ("127.0.1.3", refusal),
        ("127.0.0.1", welcome),
    ]:
        kept.append(await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))
        assert (await kept[-1][0].readline()).startswith(greeting), address
    for _, writer in kept:
        writer.close()
