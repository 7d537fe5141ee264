"""The demo's two operators as the Thunderbird test needs them, and a second pair of eyes on their mailboxes.

What Thunderbird says it did is checked here, over connections that Thunderbird knows nothing of.
"""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from itertools import islice
from pathlib import Path
from typing import Any

from imapclient import IMAPClient

from mssante.demo.operator import HOST, DemoLogin, DemoOperator, ports
from mssante.demo.story import Story

WAIT_SECONDS_MAX = 40


@dataclass(frozen=True, slots=True)
class Post:
    """Both operators, running, and the CA file their users import."""

    story: Story
    ca_file: Path

    @classmethod
    async def open(cls, work: Path) -> Post:
        story = Story(work, lambda _: None)
        story.a.ports, story.b.ports = ports(6525), ports(7525)
        await story.prepare()
        return cls(story, work / "pki" / "anchors.pem")

    @property
    def camille(self) -> DemoLogin:
        return self.story.a.logins[0]

    @property
    def etienne(self) -> DemoLogin:
        return self.story.b.logins[0]

    @property
    def centre(self) -> DemoLogin:
        return self.story.b.logins[1]

    def settings(self, login: DemoLogin, name: str, *, person: DemoLogin | None = None) -> dict[str, Any]:
        """What step `configure` takes for a mailbox of operator B; `person` opens it in place of its own."""
        who = person or login
        return {
            "address": login.address,
            "user": login.address if who is login else f"{who.address}/{login.address}",
            "password": who.password.value,
            "name": name,
            "host": HOST,
            "imap": self.story.b.ports[3],
            "smtp": self.story.b.ports[1],
        }

    def write(self, subject: str, text: str, *recipients: DemoLogin) -> None:
        """A letter of Camille's, through operator A."""
        message = EmailMessage()
        message["From"] = f"Dr Camille Moreau <{self.camille.address}>"
        message["To"] = ", ".join(login.address for login in recipients)
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{time.time_ns()}@{self.story.a.domain}>"
        message.set_content(text, charset="utf-8", cte="quoted-printable")
        with smtplib.SMTP(HOST, self.story.a.ports[1], timeout=30) as client:
            client.starttls(context=self._tls())
            client.login(self.camille.address, self.camille.password.value)
            client.send_message(message)

    def keep(self, login: DemoLogin, letters: Iterable[bytes], at_once: int = 200) -> None:
        """Appends letters to the INBOX, many in a command (RFC 3502)."""
        with self._mailbox(login) as client:
            for some in batched(letters, at_once):
                client.multiappend("INBOX", [{"msg": letter} for letter in some])

    def subjects(self, login: DemoLogin, folder: str = "INBOX") -> list[str]:
        """What lies in a folder, sorted."""
        with self._mailbox(login) as client:
            return sorted(_subjects(client, folder).values())

    def flags(self, login: DemoLogin, subject: str) -> set[str]:
        """Flags and keywords of a letter in the INBOX, without \\Recent."""
        with self._mailbox(login) as client:
            (number,) = [n for n, found in _subjects(client, "INBOX").items() if found == subject]
            found = client.fetch([number], ["FLAGS"])[number][b"FLAGS"]
        return {flag.decode("ascii") for flag in found} - {"\\Recent"}

    def folders(self, login: DemoLogin) -> list[str]:
        with self._mailbox(login) as client:
            return sorted(name for _, _, name in client.list_folders())

    def text(self, login: DemoLogin, subject: str, folder: str = "INBOX") -> str:
        """A letter as it lies there, its quoted-printable left alone."""
        with self._mailbox(login) as client:
            (number,) = [n for n, found in _subjects(client, folder).items() if found == subject]
            octets: bytes = client.fetch([number], ["BODY.PEEK[]"])[number][b"BODY[]"]
        return octets.decode("utf-8", "replace")

    def arrived(self, login: DemoLogin, subject: str) -> None:
        """Waits for a letter in the INBOX."""
        wait_until(f"{subject} for {login.address}", lambda: subject in self.subjects(login))

    def _operator(self, login: DemoLogin) -> DemoOperator:
        return self.story.a if login in self.story.a.logins else self.story.b

    @contextmanager
    def _mailbox(self, login: DemoLogin) -> Iterator[IMAPClient]:
        port = self._operator(login).ports[3]
        with IMAPClient(HOST, port=port, ssl=False, timeout=30) as client:
            client.starttls(ssl_context=self._tls())
            client.login(login.address, login.password.value)
            yield client

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))


def wait_until(what: str, look: Callable[[], bool]) -> None:
    """Real programs take real time: looks again until `look` says yes."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.2)


def batched(items: Iterable[bytes], count: int) -> Iterator[list[bytes]]:
    source = iter(items)
    while some := list(islice(source, count)):
        yield some


def _subjects(client: IMAPClient, folder: str) -> dict[int, str]:
    client.select_folder(folder, readonly=True)
    numbers = client.search("ALL")
    found = client.fetch(numbers, ["ENVELOPE"]) if numbers else {}
    return {number: _decoded(item[b"ENVELOPE"].subject) for number, item in found.items()}


def _decoded(subject: bytes | None) -> str:
    from email.header import decode_header, make_header

    return str(make_header(decode_header((subject or b"").decode("ascii"))))
