"""An older key store in the place of the newer one, rows written into it, a mailbox changed: what `serve`,
`doctor` and `keys accept` say. And an installation that a version without proofs made."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from mssante import limits
from mssante.app.first import Starter, lay
from mssante.app.parts import CannotStart, open_parts
from mssante.config import load
from mssante.control.access import GrantAccess, RevokeAccess
from mssante.control.access import grant as grant_access
from mssante.control.access import revoke as revoke_access
from mssante.control.bal import CreateBal
from mssante.control.bal import create as create_bal
from mssante.control.doctor import Doctor, Health
from mssante.control.doctor import doctor as look
from mssante.control.operations import Parts
from mssante.control.outbox import outbox
from mssante.control.person import CreatePerson
from mssante.control.person import create as create_person
from mssante.crypto import passwords
from mssante.crypto.envelope import draw_key_pair
from mssante.delivery.couriers import LocalCourier
from mssante.delivery.reception import Reception, Trace
from mssante.delivery.routing import Routing
from mssante.delivery.runner import Runner
from mssante.keys import KeyBroker
from mssante.mailbox import sign_in
from mssante.mailbox.folders import Folders
from mssante.mailbox.reading import Reader
from mssante.model import Address, MailboxId, MailboxKind, MessageSource, PersonId, Secret
from mssante.reasons import Passing, Refused
from mssante.trust.space import TrustSpace
from tests.support.operators.delivery_house import LETTER, FakeCourier

DOMAIN = "chu-a.test"
A, B = Address.parse(f"dr.a@{DOMAIN}"), Address.parse(f"dr.b@{DOMAIN}")
MISCONFIGURED, REFUSED = 78, 1
PASSWORD = Secret("secret secret")
OLDER = Path(__file__).parents[2] / "vectors" / "installation-before-proofs"


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSWORD_ITERATIONS", 1)


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """Two mailboxes with a person each."""
    starter = Starter(name="CHU A", hostname="mss.operateur-a.test", domains=(DOMAIN,))
    path = await lay(tmp_path / "a", starter)
    async with open_parts(load(path)) as parts:
        for address in (A, B):
            await create_bal(parts, CreateBal(address=address, kind=MailboxKind.PER))
            await create_person(parts, CreatePerson(person=PersonId(str(address)), password=PASSWORD))
            await grant_access(parts, GrantAccess(person=PersonId(str(address)), address=address))
    return path


def mssante(config: Path, *words: str) -> tuple[int, str]:
    """The command line as an operator uses it: its exit code, and all that it said."""
    command = (sys.executable, "-m", "mssante", "--config", str(config), *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def write(database: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(database) as connection:
        assert connection.execute(statement, values).rowcount > 0


async def told(parts: Parts) -> list[str]:
    """What doctor finds wrong with mailboxes and the key store."""
    report = await look(parts, Doctor())
    return [
        finding.text
        for finding in report.findings
        if finding.state is Health.WRONG and finding.subject in ("mailbox", "key store")
    ]


async def opens(parts: Parts, person: Address, mailbox: Address) -> bool:
    try:
        opened = await sign_in(
            store=parts.store,
            broker=parts.broker,
            user=f"{person}/{mailbox}",
            password=PASSWORD,
            remote="127.0.0.1",
        )
    except (Refused, Passing):
        return False
    opened.close()
    return True


async def test_an_older_key_store_stops_the_start_until_it_is_accepted(config: Path) -> None:
    keys = config.parent / "keys.db"
    async with open_parts(load(config)) as parts:
        await grant_access(parts, GrantAccess(person=PersonId(str(B)), address=A))
    shutil.copy(keys, config.parent / "older")
    async with open_parts(load(config)) as parts:
        await revoke_access(parts, RevokeAccess(person=PersonId(str(B)), address=A))
        assert not await opens(parts, B, A)
    shutil.copy(keys, config.parent / "newer")
    shutil.copy(config.parent / "older", keys)

    code, said = mssante(config, "serve")
    assert code == MISCONFIGURED
    assert "the key store is an older copy" in said
    assert "mssante keys accept" in said
    code, said = mssante(config, "doctor")
    assert code == REFUSED
    assert "key store: it opens no mailbox: the key store is an older copy" in said
    code, said = mssante(config, "access", "revoke", str(B), str(A))
    assert (code, "older copy" in said) == (REFUSED, True)
    async with open_parts(load(config)) as parts:
        assert not await opens(parts, B, A)

    shutil.copy(config.parent / "newer", keys)  # the better way out
    async with open_parts(load(config)) as parts:
        assert await told(parts) == []
        assert await opens(parts, B, B)
    shutil.copy(config.parent / "older", keys)
    code, said = mssante(config, "keys", "accept", "--dry-run")
    assert (code, "nothing would be removed" in said) == (0, True)
    assert mssante(config, "serve")[0] == MISCONFIGURED
    code, said = mssante(config, "keys", "accept")
    assert (code, "--dry-run" in said) == (0, False)  # it does not send whoever accepts to where they were
    async with open_parts(load(config)) as parts:
        assert await told(parts) == []
        assert await opens(parts, B, A)
    assert mssante(config, "keys", "accept")[0] == REFUSED  # there is nothing to accept


async def test_a_deleted_row_stops_the_start_and_an_added_one_is_named(config: Path) -> None:
    keys = config.parent / "keys.db"
    async with open_parts(load(config)) as parts:
        (box,) = [row for row in await parts.store.accounts.all() if row.address == A]
    add = "INSERT INTO access (person, mailbox_id, role, since) VALUES (?, ?, 'full', 1)"
    write(keys, add, str(B), box.id)
    async with open_parts(load(config)) as parts:
        assert parts.broker.trouble == ""
        assert not await opens(parts, B, A)
        assert await opens(parts, A, A)
        (named,) = await told(parts)
        assert f"the row of {B} in access was not written by our key broker" in named
        with pytest.raises(Refused):
            await revoke_access(parts, RevokeAccess(person=PersonId(str(B)), address=A))
    assert f"removed: {B} in access" in mssante(config, "keys", "accept")[1]
    async with open_parts(load(config)) as parts:
        assert await told(parts) == []
    write(keys, "DELETE FROM access WHERE person = ?", str(B))
    code, said = mssante(config, "serve")
    assert code == MISCONFIGURED
    assert "not as they were last written" in said


async def test_a_mailbox_changed_in_the_mail_database_is_named_and_gives_nobody_a_right(config: Path) -> None:
    mail = config.parent / "mail.db"
    _, public = draw_key_pair()
    write(
        mail,
        "UPDATE mailbox_key SET public = ? WHERE mailbox_id = (SELECT id FROM mailbox WHERE address_key = ?)",
        public,
        A.key,
    )
    async with open_parts(load(config)) as parts:
        (named,) = await told(parts)
        assert str(A) in named
        assert "not what our key broker signed" in named
        with pytest.raises(Passing):
            await grant_access(parts, GrantAccess(person=PersonId(str(B)), address=A))
        assert await opens(parts, B, B)
    # A start is no occasion to have it signed.
    write(mail, "UPDATE mailbox_key SET signature = NULL WHERE public = ?", public)
    async with open_parts(load(config)) as parts:
        assert len(await told(parts)) == 1


async def test_an_outbox_that_is_not_ours_stops_the_start(config: Path) -> None:
    mail = config.parent / "mail.db"
    write(
        mail,
        "UPDATE mailbox_key SET signature = NULL"
        " WHERE mailbox_id = (SELECT id FROM mailbox WHERE kind = 'QUEUE')",
    )
    with pytest.raises(CannotStart, match="not what our key broker signed"):
        async with open_parts(load(config), serving=True):
            pass


def installed(folder: Path) -> Path:
    """A working directory as the version of before left it: a letter, and an access that was revoked."""
    folder.mkdir(mode=0o700)
    for name in ("mail", "keys"):
        path = folder / f"{name}.db"
        path.touch(mode=0o600)
        with sqlite3.connect(path) as database:
            database.executescript((OLDER / f"{name}.sql").read_text(encoding="utf-8"))
    root = folder / "root.key"
    root.touch(mode=0o600)
    root.write_text((OLDER / "root.key.txt").read_text(encoding="ascii"), encoding="ascii")
    config = folder / "config.toml"
    starter = Starter(name="CHU A", hostname="mss.operateur-a.test", domains=(DOMAIN,))
    config.write_text(starter.text(), encoding="utf-8")
    return config


async def test_an_installation_made_before_the_proofs_goes_on_and_is_proved(tmp_path: Path) -> None:
    config = installed(tmp_path / "before")
    for _ in range(2):  # the second start finds it done
        async with open_parts(load(config)) as parts:
            assert await told(parts) == []
            assert not parts.broker.unsettled
            mailbox = await sign_in(
                store=parts.store,
                broker=parts.broker,
                user=str(A),
                password=Secret("secret"),
                remote="127.0.0.1",
            )
            folder = await Folders(mailbox).named("INBOX")
            reader = Reader(mailbox)
            ((letters, damaged),) = [each async for each in reader.messages(folder.id, [1])]
            assert damaged == []
            assert (await reader.octets(letters[0], 0, 10_000)).endswith(LETTER)
            key = await parts.store.accounts.public_key(mailbox.id, A)
            assert key.mailbox == mailbox.id
            with pytest.raises(Refused):
                await sign_in(
                    store=parts.store,
                    broker=parts.broker,
                    user=f"{B}/{A}",
                    password=Secret("secret"),
                    remote="127.0.0.1",
                )


async def queue(parts: Parts, *numbers: int) -> None:
    """Letters of A's into the queue, as anybody can lay them there who writes the database."""
    for number in numbers:
        intake = await reception_of(parts, await outbox(parts.store, parts.broker, parts.clock)).enqueue(
            sender=A,
            recipients=[Address.parse("dr.x@cabinet-x.test")],
            trace=Trace(source=MessageSource.SUBMISSION, person=PersonId(str(A))),
        )
        await intake.write(LETTER.replace(b"<1@", b"<%d@" % number))
        await intake.commit()


