"""One client connection, on aiosmtplib's protocol: what it lets through, this refuses.

With smtp_courier, the only importer of aiosmtplib. It is used for its replies and its flow control; DATA and
STARTTLS are ours, because it holds a whole message in memory, rewrites line endings (a signature would
break) and drops plaintext that follows the 220 where we must hang up.

Invariants: a command is sent only when nothing unread is left; what is said without being asked ends the
connection; a message is sent as its caller framed it, octet for octet, in memory that does not grow.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any, cast

from aiosmtplib.errors import SMTPException, SMTPTimeoutError
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from mssante import limits
from mssante.reasons import Passing, Reason

# RFC 5321 §4.5.3.2, except that a greeting and a command are not waited for longer than five minutes.
_COMMAND_SECONDS = 300
_DATA_SECONDS = 120
_BLOCK_SECONDS = 180


class Wire(SMTPProtocol):
    """A connection to one remote. Every method raises Passing(REMOTE_UNREACHABLE) when the line breaks, falls
    silent or speaks out of turn; TLS_FAILED when the upgrade does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._room = asyncio.Event()
        self._room.set()
        self._unasked = False

    def data_received(self, data: bytes) -> None:
        if not self._response_pending:
            self._unasked = True  # kept as a fact, not as bytes: the next command refuses to be sent
        super().data_received(data)
        if self._answered_early():
            self._room.set()  # a remote that refuses in the middle of DATA may have stopped reading

    def pause_writing(self) -> None:
        super().pause_writing()
        self._room.clear()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._room.set()

    async def greeting(self, *, seconds: float) -> SMTPResponse:
        """The remote's first words."""
        return await self._answered(self.read_response(timeout=seconds))

    async def command(self, line: bytes, *, seconds: float = _COMMAND_SECONDS) -> SMTPResponse:
        """Sends one line, waits for its reply."""
        self._nothing_unread()
        return await self._answered(self.execute_command(line, timeout=seconds))

    async def upgrade(self, context: ssl.SSLContext, *, hostname: str, seconds: float) -> None:
        """STARTTLS. Raises Passing(TLS_FAILED) when the remote declines it, says anything in clear after its
        220 (T3), or the handshake fails; the connection is then good for nothing but closing."""
        reply = await self.command(b"STARTTLS")
        if reply.code != 220:
            raise Passing(Reason.TLS_FAILED, f"STARTTLS answered {reply.code}")
        self._nothing_unread(Reason.TLS_FAILED)
        transport = cast(asyncio.WriteTransport, self.transport)
        try:
            async with asyncio.timeout(seconds):
                upgraded = await self._loop.start_tls(
                    transport, self, context, server_hostname=hostname, ssl_handshake_timeout=seconds
                )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            raise Passing(Reason.TLS_FAILED, handshake_fault(error)) from error
        if upgraded is None:
            raise Passing(Reason.TLS_FAILED, "connection lost")
        self.transport = upgraded
        self._over_ssl = True
        self._nothing_unread(Reason.TLS_FAILED)

    async def data(self, framed: AsyncIterator[bytes]) -> SMTPResponse:
        """Sends DATA, then `framed` (dots doubled, ended by its own dot line), and returns the last reply
        (that to DATA if no 354). A remote that answers before the end is believed only if it refuses."""
        go_ahead = await self.command(b"DATA", seconds=_DATA_SECONDS)
        if go_ahead.code != 354:
            return go_ahead
        self._nothing_unread()
        self._response_pending = True
        async for block in framed:
            if self._answered_early():
                break
            await self._write(block)
        else:
            return await self._answered(self.read_response(timeout=limits.REPLY_SECONDS_FINAL_DOT))
        early = await self._answered(self.read_response(timeout=1))
        self.close()
        if early.code < 400:
            raise Passing(Reason.REMOTE_UNREACHABLE, "answered before the end of the message")
        return early

    def fact(self, name: str) -> Any:
        """What asyncio knows of the transport (`ssl_object`, `peername`…)."""
        return self.transport.get_extra_info(name) if self.transport else None

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _answered_early(self) -> bool:
        return self._response_waiter is None or self._response_waiter.done()

    async def _write(self, block: bytes) -> None:
        try:
            self.write(block)
            async with asyncio.timeout(_BLOCK_SECONDS):
                await self._room.wait()
        except (SMTPException, OSError, TimeoutError) as error:
            raise Passing(Reason.REMOTE_UNREACHABLE, type(error).__name__) from error

    def _nothing_unread(self, reason: Reason = Reason.REMOTE_UNREACHABLE) -> None:
        if self._unasked or self._buffer:
            self.close()
            raise Passing(reason, "the remote spoke out of turn")

    async def _answered(self, waiting: Any) -> SMTPResponse:
        try:
            return cast(SMTPResponse, await waiting)
        except SMTPTimeoutError as error:
            self.close()
            raise Passing(Reason.REMOTE_UNREACHABLE, "no reply in time") from error
        except (SMTPException, OSError) as error:
            self.close()
            raise Passing(Reason.REMOTE_UNREACHABLE, type(error).__name__) from error


def handshake_fault(error: BaseException) -> str:
    """OpenSSL's own word for what went wrong, for our log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return type(error).__name__
