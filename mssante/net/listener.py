"""A listening socket: who may connect, how many at once, and how it all ends.

Invariants: every connection has a place, or is refused and closed (`net/places`); each conversation is a task
that this listener holds; a bug ends only the conversation it happens in; `close` leaves no task behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from mssante.net.endings import Stopping
from mssante.net.places import Caps, Places, prefix_of
from mssante.net.repeated import Repeated
from mssante.net.stream import ContextFactory, Stream
from mssante.observe.event import report
from mssante.observe.events import ConnectionRefused, ListenerOpened, crashed
from mssante.observe.terms import ConnectionCause

Handler = Callable[[Stream], Awaitable[None]]


class Listener:
    """One port and the conversations on it.

    `handler` runs one conversation; a ConnectionError, TimeoutError or Stopping from it simply ends that.
    With `tls` the port uses TLS from the first octet, and `tls` gives a fresh context for each connection
    (finding A18). `busy` is sent to a connection that finds no place, only on a port that begins in clear."""

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
        self._places = Places(self._caps)
        self._streams: dict[Stream, bool] = {}  # True until the connection has TLS
        self._dismissed: set[Stream] = set()
        self._refusals: Repeated[tuple[str, ConnectionCause]] = Repeated(
            self._tell_refused, rest=("others", ConnectionCause.TOO_MANY), later=_later
        )
        self._conversations: set[asyncio.Task[None]] = set()
        self.host = ""
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listens. With `port` 0 the system chooses a free one, and `self.port` says which."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._stream, host, port, backlog=512)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        report(ListenerOpened(listener=self.name, host=host, port=self.port))

    async def close(self, seconds: float = 30) -> None:
        """Accepts no new connection, asks every conversation to end, and cuts those left after `seconds`."""
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

    @property
    def dismissed(self) -> int:
        """How many refused connections are still being told that there is no place."""
        return self._places.dismissed

    def know(self, stream: Stream, party: str) -> None:
        """Remembers that a peer or a person has proved who they are on this host: it may now use the reserved
        places. `party` is a DN or a login."""
        self._places.know(prefix_of(stream.remote), party)

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
        prefix = prefix_of(stream.remote)
        if cause := self._places.full(prefix):
            self._refusals.happened((prefix, cause))
            self._dismiss(stream)
            return
        try:
            if self._tls is not None:
                stream.expect_tls(self._tls())  # before its first octet arrives
        except Exception as error:  # for instance, the certificate file was replaced by something else
            report(crashed(self.name, error))
            stream.abort()
            return
        self._streams[stream] = True
        self._places.take(prefix)
        stream.secured = partial(self._secure, stream)
        conversation = asyncio.get_running_loop().create_task(self._converse(stream))
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)

    def _dismiss(self, stream: Stream) -> None:
        """Says why there is no place, if the port begins in clear, and closes. When too many connections are
        being refused, cuts this one without a word."""
        if not self._places.may_dismiss():
            stream.abort()
            return
        self._dismissed.add(stream)
        self._places.dismissed += 1
        if self._tls is None:
            stream.write(self._busy)
        stream.close()

    def _tell_refused(self, kind: tuple[str, ConnectionCause], times: int) -> None:
        report(ConnectionRefused(listener=self.name, remote=kind[0], cause=kind[1], times=times))

    def _secure(self, stream: Stream) -> None:
        if self._streams.get(stream):
            self._streams[stream] = False
            self._places.secured(prefix_of(stream.remote))

    def _release(self, stream: Stream) -> None:
        if stream in self._dismissed:
            self._dismissed.discard(stream)
            self._places.dismissed -= 1
        if stream in self._streams:
            self._secure(stream)
            del self._streams[stream]
            self._places.give_back(prefix_of(stream.remote))

    async def _converse(self, stream: Stream) -> None:
        try:
            if self._tls is not None:
                await stream.handshake()
            await self._handler(stream)
        except (ConnectionError, TimeoutError, Stopping):
            pass  # the far side left or was cut, or we are stopping: this is not a bug
        except Exception as error:
            report(crashed(self.name, error))
        finally:
            stream.close()


def _later(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, call)
