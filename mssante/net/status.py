"""/live, /ready and /metrics over plain HTTP on loopback, for supervisors and Prometheus only.

Invariants: it answers only GET, one request for each connection, with limits on size and time; of too many
connections the oldest is cut, so that those which ask nothing keep no supervisor out; it never shows the name
of a person, a mailbox or a correspondent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mssante.limits import STATUS_CONNECTIONS_MAX, STATUS_REQUEST_OCTETS_MAX, STATUS_REQUEST_SECONDS_MAX
from mssante.observe.event import report
from mssante.observe.events import crashed
from mssante.tasks import end_task


class StatusServer:
    """`ready` lists what is not ready, and is empty when all is; `metrics` gives the Prometheus page."""

    def __init__(self, *, ready: Callable[[], Awaitable[list[str]]], metrics: Callable[[], bytes]) -> None:
        self._ready = ready
        self._metrics = metrics
        self._answering: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens, and returns the port. Raises OSError when the address cannot be used."""
        self._server = await asyncio.start_server(self._accept, host, port, limit=STATUS_REQUEST_OCTETS_MAX)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for answering in tuple(self._answering):
                await end_task(answering)
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="status")
        self._answering[answering] = None
        answering.add_done_callback(lambda ended: self._over(ended, writer))
        if len(self._answering) > STATUS_CONNECTIONS_MAX:
            oldest = next(iter(self._answering))
            del self._answering[oldest]
            oldest.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(STATUS_REQUEST_SECONDS_MAX):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(request))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a supervisor that went away
        except Exception as bug:
            report(crashed("status", bug))

    def _over(self, answering: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        """Also for one that was cut before it began to be answered."""
        self._answering.pop(answering, None)
        writer.close()

    async def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0]
        if method != b"GET":
            return _page(405, b"only GET\n")
        match path:
            case b"/live":
                return _page(200, b"live\n")
            case b"/ready":
                missing = await self._ready()
                return _page(503, "\n".join(missing).encode() + b"\n") if missing else _page(200, b"ready\n")
            case b"/metrics":
                return _page(200, self._metrics())
            case _:
                return _page(404, b"/live /ready /metrics\n")


def _page(status: int, body: bytes) -> bytes:
    words = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}
    head = (
        f"HTTP/1.1 {status} {words[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
