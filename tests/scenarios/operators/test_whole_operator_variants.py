"""Whole operators on what grows: an LDAP directory, PostgreSQL for mail and keys, two hosts of one operator.

Each is what an administrator does: `mssante init`, an edited config.toml, `mssante serve`.
"""

from __future__ import annotations

import asyncio
import imaplib
import json
import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from mssante.cli import main
from mssante.demo.annuaire.slapd import Running
from mssante.reasons import Reason
from tests.support.ldap.slapd import slapd
from tests.support.operators.hosts import edited, on_postgresql, twin_of
from tests.support.operators.mail_clients import deliver, field, inbox, note, reading, relay, submit
from tests.support.operators.world import (
    DOMAINS,
    HOST,
    MAILBOXES,
    Operator,
    World,
    await_true,
    world_of,
)
from tests.support.postgres import Postgres

CANARIES = (b"CANARI-objet", b"CANARI-corps", b"CANARI-dossier", b"canari.correspondant")
CLOSED = "ancien.service@labo-c.mssante.test"


def on_ldap(operator: Operator, directory: Running) -> Operator:
    ldap = f'ldap = "{directory.url}"\nldap_base = "{directory.base_dn}"'
    return edited(operator, {"ldif = ": ldap})


def routed(world: World, letters: str) -> list[Operator]:
    """Operators that know the way to each other, laid out and not started."""
    made = [world.operator(letter) for letter in letters]
    for operator in made:
        routes = [(other.domain, f"{HOST}:{other.relay_port}") for other in made if other is not operator]
        operator.set_up(world, routes)
    return made


def crosses(world: World, sender: Operator, recipient: Operator, unique: str) -> None:
    """A letter is submitted at one, crosses, and is read at the other, octet for octet."""
    letter = note(sender.login.address, [recipient.login.address], unique=unique)
    submit(world, sender, [recipient.login.address], letter)
    await_true(lambda: arrived(world, recipient, unique), 30, f"{unique} at {recipient.title}")
    (kept,) = [m for m in inbox(world, recipient) if field(m, "Message-ID") == f"<{unique}@essai.test>"]
    assert kept.endswith(letter)


def arrived(world: World, operator: Operator, unique: str) -> bool:
    headers = inbox(world, operator, item="BODY.PEEK[HEADER]")
    return any(field(header, "Message-ID") == f"<{unique}@essai.test>" for header in headers)


@pytest.fixture(scope="module")
def on_a_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Operator, Operator]]:
    """A trusts what list and LDAP both say, B what LDAP says: one slapd, no LDIF anywhere."""
    folder = tmp_path_factory.mktemp("annuaire")
    with world_of(folder / "world", with_cases=False) as world:
        with slapd(folder) as directory:
            a, b = (on_ldap(operator, directory) for operator in routed(world, "ab"))
            world.ldif.unlink()
            edited(b, {"sources = ": 'sources = ["directory"]', "white_list = ": ""})
            for operator in (a, b):
                operator.spawn()
            for operator in (a, b):
                operator.await_ready().populate()
            yield world, a, b
        # The directory is gone, the operators live on: a letter to a domain already known still crosses.
        crosses(world, a, b, "annuaire-arrete")


def test_letters_cross_between_operators_on_an_ldap_directory(
    on_a_directory: tuple[World, Operator, Operator],
) -> None:
    world, a, b = on_a_directory
    crosses(world, a, b, "ldap-aller")
    crosses(world, b, a, "ldap-retour")
    loaded = {event["source"]: event for event in a.events("trust_space_loaded")}
    assert set(loaded) == {"list", "directory"}
    assert loaded["directory"]["domains"] >= 3
    assert {event["source"] for event in b.events("trust_space_loaded")} == {"directory"}


