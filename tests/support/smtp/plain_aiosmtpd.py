"""aiosmtpd as it comes, for contract tests: the finding must show on it, so that an upgrade is noticed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP

from tests.support.smtp.house import Talk, credentials, pki


class Handler:
    """Keeps what it is given; `fails` is raised at DATA, `may_finish` holds it there."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.fails: Exception | None = None
        self.began = asyncio.Event()
        self.may_finish = asyncio.Event()
        self.may_finish.set()
        self.cancelled = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.began.set()
        try:
            await self.may_finish.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.fails is not None:
            raise self.fails
        self.contents.append(envelope.original_content)
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return "250 OK"


@dataclass
class Plain:
    port: int
    handler: Handler
    sessions: list[SMTP] = field(default_factory=list)

    async def greeted(self) -> Talk:
        talk = await Talk.open(self.port)
        await talk.reply()
        await talk.ask("EHLO a.test")
        return talk

    async def ready(self) -> Talk:
        talk = await self.greeted()
        await talk.ask("MAIL FROM:<a@a.test>")
        await talk.ask("RCPT TO:<b@b.test>")
        assert (await talk.ask("DATA")).startswith("354")
        return talk


def server_context() -> ssl.SSLContext:
    mine = credentials("operator-b")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mine.chain_file, mine.key_file)
    context.load_verify_locations(pki().anchors)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


@asynccontextmanager
async def plain(*, implicit_tls: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Plain]:
    """aiosmtpd on a free port, without a guard."""
    loop = asyncio.get_running_loop()
    handler = Handler()
    found = Plain(0, handler)

    def session() -> SMTP:
        found.sessions.append(SMTP(handler, hostname="plain.test", loop=loop, **options))
        return found.sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=implicit_tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        handler.may_finish.set()
        server.close()
        for each in found.sessions:
            if each.transport is not None:
                assert isinstance(each.transport, asyncio.WriteTransport)
                each.transport.abort()
