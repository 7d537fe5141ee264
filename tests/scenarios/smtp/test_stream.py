"""The stream under every mail server: bounds, TLS, endings (RFC 3207 §4.2; attack catalogue T1, R7)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from mssante import limits
from mssante.net.endings import HandshakeFailed, PlaintextPipelined, Stopping
from mssante.net.listener import Listener
from mssante.net.places import Caps
from mssante.net.stream import Stream
from mssante.observe.event import Event, add_sink
from mssante.observe.events import Crashed, HandshakeRefused
from mssante.trust.tls import user_server_context
from tests.support.smtp.house import Talk, client_context, credentials, until


@asynccontextmanager
async def listening(
    handler: Callable[[Stream], Awaitable[None]], *, tls: bool = False, caps: Caps | None = None
) -> AsyncIterator[Listener]:
    context = user_server_context(credentials("operator-b"))
    listener = Listener(name="test", handler=handler, tls=(lambda: context) if tls else None, caps=caps)
    await listener.open("127.0.0.1", 0)
    try:
        yield listener
    finally:
        await listener.close(1)


@pytest.fixture
def events() -> Iterator[list[Event]]:
    found: list[Event] = []
    forget = add_sink(found.append)
    yield found
    forget()


async def _echo(stream: Stream) -> None:
    while octets := await stream.read(5):
        stream.write(octets)
        await stream.drain()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_megabytes_go_both_ways_unchanged(version: ssl.TLSVersion) -> None:
    content = bytes(range(256)) * 8192
    context = client_context(None)
    context.minimum_version = context.maximum_version = version
    async with listening(_echo, tls=True) as listener:
        talk = await Talk.open(listener.port, context)
        sending = asyncio.create_task(talk.send(content))
        assert await talk.reader.readexactly(len(content)) == content
        await sending


async def test_what_is_not_read_stays_with_the_sender() -> None:
    held: list[int] = []
    go = asyncio.Event()

    async def slow(stream: Stream) -> None:
        await go.wait()
        while octets := await stream.read(5):
            held.append(len(octets))

    async with listening(slow, tls=True) as listener:
        talk = await Talk.open(listener.port, client_context(None))
        talk.writer.write(bytes(8 * 2**20))
        await asyncio.sleep(0.2)
        go.set()
        await until(lambda: sum(held) == 8 * 2**20)
        assert max(held) < 3 * limits.TLS_BUFFER_OCTETS


async def test_plaintext_held_by_the_stream_ends_it_before_the_answer() -> None:
    seen: list[type[BaseException]] = []

    async def upgrade(stream: Stream) -> None:
        assert await stream.read(5)
        await until(lambda: stream.pending)
        try:
            await stream.start_tls(user_server_context(credentials("operator-b")), answer=b"OK\r\n")
        except ConnectionError as error:
            seen.append(type(error))
            raise

    async with listening(upgrade) as listener:
        talk = await Talk.open(listener.port)
        await talk.send(b"STARTTLS\r\n")
        await asyncio.sleep(0.02)
        await talk.send(b"x")
        assert await talk.reply() == ""
        assert seen == [PlaintextPipelined]


async def test_tls_inside_tls_is_a_bug_told_as_such(events: list[Event]) -> None:
    async def twice(stream: Stream) -> None:
        await stream.start_tls(user_server_context(credentials("operator-b")))

    async with listening(twice, tls=True) as listener:
        talk = await Talk.open(listener.port, client_context(None))
        assert await talk.reply() == ""
        await until(lambda: any(isinstance(event, Crashed) for event in events))


async def test_a_silent_handshake_is_cut_and_told(events: list[Event]) -> None:
    async with listening(_echo, tls=True, caps=Caps(handshake_seconds=0.1)) as listener:
        talk = await Talk.open(listener.port)
        assert await talk.reply() == ""
        (event,) = (event for event in events if isinstance(event, HandshakeRefused))
        assert event.cause == "handshake timed out"
        await until(lambda: listener.connections == 0)


async def test_a_failed_handshake_is_an_exception_for_the_conversation() -> None:
    seen: list[BaseException] = []

    async def upgrade(stream: Stream) -> None:
        try:
            await stream.start_tls(user_server_context(credentials("operator-b")), answer=b"OK\r\n")
        except HandshakeFailed as error:
            seen.append(error)

    async with listening(upgrade) as listener:
        talk = await Talk.open(listener.port)
        assert await talk.reply() == "OK\r\n"
        await talk.send(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: bool(seen))
        assert str(seen[0]) in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER")


async def test_waiting_ends_with_time_or_with_the_server() -> None:
    seen: list[type[BaseException]] = []

    async def patient(stream: Stream) -> None:
        try:
            await stream.read(0.05)
        except TimeoutError as error:
            seen.append(type(error))
        try:
            await stream.read()
        except Stopping as error:
            seen.append(type(error))
            stream.write(b"BYE\r\n")

    async with listening(patient) as listener:
        talk = await Talk.open(listener.port)
        await until(lambda: seen == [TimeoutError])
        closing = asyncio.create_task(listener.close(5))
        assert await talk.reply() == "BYE\r\n"
        await closing
        assert seen == [TimeoutError, Stopping]


async def test_a_bug_in_a_conversation_ends_that_one_only(events: list[Event]) -> None:
    async def fragile(stream: Stream) -> None:
        stream.write(await stream.read(5))
        raise ValueError("canary")

    async with listening(fragile) as listener:
        for _ in range(2):
            talk = await Talk.open(listener.port)
            await talk.send(b"hello\r\n")
            assert await talk.reply() == "hello\r\n"
        await until(lambda: sum(isinstance(event, Crashed) for event in events) == 2)
        assert "canary" not in repr(events)


async def test_a_context_that_cannot_be_made_refuses_the_connection_and_is_told(events: list[Event]) -> None:
    def broken() -> ssl.SSLContext:
        raise OSError("no such file")

    listener = Listener(name="test", handler=_echo, tls=broken)
    await listener.open("127.0.0.1", 0)
    talk = await Talk.open(listener.port)
    assert await talk.reply() == ""
    await until(lambda: any(isinstance(event, Crashed) for event in events))
    await listener.close(1)


async def test_last_words_arrive_while_the_far_side_still_talks() -> None:
    async def short(stream: Stream) -> None:
        await stream.read(5)
        stream.write(b"enough\r\n")

    async with listening(short) as listener:
        talk = await Talk.open(listener.port)
        await talk.send(b"x" * 500_000)
        assert await talk.reply() == "enough\r\n"


async def test_a_far_side_that_never_stops_talking_is_cut() -> None:
    async def short(stream: Stream) -> None:
        await stream.read(5)

    async with listening(short) as listener:
        talk = await Talk.open(listener.port)
        sent = 0
        try:
            while sent < 2**27:
                await talk.send(b"x" * 65536)
                sent += 65536
        except ConnectionError:
            pass
        assert sent < 2**24
        await until(lambda: listener.connections == 0)
