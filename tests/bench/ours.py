"""Our side of the bench: one `mssante serve` in its own process, with ten mailboxes on SQLite.

Invariants: what runs is what an operator runs (init, serve, the control socket); certificates are P-256 on
both sides, as the anchor's; the CPU counted is the server's process and nothing else's.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mssante.control.bal import CreateBal
from mssante.control.socket import ask
from mssante.demo import annuaire
from mssante.demo.certs.make import build
from mssante.demo.certs.white_list import write as write_white_list
from mssante.demo.operator import HOST, DemoLogin, DemoOperator, ports
from mssante.limits import MIB
from mssante.model import Address, MailboxKind
from tests.bench.cgroup import Cgroup

MAILBOXES = 10
MESSAGE_OCTETS_MAX = 64 * MIB  # above the largest load
PORT = 4525
_DOMAIN_OF_THE_GENERATOR = """
dn: mssNomDomaine=client.perf.test,ou=domaines,dc=annuaire,dc=test
objectClass: mssDomaine
mssNomDomaine: client.perf.test
mssCodeOperateur: operateur-a
mssDescription: load_imap.py
"""


@dataclass(slots=True)
class Ours:
    """A running operator C, and operator A's certificate to call it with."""

    operator: DemoOperator
    pki: Path
    cgroup: Cgroup | None = None

    @property
    def target(self) -> list[str]:
        """The arguments of load_smtp.py that point it here."""
        assert self.operator.process is not None
        arguments = [
            *("--host", HOST, "--port", str(self.operator.ports[0]), "--starttls"),
            *("--servername", self.operator.hostname, "--cafile", str(self.pki / "anchors.pem")),
            *("--cert", str(self.pki / "operator-a.pem"), "--key", str(self.pki / "operator-a.key")),
            *("--sender", "expediteur@chu-a.mssante.test"),
            *("--rcpt", f"u{{1-{MAILBOXES}}}@{self.operator.domain}"),
            *("--server-pid", str(self.operator.process.pid)),
        ]
        if self.cgroup is not None:
            arguments += ["--server-cgroup", str(self.cgroup.path)]
        return arguments

    async def stop(self) -> None:
        await self.operator.stop()
        if self.cgroup is not None:
            self.cgroup.remove()


async def start(work: Path) -> Ours:
    """Makes everything in `work` and starts the server. Raises RuntimeError if it does not start."""
    pki = build(work / "pki", now=datetime.now(UTC))
    operator = DemoOperator(
        name="operator-c",
        title="Laboratoire C",
        domain="labo-c.mssante.test",
        folder=work / "operator-c",
        ports=ports(PORT),
        logins=tuple(DemoLogin(f"u{n}@labo-c.mssante.test", "PER") for n in range(1, MAILBOXES + 1)),
    )
    white_list, ldif = work / "listeblanche.xml", work / "annuaire.ldif"
    # The second domain is the one load_imap.py writes from.
    theirs = ("chu-a.mssante.test", "client.perf.test")
    listed = (*((domain, "operator-a") for domain in theirs), (operator.domain, "operator-c"))
    write_white_list(
        white_list, [(domain, pki.leaves[name].dn) for domain, name in listed], generated_at=datetime.now(UTC)
    )
    shutil.copy(annuaire.dev_ldif_path(), ldif)
    with ldif.open("a", encoding="utf-8") as file:
        file.write(_DOMAIN_OF_THE_GENERATOR)
    await operator.lay(work / "pki", white_list, ldif, ())
    config = operator.folder / "config.toml"
    with config.open("a", encoding="utf-8") as file:
        file.write(f"\n[messages]\nbytes_max = {MESSAGE_OCTETS_MAX}\n")
        file.write("\n[connections]\nper_address_max = 2000\n")
    await operator.start()
    for login in operator.logins:
        address, kind = Address.parse(login.address), MailboxKind(login.kind)
        await ask(operator.folder, CreateBal(address=address, kind=kind))
    assert operator.process is not None
    return Ours(operator=operator, pki=work / "pki", cgroup=Cgroup.around(operator.process.pid))
