"""Who can write the mail database gets no letter by it: a public key or an address that our broker did not
sign takes none in (issue row "mailbox_key.public is believed")."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from mssante.crypto.envelope import Suite, draw_key_pair
from mssante.delivery.reception import Recipient, Trace
from mssante.model import Address, MailboxId, MessageSource, PersonId
from mssante.observe.event import Event
from mssante.observe.events import MailboxNotProven
from mssante.reasons import Passing, Reason
from tests.support.operators.delivery_house import LETTER, House
from tests.unit.delivery.test_reception import TRACE

A, B = Address.parse("dr.a@chu-a.test"), Address.parse("dr.b@chu-a.test")


def write(folder: Path, *statements: tuple[str, tuple[object, ...]]) -> None:
    """As somebody with the database alone does it, beside the running program."""
    with sqlite3.connect(folder / "mail.db") as database:
        for statement, values in statements:
            assert database.execute(statement, values).rowcount > 0, statement


def exchange_addresses(folder: Path) -> None:
    move = "UPDATE mailbox SET address = ?, address_key = ? WHERE address_key = ?"
    write(
        folder,
        (move, ("x@chu-a.test", "x@chu-a.test", A.key)),
        (move, (str(A), A.key, B.key)),
        (move, (str(B), B.key, "x@chu-a.test")),
    )


async def deliver(house: House, *addresses: Address, trace: Trace = TRACE) -> None:
    """The whole way: RCPT finds the mailboxes, then the letter is sealed and kept."""
    recipients = [await house.routing.local(address) for address in addresses]
    await keep(house, recipients, trace)


async def keep(house: House, recipients: Sequence[Recipient], trace: Trace = TRACE) -> None:
    intake = await house.reception.deposit(sender=None, recipients=recipients, trace=trace)
    await intake.write(LETTER)
    await intake.commit()


async def refused(house: House, folder: Path, *addresses: Address) -> None:
    """Nobody's letter is kept; the peer is told to try again."""
    with pytest.raises(Passing) as trouble:
        await deliver(house, *addresses)
    assert trouble.value.reason is Reason.KEYS_UNAVAILABLE
    with sqlite3.connect(folder / "mail.db") as database:
        assert database.execute("SELECT count(*) FROM message").fetchone() == (0,)


async def test_a_key_pair_of_somebody_else_s_takes_no_letter(
    a_house: House, tmp_path: Path, events: list[Event]
) -> None:
    mailbox = await a_house.mailbox(str(A))
    await a_house.mailbox(str(B))
    _, public = draw_key_pair()
    write(tmp_path, ("UPDATE mailbox_key SET public = ? WHERE mailbox_id = ?", (public, mailbox)))
    await refused(a_house, tmp_path, A)
    await refused(a_house, tmp_path, B, A)
    told = {event.mailbox for event in events if isinstance(event, MailboxNotProven)}
    assert told == {mailbox.hex()}
    await deliver(a_house, B)
    assert len(await a_house.inbox(str(B))) == 1


@pytest.mark.parametrize(("column", "value"), [("epoch", 2), ("suite", int(Suite.X25519)), ("suite", 77)])
async def test_another_epoch_or_suite_takes_no_letter(
    a_house: House, tmp_path: Path, column: str, value: int
) -> None:
    mailbox = await a_house.mailbox(str(A))
    write(tmp_path, (f"UPDATE mailbox_key SET {column} = ? WHERE mailbox_id = ?", (value, mailbox)))
    await refused(a_house, tmp_path, A)


async def test_a_newer_key_that_nobody_signed_takes_no_letter(a_house: House, tmp_path: Path) -> None:
    mailbox = await a_house.mailbox(str(A))
    _, public = draw_key_pair()
    row = (mailbox, 2, int(Suite.MLKEM768_X25519), public)
    write(tmp_path, ("INSERT INTO mailbox_key (mailbox_id, epoch, suite, public) VALUES (?, ?, ?, ?)", row))
    await refused(a_house, tmp_path, A)


async def test_two_addresses_exchanged_bring_nobody_a_colleague_s_letters(
    a_house: House, tmp_path: Path
) -> None:
    await a_house.mailbox(str(A))
    await a_house.mailbox(str(B))
    exchange_addresses(tmp_path)
    await refused(a_house, tmp_path, A)
    await refused(a_house, tmp_path, B)


async def test_addresses_exchanged_between_rcpt_and_the_letter_s_end_bring_nothing(
    a_house: House, tmp_path: Path
) -> None:
    """What RCPT remembers of the database may be of a moment when it lied."""
    await a_house.mailbox(str(A))
    other = await a_house.mailbox(str(B))
    with pytest.raises(Passing) as trouble:
        await keep(a_house, [Recipient(other, A)])
    assert trouble.value.reason is Reason.KEYS_UNAVAILABLE
    await deliver(a_house, A, B)
    with pytest.raises(Passing):  # the key is remembered now, and its address with it
        await keep(a_house, [Recipient(other, A)])


