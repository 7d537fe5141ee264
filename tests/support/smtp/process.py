"""Operator B's port 25 in a process of its own, throwing content away: to measure memory and speed.

`python -m tests.support.smtp.process PKI [uvloop] [impatient]` prints its port and serves until its input
closes; impatient, it waits seconds where it would wait minutes, for any number of callers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mssante.net.places import Caps
from mssante.smtp.server.wire import SessionLimits
from tests.support.smtp import house
from tests.support.smtp.house import MAILBOX, SENDER


@dataclass
class Running:
    pid: int
    port: int

    def memory(self, what: str = "VmHWM") -> int:
        """Peak (VmHWM) or present (VmRSS) memory in octets."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) * 1024
        raise AssertionError(what)

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


class Caller:
    """A blocking peer of operator A, past STARTTLS and EHLO."""

    def __init__(self, port: int, *, tls: bool = True, source: str = "127.0.0.1") -> None:
        self.wire: socket.socket = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
        self.lines = self.wire.makefile("rb")
        assert self.reply().startswith("220")
        if not tls:
            return
        self.ask("EHLO mss.operateur-a.test")
        assert self.ask("STARTTLS").startswith("220")
        self.wire = house.client_context().wrap_socket(self.wire)
        self.lines = self.wire.makefile("rb")
        self.ask("EHLO mss.operateur-a.test")

    def reply(self) -> str:
        while True:
            line = self.lines.readline().decode()
            if line[3:4] != "-":
                return line

    def ask(self, command: str) -> str:
        self.wire.sendall(command.encode() + b"\r\n")
        return self.reply()

    def data(self) -> None:
        self.ask(f"MAIL FROM:<{SENDER}>")
        self.ask(f"RCPT TO:<{MAILBOX}>")
        assert self.ask("DATA").startswith("354")

    def pour(self, block: bytes, octets: int) -> int:
        """Sends about `octets` in whole blocks; how many went before the server closed."""
        sent = 0
        try:
            while sent < octets:
                self.wire.sendall(block)
                sent += len(block)
        except (ConnectionError, ssl.SSLError):
            pass
        return sent

    def close(self) -> None:
        self.lines.close()
        self.wire.close()


IMPATIENT = SessionLimits(
    message_octets_max=60 * 2**20,
    greeting_seconds=3,
    command_seconds=3,
    data_credit_seconds=3,
    errors_max=2000,
    commands_without_mail_max=4000,
)
MANY = Caps(
    total=5000,
    per_address=5000,
    pre_tls=5000,
    pre_tls_per_address=5000,
    handshake_seconds=3,
    write_seconds=3,
)


@contextmanager
def running(*, uvloop: bool = False, impatient: bool = False) -> Iterator[Running]:
    command = [sys.executable, "-m", "tests.support.smtp.process", str(house.pki().directory)]
    command += ["uvloop"] * uvloop + ["impatient"] * impatient
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Running(process.pid, int(process.stdout.readline()))
        finally:
            process.stdin.close()
            process.wait(10)


async def _serve(directory: Path, *, impatient: bool) -> None:
    house.borrow_pki(directory)
    limits = IMPATIENT if impatient else SessionLimits(message_octets_max=60 * 2**20)
    async with house.relay(limits=limits, caps=MANY if impatient else None) as served:
        served.backend.keeps_content = False
        print(served.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    served = _serve(Path(sys.argv[1]), impatient="impatient" in sys.argv)
    if "uvloop" in sys.argv:
        import uvloop

        uvloop.run(served)
    else:
        asyncio.run(served)
