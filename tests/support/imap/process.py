"""An IMAP house in a process of its own, so that its memory is measured and not its clients'.

`python -m tests.support.imap.process PKI FOLDER LETTERS` prints its ports (993, then 143) and serves on
uvloop until its input closes; any number of connections from one address and one person."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mssante.imap.server.session import SessionBounds
from mssante.net.places import Caps
from tests.support.imap.house import imap_house, letter
from tests.support.smtp import house as smtp_house
from tests.support.smtp.process import Running

LETTERS = 100
MANY = Caps(total=5000, per_address=5000, pre_tls=5000, pre_tls_per_address=5000)


@dataclass
class RunningImap(Running):
    """`port` is TLS at once; `clear_port` has STARTTLS."""

    clear_port: int = 0


@contextmanager
def running(folder: Path, *, letters: int = LETTERS) -> Iterator[RunningImap]:
    """With MARIE's mailbox, PASSWORD, and so many letters in it."""
    command = (sys.executable, "-m", "tests.support.imap.process")
    with subprocess.Popen(
        (*command, str(smtp_house.pki().directory), str(folder), str(letters)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            port, clear_port = map(int, process.stdout.readline().split())
            yield RunningImap(process.pid, port, clear_port)
        finally:
            process.stdin.close()
            process.wait(20)


async def _serve(pki: Path, folder: Path, letters: int) -> None:
    smtp_house.borrow_pki(pki)
    bounds = SessionBounds(connections_per_person=5000)
    async with imap_house(folder, caps=MANY, bounds=bounds, message_octets_max=60 * 2**20) as house:
        mailbox = await house.mailbox()
        for start in range(0, letters, 500):
            some = range(start, min(start + 500, letters))
            await house.deliver(mailbox, *(letter(n, body="Bonjour docteur\r\n" * 400) for n in some))
        print(house.implicit.port, house.server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