async def test_a_kind_changed_in_the_database_takes_no_letter(a_house: House, tmp_path: Path) -> None:
    await a_house.mailbox(str(A))
    write(tmp_path, ("UPDATE mailbox SET kind = 'ORG' WHERE address_key = ?", (A.key,)))
    await refused(a_house, tmp_path, A)


async def test_nobody_writes_under_an_address_that_was_moved_to_a_mailbox_of_theirs(
    a_house: House, tmp_path: Path
) -> None:
    await a_house.mailbox(str(A))
    await a_house.mailbox(str(B))
    exchange_addresses(tmp_path)
    with pytest.raises(Passing) as trouble:
        await a_house.routing.person_sends_from(PersonId(str(A)), B)
    assert trouble.value.reason is Reason.KEYS_UNAVAILABLE


@pytest.mark.parametrize("source", [MessageSource.QUEUE, MessageSource.PEER])
async def test_notices_to_our_own_people_go_by_the_same_door(
    a_house: House, tmp_path: Path, source: MessageSource
) -> None:
    mailbox = await a_house.mailbox(str(A))
    _, public = draw_key_pair()
    write(tmp_path, ("UPDATE mailbox_key SET public = ? WHERE mailbox_id = ?", (public, mailbox)))
    with pytest.raises(Passing):
        await keep(a_house, [Recipient(mailbox, A)], Trace(source=source, detail={"queued": "x"}))


async def test_submission_seals_for_the_outbox_we_made(a_house: House, tmp_path: Path) -> None:
    _, public = draw_key_pair()
    write(tmp_path, ("UPDATE mailbox_key SET public = ? WHERE mailbox_id = ?", (public, a_house.queue)))
    with pytest.raises(Passing) as trouble:
        await a_house.submit(["someone@cabinet-b.test"])
    assert trouble.value.reason is Reason.KEYS_UNAVAILABLE


async def test_a_person_s_mailbox_does_not_become_the_outbox(a_house: House, tmp_path: Path) -> None:
    mailbox = await a_house.mailbox(str(A))
    write(
        tmp_path,
        (
            "UPDATE mailbox SET kind = 'QUEUE', address = NULL, address_key = NULL WHERE id = ?",
            (mailbox,),
        ),
    )
    a_house.reception.queue = MailboxId(mailbox)
    with pytest.raises(Passing):
        await a_house.submit(["someone@cabinet-b.test"])


async def test_another_mailbox_s_signature_proves_nothing(a_house: House, tmp_path: Path) -> None:
    mailbox, other = await a_house.mailbox(str(A)), await a_house.mailbox(str(B))
    for columns in ("signature", "public, signature", "epoch, suite, public, signature"):
        write(
            tmp_path,
            (
                f"UPDATE mailbox_key SET ({columns}) ="
                f" (SELECT {columns} FROM mailbox_key WHERE mailbox_id = ?) WHERE mailbox_id = ?",
                (other, mailbox),
            ),
        )
        await refused(a_house, tmp_path, A)


async def test_a_whole_mailbox_with_its_key_and_signature_under_another_id_takes_no_letter(
    a_house: House, tmp_path: Path
) -> None:
    """The address finds a mailbox of the thief's, whose keys are the thief's to open."""
    mailbox, other = await a_house.mailbox(str(A)), await a_house.mailbox(str(B))
    write(
        tmp_path,
        ("UPDATE mailbox SET address = NULL, address_key = NULL WHERE id = ?", (mailbox,)),
        ("UPDATE mailbox SET address = ?, address_key = ? WHERE id = ?", (str(A), A.key, other)),
    )
    await refused(a_house, tmp_path, A)
    write(tmp_path, ("UPDATE mailbox SET address = ? WHERE id = ?", (str(B), other)))
    await refused(a_house, tmp_path, A)


@pytest.mark.parametrize("signature", [None, b"", bytes(64), bytes(63)])
async def test_no_signature_takes_no_letter(a_house: House, tmp_path: Path, signature: bytes | None) -> None:
    mailbox = await a_house.mailbox(str(A))
    write(tmp_path, ("UPDATE mailbox_key SET signature = ? WHERE mailbox_id = ?", (signature, mailbox)))
    await refused(a_house, tmp_path, A)
    (named,) = await a_house.store.accounts.unproven()
    assert named.mailbox == mailbox
    assert str(A) in named.detail


async def test_a_signature_is_verified_once_and_not_for_each_letter(
    a_house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cost, in verifications: two mailboxes, twenty letters to both, with every cache of rows too old."""
    await a_house.mailbox(str(A))
    await a_house.mailbox(str(B))
    verified = []
    real = a_house.store.accounts._verifier._public

    class Counting:
        def verify(self, signature: bytes, octets: bytes) -> None:
            verified.append(octets)
            real.verify(signature, octets)

    monkeypatch.setattr(a_house.store.accounts._verifier, "_public", Counting())
    for _ in range(20):
        a_house.clock.advance(timedelta(minutes=5))
        await deliver(a_house, A, B)
    assert len(verified) == 2