def test_the_ldap_directory_decides_at_rcpt_and_at_the_relay(
    on_a_directory: tuple[World, Operator, Operator],
) -> None:
    """A domain in the directory and not in the list: refused at A, which asks both; taken at B."""
    _, a, b = on_a_directory
    refusals = {}
    for operator in (a, b):
        for recipient in ("dr@hors-liste-d.mssante.test", "dr@nulle-part.mssante.test"):
            with smtplib.SMTP(HOST, operator.ports[1], timeout=30) as client:
                client.starttls()
                client.login(operator.login.address, operator.login.password.value)
                client.mail(operator.login.address)
                refusals[operator.name, recipient.partition("@")[2]] = client.rcpt(recipient)[0]
    assert refusals == {
        ("operator-a", "hors-liste-d.mssante.test"): 550,
        ("operator-a", "nulle-part.mssante.test"): 550,
        ("operator-b", "hors-liste-d.mssante.test"): 250,
        ("operator-b", "nulle-part.mssante.test"): 550,
    }


def test_the_doctor_is_well_on_an_ldap_directory(on_a_directory: tuple[World, Operator, Operator]) -> None:
    for operator in on_a_directory[1:]:
        found = operator.ask("doctor")
        assert found["well"], found


def test_what_is_explained_is_what_the_server_does(on_a_directory: tuple[World, Operator, Operator]) -> None:
    """`trust explain` judges by the configured sources, not by the list alone."""
    world, a, b = on_a_directory
    certificate = str(world.leaf("operator-b").chain_file)
    said = {}
    for operator in (a, b):
        for domain in (b.domain, "hors-liste-d.mssante.test"):
            words = ["--config", str(operator.config_file), "trust", "explain", "--json"]
            done = CliRunner().invoke(main, [*words, "--cert", certificate, "--domain", domain])
            said[operator.name, domain] = (done.exit_code, json.loads(done.stdout)["rule"])
    assert said == {
        ("operator-a", b.domain): (0, "listed"),
        ("operator-b", b.domain): (0, "listed"),
        ("operator-a", "hors-liste-d.mssante.test"): (1, Reason.DOMAIN_NOT_LISTED.value),
        ("operator-b", "hors-liste-d.mssante.test"): (1, Reason.DOMAIN_OF_ANOTHER_OPERATOR.value),
    }


@contextmanager
def on_a_server(folder: Path, url: str) -> Iterator[tuple[World, Operator, Operator]]:
    """A keeps mail and keys in PostgreSQL, B in SQLite."""
    with world_of(folder, with_cases=False) as world:
        a, b = routed(world, "ab")
        for operator in (on_postgresql(a, url), b):
            operator.boot().populate()
        yield world, a, b


@pytest.fixture(scope="module")
def on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres
) -> Iterator[tuple[World, Operator, Operator]]:
    with on_a_server(tmp_path_factory.mktemp("postgresql") / "world", postgres.url()) as made:
        yield made


def test_letters_cross_from_and_to_an_operator_on_postgresql(
    on_postgres: tuple[World, Operator, Operator],
) -> None:
    world, a, b = on_postgres
    crosses(world, a, b, "postgresql-aller")
    crosses(world, b, a, "postgresql-retour")
    assert not list(a.folder.glob("*.db*"))  # mail, keys and queue: everything lies in the server


def test_after_a_kill_and_a_restart_everything_still_opens(
    on_postgres: tuple[World, Operator, Operator],
) -> None:
    world, a, b = on_postgres
    crosses(world, b, a, "avant-la-coupure")
    a.kill()
    a.boot()
    assert arrived(world, a, "avant-la-coupure")
    crosses(world, b, a, "apres-la-coupure")
    found = a.ask("doctor", verify_data=True)
    assert found["well"], found


def code_of(error: smtplib.SMTPException) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next(iter(error.recipients.values()))[0]
    assert isinstance(error, smtplib.SMTPResponseException)
    return error.smtp_code


