"""Reading over IMAP with load_imap.py of PERF: a folder filled by APPEND, then read, changed and searched;
idle connections; how soon a delivered message is told. Ours, then the anchor, in the same run.

Invariants: "first time" is with the pages of the server's files dropped, the anchor's index cache deleted;
what was only delivered (its keys sealed to the mailbox's public half) is a row of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mssante.control.access import GrantAccess
from mssante.control.bal import CreateBal
from mssante.control.person import CreatePerson
from mssante.control.socket import ask
from mssante.model import Address, MailboxKind, PersonId, Secret
from tests.bench.anchor import Anchor
from tests.bench.ours import Ours

OPERATIONS = (
    *("select", "flags", "bodies_cold", "bodies_warm", "env_cold", "env_warm", "hdr_cold", "hdr_warm"),
    *("search_from", "search_text", "store_seen", "copy", "move", "append"),
)
PASSWORD = "secret-Passw0rd"  # the anchor's, and of the people the bench makes on our side
PEOPLE = 60  # 20 connections each at most
DELIVERED = 1000
SECONDS_MAX = 7200


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One server as load_imap.py reaches it. `cold`: the command that makes `big`'s mailbox cold."""

    name: str
    perf: Path
    out: Path
    common: tuple[str, ...]
    big: str
    idlers: str
    told: str
    smtp: tuple[str, ...]
    cold: str

    def run(self, user: str, *command: str) -> None:
        """Adds what is measured to `out`."""
        load = [sys.executable, str(self.perf / "load_imap.py"), *self.common, "--label", self.name]
        subprocess.run(
            [*load, "--password", PASSWORD, "--json", str(self.out), "--user", user, *command],
            check=True,
            timeout=SECONDS_MAX,
        )

    def measured(self) -> list[dict[str, Any]]:
        return list(json.loads(self.out.read_text())) if self.out.exists() else []

    def measure(self, *, messages: int, repeat: int) -> None:
        """Everything but what was delivered. A part that fails is told and left out."""
        repeats = ("--repeat", str(repeat), "--repeat-cold", "1", "--repeat-text", "1")
        # One by one: an operation that is refused (a search past its time) costs its own row only.
        suite = [(self.big, "suite", "--ops", op, *repeats, "--cold-cmd", self.cold) for op in OPERATIONS]
        parts = (
            (self.big, "preload", "--count", str(messages)),
            *suite,
            (self.idlers, "idle", "--count", "1000", "--settle", "5"),
            (self.told, "notify", "--count", "60", "--size", "4096", "--repeat", "2", *self.smtp),
        )
        for user, *command in parts:
            try:
                self.run(user, *command)
            except (subprocess.SubprocessError, OSError):
                print(f"{self.name}: not measured: {' '.join(command[:3])}", flush=True)


async def ours(side: Ours, perf: Path, work: Path) -> Side:
    """With its people and mailboxes made."""
    operator = side.operator
    domain = operator.domain
    names = ["big", "fresh", "told", *(f"idle{n}" for n in range(1, PEOPLE + 1))]
    for name in names:
        address, person = Address.parse(f"{name}@{domain}"), PersonId(f"{name}@{domain}")
        await ask(operator.folder, CreateBal(address=address, kind=MailboxKind.PER))
        await ask(operator.folder, CreatePerson(person=person, password=Secret(PASSWORD)))
        await ask(operator.folder, GrantAccess(person=person, address=address))
    assert operator.process is not None
    counted = ["--server-pid", str(operator.process.pid)]
    if side.cgroup is not None:
        counted += ["--server-cgroup", str(side.cgroup.path)]
    credentials = (str(side.pki / "operator-a.pem"), str(side.pki / "operator-a.key"))
    return Side(
        name="ours",
        perf=perf,
        out=work / "imap-ours.json",
        common=(
            *("--port", str(operator.ports[4]), "--tls", "--servername", operator.hostname),
            *("--cafile", str(side.pki / "anchors.pem"), *counted),
        ),
        big=f"big@{domain}",
        idlers=f"idle{{1-{PEOPLE}}}@{domain}",
        told=f"told@{domain}",
        smtp=(
            *("--smtp-port", str(operator.ports[0])),
            *("--smtp-cert", credentials[0], "--smtp-key", credentials[1]),
        ),
        cold=f"{sys.executable} {perf / 'cold.py'} {operator.folder}",
    )


def anchor(rival: Anchor, work: Path) -> Side:
    certs = rival.folder / "certs"
    return Side(
        name="anchor",
        perf=rival.folder,
        out=work / "imap-anchor.json",
        common=("--port", "14993", "--tls", "--cafile", str(certs / "ca.pem"), *rival.counted),
        big="big10k@mdbox.test",
        idlers="idle{1-1000}@mdbox.test",
        told="lat@mdbox.test",
        smtp=(
            *("--smtp-port", "12525", "--smtp-cert", str(certs / "ec-client.pem")),
            *("--smtp-key", str(certs / "ec-client.key")),
        ),
        cold=f"{sys.executable} {rival.folder / 'cold.py'} {rival.folder}/mail/mdbox.test/big10k",
    )


def delivered(side: Side, target: list[str], fresh: str) -> list[dict[str, Any]]:
    """ENVELOPE of DELIVERED messages that came by SMTP: the first time opens each key with HPKE."""
    at = target.index("--rcpt")
    load = [sys.executable, str(side.perf / "load_smtp.py"), *target[: at + 1], fresh, *target[at + 2 :]]
    load += ["--size", "4k", "--mode", "persistent", "--conns", "4", "--count", str(DELIVERED)]
    subprocess.run(
        [*load, "--repeat", "1", "--warmup", "0"], check=True, timeout=SECONDS_MAX, stdout=subprocess.DEVNULL
    )
    known = len(side.measured())
    side.run(fresh, "suite", "--ops", "env_warm", "--repeat", "1")
    found = [one for one in side.measured()[known:] if one["op"] == "fetch_env_warm"]
    return [{**one, "op": "delivered_first"} for one in found]


async def measure(
    side: Ours, rival: Anchor | None, perf: Path, work: Path, *, messages: int, repeat: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What load_imap.py measured: ours, the anchor's."""
    mine = await ours(side, perf, work)
    await asyncio.to_thread(mine.measure, messages=messages, repeat=repeat)
    found = mine.measured()
    found += await asyncio.to_thread(delivered, mine, side.target, f"fresh@{side.operator.domain}")
    if rival is None:
        return found, []
    theirs = anchor(rival, work)
    await asyncio.to_thread(theirs.measure, messages=messages, repeat=repeat)
    return found, theirs.measured()
