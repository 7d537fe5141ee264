"""Who can write the key store, without the root key, opens nobody's mail: tried over IMAP, for real."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mssante.crypto import passwords
from mssante.keys.integrity import ALTERED
from mssante.keys.ring import Role
from mssante.model import MailboxId, PersonId, Secret
from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter

EVE, PAUL = "eve@operateur-a.test", "paul@operateur-a.test"
NEW_PERSON = (
    "INSERT INTO person (person, password_hash, status, created, password_changed)"
    " VALUES (?, ?, 'active', 1, 1)"
)
NEW_ACCESS = 'INSERT INTO access (person, mailbox_id, role, since) VALUES (?, ?, "full", 1)'.replace('"', "'")


def write(folder: Path, statement: str, *values: object) -> None:
    """As somebody with the key store's file alone does it, beside the running program."""
    with sqlite3.connect(folder / "keys.db") as database:
        assert database.execute(statement, values).rowcount > 0, statement


def read(folder: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "keys.db") as database:
        return database.execute(statement, values).fetchall()


async def opens(house: ImapHouse, user: str, password: str) -> bool:
    """Whether a mail program gets in and sees a letter."""
    client: ImapClient = await house.connect()
    answer = await client.ask(f'LOGIN "{user}" "{password}"')
    if answer.status != "OK":
        client.close()
        return False
    count = (await client.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items()["MESSAGES"]
    client.close()
    return bool(count == "1")


@pytest.fixture
async def marie(house: ImapHouse) -> MailboxId:
    """Marie's mailbox, with one letter in it, which she can read."""
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, letter(1))
    assert await opens(house, MARIE, PASSWORD)
    return row.id


async def test_a_person_and_an_access_written_into_the_key_store_open_nothing(
    house: ImapHouse, tmp_path: Path, marie: MailboxId
) -> None:
    write(tmp_path, NEW_PERSON, EVE, passwords.hashed(Secret("eve's own")))
    write(tmp_path, NEW_ACCESS, EVE, marie)
    assert not await opens(house, EVE, "eve's own")
    assert not await opens(house, f"{EVE}/{MARIE}", "eve's own")
    assert await opens(house, MARIE, PASSWORD)


async def test_an_access_written_for_a_colleague_opens_nothing(
    house: ImapHouse, tmp_path: Path, marie: MailboxId
) -> None:
    await house.mailbox(PAUL)
    write(tmp_path, NEW_ACCESS, PAUL, marie)
    assert not await opens(house, f"{PAUL}/{MARIE}", PASSWORD)


async def test_another_person_s_password_row_opens_nothing(
    house: ImapHouse, tmp_path: Path, marie: MailboxId
) -> None:
    await house.person(PAUL, "paul's own")
    columns = [name for (_, name, *_) in read(tmp_path, "PRAGMA table_info(person)") if name != "person"]
    for names in ("password_hash", ", ".join(map(str, columns))):
        write(
            tmp_path,
            f"UPDATE person SET ({names}) = (SELECT {names} FROM person WHERE person = ?) WHERE person = ?",
            PAUL,
            MARIE,
        )
        assert not await opens(house, MARIE, "paul's own")


async def test_an_access_moved_to_another_person_opens_nothing(
    house: ImapHouse, tmp_path: Path, marie: MailboxId
) -> None:
    await house.person(PAUL)
    write(tmp_path, "UPDATE access SET person = ? WHERE person = ?", PAUL, MARIE)
    assert not await opens(house, f"{PAUL}/{MARIE}", PASSWORD)


async def test_a_role_widened_and_a_date_put_off_open_nothing(
    house: ImapHouse, tmp_path: Path, marie: MailboxId
) -> None:
    await house.person(PAUL)
    await house.grant(PAUL, marie, Role.READ)
    write(tmp_path, "UPDATE access SET role = 'full' WHERE person = ?", PAUL)
    assert not await opens(house, f"{PAUL}/{MARIE}", PASSWORD)


async def test_a_suspension_taken_back_in_the_key_store_opens_nothing(
    house: ImapHouse, tmp_path: Path, marie: MailboxId
) -> None:
    await house.broker.suspend(PersonId(MARIE))
    write(tmp_path, "UPDATE person SET status = 'active' WHERE person = ?", MARIE)
    assert not await opens(house, MARIE, PASSWORD)


async def test_a_revocation_taken_back_in_the_key_store_opens_nothing(
    house: ImapHouse, tmp_path: Path, marie: MailboxId
) -> None:
    await house.broker.revoke(PersonId(MARIE), marie)
    write(tmp_path, "UPDATE access SET revoked = NULL WHERE person = ?", MARIE)
    assert not await opens(house, MARIE, PASSWORD)


async def test_an_older_row_put_back_opens_nothing_after_the_next_check(
    house: ImapHouse, tmp_path: Path, marie: MailboxId
) -> None:
    """The row was ours, with its proof; only the whole set says that it is not any more."""
    columns = ", ".join(str(name) for (_, name, *_) in read(tmp_path, "PRAGMA table_info(access)"))
    (before,) = read(tmp_path, f"SELECT {columns} FROM access WHERE person = ?", MARIE)
    await house.broker.revoke(PersonId(MARIE), marie)
    write(tmp_path, "DELETE FROM access WHERE person = ?", MARIE)
    write(tmp_path, f"INSERT INTO access ({columns}) VALUES ({', '.join('?' * len(before))})", *before)
    assert (await house.broker.check()).trouble == ALTERED
    assert not await opens(house, MARIE, PASSWORD)
