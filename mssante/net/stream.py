"""A byte stream over one connection, first in clear and then under TLS, for all our mail servers.

Invariants: nothing received in clear is used after the upgrade to TLS (octets that follow the command asking
for TLS end the connection before the handshake); what is held in memory is bounded in both directions,
encrypted or not, and is dropped with the connection; after the far side has said that it sends no more, or
after a broken TLS record, nothing more is read; every write finishes in time or the connection is cut; a
failed handshake is reported with OpenSSL's own reason.

TLS runs on `ssl.SSLObject` and memory BIOs rather than on asyncio's SSLProtocol. So the same code serves
asyncio and uvloop, one line of ours separates clear text from TLS, the peer receives the TLS alert, and an
idle connection does not keep a 256 KiB buffer (finding A44).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from mssante import limits
from mssante.net.endings import HandshakeFailed, PlaintextPipelined, Stopping
from mssante.observe.event import report
from mssante.observe.events import HandshakeRefused
from mssante.trust.tls import openssl_reason, peer_chain

ContextFactory = Callable[[], ssl.SSLContext]

# asyncio and uvloop ask for the buffer, fill it and report it within one call, so connections can share one.
_SCRATCH = memoryview(bytearray(limits.TLS_BUFFER_OCTETS))


class Stream(asyncio.BufferedProtocol):
    """One connection. A Listener makes it, and one task, the conversation, uses it.

    `listener` (a port's name) and `remote` (the far host's address) identify the connection in events."""

    def __init__(
        self,
        *,
        listener: str = "",
        made: Callable[[Stream], None] | None = None,
        lost: Callable[[Stream], None] | None = None,
        write_seconds: float = limits.WRITE_SECONDS_MAX,
        handshake_seconds: float = limits.HANDSHAKE_SECONDS_MAX,
    ) -> None:
        self.listener = listener
        self.remote = ""
        self.secured: Callable[[], None] | None = None
        self._made = made
        self._lost = lost
        self._write_seconds = write_seconds
        self._handshake_seconds = handshake_seconds
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._eof = False
        self._closed = False
        self._stopping = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._occupied: asyncio.Timeout | None = None
        self._congested = False
        self._tls: ssl.SSLObject | None = None
        self._sealed_in = ssl.MemoryBIO()
        self._sealed_out = ssl.MemoryBIO()
        self._handshake: asyncio.Future[None] | None = None
        self._agreed = False  # the handshake is done
        self._closing = False
        self._lingered = 0
        self._reaper: asyncio.TimerHandle | None = None

    # What a conversation uses

    async def read(self, seconds: float | None = None) -> bytes:
        """All that has arrived, at least one octet; b"" when the far side sends no more.

        Raises TimeoutError after `seconds` of waiting and Stopping when the server stops."""
        while not (self._received or self._eof or self._stopping):
            await self._wait_for_octets(seconds)
        if self._stopping:
            raise Stopping
        if not self._received:
            return b""
        taken = self._received[0] if len(self._received) == 1 else b"".join(self._received)
        self._received.clear()
        self._held = 0
        if not self._eof:
            self._resume_reading()
        return taken

    def write(self, octets: bytes | bytearray | memoryview) -> None:
        """Sends. Never blocks and never raises: call `drain` before producing more than a few KiB."""
        if self._closed or self._closing or self._transport is None:
            return
        if self._tls is None:
            self._transport.write(octets)
            return
        rest = memoryview(octets)
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError:
            self.abort()  # the far side has broken the TLS session: nothing more can be sent in it
            return
        self._flush()

    async def drain(self) -> None:
        """Waits until the far side has taken what was written. Raises ConnectionError when the far side is
        gone, or does not take it before the write deadline (the connection is then cut)."""
        if self._closed:
            raise ConnectionResetError
        if not self._congested:
            return
        self._writer = self._loop.create_future()
        deadline = self._loop.call_later(self._write_seconds, self.abort)
        try:
            await self._writer
        finally:
            deadline.cancel()
            self._writer = None
        if self._closed:
            raise ConnectionResetError

    @asynccontextmanager
    async def occupied(self) -> AsyncIterator[None]:
        """For work that makes the far side wait and is of use to nobody else, such as a delayed login: when
        the connection is lost the work is cancelled, and this raises ConnectionResetError. Of what the far
        side sends meanwhile no more is taken in than one short piece."""
        if self._closed:
            raise ConnectionResetError
        try:
            async with asyncio.timeout(None) as occupied:
                self._occupied = occupied
                yield
        except TimeoutError:
            if occupied.expired():
                raise ConnectionResetError from None
            raise
        finally:
            self._occupied = None

    async def start_tls(self, context: ssl.SSLContext, *, answer: bytes = b"") -> None:
        """Sends `answer` in clear, then makes the handshake as the server. The caller must have used every
        octet that it read. Raises PlaintextPipelined or HandshakeFailed; the connection is then closed."""
        if self._tls is not None:
            raise RuntimeError("TLS inside TLS")
        if self._transport is None or self._closed:
            raise ConnectionResetError
        self._pause_reading()
        if self._received:  # RFC 3207 §4.2, RFC 9051 §6.2.1: nothing said in clear is ever executed.
            self.abort()
            raise PlaintextPipelined
        if answer:
            self._transport.write(answer)
        self.expect_tls(context)
        await self.handshake()

    def expect_tls(self, context: ssl.SSLContext) -> None:
        """Treats every octet received from now on as TLS. For a port that uses TLS from the first octet."""
        self._tls = context.wrap_bio(self._sealed_in, self._sealed_out, server_side=True)
        self._handshake = self._loop.create_future()
        self._resume_reading()

    async def handshake(self) -> None:
        """Waits for the end of the handshake that `expect_tls` began. Raises HandshakeFailed."""
        assert self._handshake is not None
        deadline = self._loop.call_later(self._handshake_seconds, self._handshake_over, "handshake timed out")
        try:
            await self._handshake
        finally:
            deadline.cancel()
            self._handshake = None
        if self.secured is not None:
            self.secured()

    @property
    def pending(self) -> bool:
        """Whether octets have arrived that nobody has read."""
        return bool(self._received)

    @property
    def tls_version(self) -> str | None:
        """`TLSv1.3`, `TLSv1.2`, or None in clear."""
        return self._tls.version() if self._tls is not None and self._agreed else None

    def peer_chain(self) -> tuple[bytes, ...]:
        """The certificates that the far side showed (DER, its own first); empty when it showed none."""
        return tuple(peer_chain(self._tls)) if self._tls is not None else ()

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._closed

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called: long work that was not finished may end early."""
        return self._stopping

    def stop(self) -> None:
        """Makes the read under way, or the next one, raise Stopping."""
        self._stopping = True
        self._wake_reader()

    def wait_no_longer(self) -> None:
        """Makes the read that waits for octets, if there is one, raise TimeoutError now."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_exception(TimeoutError())

    def close(self) -> None:
        """Sends what was written, ends the TLS session, and closes.

        For a moment, what still comes in is read and thrown away. Closing at once would answer it with a
        reset, and the far side might then lose our last reply. A far side that takes nothing is cut."""
        if self._closed or self._closing or self._transport is None:
            return
        self._closing = True
        self._received.clear()
        if self._tls is not None and self._agreed:
            try:
                self._tls.unwrap()  # queues close_notify; we do not wait for the far side's own
            except ssl.SSLError:
                pass
            self._flush()
        if self._eof:
            self._transport.close()
        else:
            try:
                self._transport.write_eof()
            except OSError:  # the far side has reset the connection, and asyncio has not told us yet
                self.abort()
                return
            self._resume_reading()
        waiting = self._transport.get_write_buffer_size() > 0
        self._reaper = self._loop.call_later(
            self._write_seconds if waiting else limits.LINGER_SECONDS, self.abort
        )

    def abort(self) -> None:
        """Closes at once. What was written may be lost."""
        if self._transport is not None:
            self._transport.abort()

    # What the transport tells (asyncio.BufferedProtocol)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.remote = str(address[0]) if address else "local"
        if self._made is not None:
            self._made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _SCRATCH if self._occupied is None else _SCRATCH[: limits.OCCUPIED_BUFFER_OCTETS]

    def buffer_updated(self, count: int) -> None:
        if self._closing:
            self._lingered += count
            if self._lingered > limits.LINGER_OCTETS_MAX:
                self.abort()
            return
        if self._tls is None:
            self._hold(bytes(_SCRATCH[:count]))
        elif self._eof:
            return  # it arrived while reading was being paused: nothing is kept after the far side's end
        else:
            self._sealed_in.write(_SCRATCH[:count])
            if self._agreed or self._shake_hands():
                self._unseal()
        # The conversation may be busy for long (a delayed login) and reads nothing meanwhile. Nobody will
        # read what follows the far side's end or a broken record, nor more than any record can have.
        held_max = 1 if self._occupied is not None else limits.TLS_BUFFER_OCTETS
        if self._held >= held_max or self._sealed_in.pending >= limits.TLS_BUFFER_OCTETS or self._eof:
            self._pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        if self._handshake is not None:
            self._handshake_over("the far side left during the handshake")
        self._wake_reader()
        if self._closing and self._transport is not None:
            self._transport.close()
        return True  # keep our side open: a client that has finished sending may still read its answers

    def connection_lost(self, error: Exception | None) -> None:
        self._eof = self._closed = True
        if self._handshake is not None:
            self._handshake_over("the connection was lost during the handshake")
        if self._reaper is not None:
            self._reaper.cancel()
        self._forget()
        self._wake_reader()
        if self._occupied is not None:
            self._occupied.reschedule(self._loop.time())
        self.resume_writing()
        if self._lost is not None:
            self._lost(self)
        self._made = self._lost = self.secured = None  # they refer back to this stream and keep it in memory

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    # Inside

    def _forget(self) -> None:
        """Drops what was received and will not be read any more. It may hold a password."""
        self._received.clear()
        self._held = 0
        self._sealed_in.read()
        self._sealed_out.read()

    async def _wait_for_octets(self, seconds: float | None) -> None:
        self._reader = self._loop.create_future()
        alarm = None if seconds is None else self._loop.call_later(seconds, self.wait_no_longer)
        try:
            await self._reader
        finally:
            if alarm is not None:
                alarm.cancel()
            self._reader = None

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _hold(self, octets: bytes) -> None:
        self._received.append(octets)
        self._held += len(octets)
        self._wake_reader()

    def _pause_reading(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _flush(self) -> None:
        if self._sealed_out.pending and self._transport is not None:
            self._transport.write(self._sealed_out.read())

    def _shake_hands(self) -> bool:
        """One step of the handshake. True once it is done; what is left in the buffer is then content."""
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()  # the TLS alert, which is all that the far side learns of the failure
            self._handshake_over(openssl_reason(error))
            return False
        self._flush()
        self._agreed = True
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_result(None)
        return True

    def _handshake_over(self, cause: str) -> None:
        if self._handshake is None or self._handshake.done():
            return
        report(HandshakeRefused(listener=self.listener, remote=self.remote, cause=cause))
        self._handshake.set_exception(HandshakeFailed(cause))
        self.close()

    def _unseal(self) -> None:
        assert self._tls is not None
        try:
            while octets := self._tls.read(limits.TLS_BUFFER_OCTETS):
                self._hold(octets)
            self._eof = True  # close_notify
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._eof = True  # a broken record: nothing after it can be trusted
        self._flush()  # what TLS itself has to answer (a key update)
        if self._eof:
            self._wake_reader()
