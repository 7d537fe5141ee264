"""One operator in this process, and what talks to it: a mail program, a peer operator, the command line.

Invariants: the operator is made and run by the commands that an operator types (`mssante init`, `bal create`,
`serve`); everything else reaches it through sockets. Of the package, only the command line and the demo's
certificates and directory are used here, so that this file also works with checkouts whose insides differ.
"""

from __future__ import annotations

import base64
import re
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from mssante.cli import main
from mssante.demo import annuaire
from mssante.demo.certs.make import Pki, build, operator_subject
from mssante.demo.certs.white_list import write as write_white_list

HOST = "127.0.0.1"
DOMAIN, PEER_DOMAIN = "chu-a.mssante.test", "cabinet-b.mssante.test"
PERSON, SENDER = f"camille.moreau@{DOMAIN}", f"etienne.lheveder@{PEER_DOMAIN}"
PASSWORD = "un-mot-de-passe-de-mesure"
WORD = "hypertension"  # stands in every letter
_PORTS = ("relay", "submission", "submissions", "imap", "imaps", "status")
_SECONDS_MAX = 60


@dataclass(slots=True)
class Operator:
    """An operator's working directory, whose server listens on `ports` once it runs."""

    folder: Path
    pki: Pki
    ports: dict[str, int]

    @classmethod
    def make(cls, folder: Path) -> Operator:
        """Its certificates, its trust space and its working directory, with one mailbox and one person."""
        now = datetime.now(UTC)
        home = folder / "operator"
        operator = cls(home, build(folder / "pki", now=now, operators=("a", "b"), with_cases=False), {})
        words = ("--name", "CHU A", "--hostname", "mss.operateur-a.test", "--domain", DOMAIN)
        _invoke("init", str(home), *words, "--environment", "test")
        shutil.copytree(operator.pki.directory, home / "pki")
        for suffix in ("pem", "key"):
            (home / f"pki/operator-a.{suffix}").rename(home / f"pki/operator.{suffix}")
        pairs = [(DOMAIN, operator_subject("a").dn), (PEER_DOMAIN, operator_subject("b").dn)]
        write_white_list(home / "listeblanche.xml", pairs, generated_at=now)
        shutil.copy(annuaire.dev_ldif_path(), home / "annuaire.ldif")
        operator._listen_on_free_ports()
        operator.create_mailbox(PERSON)
        secret = home / "password.txt"
        secret.write_text(PASSWORD, encoding="utf-8")
        operator.command("person", "create", PERSON, "--password-file", str(secret))
        operator.command("access", "grant", PERSON, PERSON)
        return operator

    def _listen_on_free_ports(self) -> None:
        path = self.folder / "config.toml"
        text = path.read_text(encoding="utf-8")
        with _sockets(len(_PORTS)) as probes:
            for name, probe in zip(_PORTS, probes, strict=True):
                self.ports[name] = int(probe.getsockname()[1])
                text = re.sub(rf'(?m)^{name} = "[\d.]+:\d+"$', f'{name} = "{HOST}:{self.ports[name]}"', text)
        path.write_text(text.replace("# file =", "file ="), encoding="utf-8")  # the log, away from the table

    def command(self, *words: str) -> None:
        """Runs `mssante` on this working directory."""
        _invoke("--config", str(self.folder / "config.toml"), *words)

    def create_mailbox(self, address: str) -> None:
        self.command("bal", "create", address, "--kind", "PER")

    def serve(self) -> None:
        """Runs `mssante serve` in this thread, the process's first, until SIGTERM."""
        main(["--config", str(self.folder / "config.toml"), "serve"], standalone_mode=False)

    def await_ready(self) -> None:
        """Waits for the control socket, which opens last."""
        deadline = time.monotonic() + _SECONDS_MAX
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    return probe.connect(str(self.folder / "control.sock"))
                except OSError:
                    if time.monotonic() > deadline:
                        raise
            time.sleep(0.02)

    def person(self) -> MailProgram:
        """A mail program, signed in, with INBOX selected."""
        program = MailProgram(socket.create_connection((HOST, self.ports["imaps"]), _SECONDS_MAX))
        program.secure(ssl.create_default_context(cafile=str(self.pki.anchors)))
        program.line()
        program.ask(f"LOGIN {PERSON} {PASSWORD}")
        program.ask("SELECT INBOX")
        return program

    def peer(self) -> Peer:
        """Operator B's courier, past STARTTLS and EHLO."""
        peer = Peer(socket.create_connection((HOST, self.ports["relay"]), _SECONDS_MAX))
        leaf = self.pki.leaves["operator-b"]
        context = ssl.create_default_context(cafile=str(self.pki.anchors))
        context.check_hostname = False  # operators know each other by their DN
        context.load_cert_chain(leaf.chain_file, leaf.key_file)
        peer.reply("220")
        peer.ask("EHLO mss.operateur-b.test", "250")
        peer.ask("STARTTLS", "220")
        peer.secure(context)
        peer.ask("EHLO mss.operateur-b.test", "250")
        return peer