def reception_of(parts: Parts, box: MailboxId) -> Reception:
    return Reception(store=parts.store, broker=parts.broker, queue=box, clock=parts.clock, hostname="x")


async def sent(parts: Parts) -> list[bytes]:
    """The numbers of the letters that go to another operator now."""
    reception = reception_of(parts, await outbox(parts.store, parts.broker, parts.clock))
    routing = Routing(
        domains=frozenset({A.domain}),
        store=parts.store,
        broker=parts.broker,
        directory=parts.directory,
        space=lambda: TrustSpace.from_entries([], source="test"),
    )
    far, near = FakeCourier(), LocalCourier(reception, routing)
    runner = Runner(reception=reception, broker=parts.broker, routing=routing, local=near, remote=far)
    await runner.run_once()
    return sorted(content.split(b"<")[1][:1] for _, content in far.delivered)


async def test_what_waited_unproved_goes_out_after_the_upgrade_and_what_is_forged_then_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LETTERS_PROVED_AT_ONCE", 2)
    config = installed(tmp_path / "before")
    with monkeypatch.context() as before:
        # The first start is stopped before its end, and the queue filled as the version of before filled it.
        before.setattr(KeyBroker, "settle", AsyncMock())
        before.setattr("mssante.delivery.reception.route_proof", lambda *_: None)
        async with open_parts(load(config)) as parts:
            await queue(parts, 1, 2, 3, 4)
            before.setattr("mssante.delivery.reception.route_proof", lambda *_: bytes(32))
            await queue(parts, 5)
            waiting = [each.number for each in await parts.store.queue.messages()]
        # One does not open, and the others are proved all the same.
        damage = "UPDATE outbound SET envelope_ct = 'text' WHERE message_number = ?"
        write(config.parent / "mail.db", damage, waiting[1])
        async with open_parts(load(config)) as parts:  # stopped once more, and done again
            assert parts.broker.unsettled
    async with open_parts(load(config)) as parts:
        assert not parts.broker.unsettled
        with monkeypatch.context() as forger:
            forger.setattr("mssante.delivery.reception.route_proof", lambda *_: None)
            await queue(parts, 6)
    async with open_parts(load(config)) as parts:
        assert await sent(parts) == [b"1", b"3", b"4"]
        assert [each.number for each in await parts.store.queue.messages()] == [waiting[1]]


