"""Clients that take their time, many at once, and content that lies about its size (R4, R7)."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.support.smtp.house import MAILBOX, SENDER, Talk, client_context
from tests.support.smtp.process import IMPATIENT, MANY, Caller, Running, running

MIB = 2**20
SLACK_SECONDS = 2


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(uvloop=True, impatient=True) as found:
        yield found


def test_sixty_mebibytes_announced_as_one_octet_are_refused(server: Running) -> None:
    """R4: the streaming count decides; what was too large is told, and the next message is taken."""
    caller = Caller(server.port)
    assert caller.ask(f"MAIL FROM:<{SENDER}> SIZE=1").startswith("250")
    caller.ask(f"RCPT TO:<{MAILBOX}>")
    assert caller.ask("DATA").startswith("354")
    before = server.memory()
    caller.pour((b"x" * 76 + b"\r\n") * 840, 60 * MIB + 100_000)
    assert caller.ask(".").startswith("552 5.3.4")
    assert server.memory() - before <= 4 * MIB
    caller.data()
    assert caller.ask(".").startswith("250")
    caller.close()


# Each comes back when the server has ended the connection.


async def silent(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.read()
    writer.close()


async def half_a_handshake(port: int) -> None:
    talk = await Talk.open(port)
    await talk.reply()
    await talk.ask("EHLO lent.test")
    await talk.ask("STARTTLS")
    await talk.send(b"\x16\x03\x01")
    await talk.reader.read()
    talk.writer.close()


async def secured(port: int) -> Talk:
    talk = await Talk.open(port)
    await talk.reply()
    await talk.ask("EHLO lent.test")
    await talk.start_tls(client_context())
    await talk.ask("EHLO lent.test")
    return talk


async def trickled(talk: Talk, octets: bytes) -> None:
    """One piece after another until the server has had enough."""
    ended = asyncio.create_task(talk.reader.read())
    try:
        while not ended.done():
            talk.writer.write(octets)
            await asyncio.wait([ended], timeout=0.25)
    finally:
        ended.cancel()
        talk.abort()


async def octet_by_octet(port: int) -> None:
    await trickled(await secured(port), b"N")


async def noops_without_a_greeting(port: int) -> None:
    talk = await Talk.open(port)
    await talk.reply()
    await trickled(talk, b"NOOP\r\n")


async def slow_content(port: int) -> None:
    talk = await secured(port)
    for command in (f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{MAILBOX}>", "DATA"):
        await talk.ask(command)
    await trickled(talk, b"a\r\n")


async def deaf(port: int) -> None:
    """Asks and never reads."""
    loop = asyncio.get_running_loop()
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        wire.setblocking(False)
        await loop.sock_connect(wire, ("127.0.0.1", port))
        await loop.sock_sendall(wire, b"EHLO sourd.test\r\n")
        await asyncio.sleep(0.2)
        try:
            while True:
                await loop.sock_sendall(wire, b"FOO\r\n" * 20)
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass


# The longest each may take: what it is waited for, and what it has earned by sending.
CLIENTS: dict[Callable[[int], Awaitable[None]], float] = {
    silent: IMPATIENT.greeting_seconds,
    half_a_handshake: MANY.handshake_seconds,
    octet_by_octet: IMPATIENT.command_seconds,
    noops_without_a_greeting: IMPATIENT.greeting_seconds,
    slow_content: IMPATIENT.data_credit_seconds + 0.2,
    deaf: MANY.write_seconds + 2.5,
}
# A process apart asks NOOP and times the answers: this one is busy being slow.
BYSTANDER = """
import sys, time
from pathlib import Path
from tests.support.smtp import house
from tests.support.smtp.process import Caller
house.borrow_pki(Path(sys.argv[2]))
taken = []
until = time.monotonic() + float(sys.argv[3])
caller = Caller(int(sys.argv[1]))
while time.monotonic() < until:
    if len(taken) % 80 == 79:
        caller.close()
        caller = Caller(int(sys.argv[1]))
    began = time.perf_counter()
    assert caller.ask("NOOP").startswith("250")
    taken.append(time.perf_counter() - began)
    time.sleep(0.02)
taken.sort()
print(taken[len(taken) // 2], taken[int(len(taken) * 0.99)])
"""


async def attack(port: int, each: int) -> dict[str, float]:
    """`each` clients of every kind, coming over some seconds: the longest that one of a kind was let stay."""
    longest: dict[str, float] = {}

    async def one(client: Callable[[int], Awaitable[None]]) -> None:
        began = time.monotonic()
        await client(port)
        name = getattr(client, "__name__", "")
        longest[name] = max(longest.get(name, 0.0), time.monotonic() - began)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(each):
            for client in CLIENTS:
                tasks.create_task(one(client))
            await asyncio.sleep(0.05)
    return longest


def _slow_clients(server: Running, each: int, seconds: float) -> None:
    pki = str(client_pki())
    with subprocess.Popen(
        (sys.executable, "-c", BYSTANDER, str(server.port), pki, str(seconds)),
        stdout=subprocess.PIPE,
        text=True,
    ) as bystander:
        longest = asyncio.run(attack(server.port, each))
        said, _ = bystander.communicate(timeout=seconds + 30)
    median, worst = map(float, said.split())
    print(f"{6 * each} slow clients; bystander NOOP median {median * 1000:.1f} ms, p99 {worst * 1000:.1f} ms")
    print({name: f"{taken:.1f} s" for name, taken in longest.items()})
    for client, limit in CLIENTS.items():
        name = getattr(client, "__name__", "")
        assert longest[name] <= limit + SLACK_SECONDS, name
    assert worst <= 0.1


def client_pki() -> object:
    from tests.support.smtp.house import pki

    return pki().directory


@pytest.mark.campaign
def test_twelve_hundred_slow_clients_are_all_cut_in_time(server: Running) -> None:
    """R7: six kinds, two hundred of each; each is closed in time, and nobody else waits for them."""
    _slow_clients(server, 200, 18)
