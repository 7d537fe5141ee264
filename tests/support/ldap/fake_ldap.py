"""An LDAP server that misbehaves as told: a thread, a loopback port, BER written by hand (RFC 4511)."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

BIND, SEARCH, EXTENDED = 0x60, 0x63, 0x77
PAGED = b"1.2.840.113556.1.4.319"


def ber(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes(4, "big")
    return bytes([tag, 0x84]) + length + content


def text(value: str | bytes) -> bytes:
    return ber(0x04, value.encode() if isinstance(value, str) else value)


def message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    return ber(0x30, ber(0x02, number.to_bytes(4, "big")), operation, controls)


def entry(number: int, dn: str, attributes: dict[str, list[str | bytes]]) -> bytes:
    described = [
        ber(0x30, text(name), ber(0x31, *(text(value) for value in values)))
        for name, values in attributes.items()
    ]
    return message(number, ber(0x64, text(dn), ber(0x30, *described)))


def reference(number: int, url: str) -> bytes:
    return message(number, ber(0x73, text(url)))


def done(number: int, code: int = 0, *, referral: str = "", cookie: bytes = b"", tag: int = 0x65) -> bytes:
    extra = ber(0xA3, text(referral)) if referral else b""
    paged = ber(0x30, ber(0x02, b"\0"), text(cookie))
    controls = ber(0xA0, ber(0x30, text(PAGED), text(paged))) if tag == 0x65 else b""
    return message(number, ber(tag, ber(0x0A, bytes([code])), text(""), text(""), extra), controls)


def mailbox(address: str, **attributes: str | bytes) -> dict[str, list[str | bytes]]:
    """A well-formed PER entry; a value of b"" takes its attribute away."""
    whole: dict[str, str | bytes] = {
        "objectClass": "mssBal",
        "mssAdresse": address,
        "mssTypeBal": "PER",
        "mssStatut": "active",
        "mssCodeOperateur": "operateur-a",
        "mssTypeIdentifiantPP": "8",
        "mssIdentifiantPP": "10000010370",
        "mssNomExercice": "MOREAU",
        **attributes,
    }
    return {name: [value] for name, value in whole.items() if value != b""}


@dataclass
class Conversation:
    """One client's connection. `requests` yields (message number, operation tag, the whole message)."""

    wire: socket.socket
    received: bytearray

    def requests(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            header = self._read(2)
            if len(header) < 2:
                return
            length = header[1]
            if length & 0x80:
                long = self._read(length & 0x7F)
                header, length = header + long, int.from_bytes(long, "big")
            body = self._read(length)
            end = 2 + body[1]  # of the message number
            yield int.from_bytes(body[2:end], "big"), body[end], header + body

    def send(self, *octets: bytes) -> None:
        self.wire.sendall(b"".join(octets))

    def _read(self, count: int) -> bytes:
        piece = b""
        while len(piece) < count:
            more = self.wire.recv(count - len(piece))
            if not more:
                break
            piece += more
        self.received += piece
        return piece


Script = Callable[[Conversation], None]


@dataclass
class FakeLdap:
    """What the server has seen: how many connections, and every octet of them."""

    port: int
    connections: int = 0
    received: bytearray = field(default_factory=bytearray)

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"


@contextmanager
def fake_ldap(script: Script, *, tls: ssl.SSLContext | None = None) -> Iterator[FakeLdap]:
    """Serves `script` to each connection until the block ends; every thread has ended then."""
    listener = socket.create_server(("127.0.0.1", 0))
    fake = FakeLdap(listener.getsockname()[1])
    wires: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def converse(wire: socket.socket) -> None:
        with suppress(OSError, IndexError):
            if tls is not None:
                wire = tls.wrap_socket(wire, server_side=True)
                wires.append(wire)
            script(Conversation(wire, fake.received))
        with suppress(OSError):
            wire.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                wire, _ = listener.accept()
                fake.connections += 1
                wires.append(wire)
                threads.append(threading.Thread(target=converse, args=(wire,), daemon=True))
                threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield fake
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for wire in wires:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
        acceptor.join(5)
        for thread in threads:
            thread.join(5)