def test_a_restarted_postgresql_is_found_again(
    on_postgres: tuple[World, Operator, Operator], postgres: Postgres
) -> None:
    """A submission right after the crash of the database is kept or deferred, and the next one goes."""
    world, a, b = on_postgres
    postgres.restart("immediate")
    refusals: list[int] = []

    def submitted() -> bool:
        try:
            submit(world, a, [b.login.address], note(a.login.address, [b.login.address], unique="relance"))
        except smtplib.SMTPException as error:
            refusals.append(code_of(error))
            return False
        return True

    await_true(submitted, 10, "a submission after the restart")
    assert all(400 <= code < 500 for code in refusals)  # trouble of ours loses no letter
    await_true(lambda: arrived(world, b, "relance"), 30, "the letter submitted after the restart")
    ids = [field(m, "Message-ID") for m in inbox(world, b, item="BODY.PEEK[HEADER]")]
    assert ids.count("<relance@essai.test>") == 1


def asked(client: imaplib.IMAP4, command: str) -> list[bytes]:
    """A command as written, and what is answered, the tagged line last."""
    client.send(f"z9 {command}\r\n".encode())
    lines: list[bytes] = []
    while not lines or not lines[-1].startswith(b"z9 "):
        lines.append(client.readline())
    assert lines[-1].startswith(b"z9 OK"), (command, lines)
    return lines


def code(lines: list[bytes], name: bytes) -> str:
    """The argument of a response code."""
    found: list[bytes] = re.findall(rb"\[%b (\d+)\]" % name, b"".join(lines))
    (argument,) = found
    return argument.decode()


def test_sessions_on_two_hosts_see_each_others_changes(on_postgres: tuple[World, Operator, Operator]) -> None:
    """Flags with their mod-sequence, a new keyword, VANISHED; who was away catches up at either host."""
    world, a, _ = on_postgres
    twin = twin_of(world, a, "operator-a-second").boot()
    with reading(world, a) as here, reading(world, twin) as there:
        asked(here, "CREATE Partage")
        for n in range(4):
            assert here.append("Partage", "", "", b"Subject: %d\r\n\r\nx\r\n" % n)[0] == "OK"
        asked(here, "ENABLE QRESYNC")
        opened = asked(here, "SELECT Partage")
        asked(there, "SELECT Partage (CONDSTORE)")
        stored = asked(there, "UID STORE 2 +FLAGS (partage)")
        told = b"".join(asked(here, "NOOP"))
        modseq = re.findall(rb"MODSEQ \((\d+)\)", b"".join(stored))[0]
        assert b"* FLAGS (" in told
        assert re.search(rb"\* 2 FETCH \(UID 2 FLAGS \(.*partage\) MODSEQ \(%b\)\)" % modseq, told)
        # A condition is judged in the database, whatever a host has heard.
        asked(here, "UID STORE 3 +FLAGS.SILENT (\\Flagged)")
        assert (
            b"[MODIFIED 3]"
            in asked(there, f"UID STORE 3:4 (UNCHANGEDSINCE {modseq.decode()}) +FLAGS (\\Seen)")[-1]
        )
        asked(there, "UID STORE 1 +FLAGS.SILENT (\\Deleted)")
        asked(there, "EXPUNGE")
        assert b"* VANISHED 1\r\n" in asked(here, "NOOP")
        asked(here, "UNSELECT")
        asked(there, "UID MOVE 4 Trash")
        asked(there, "ENABLE QRESYNC")
        known = f"{code(opened, b'UIDVALIDITY')} {code(opened, b'HIGHESTMODSEQ')}"
        caught_up = [
            b"".join(asked(client, f"SELECT Partage (QRESYNC ({known}))")) for client in (here, there)
        ]
        for answer in caught_up:
            assert b"* VANISHED (EARLIER) 1,4\r\n" in answer
            assert re.findall(rb"\* (\d) FETCH \(UID (\d)", answer) == [(b"1", b"2"), (b"2", b"3")]
        assert code([caught_up[0]], b"HIGHESTMODSEQ") == code([caught_up[1]], b"HIGHESTMODSEQ")
    assert twin.shut() == 0