class _Client:
    """One connection, read line by line."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._file = connection.makefile("rb")

    def secure(self, context: ssl.SSLContext) -> None:
        self._socket = context.wrap_socket(self._socket, server_hostname=HOST)
        self._file = self._socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def line(self) -> bytes:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the server left")
        return line

    def end(self) -> None:
        self._file.close()
        self._socket.close()


class MailProgram(_Client):
    """Speaks IMAP."""

    _commands = 0

    def ask(self, command: str, before: Callable[[bytes, bytes], None] | None = None) -> list[bytes]:
        """Sends a command; returns its lines up to the tagged OK. `before` hears what the command will begin
        with and what its last answer will. Raises RuntimeError for NO and BAD."""
        self._commands += 1
        tag = b"W%d " % self._commands
        if before is not None:
            before(tag, tag)
        self.send(tag + command.encode() + b"\r\n")
        lines = [self.line()]
        while not lines[-1].startswith(tag):
            lines.append(self.line())
        if not lines[-1].startswith(tag + b"OK"):
            raise RuntimeError(f"{command.split(maxsplit=1)[0]}: {lines[-1]!r}")
        return lines


class Peer(_Client):
    """Speaks SMTP."""

    def reply(self, code: str) -> None:
        """Reads a reply. Raises RuntimeError for another code."""
        line = self.line()
        while line[3:4] == b"-":
            line = self.line()
        if not line.startswith(code.encode()):
            raise RuntimeError(f"{code} was expected: {line!r}")

    def ask(self, command: str, code: str) -> None:
        self.send(command.encode() + b"\r\n")
        self.reply(code)

    def deliver(self, number: int, before_content: Callable[[], None] = lambda: None) -> None:
        """One letter. `before_content` is called between 354 and the letter."""
        self.ask(f"MAIL FROM:<{SENDER}>", "250")
        self.ask(f"RCPT TO:<{PERSON}>", "250")
        self.ask("DATA", "354")
        before_content()
        self.send(_letter(number) + b".\r\n")
        self.reply("250")


def _letter(number: int) -> bytes:
    """A small letter in two parts, as professionals send them."""
    page = base64.encodebytes(b"%PDF-1.4 " + bytes(range(256)) * 8).replace(b"\n", b"\r\n")
    return (
        (
            f"From: Etienne Lheveder <{SENDER}>\r\nTo: Camille Moreau <{PERSON}>\r\n"
            f"Subject: =?utf-8?q?Compte_rendu_n=C2=B0?= {number}\r\nDate: Mon, 02 Mar 2026 10:00:00 +0100\r\n"
            f"Message-ID: <letter.{number}@{PEER_DOMAIN}>\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/mixed; boundary=part\r\n\r\n--part\r\n"
            "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
            f"Bonjour,\r\n\r\nSuivi d'une {WORD}.\r\n\r\n--part\r\n"
            "Content-Type: application/pdf; name=lettre.pdf\r\nContent-Transfer-Encoding: base64\r\n"
            "Content-Disposition: attachment; filename=lettre.pdf\r\n\r\n"
        ).encode()
        + page
        + b"--part--\r\n"
    )


def _invoke(*words: str) -> None:
    done = CliRunner().invoke(main, list(words))
    if done.exit_code:
        raise RuntimeError(f"mssante {' '.join(words)}: {done.output}{done.stderr}")


@contextmanager
def _sockets(count: int) -> Iterator[list[socket.socket]]:
    """`count` sockets, each on a free port of loopback, held while the context lasts."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind((HOST, 0))
        yield held
    finally:
        for each in held:
            each.close()