async def test_an_installation_with_a_key_that_is_not_its_own_is_not_signed(tmp_path: Path) -> None:
    config = installed(tmp_path / "before")
    _, public = draw_key_pair()
    write(
        config.parent / "mail.db",
        "UPDATE mailbox_key SET public = ? WHERE mailbox_id = (SELECT id FROM mailbox WHERE address_key = ?)",
        public,
        A.key,
    )
    for _ in range(2):
        async with open_parts(load(config)) as parts:
            (named,) = await told(parts)
            assert str(A) in named
            with pytest.raises(Passing):
                await parts.store.accounts.mailbox(A.key)
            assert await parts.store.accounts.mailbox(B.key) is not None


async def test_a_key_store_from_before_the_proofs_does_not_come_back(tmp_path: Path) -> None:
    config = installed(tmp_path / "before")
    keys = config.parent / "keys.db"
    shutil.copy(keys, config.parent / "older")
    async with open_parts(load(config)):
        pass
    shutil.copy(config.parent / "older", keys)
    for leftover in ("keys.db-wal", "keys.db-shm"):
        (config.parent / leftover).unlink(missing_ok=True)
    code, said = mssante(config, "serve")
    assert code == MISCONFIGURED
    assert "no proof of its rows, though it had" in said
    assert mssante(config, "keys", "accept")[0] == 0
    async with open_parts(load(config)) as parts:  # mailboxes are signed with the key that is drawn anew
        assert await told(parts) == []
        assert await parts.store.accounts.mailbox(A.key) is not None


@pytest.mark.parametrize(
    ("database", "statement"),
    [
        ("keys.db", "UPDATE person SET mac = 'text', password_hash = x'00', created = 'text'"),
        ("keys.db", "UPDATE access SET mac = 1, until = 'text'"),
        ("keys.db", "UPDATE register SET sealed = 'text'"),
        ("keys.db", "UPDATE service_key SET public = 'text' WHERE name = 'signing'"),
        ("mail.db", "UPDATE mailbox_key SET signature = 'text', public = 1"),
        ("mail.db", "UPDATE mailbox_key SET suite = 'text', epoch = 'text'"),
        ("mail.db", "UPDATE mailbox SET address = x'ff', kind = 7"),
        ("mail.db", "UPDATE key_floor SET mac = 'text', counter = 'text'"),
    ],
)
async def test_values_of_another_type_than_ours_are_named_as_any_others(
    config: Path, database: str, statement: str
) -> None:
    """SQLite takes any value into any column."""
    write(config.parent / database, statement)
    code, said = mssante(config, "doctor")
    assert code == REFUSED, said
    assert "WRONG" in said
    assert "Traceback" not in said
    code, said = mssante(config, "serve")
    assert code == MISCONFIGURED, said
    assert "Traceback" not in said