def test_two_hosts_of_one_operator_share_mailboxes_and_rights(
    on_postgres: tuple[World, Operator, Operator],
) -> None:
    """What one host takes in, the other tells at once; a right taken away at one ends at the other."""
    world, a, _ = on_postgres
    twin = twin_of(world, a, "operator-a-twin").boot()
    sender = f"medecin@{DOMAINS['b']}"

    async def deliver_to_first() -> str:
        talk = await relay(world, a, "operator-b")
        return await deliver(
            talk, sender, [MAILBOXES["a"]], note(sender, [MAILBOXES["a"]], unique="deux-hotes")
        )

    with reading(world, twin) as client:
        client.select("INBOX")
        client.send(b"x1 IDLE\r\n")
        assert client.readline().startswith(b"+")
        assert asyncio.run(deliver_to_first()).startswith("250")
        assert b"EXISTS" in client.readline()
        client.send(b"DONE\r\n")
        a.ask("access.revoke", person=a.login.address, address=a.login.address)
        client.sock.settimeout(15)
        lines = []
        while line := client.readline():
            lines.append(line)
        assert lines[-1].startswith(b"* BYE")
    a.ask("access.grant", person=a.login.address, address=a.login.address)
    assert arrived(world, twin, "deux-hotes")
    assert twin.shut() == 0


def test_nothing_that_was_written_lies_readable_in_postgresql(
    on_postgres: tuple[World, Operator, Operator], postgres: Postgres
) -> None:
    """K5 on the server's own files: tables, indexes and write-ahead log."""
    world, a, _ = on_postgres
    sender = f"canari.correspondant@{DOMAINS['b']}"

    async def arrive() -> str:
        letter = note(sender, [MAILBOXES["a"]], subject="CANARI-objet", body=b"CANARI-corps\r\n" * 40)
        talk = await relay(world, a, "operator-b")
        return await deliver(talk, sender, [MAILBOXES["a"]], letter)

    assert asyncio.run(arrive()).startswith("250")
    with reading(world, a) as client:
        assert client.create("CANARI-dossier")[0] == "OK"
        client.select("INBOX")
        assert client.copy("1:*", "CANARI-dossier")[0] == "OK"
    letter = note(a.login.address, [sender], subject="CANARI-objet", body=b"CANARI-corps\r\n")
    submit(world, a, [sender], letter)
    postgres.sql("CHECKPOINT")
    files = [file for file in postgres.folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) > 1 << 20
    found = [(file.name, canary) for file in files for canary in CANARIES if canary in file.read_bytes()]
    assert not found


def test_without_its_directory_the_server_says_try_later(tmp_path: Path) -> None:
    with world_of(tmp_path / "world", with_cases=False) as world:
        (a,) = routed(world, "a")
        edited(a, {"ldif = ": 'ldap = "ldap://127.0.0.1:1"\nldap_base = "dc=annuaire,dc=test"'})
        a.spawn()
        assert a.server is not None
        assert a.server.wait(30) == 75
        said = a.stderr.read_text(encoding="utf-8")
        assert said.startswith(f"cannot start, try later: {Reason.DIRECTORY_UNAVAILABLE.value}")
        assert "Traceback" not in said


def test_without_its_database_the_server_says_try_later(tmp_path: Path) -> None:
    with world_of(tmp_path / "world", with_cases=False) as world:
        (a,) = routed(world, "a")
        on_postgresql(a, f"postgresql://nobody@/mail?host={tmp_path}")
        a.spawn()
        assert a.server is not None
        assert a.server.wait(30) == 75  # EX_TEMPFAIL: the supervisor starts it again
        said = a.stderr.read_text(encoding="utf-8")
        assert said.startswith(f"cannot start, try later: {Reason.STORAGE_UNAVAILABLE.value}")
        assert "Traceback" not in said
