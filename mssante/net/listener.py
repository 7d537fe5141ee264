"""A listening socket: who may connect, how many at once, and how it all ends.

Invariants: every connection is counted from its first octet to its last; a place is kept for peers that
have proved themselves, so strangers who say nothing cannot shut them out; each conversation is a task
this listener holds, a bug ends that conversation only, and `close` leaves none behind.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mssante import limits
from mssante.net.stream import ContextFactory, Stopping, Stream
from mssante.observe.events import ConnectionCause, ConnectionRefused, ListenerOpened, crashed, report

Handler = Callable[[Stream], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many connections at once. Strangers have `1 - reserved_for_known` of the two totals (R8)."""

    total: int = limits.CONNECTIONS_MAX
    per_address: int = limits.CONNECTIONS_PER_ADDRESS_MAX
    pre_tls: int = limits.CONNECTIONS_PRE_TLS_MAX
    pre_tls_per_address: int = limits.CONNECTIONS_PRE_TLS_PER_ADDRESS_MAX
    reserved_for_known: float = 0.2
    handshake_seconds: float = limits.HANDSHAKE_SECONDS_MAX
    write_seconds: float = limits.WRITE_SECONDS_MAX


class Listener:
    """One port and the conversations on it.

    `handler` holds one conversation; its ConnectionError, TimeoutError or Stopping simply end it. With
    `tls` the port is TLS from the first octet (a fresh context for each connection, finding A18).
    `busy` is said in clear to a connection that finds no place (only where the port begins in clear)."""

    def __init__(
        self,
        *,
        name: str,
        handler: Handler,
        tls: ContextFactory | None = None,
        caps: Caps | None = None,
        busy: bytes = b"",
    ) -> None:
        self.name = name
        self._handler = handler
        self._tls = tls
        self._caps = caps or Caps()
        self._busy = busy
        self._server: asyncio.Server | None = None
        self._streams: dict[Stream, bool] = {}  # whether still before TLS
        self._by_address: Counter[str] = Counter()
        self._pre_tls_by_address: Counter[str] = Counter()
        self._pre_tls = 0
        self._known: OrderedDict[str, None] = OrderedDict()
        self._conversations: set[asyncio.Task[None]] = set()
        self.host = ""
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listens; `port` 0 takes a free one, told by `self.port`."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._stream, host, port, backlog=512)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        report(ListenerOpened(listener=self.name, host=host, port=self.port))

    async def close(self, seconds: float = 30) -> None:
        """Accepts no more, asks every conversation to end, and cuts those still there after `seconds`."""
        if self._server is not None:
            self._server.close()
        for stream in tuple(self._streams):
            stream.stop()
        if self._conversations:
            await asyncio.wait(self._conversations, timeout=seconds)
        for stream in tuple(self._streams):
            stream.abort()
        for conversation in tuple(self._conversations):
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._streams)

    def know(self, stream: Stream) -> None:
        """Remembers that this far host has proved itself: the reserve is open to it."""
        self._known[stream.remote] = None
        self._known.move_to_end(stream.remote)
        if len(self._known) > limits.KNOWN_ADDRESSES_REMEMBERED_MAX:
            self._known.popitem(last=False)

    # Inside

    def _stream(self) -> Stream:
        return Stream(
            listener=self.name,
            made=self._admit,
            lost=self._release,
            handshake_seconds=self._caps.handshake_seconds,
            write_seconds=self._caps.write_seconds,
        )

    def _admit(self, stream: Stream) -> None:
        cause = self._full(stream.remote)
        if cause is not None:
            report(ConnectionRefused(listener=self.name, remote=stream.remote, cause=cause))
            if self._tls is None:
                stream.write(self._busy)
            stream.close()
            return
        try:
            if self._tls is not None:
                stream.expect_tls(self._tls())  # before its first octet arrives
        except Exception as error:  # a certificate file replaced by something else
            report(crashed(self.name, error))
            stream.abort()
            return
        self._streams[stream] = True
        self._by_address[stream.remote] += 1
        self._pre_tls += 1
        self._pre_tls_by_address[stream.remote] += 1
        stream.secured = lambda: self._secure(stream)
        conversation = asyncio.get_running_loop().create_task(self._converse(stream))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    def _full(self, remote: str) -> ConnectionCause | None:
        caps = self._caps
        known = remote in self._known
        share = 1.0 if known else 1.0 - caps.reserved_for_known
        if self._by_address[remote] >= caps.per_address:
            return ConnectionCause.TOO_MANY_FROM_ADDRESS
        # A peer that has proved itself opens as many at once as it may hold: after a stop, a queue does.
        if not known and self._pre_tls_by_address[remote] >= caps.pre_tls_per_address:
            return ConnectionCause.TOO_MANY_WITHOUT_TLS_FROM_ADDRESS
        if len(self._streams) >= caps.total * share:
            return ConnectionCause.TOO_MANY
        if self._pre_tls >= caps.pre_tls * share:
            return ConnectionCause.TOO_MANY_WITHOUT_TLS
        return None

    def _secure(self, stream: Stream) -> None:
        if self._streams.get(stream):
            self._streams[stream] = False
            self._pre_tls -= 1
            _less(self._pre_tls_by_address, stream.remote)

    def _release(self, stream: Stream) -> None:
        if stream in self._streams:
            self._secure(stream)
            del self._streams[stream]
            _less(self._by_address, stream.remote)

    async def _converse(self, stream: Stream) -> None:
        try:
            if self._tls is not None:
                await stream.handshake()
            await self._handler(stream)
        except (ConnectionError, TimeoutError, Stopping):
            pass  # the far side left, was cut, or we are stopping: no fault of the code
        except Exception as error:
            report(crashed(self.name, error))
        finally:
            stream.close()


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
