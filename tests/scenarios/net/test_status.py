"""/live, /ready and /metrics: what supervisors are told, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mssante.limits import STATUS_CONNECTIONS_MAX, STATUS_REQUEST_OCTETS_MAX
from mssante.net.status import StatusServer
from mssante.observe import report
from mssante.observe.event import Event, add_sink
from mssante.observe.events import Crashed, LoginRefused
from mssante.observe.metrics import Metrics
from mssante.observe.terms import LoginProtocol
from mssante.reasons import Reason


class Status:
    def __init__(self) -> None:
        self.missing: list[str] | None = []
        self.metrics = Metrics()
        self.port = 0

    async def ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def status() -> AsyncIterator[Status]:
    state = Status()

    async def ready() -> list[str]:
        assert state.missing is not None
        return state.missing

    server = StatusServer(ready=ready, metrics=state.metrics.text)
    state.port = await server.start("127.0.0.1", 0)
    yield state
    await server.stop()


async def test_a_supervisor_learns_that_it_lives_and_whether_it_is_ready(status: Status) -> None:
    assert (await status.ask(b"GET /live HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert (await status.ask(b"GET /ready HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    status.missing = ["the trust space is empty"]
    answer = await status.ask(b"GET /ready HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert answer.endswith(b"the trust space is empty\n")


async def test_prometheus_reads_counts_by_reason(status: Status) -> None:
    stop = status.metrics.start()
    report(LoginRefused(protocol=LoginProtocol.IMAP, remote="192.0.2.1", reason=Reason.AUTHENTICATION_FAILED))
    stop()
    page = await status.ask(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert b'mssante_events_total{event="login_refused"' in page
    assert b"192.0.2.1" not in page


@pytest.mark.parametrize(
    ("request_line", "code"), [(b"POST /live HTTP/1.1", b"405"), (b"GET /etc/passwd HTTP/1.1", b"404")]
)
async def test_nothing_else_is_answered(status: Status, request_line: bytes, code: bytes) -> None:
    assert (await status.ask(request_line + b"\r\n\r\n")).startswith(b"HTTP/1.1 " + code)


async def test_a_request_without_end_is_cut(status: Status) -> None:
    assert await status.ask(b"GET /" + b"a" * 2 * STATUS_REQUEST_OCTETS_MAX) == b""


async def test_a_bug_in_an_answer_costs_that_answer_and_is_reported(status: Status) -> None:
    seen: list[Event] = []
    forget = add_sink(seen.append)
    status.missing = None
    assert await status.ask(b"GET /ready HTTP/1.1\r\n\r\n") == b""
    forget()
    assert [event.boundary for event in seen if isinstance(event, Crashed)] == ["status"]
    status.missing = []
    assert (await status.ask(b"GET /ready HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_supervisor_that_says_nothing_is_left_when_the_server_stops() -> None:
    async def ready() -> list[str]:
        return []

    before = asyncio.all_tasks()
    server = StatusServer(ready=ready, metrics=Metrics().text)
    port = await server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while asyncio.all_tasks() == before:
        await asyncio.sleep(0.001)
    await server.stop()
    assert asyncio.all_tasks() == before
    assert await reader.read() == b""
    writer.close()


async def test_connections_that_ask_nothing_keep_no_supervisor_out(status: Status) -> None:
    silent = [
        await asyncio.open_connection("127.0.0.1", status.port) for _ in range(2 * STATUS_CONNECTIONS_MAX)
    ]
    assert (await status.ask(b"GET /live HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    for _, writer in silent:
        writer.close()
