"""Words that must be nowhere: every file of two operators, their log and standard error, their metrics, and
the command lines and environments of all processes, after all that people do (K5, K9, K13, C28).
"""

from __future__ import annotations

import asyncio
import base64
import imaplib
import os
import re
import smtplib
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from mssante.mime.folding import fold
from mssante.model import Secret
from tests.support.operators.mail_clients import (
    contents,
    deliver,
    note,
    reading,
    relay,
    submit,
    user_context,
)
from tests.support.operators.world import (
    DOMAINS,
    HOST,
    MAILBOXES,
    DemoLogin,
    Operator,
    World,
    alone,
    await_true,
)

FAULTY = ("-m", "tests.support.operators.faulty_serve")
CANARIES = {
    "subject": "CANARI-SUJET-7f31",
    "body": "CANARI-CORPS-9a02",
    "attachment": "CANARI-PIECE-51cc.pdf",
    "attached": "CANARI-CONTENU-PIECE-0d4e",
    "correspondent": "canari.inconnu-3b77",
    "message id": "CANARI-IDENTIFIANT-c8d1",
    "helo": "canari-bonjour-66e0.test",
    "folder": "CANARI-DOSSIER-Dumont-e5a9",
    "renamed folder": "CANARI-RENOMME-Dumont-18b4",
    "keyword": "CANARI-ETIQUETTE-4f6d",
    "draft": "CANARI-BROUILLON-a2b8",
    "search": "CANARI-RECHERCHE-d730",
    "indexed": "CANARI-FIÈVRE-81d3",
    "user agent": "CANARI-LOGICIEL-77f2",
    "password": "CANARI-MOTDEPASSE-b1f5",
    "new password": "CANARI-NOUVEAU-MOTDEPASSE-2e9c",
    "wrong password": "CANARI-FAUX-MOTDEPASSE-8ad3",
    "wrong login": "CANARI-FAUX-LOGIN-60c7",
    "exception": "CANARI-EXCEPTION-f4e8",
}
PASSWORD, NEW_PASSWORD = (CANARIES[name] for name in ("password", "new password"))
PERSON_OF_CLI = "secretariat@chu-a.mssante.test"


@dataclass
class Watch:
    """Looks at every process of the machine for as long as it lasts."""

    seen: set[str] = field(default_factory=set)
    looked_at: set[str] = field(default_factory=set)
    _known: set[tuple[str, bytes]] = field(default_factory=set)
    _over: bool = False

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()

    def _look(self) -> None:
        while not self._over:
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    self._process(Path("/proc", entry))
            time.sleep(0.01)

    def _process(self, process: Path) -> None:
        try:
            command = (process / "cmdline").read_bytes()
            if (process.name, command) in self._known:
                return
            self._known.add((process.name, command))
            environment = (process / "environ").read_bytes()
        except OSError:
            return  # it ended, or is the kernel's
        self.looked_at.add(command.decode("utf-8", "replace"))
        self.seen.update(hits(command, f"{process}/cmdline"), hits(environment, f"{process}/environ"))


