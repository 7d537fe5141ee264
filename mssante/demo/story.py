"""The demo's story: a PKI, a trust space, two operators, a letter, and its reading.

Invariants: letters are sent and read as any mail program would (submission with STARTTLS, IMAP with STARTTLS,
passwords, the CA file); nothing here reaches into a server.
"""

from __future__ import annotations

import asyncio
import imaplib
import secrets
import shutil
import smtplib
import ssl
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from mssante.control.bal import ShowBal
from mssante.control.socket import ask
from mssante.demo import annuaire
from mssante.demo.certs.make import build
from mssante.demo.certs.white_list import write as write_white_list
from mssante.demo.operator import HOST, DemoLogin, DemoOperator, ports
from mssante.demo.sample import Patient, letter
from mssante.limits import DEMO_ARRIVAL_SECONDS_MAX
from mssante.model import Address
from mssante.tasks import end_task

TRACE_HEADERS = (b"return-path:", b"received:")


class Story:
    """`say` prints a step as it happens. Everything is made in `work`."""

    def __init__(self, work: Path, say: Callable[[str], None]) -> None:
        self._work = work
        self._say = say
        self._pki = work / "pki"
        self.a = DemoOperator(
            name="operator-a",
            title="CHU A",
            domain="chu-a.mssante.test",
            folder=work / "operator-a",
            ports=ports(2525),
            logins=(
                DemoLogin("camille.moreau@chu-a.mssante.test", "PER"),
                DemoLogin("cardiologie@chu-a.mssante.test", "ORG"),
            ),
        )
        self.b = DemoOperator(
            name="operator-b",
            title="Opérateur B",
            domain="cabinet-b.mssante.test",
            folder=work / "operator-b",
            ports=ports(3525),
            logins=(
                DemoLogin("etienne.lheveder@cabinet-b.mssante.test", "PER"),
                DemoLogin("centre.de.sante@cabinet-b.mssante.test", "ORG"),
            ),
        )

    async def prepare(self) -> None:
        """The PKI, the white list, the directory, and two running operators with their people."""
        pki = await asyncio.to_thread(build, self._pki, now=datetime.now(UTC))
        self._say(
            f"a development PKI shaped like IGC-Santé: {len(list(self._pki.glob('*.pem')))} certificates"
        )
        white_list = self._work / "listeblanche.xml"
        pairs = [(side.domain, pki.leaves[side.name].dn) for side in (self.a, self.b)]
        write_white_list(white_list, pairs, generated_at=datetime.now(UTC))
        ldif = self._work / "annuaire.ldif"
        shutil.copy(annuaire.dev_ldif_path(), ldif)
        self._say("a white list and a directory; a pair (domain, DN) counts only if both have it")
        await asyncio.gather(
            self._bring_up(self.a, self.b, white_list, ldif), self._bring_up(self.b, self.a, white_list, ldif)
        )

    async def _bring_up(self, side: DemoOperator, other: DemoOperator, white_list: Path, ldif: Path) -> None:
        await side.lay(self._pki, white_list, ldif, ((other.domain, f"{HOST}:{other.ports[0]}"),))
        await side.start()
        await side.people()
        self._say(
            f"{side.title} runs: {side.domain}, relay on {HOST}:{side.ports[0]},"
            f" {len(side.logins)} mailboxes with their people"
        )

    async def exchange(self) -> dict[str, Any]:
        """Camille at A writes to Étienne at B; he reads it. What is reported is what was seen."""
        sender, recipient = self.a.logins[0], self.b.logins[0]
        sent = self._letter(sender, [recipient])
        await asyncio.to_thread(self._submit, self.a, sender, [recipient], sent)
        self._say(f"submitted to A by {sender.address}: {len(sent)} octets, STARTTLS and password")
        received = await asyncio.to_thread(self._read, self.b, recipient)
        peers = [event for event in self.b.log("peer_accepted") if event["direction"] == "in"]
        accepted = [event for event in self.b.log("message_accepted") if event["source"] == "peer"]
        sealed = await self._sealed_octets(recipient)
        equal = without_trace(received) == sent
        if peers:
            self._say(f"A → B over mutual {peers[-1]['tls_version']}: {peers[-1]['dn']}")
        self._say(f"sealed in the mailbox of {recipient.address}: {sealed} octets of ciphertext")
        self._say("read back over IMAP: " + ("equal, byte for byte" if equal else "DIFFERENT"))
        return {
            "delivered": bool(accepted) and bool(received),
            "from": sender.address,
            "to": recipient.address,
            "tls_version": peers[-1]["tls_version"] if peers else None,
            "peer_dn": peers[-1]["dn"] if peers else None,
            "sealed_bytes": sealed,
            "read_back_equal": equal,
        }

    async def more_letters(self) -> None:
        """A letter in each of the other mailboxes, so that a mail client finds one wherever it looks."""
        camille, cardiologie = self.a.logins
        etienne, centre = self.b.logins
        for side, sender, recipients in (
            (self.a, cardiologie, [centre]),
            (self.b, etienne, [camille, cardiologie]),
        ):
            await asyncio.to_thread(self._submit, side, sender, recipients, self._letter(sender, recipients))
            self._say(f"submitted by {sender.address} to {', '.join(login.address for login in recipients)}")

    def settings(self) -> str:
        """What to type into Thunderbird."""
        lines = ["", "In Thunderbird (the CA file first: Settings, Certificates, Authorities, Import):"]
        lines.append(f"  CA file              {self._pki / 'anchors.pem'}")
        for side in (self.a, self.b):
            _, submission, submissions, imap, imaps, _ = side.ports
            for login in side.logins:
                kind = "personal" if login.kind == "PER" else "organisational"
                lines += [
                    "",
                    f"  {side.title}, {kind} mailbox",
                    f"  address and user     {login.address}",
                    f"  password             {login.password.value}",
                    f"  IMAP server          {HOST}  port {imap} STARTTLS  (or {imaps} SSL/TLS)",
                    f"  SMTP server          {HOST}  port {submission} STARTTLS  (or {submissions} SSL/TLS)",
                ]
        return "\n".join([*lines, ""])

    async def until_stopped(self) -> None:
        """Returns when a server ends by itself."""
        waits = [asyncio.create_task(side.process.wait()) for side in (self.a, self.b) if side.process]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                await end_task(each)

    async def end(self) -> None:
        for side in (self.a, self.b):
            await side.stop()

    def _letter(self, sender: DemoLogin, recipients: list[DemoLogin]) -> bytes:
        return letter(
            sender=Address.parse(sender.address),
            recipients=tuple(Address.parse(login.address) for login in recipients),
            patient=Patient(
                family="DUMONT-TEST", given="Élodie", born=date(1961, 4, 12), sex="F", ins="261049999999990"
            ),
            sent_at=datetime.now(UTC).replace(microsecond=0),
            unique=secrets.token_hex(8),
        )

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self._pki / "anchors.pem"))

    def _submit(
        self, side: DemoOperator, sender: DemoLogin, recipients: list[DemoLogin], message: bytes
    ) -> None:
        with smtplib.SMTP(HOST, side.ports[1], timeout=30) as client:
            client.starttls(context=self._tls())
            client.login(sender.address, sender.password.value)
            client.sendmail(sender.address, [login.address for login in recipients], message)

    def _read(self, side: DemoOperator, login: DemoLogin) -> bytes:
        client = imaplib.IMAP4(HOST, side.ports[3], timeout=DEMO_ARRIVAL_SECONDS_MAX)
        try:
            client.starttls(ssl_context=self._tls())
            client.login(login.address, login.password.value)
            client.select("INBOX")
            deadline = time.monotonic() + DEMO_ARRIVAL_SECONDS_MAX
            while not (found := client.search(None, "UNSEEN")[1][0].split()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no letter came within {DEMO_ARRIVAL_SECONDS_MAX} s")
                time.sleep(0.05)
            number = found[-1].decode()
            part = client.fetch(number, "(BODY.PEEK[])")[1][0]
            assert isinstance(part, tuple)
            return part[1]
        finally:
            client.shutdown()

    async def _sealed_octets(self, login: DemoLogin) -> int:
        return (await ask(self.b.folder, ShowBal(Address.parse(login.address)))).sealed_bytes


def without_trace(message: bytes) -> bytes:
    """The message without the trace headers that relays put in front (RFC 5321 §4.4)."""
    while message.lower().startswith(TRACE_HEADERS):
        end = message.index(b"\r\n") + 2
        while message[end : end + 1] in (b" ", b"\t"):
            end = message.index(b"\r\n", end) + 2
        message = message[end:]
    return message
