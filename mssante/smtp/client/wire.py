"""One client connection, built on aiosmtplib's protocol but stricter than it.

This file and courier.py are the only ones that import aiosmtplib. We use it to parse replies and for flow
control. DATA and STARTTLS are our own: aiosmtplib holds a whole message in memory, rewrites line endings
(which would break a signature), and drops plaintext behind the 220 of STARTTLS, where we must hang up. The
gathering of a reply is our own too: aiosmtplib parses it from its start again for each segment.

Invariants: a command is sent only when everything received has been read; a reply that nobody asked for, or
that is longer than its bounds, ends the connection at once; aiosmtplib's parser sees each reply once, whole;
a message is sent exactly as the caller framed it, in bounded memory.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from aiosmtplib.errors import SMTPException, SMTPTimeoutError
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from mssante import limits
from mssante.model import Malformed
from mssante.reasons import Passing, Reason
from mssante.smtp.grammar.reply_lines import ReplyLines

Reply = SMTPResponse  # a code, and its text without the code

# OpenSSL's X509_V_ERR_*: what the handshake itself found wrong with the remote's certificate.
_UNTRUSTED = {2, 18, 19, 20, 21, 24, 25}
_WRONG_USAGE = {26}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a remote is waited for, in seconds (RFC 5321 §4.5.3.2)."""

    connection: float = 30
    greeting: float = 300
    handshake: float = 30
    command: float = 300
    data: float = 120
    block: float = 180
    final_dot: float = limits.REPLY_SECONDS_FINAL_DOT


class ClientWire(SMTPProtocol):
    """A connection to one remote. Every method raises Passing(REMOTE_UNREACHABLE) when the connection breaks,
    when the remote does not answer in time, or when it sends what was not asked for. When the upgrade to TLS
    fails, the reason is TLS_FAILED."""

    def __init__(self, patience: Patience) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._patience = patience
        self._room = asyncio.Event()
        self._room.set()
        self._unasked = False
        self._replies = ReplyLines()

    def data_received(self, data: bytes) -> None:
        if not self._response_pending or self._answered_early():
            return self._spoke_unasked()
        try:
            reply, rest = self._replies.receive_data(data)
        except Malformed as fault:
            assert self._response_waiter is not None
            self._set_response_exception(self._response_waiter, SMTPException(str(fault)))
            return self._drop()
        if reply is not None:
            super().data_received(reply)
            self._room.set()  # we must not wait to send more: the remote may have stopped reading
        if rest:
            self._spoke_unasked()
        return None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._room.clear()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._room.set()

    async def greeting(self) -> Reply:
        """Waits for the remote's greeting."""
        return await self._answered(self.read_response(timeout=self._patience.greeting))

    async def command(self, line: bytes, *, seconds: float | None = None) -> Reply:
        """Sends one line, waits for its reply."""
        self._nothing_unread()
        return await self._answered(self.execute_command(line, timeout=seconds or self._patience.command))

    async def upgrade(self, context: ssl.SSLContext, *, hostname: str) -> None:
        """STARTTLS. Raises Passing(TLS_FAILED) when the remote declines it, sends anything in clear after its
        220 (T3), or the handshake fails; the connection can then only be closed."""
        reply = await self.command(b"STARTTLS")
        if reply.code != 220:
            raise Passing(Reason.TLS_FAILED, f"STARTTLS answered {reply.code}")
        self._nothing_unread(Reason.TLS_FAILED)
        transport = cast(asyncio.WriteTransport, self.transport)
        try:
            async with asyncio.timeout(self._patience.handshake):
                upgraded = await self._loop.start_tls(transport, self, context, server_hostname=hostname)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise tls_failed(error) from error
        if upgraded is None:
            raise Passing(Reason.TLS_FAILED, "connection lost")
        self.transport = upgraded
        self._over_ssl = True
        self._nothing_unread(Reason.TLS_FAILED)

    async def data(self, framed: AsyncIterator[bytes]) -> Reply:
        """Sends DATA, then `framed` (with doubled dots and the final dot line), and returns the last reply,
        which is the one to DATA if that was no 354. A reply that comes before the end of the message is
        believed only if it refuses."""
        go_ahead = await self.command(b"DATA", seconds=self._patience.data)
        if go_ahead.code != 354:
            return go_ahead
        self._nothing_unread()
        self._response_pending = True
        async for block in framed:
            if self._answered_early():
                break
            await self._write(block)
        else:
            return await self._answered(self.read_response(timeout=self._patience.final_dot))
        early = await self._answered(self.read_response(timeout=1))
        self.close()
        if early.code < 400:
            raise Passing(Reason.REMOTE_UNREACHABLE, "answered before the end of the message")
        return early

    @property
    def is_quiet(self) -> bool:
        """Whether the remote has sent nothing since its last answer."""
        return not (self._unasked or self._replies.inside)

    def proved(self) -> None:
        """The remote has proved who it is, so it may say more than a stranger."""
        self._replies.proved()

    def fact(self, name: str) -> Any:
        """What asyncio knows of the transport (`ssl_object`, `peername`…)."""
        return self.transport.get_extra_info(name) if self.transport else None

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _spoke_unasked(self) -> None:
        self._unasked = True  # the next command then refuses to be sent
        self._drop()

    def _drop(self) -> None:
        """Ends the connection without another octet read, or a flood would go on costing us."""
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).abort()

    def _answered_early(self) -> bool:
        return self._response_waiter is None or self._response_waiter.done()

    async def _write(self, block: bytes) -> None:
        try:
            self.write(block)
            async with asyncio.timeout(self._patience.block):
                await self._room.wait()
        except (SMTPException, OSError, TimeoutError) as error:
            raise Passing(Reason.REMOTE_UNREACHABLE, type(error).__name__) from error

    def _nothing_unread(self, reason: Reason = Reason.REMOTE_UNREACHABLE) -> None:
        if not self.is_quiet:
            self.close()
            raise Passing(reason, "the remote spoke out of turn")

    async def _answered(self, waiting: Any) -> Reply:
        try:
            return cast(Reply, await waiting)
        except SMTPTimeoutError as error:
            self.close()
            raise Passing(Reason.REMOTE_UNREACHABLE, "no reply in time") from error
        except (SMTPException, OSError) as error:
            self.close()
            if isinstance(error.__cause__, ssl.SSLError):
                # In TLS 1.3 a server that refuses our certificate says so after the handshake.
                raise tls_failed(error.__cause__) from error
            raise Passing(Reason.REMOTE_UNREACHABLE, type(error).__name__) from error


def tls_failed(error: BaseException) -> Passing:
    """Why TLS failed, with OpenSSL's own explanation for our log. It is Passing, so the letter waits."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = Reason.TLS_FAILED
        if error.verify_code in _UNTRUSTED:
            reason = Reason.CERTIFICATE_UNTRUSTED_ISSUER
        elif error.verify_code in _WRONG_USAGE:
            reason = Reason.CERTIFICATE_WRONG_USAGE
        return Passing(reason, error.verify_message)
    if isinstance(error, ssl.SSLError):
        return Passing(Reason.TLS_FAILED, error.reason or type(error).__name__)
    return Passing(Reason.TLS_FAILED, type(error).__name__)
