"""TLS: what aiosmtpd 1.4.6 and asyncio do, and what the guard makes of it (findings A5-A8, A11-A16, A43)."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from typing import Any

import pytest

from mssante.observe.events import ConnectionRefused, HandshakeRefused
from tests.support.smtp.house import Talk, client_context, relay, submission, until
from tests.support.smtp.plain_aiosmtpd import plain, server_context


async def test_a6_plaintext_behind_starttls_hangs_aiosmtpd() -> None:
    pipelined = b"STARTTLS\r\n" + b"RSET\r\n" * 500
    async with plain(tls_context=server_context()) as server:
        talk = await server.greeted()
        await talk.send(pipelined)
        assert (await talk.reply()).startswith("220")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(talk.reader.read(1), 0.5)
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO a.test")
        await talk.send(pipelined)
        assert [reply[:9] for reply in await talk.replies_to_the_end()] == ["554 5.5.0"]
        assert house.told(ConnectionRefused)


async def _starttls_again(talk: Talk) -> str:
    await talk.start_tls(client_context())
    await talk.ask("EHLO a.test")
    return await talk.ask("STARTTLS")


async def test_a7_aiosmtpd_starts_tls_inside_tls() -> None:
    async with plain(tls_context=server_context()) as server:
        assert (await _starttls_again(await server.greeted())).startswith("220")
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO a.test")
        assert (await _starttls_again(talk)).startswith("503 5.5.1")


async def test_a11_aiosmtpd_does_not_see_implicit_tls() -> None:
    async with plain(implicit_tls=server_context()) as server:
        talk = await Talk.open(server.port, client_context())
        await talk.reply()
        assert "AUTH" not in await talk.ask("EHLO a.test")
        session: Any = server.sessions[0].session
        assert session.ssl is None
    async with submission(implicit_tls=True) as house:
        talk = await Talk.open(house.port, client_context(None))
        await talk.reply()
        assert "AUTH" in await talk.ask("EHLO a.test")


async def test_a14_a_refused_handshake_is_told_to_nobody_by_aiosmtpd(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("mail.log").disabled = False
    try:
        async with plain(implicit_tls=server_context()) as server:
            await _refused(server.port)
            caplog.clear()
            await asyncio.sleep(0.05)
            assert "certificate" not in caplog.text
    finally:
        logging.getLogger("mail.log").disabled = True
    async with submission(implicit_tls=True) as house:
        await _garbled(house.port)
        await until(lambda: bool(house.told(HandshakeRefused)))


async def _refused(port: int) -> None:
    """A client whose certificate comes from elsewhere."""
    try:
        talk = await Talk.open(port, client_context("non-igc"))
        await talk.ask("EHLO a.test")
    except (ssl.SSLError, ConnectionError):
        pass


async def _garbled(port: int) -> None:
    talk = await Talk.open(port)
    await talk.send(b"EHLO a.test\r\n" * 10)
    await talk.reader.read()


async def test_a12_the_reason_of_a_refusal_reaches_the_peer_as_an_alert() -> None:
    """asyncio closes before its alert is sent; ours leaves first."""
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO a.test")
        await talk.start_tls(client_context("non-igc"))
        with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"):
            await talk.reader.read()


def _two_sessions(port: int) -> bool | None:
    """Whether the second connection resumes the first one's session."""
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = None
    reused: bool | None = None
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", port)) as wire:
            for line in (b"", b"EHLO a.test\r\n", b"STARTTLS\r\n"):
                wire.sendall(line)
                reply = b""
                while not re.search(rb"(?m)^\d{3} .*\n", reply):
                    reply += wire.recv(4096)
            with context.wrap_socket(wire, session=session) as tls:
                session, reused = tls.session, tls.session_reused
    return reused


async def test_a15_aiosmtpd_resumes_sessions_that_nobody_verified_again() -> None:
    async with plain(tls_context=server_context()) as server:
        assert await asyncio.to_thread(_two_sessions, server.port) is True
    async with relay() as house:
        assert await asyncio.to_thread(_two_sessions, house.port) is False
