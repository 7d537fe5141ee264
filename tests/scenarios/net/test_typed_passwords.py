"""A password that waits for its turn is gone with its connection; what follows it is not read meanwhile."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from mssante.limits import GUESS_DELAY_SECONDS_MAX, KIB, MIB
from mssante.net import throttle
from mssante.net.listener import Listener
from tests.support.imap.house import MARIE, imap_house
from tests.support.smtp.house import submission, until

# Spelt backwards, so that the test's own objects do not hold what it looks for.
BACKWARDS = "xuegnagol-tnemelbartiag"
HELD_OCTETS_MAX = 32 * KIB


def _password() -> str:
    return BACKWARDS[::-1]


def _plain() -> bytes:
    return base64.b64encode(f"\0{MARIE}\0{_password()}".encode())


def _spellings() -> list[bytes]:
    return [_password().encode(), _plain(), base64.b64encode(_password().encode())]


def _holders() -> list[str]:
    """The kinds of objects from which one of the spellings can be reached in one step."""
    found = []
    spelt = _spellings()
    for each in gc.get_objects():
        if type(each) is list and each is spelt:
            continue
        for inner in gc.get_referents(each):
            octets = inner.encode("utf-8", "replace") if type(inner) is str else inner
            if isinstance(octets, bytes | bytearray) and any(spelling in octets for spelling in spelt):
                found.append(f"{type(each).__module__}.{type(each).__qualname__}")
    return found


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Client:
    """A client in blocking calls, which keeps nothing of what it sends."""

    def __init__(self, port: int) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", port), 10)
        self._socket = context.wrap_socket(plain)
        self.read()

    def read(self) -> bytes:
        return self._socket.recv(4096)

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def ask(self, octets: bytes) -> bytes:
        self.send(octets)
        return self.read()

    def flood(self, octets: int) -> int:
        """How many octets the server's side took in a second."""
        self._socket.settimeout(1)
        sent, block = 0, b"x" * 16384
        with suppress(OSError):
            while sent < octets:
                sent += self._socket.send(block)
        return sent

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


def _imap_login(client: Client) -> None:
    client.send(f"a LOGIN {MARIE} {_password()}\r\n".encode())


def _imap_literals(client: Client) -> None:
    octets = _password().encode()
    client.send(b"a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (len(MARIE), MARIE.encode(), len(octets), octets))


def _imap_plain(client: Client) -> None:
    client.ask(b"a AUTHENTICATE PLAIN\r\n")
    client.send(_plain() + b"\r\n")


def _imap_half(client: Client) -> None:
    octets = _password().encode()
    client.send(b"a LOGIN %s {%d+}\r\n%s (" % (MARIE.encode(), len(octets), octets))


def _imap_half_literal(client: Client) -> None:
    octets = _password().encode()
    client.send(b"a LOGIN %s {%d+}\r\n%s" % (MARIE.encode(), len(octets) + 1, octets))


def _smtp_half(client: Client) -> None:
    client.send(b"AUTH PLAIN " + _plain())


def _smtp_plain(client: Client) -> None:
    client.send(b"AUTH PLAIN " + _plain() + b"\r\n")


def _smtp_login(client: Client) -> None:
    client.ask(b"AUTH LOGIN\r\n")
    client.ask(base64.b64encode(MARIE.encode()) + b"\r\n")
    client.send(base64.b64encode(_password().encode()) + b"\r\n")


@asynccontextmanager
async def _imap(folder: Path) -> AsyncIterator[Listener]:
    async with imap_house(folder) as house:
        await house.mailbox()
        wrong = await asyncio.to_thread(Client, house.implicit.port)
        await asyncio.to_thread(wrong.ask, f"a LOGIN {MARIE} faux\r\n".encode())
        wrong.reset()
        await until(lambda: house.implicit.listener.connections == 0)
        yield house.implicit.listener


@asynccontextmanager
async def _smtp(folder: Path) -> AsyncIterator[Listener]:
    del folder
    async with submission(implicit_tls=True, delay_seconds_max=GUESS_DELAY_SECONDS_MAX) as house:
        wrong = await asyncio.to_thread(Client, house.port)
        await asyncio.to_thread(wrong.ask, b"EHLO poste.test\r\n")
        faux = base64.b64encode(f"\0{MARIE}\0faux".encode())
        await asyncio.to_thread(wrong.ask, b"AUTH PLAIN " + faux + b"\r\n")
        wrong.reset()
        await until(lambda: house.server.listener.connections == 0)
        yield house.server.listener


WAITING = [_imap_login, _imap_literals, _imap_plain, _smtp_plain, _smtp_login]
HALF = [_imap_half, _imap_half_literal, _smtp_half]


@asynccontextmanager
async def _slowed(
    said: Callable[[Client], None], folder: Path, patch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Listener, Client]]:
    """A client whose password waits, because the one before it was wrong."""
    patch.setattr(throttle, "GUESS_FREE_FAILURES", 0)
    patch.setattr(throttle, "GUESS_DELAY_SECONDS_FIRST", GUESS_DELAY_SECONDS_MAX)
    async with (_smtp if "smtp" in said.__name__ else _imap)(folder) as listener:
        client = await asyncio.to_thread(Client, listener.port)
        if "smtp" in said.__name__:
            await asyncio.to_thread(client.ask, b"EHLO poste.test\r\n")
        await asyncio.to_thread(said, client)
        yield listener, client


@pytest.mark.parametrize("said", WAITING + HALF)
async def test_a_typed_password_is_gone_with_its_connection(
    said: Callable[[Client], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits in the throttle, or is only half typed; and without a run of the collector of cycles."""
    with _no_collector():
        async with _slowed(said, tmp_path, monkeypatch) as (listener, client):
            await until(lambda: bool(_holders()))
            client.reset()
            await until(lambda: listener.connections == 0)
            await asyncio.sleep(0.1)
            assert _holders() == []


@pytest.mark.parametrize("said", [_imap_login, _smtp_plain])
async def test_what_follows_a_password_that_waits_is_not_taken_in(
    said: Callable[[Client], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _slowed(said, tmp_path, monkeypatch) as (listener, client):
        await until(lambda: bool(_holders()))
        flood = asyncio.create_task(asyncio.to_thread(client.flood, 64 * MIB))
        held = 0
        while not flood.done():
            held = max(held, *(each._held + each._sealed_in.pending for each in listener._streams))
            await asyncio.sleep(0.01)
        assert held <= HELD_OCTETS_MAX
        client.reset()
