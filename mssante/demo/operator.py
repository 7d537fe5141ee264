"""One operator of the demo: its working directory, its server process, its mailboxes and people."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mssante.app.first import Starter, lay
from mssante.control.access import GrantAccess
from mssante.control.bal import CreateBal, ListBal
from mssante.control.person import CreatePerson
from mssante.control.socket import ask
from mssante.limits import DEMO_START_SECONDS_MAX
from mssante.model import Address, MailboxKind, PersonId, Secret

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """A person of the demo and the mailbox it opens."""

    address: str
    kind: str
    password: Secret = field(default_factory=lambda: Secret(secrets.token_urlsafe(12)))


@dataclass(slots=True)
class DemoOperator:
    """`name` is the name of its certificate in the development PKI; `ports` as Starter orders them."""

    name: str
    title: str
    domain: str
    folder: Path
    ports: tuple[int, int, int, int, int, int]
    logins: tuple[DemoLogin, ...]
    process: asyncio.subprocess.Process | None = None

    @property
    def hostname(self) -> str:
        return f"mss.{self.name.replace('operator', 'operateur')}.test"

    async def lay(self, pki: Path, white_list: Path, ldif: Path, routes: tuple[tuple[str, str], ...]) -> None:
        """Makes its working directory, as `mssante init` does."""
        starter = Starter(
            name=self.title,
            hostname=self.hostname,
            domains=(self.domain,),
            environment="test",
            host=HOST,
            ports=self.ports,
            certificate=str(pki / f"{self.name}.pem"),
            key=str(pki / f"{self.name}.key"),
            anchors=str(pki / "anchors.pem"),
            intermediates=str(pki / "issuing.pem"),
            crls=str(pki / "crl"),
            white_list=str(white_list),
            ldif=str(ldif),
            routes=routes,
            log="mssante.log",
        )
        await lay(self.folder, starter)

    async def start(self) -> None:
        """Starts `mssante serve` in its own process. Raises RuntimeError with what it said if it ends."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mssante", "--config", str(self.folder / "config.toml"), "serve"),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(DEMO_START_SECONDS_MAX):
            while not await self._ready():
                if self.process.returncode is not None:
                    assert self.process.stderr is not None
                    raise RuntimeError((await self.process.stderr.read()).decode(errors="replace"))
                await asyncio.sleep(0.05)

    async def _ready(self) -> bool:
        try:
            await ask(self.folder, ListBal())
        except OSError:
            return False
        return True

    async def people(self) -> None:
        """Its mailboxes, its people and their access, through the control socket as the CLI does."""
        for login in self.logins:
            address, person = Address.parse(login.address), PersonId(login.address)
            await ask(self.folder, CreateBal(address=address, kind=MailboxKind(login.kind)))
            await ask(self.folder, CreatePerson(person=person, password=login.password))
            await ask(self.folder, GrantAccess(person=person, address=address))

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()

    def log(self, event: str) -> list[dict[str, Any]]:
        """The events of one kind in its log, oldest first."""
        lines = (self.folder / "mssante.log").read_text(encoding="utf-8").splitlines()
        return [line for line in map(json.loads, lines) if line["event"] == event]


def ports(preferred: int) -> tuple[int, int, int, int, int, int]:
    """Six free ports on loopback: `preferred` and the following if nobody has them."""
    chosen = []
    for wanted in range(preferred, preferred + 6):
        for port in (wanted, 0):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError:
                    continue
                chosen.append(int(probe.getsockname()[1]))
                break
    first, second, third, fourth, fifth, sixth = chosen
    return first, second, third, fourth, fifth, sixth
