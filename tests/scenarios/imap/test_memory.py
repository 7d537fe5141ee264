"""What connections that do nothing cost a server in a process of its own (I2, I8, C15)."""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, PASSWORD, client_tls
from tests.support.imap.process import RunningImap, running

KIB, MIB = 1024, 1024 * 1024
TLS_KIB_MAX = 60  # of an idle TLS connection (25 seen)
LOGGED_IN_KIB_MAX = 120  # and its mailbox open, in IDLE (78 seen)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningImap]:
    wanted = 4096
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    with running(tmp_path_factory.mktemp("imap")) as found:
        yield found


@asynccontextmanager
async def crowd(server: RunningImap, count: int) -> AsyncIterator[list[ImapClient]]:
    """So many clients inside TLS, greeted."""
    context, at_once = client_tls(), asyncio.Semaphore(32)

    async def one() -> ImapClient:
        async with at_once:
            return await ImapClient.open(server.port, context)

    clients = await asyncio.gather(*(one() for _ in range(count)))
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


async def idling(client: ImapClient) -> None:
    await client.login(MARIE, PASSWORD)
    await client.ok("SELECT INBOX")
    await client.send(b"i IDLE\r\n")
    while (await client.line()).tag != "+":
        pass


async def measured(server: RunningImap, count: int) -> None:
    async with crowd(server, 20) as warm:
        await asyncio.gather(*map(idling, warm))
    before = server.memory("VmRSS")

    def grown() -> int:
        return server.memory("VmRSS") - before

    async with crowd(server, count) as clients:
        idle = grown()
        for client in clients:
            await client.send(b"a NOOP " + b"(" * 4000)
        holding = grown()
        print(f"{count} TLS connections: {idle / count / KIB:.0f} KiB each idle,", end=" ")
        print(f"{holding / count / KIB:.0f} holding 4,000 parentheses, {holding / MIB:.0f} MiB in all")
        assert idle / count <= TLS_KIB_MAX * KIB
        assert holding <= 150 * MIB * count / 1000  # I2
        for client in clients:
            await client.send(b"\r\n")
            assert (await client.line()).name == "BAD"
    async with crowd(server, count) as clients:
        for start in range(0, count, 50):
            await asyncio.gather(*map(idling, clients[start : start + 50]))
        logged_in = grown()
        print(f"{logged_in / count / KIB:.0f} KiB each in IDLE, {logged_in / MIB:.0f} MiB in all")
        assert logged_in / count <= LOGGED_IN_KIB_MAX * KIB


async def test_what_an_idle_connection_costs(server: RunningImap) -> None:
    await measured(server, 200)


@pytest.mark.campaign
async def test_what_a_thousand_idle_connections_cost(server: RunningImap) -> None:
    await measured(server, 1000)


@pytest.mark.campaign
async def test_ten_thousand_bodies_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    """I5: what it does not take is not made."""
    with running(tmp_path, letters=10_000) as server:
        warm = await ImapClient.open(server.port, client_tls())
        await warm.login(MARIE, PASSWORD)
        await warm.ok("SELECT INBOX")
        await warm.ok("FETCH 1:2000 BODY.PEEK[]")
        await warm.ok("FETCH 1:* ENVELOPE")
        before = server.memory("VmRSS")
        await warm.send(b"d FETCH 1:* BODY.PEEK[]\r\n")  # and nothing is read of it but what a socket holds
        warm.writer.transport.pause_reading()  # type: ignore[attr-defined]  # TLS's transport has it
        peak = before
        for _ in range(100):
            await asyncio.sleep(0.1)
            peak = max(peak, server.memory("VmRSS"))
        print(f"+{(peak - before) / MIB:.1f} MiB")
        assert peak - before <= 4 * MIB
        warm.close()


async def test_a_thousand_half_open_connections_cost_little(server: RunningImap) -> None:
    """Connected and silent, or in the middle of a handshake: a stranger's first octets are all we keep."""
    before = server.memory("VmRSS")
    handshake = ssl.MemoryBIO()
    tls = client_tls().wrap_bio(ssl.MemoryBIO(), handshake, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = handshake.read()
    silent = []
    for number in range(1000):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        del reader
        if number % 2:
            writer.write(hello[: len(hello) // 2])
        silent.append(writer)
    grown = server.memory("VmRSS") - before
    print(f"1,000 half-open connections: {grown / KIB / 1000:.0f} KiB each")
    async with crowd(server, 1) as (client,):
        await client.login(MARIE, PASSWORD)
    for writer in silent:
        writer.transport.abort()
    assert grown <= 40 * MIB  # and 160 strangers are let in at once, where nobody says otherwise