def disguises(word: str) -> Iterator[bytes]:
    """How a word may lie in a file: as it is, in base64 at any offset, in hexadecimal, in UTF-16."""
    octets = word.encode()
    yield octets
    yield octets.hex().encode()
    yield word.encode("utf-16-le")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + octets)
        yield encoded[-(-before * 8 // 6) : -4].lower()


FORBIDDEN = {name: [disguise.lower() for disguise in disguises(word)] for name, word in CANARIES.items()}


# What a search index is made of: parts of words, folded. Six octets do not stand there by chance.
PARTS = {
    word[at : at + 6].encode()
    for word in (fold(CANARIES[name]) for name in ("subject", "body", "attachment", "draft", "indexed"))
    for at in range(len(word) - 5)
}
INDEXED = 70  # letters: more than a search opens rather than index them


def hits(octets: bytes, where: str, extra: Iterable[str] = ()) -> list[str]:
    small = octets.lower()
    found = [
        f"{name} in {where}" for name, forms in FORBIDDEN.items() if any(form in small for form in forms)
    ]
    return found + [f"{word} in {where}" for word in extra if word.lower().encode() in small]


def scan(operator: Operator, *extra: str) -> tuple[list[str], list[str]]:
    """The hits in every file of an operator, and the files looked at."""
    found, files = [], []
    for path in sorted(operator.folder.rglob("*")):
        if path.is_file():
            files.append(path.name)
            octets, where = path.read_bytes(), f"{operator.folder.name}/{path.name}"
            found += hits(octets, where, extra)
            small = octets.lower()
            found += [f"{part!r} in {where}" for part in PARTS if part in small]
    return found, files


def columns_with(path: Path, word: str) -> set[str]:
    """The columns of a database that hold a word, whatever its case."""
    found, small = set[str](), word.lower().encode()
    with closing(sqlite3.connect(path)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"').description:
                values = database.execute(f'SELECT CAST("{row[0]}" AS BLOB) FROM "{table}"')
                if any(small in value.lower() for (value,) in values if value is not None):
                    found.add(f"{table}.{row[0]}")
    return found


def canary_letter(sender: str, recipient: str) -> bytes:
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"] = sender, recipient
    letter["Subject"] = f"XDM/1.0/DDM+ {CANARIES['subject']}"
    letter["Message-ID"] = f"<{CANARIES['message id']}@essai.test>"
    letter.set_content(f"Bonjour,\r\n{CANARIES['body']}\r\n")
    letter.add_attachment(
        CANARIES["attached"].encode(), maintype="application", subtype="pdf", filename=CANARIES["attachment"]
    )
    return letter.as_bytes()


@pytest.fixture(scope="module")
def pair(shared_world: World) -> Iterator[tuple[Operator, Operator]]:
    """A and B, with bugs that put all they know in their exceptions; A's person has a canary for password."""
    login = DemoLogin(MAILBOXES["a"], "PER", Secret(PASSWORD))
    a = shared_world.operator("a", name="canary-a", command=FAULTY, logins=(login,))
    b = shared_world.operator("b", name="canary-b", command=FAULTY)
    with alone(shared_world, b), alone(shared_world, a, ((b.domain, f"{HOST}:{b.relay_port}"),)):
        yield a, b


def test_no_word_of_a_letter_or_a_secret_is_anywhere(
    shared_world: World, pair: tuple[Operator, Operator]
) -> None:
    a, b = pair
    write_letters(shared_world, a, b)
    read_and_file(shared_world, b)
    fail_to_log_in(shared_world, a)
    asyncio.run(meet_bugs_as_a_peer(shared_world, b))
    meet_bugs_as_a_person(shared_world, a, b)
    with Watch() as watch:
        use_the_command_line(a)
    assert watch.seen == set()
    assert any("person\0create" in line for line in watch.looked_at), "the command lines were not seen"
    pages = b"".join(page(operator) for operator in pair)
    assert b"mssante_events_total" in pages
    assert hits(pages, "the metrics") == []

    for operator, others in ((a, b.login.address), (b, a.login.address)):
        for moment in ("running", "stopped"):
            if moment == "stopped":
                assert operator.broken_invariants() == []
                assert operator.shut() == 0
            found, files = scan(operator, others)
            assert found == [], f"{operator.folder.name}, {moment}"
            assert {"mail.db", "keys.db", "mssante.log", "stderr.txt", "config.toml"} <= set(files)
            assert moment == "stopped" or "mail.db-wal" in files
        # The scan sees what is there: own addresses may lie in clear, as those of mailboxes and nowhere else.
        # Who of ours sent a letter, and who got it, is in the journal, sealed.
        found_at = columns_with(operator.folder / "mail.db", operator.login.address)
        assert found_at == {"mailbox.address", "mailbox.address_key"}
    with closing(sqlite3.connect(b.folder / "mail.db")) as database:
        assert database.execute("SELECT sum(messages) FROM index_segment").fetchone()[0] >= INDEXED
    crashes = a.events("crashed") + b.events("crashed")
    assert {"smtp RCPT", "smtp intake", "control"} <= {crash["boundary"] for crash in crashes}
    assert {crash["error"] for crash in crashes} >= {"RuntimeError", "StatementFailed"}


def write_letters(world: World, a: Operator, b: Operator) -> None:
    """A letter that arrives, and one that comes back."""
    unknown = f"{CANARIES['correspondent']}@{DOMAINS['b']}"
    letter = canary_letter(a.login.address, b.login.address)
    with smtplib.SMTP(HOST, a.ports[1], local_hostname=CANARIES["helo"], timeout=60) as client:
        client.starttls(context=user_context(world))
        client.login(a.login.address, a.login.password.value)
        assert client.sendmail(a.login.address, [b.login.address], letter) == {}
        assert client.sendmail(a.login.address, [unknown], canary_letter(a.login.address, unknown)) == {}
    b.await_events("message_accepted", source="peer")
    a.await_events("delivery_failed")

    def told() -> bool:
        with reading(world, a) as client:
            return any(CANARIES["correspondent"].encode() in m for m in contents(client))

    await_true(told, 20, "the notice")


def read_and_file(world: World, b: Operator) -> None:
    """What a person does in a mail client."""
    folder, renamed = (f'"{CANARIES[name]}"' for name in ("folder", "renamed folder"))
    with reading(world, b) as client:
        imaplib.Commands.setdefault("ID", ("AUTH", "SELECTED"))
        client._simple_command("ID", f'("name" "{CANARIES["user agent"]}")')
        client.select("INBOX")
        (message,) = (answer[1] for answer in client.fetch("1", "(BODY[])")[1] if isinstance(answer, tuple))
        assert CANARIES["subject"].encode() in message
        assert CANARIES["attachment"].encode() in message
        assert client.search(None, "SUBJECT", f'"{CANARIES["subject"]}"')[1] == [b"1"]
        assert client.search(None, "BODY", f'"{CANARIES["body"]}"')[1] == [b"1"]
        assert client.search(None, "TEXT", f'"{CANARIES["search"]}"')[1] == [b""]
        assert client.store("1", "+FLAGS", CANARIES["keyword"])[0] == "OK"
        assert client.create(folder)[0] == "OK"
        assert client.copy("1", folder)[0] == "OK"
        assert client.rename(folder, renamed)[0] == "OK"
        assert client.subscribe(renamed)[0] == "OK"
        draft = note(b.login.address, ["x@x.test"], subject=CANARIES["draft"], unique=CANARIES["draft"])
        assert client.append("Drafts", r"(\Draft)", None, draft)[0] == "OK"
        for n in range(INDEXED):
            kept = note(b.login.address, ["x@x.test"], subject=CANARIES["indexed"], unique=f"{n}-indexed")
            assert client.append("Archive", None, None, kept)[0] == "OK"
        client.select("Archive")
        for needle in ("canari-fievre", "fievre-81", "fi"):
            assert len(client.search(None, "TEXT", f'"{needle}"')[1][0].split()) == INDEXED
        client.select(renamed)
        assert client.search(None, "KEYWORD", CANARIES["keyword"])[1] == [b"1"]
        client.store("1", "+FLAGS", r"(\Deleted)")
        assert client.expunge()[0] == "OK"
        assert client.delete(f'"{CANARIES["search"]}"')[0] == "NO"


def fail_to_log_in(world: World, a: Operator) -> None:
    """Wrong passwords, and a password typed in the field of the login."""
    for user in (a.login.address, PASSWORD):
        with smtplib.SMTP(HOST, a.ports[1], timeout=60) as client:
            client.starttls(context=user_context(world))
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login(user, CANARIES["wrong password"])
    imap = imaplib.IMAP4(HOST, a.ports[3], timeout=60)
    imap.starttls(ssl_context=user_context(world))
    with pytest.raises(imaplib.IMAP4.error):
        imap.login(CANARIES["wrong login"], PASSWORD)
    imap.shutdown()


async def meet_bugs_as_a_peer(world: World, b: Operator) -> None:
    """451 4.3.0 in words of ours, whatever the exception holds; the session goes on."""
    sender = f"x@{DOMAINS['a']}"
    for trigger in ("explose", "explose-sql"):
        message = note(sender, [b.login.address], subject=f"{trigger} {CANARIES['exception']}")
        talk = await relay(world, b, "operator-a", helo=CANARIES["helo"])
        reply = await deliver(talk, sender, [b.login.address], message)
        assert reply.startswith("451 4.3.0 Incident chez nous")
        assert hits(reply.encode(), "the reply") == []
        await talk.ask(f"MAIL FROM:<{sender}>")
        reply = await talk.ask(f"RCPT TO:<explose.{CANARIES['exception']}@{DOMAINS['b']}>")
        assert reply.startswith("451 4.3.0 Incident chez nous")
        assert (await talk.ask("NOOP")).startswith("250")
        await talk.ask("QUIT")


def meet_bugs_as_a_person(world: World, a: Operator, b: Operator) -> None:
    message = note(a.login.address, [b.login.address], subject=f"explose {CANARIES['exception']}")
    with pytest.raises(smtplib.SMTPDataError) as trouble:
        submit(world, a, [b.login.address], message)
    assert trouble.value.smtp_code == 451
    with reading(world, b) as client:
        status, data = client.create(f'"explose {CANARIES["exception"]}"')
        assert status == "NO"
        assert hits(repr(data).encode(), "the answer") == []


def use_the_command_line(a: Operator) -> None:
    """Secrets by a file and by a descriptor; an operation that breaks."""
    file = a.folder.parent / "mot-de-passe"
    file.write_text(NEW_PASSWORD)
    try:
        call(a, "person", "create", PERSON_OF_CLI, "--password-file", str(file))
        reader, writer = os.pipe()
        os.write(writer, f"{PASSWORD}\n".encode())
        os.close(writer)
        call(a, "person", "password", PERSON_OF_CLI, "--password-fd", str(reader), pass_fds=(reader,))
        os.close(reader)
        file.write_text(f"explose {CANARIES['exception']}")
        said = call(a, "person", "password", PERSON_OF_CLI, "--password-file", str(file), code=75)
        assert hits(said.encode(), "what the command said") == []
    finally:
        file.unlink()


def call(a: Operator, *words: str, code: int = 0, pass_fds: tuple[int, ...] = ()) -> str:
    done = subprocess.run(
        (sys.executable, "-m", "mssante", "--config", str(a.config_file), *words),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        pass_fds=pass_fds,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def page(operator: Operator) -> bytes:
    with urllib.request.urlopen(f"http://{HOST}:{operator.ports[5]}/metrics", timeout=10) as answer:
        found: bytes = answer.read()
    return found


@pytest.mark.parametrize("offset", range(3))
def test_the_scan_finds_a_word_in_its_disguises(offset: int) -> None:
    word = CANARIES["subject"]
    for disguised in (
        word.upper().encode(),
        base64.b64encode(b"xyz"[:offset] + word.encode() + b" fin"),
        word.encode().hex().encode(),
        word.encode("utf-16-le"),
    ):
        assert hits(b"\0" + disguised + b"\0", "here") == ["subject in here"]
    assert hits(re.sub(rb"SUJET", b"OBJET", word.encode()), "here") == []
