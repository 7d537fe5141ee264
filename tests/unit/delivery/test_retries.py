"""What is one letter that came twice, and what is two (R14): on a real store and a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mssante.crypto import passwords
from mssante.delivery.reception import Receipt, Recipient, Trace
from mssante.limits import QUEUE_DAYS_MAX
from mssante.model import Address, FolderId, MessageSource, PeerIdentity, SpecialUse, Uid
from mssante.reasons import Reason, Refused
from tests.support.operators.delivery_house import LETTER, FakeCourier, House, house
from tests.support.postgres import Postgres

A, C = "dr.a@chu-a.test", "dr.c@chu-a.test"
SENDER = Address.parse("dr.b@cabinet-b.test")
NODE = PeerIdentity(dn="CN=mss.cabinet-b.test,O=B,C=FR", serial="1", fingerprint="ab" * 32)
OTHER_NODE = replace(NODE, dn="CN=mss2.cabinet-b.test,O=B,C=FR", serial="2")
ALARM = b"From: pompe.7@cabinet-b.test\r\nSubject: Alarme\r\n\r\nDebit trop bas\r\n"
RELAYED = (
    b"Received: from pompe.7 by mss.cabinet-b.test with ESMTP id 7F3;\r\n Mon, 2 Mar 2026 10:00:07 +0100\r\n"
)


@pytest.fixture(params=["sqlite", "postgresql"])
async def here(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """An operator with the mailboxes A and C."""
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 512)
    monkeypatch.setattr(passwords, "PASSWORD_ITERATIONS", 1)
    url = None
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.url()
    async with house(tmp_path, mail_url=url) as made:
        await made.mailbox(A)
        await made.mailbox(C)
        yield made


def trace(node: PeerIdentity) -> Trace:
    return Trace(source=MessageSource.PEER, peer=node, detail={"list": "2026-01-01", "crl": 7})


async def arrives(
    house: House,
    content: bytes = LETTER,
    *,
    to: tuple[str, ...] = (A,),
    node: PeerIdentity = NODE,
    sender: Address | None = SENDER,
) -> Receipt:
    recipients = [await house.routing.local(Address.parse(each)) for each in to]

    intake = await house.reception.deposit(sender=sender, recipients=recipients, trace=trace(node))
    await intake.write(content)
    return await intake.commit()


async def folder(house: House, address: str, role: SpecialUse = SpecialUse.INBOX) -> FolderId:
    row = await house.store.accounts.mailbox(address)
    assert row is not None
    return next(each.id for each in await house.store.folders.all(row.id) if each.role is role)


async def lies_there(house: House, address: str, role: SpecialUse = SpecialUse.INBOX) -> list[str]:
    """The hexadecimal ids of the letters in a folder."""
    found = await house.store.messages.summaries(await folder(house, address, role), range(1, 1000))
    return [each.message_id.hex() for each in found]


async def expunge(house: House, address: str, role: SpecialUse = SpecialUse.INBOX) -> None:
    """Removes all that lies in a folder."""
    id = await folder(house, address, role)
    await house.store.messages.expunge(id, (await house.store.folders.numbers(id)).uids, deleted_only=False)


async def test_the_reply_to_a_retry_names_the_letter_that_is_kept(here: House) -> None:
    first = await arrives(here)
    again = [await arrives(here) for _ in range(3)]
    assert {receipt.id for receipt in again} == {first.id}
    assert await lies_there(here, A) == [first.id]


async def test_a_letter_its_reader_expunged_comes_again_once(here: House) -> None:
    """The stated exception to "never twice"."""
    first = await arrives(here)
    await expunge(here, A)
    again = await asyncio.gather(*(arrives(here) for _ in range(20)))
    assert [receipt.duplicate for receipt in again].count(False) == 1
    (kept,) = await lies_there(here, A)
    assert {receipt.id for receipt in again} == {kept}
    assert kept != first.id


async def test_a_letter_in_another_folder_is_still_in_the_mailbox(here: House) -> None:
    first = await arrives(here)
    trash = await folder(here, A, SpecialUse.TRASH)
    await here.store.messages.move(await folder(here, A), [Uid(1)], trash)
    assert (await arrives(here)).id == first.id
    await here.store.messages.copy(trash, [Uid(1)], await folder(here, A, SpecialUse.SENT))
    await expunge(here, A, SpecialUse.TRASH)
    assert (await arrives(here)).id == first.id
    await expunge(here, A, SpecialUse.SENT)
    assert not (await arrives(here)).duplicate


async def test_of_several_recipients_only_who_expunged_it_gets_it_again(here: House) -> None:
    first = await arrives(here, to=(A, C))
    (of_c,) = await lies_there(here, C)
    await expunge(here, A)
    again = await arrives(here, to=(A, C))
    assert not again.duplicate
    assert await lies_there(here, A) == [again.id]
    assert again.id != first.id
    assert await lies_there(here, C) == [of_c]
    assert (await arrives(here, to=(C,))).id == of_c
    assert (await arrives(here, to=(C, A))).id == of_c


async def test_a_full_mailbox_does_not_take_again_what_was_expunged(here: House) -> None:
    await arrives(here)
    await expunge(here, A)
    row = await here.store.accounts.mailbox(A)
    assert row is not None
    intake = await here.reception.deposit(
        sender=SENDER,
        recipients=[Recipient(row.id, Address.parse(A))],
        trace=trace(NODE),
    )
    await intake.write(LETTER)
    await here.store.accounts.set_quota(row.id, 0)
    with pytest.raises(Refused) as refused:
        await intake.commit()
    assert refused.value.reason is Reason.MAILBOX_FULL
    await here.store.accounts.set_quota(row.id, None)
    assert not (await arrives(here)).duplicate


async def test_a_retry_is_known_as_long_as_a_peer_tries(here: House) -> None:
    """It does not rest on the sweep, which comes every hour."""
    first = await arrives(here)
    here.clock.advance(timedelta(days=QUEUE_DAYS_MAX))
    assert (await arrives(here)).id == first.id
    here.clock.advance(timedelta(days=1))
    assert not (await arrives(here)).duplicate
    assert len(await lies_there(here, A)) == 2


async def test_a_retry_through_another_node_of_the_domain_is_a_retry(here: House) -> None:
    first = await arrives(here)
    assert (await arrives(here, node=OTHER_NODE)).id == first.id
    assert len(await lies_there(here, A)) == 1


async def test_a_receipt_is_known_by_the_name_of_who_brings_it(here: House) -> None:
    """The null sender has no domain. The name counts as names are compared, however it is written."""
    written_otherwise = replace(NODE, dn="CN=MSS.cabinet-b.test,O=b,C=FR")
    first = await arrives(here, sender=None)
    assert (await arrives(here, sender=None, node=written_otherwise)).id == first.id
    assert not (await arrives(here, sender=None, node=OTHER_NODE)).duplicate


@pytest.mark.parametrize("field", [b"", b"Message-ID:  \r\n"])
async def test_two_alarms_of_a_device_without_a_message_id_are_two(here: House, field: bytes) -> None:
    receipts = [await arrives(here, field + ALARM) for _ in range(2)]
    assert await lies_there(here, A) == [receipt.id for receipt in receipts]


async def test_a_relayed_letter_without_message_id_is_known_by_its_trace(here: House) -> None:
    """Who relays writes a Received field for each letter it gets, and sends the same one when it retries."""
    first = await arrives(here, RELAYED + ALARM)
    assert {(await arrives(here, RELAYED + ALARM)).id for _ in range(10)} == {first.id}
    assert not (await arrives(here, RELAYED.replace(b"7F3", b"7F4") + ALARM)).duplicate


async def test_other_content_under_a_known_message_id_is_kept(here: House) -> None:
    first = await arrives(here)
    other = await arrives(here, LETTER + b"P.-S.\r\n")
    assert await lies_there(here, A) == [first.id, other.id]


async def test_a_submission_is_never_taken_twice_even_when_it_has_left_the_queue(here: House) -> None:
    """Its program lost our 250 and sends again: meanwhile the letter may have arrived."""
    first = await here.submit([C])
    assert await here.submit([C]) == first
    await here.runner(FakeCourier()).run_once()
    assert await here.store.queue.messages() == []
    assert await here.submit([C]) == first
    assert await here.store.queue.messages() == []


async def test_what_our_own_queue_brings_again_is_not_kept_again(here: House) -> None:
    """Our queue knows its own repetition, so an expunged letter does not come back by it."""
    row = await here.store.accounts.mailbox(A)
    assert row is not None

    async def brought() -> Receipt:
        intake = await here.reception.deposit(
            sender=SENDER,
            recipients=[Recipient(row.id, Address.parse(A))],
            trace=Trace(source=MessageSource.QUEUE, detail={"queued": "x"}),
            once=b"local\0x",
        )
        await intake.write(LETTER)
        return await intake.commit()

    first = await brought()
    await expunge(here, A)
    assert await brought() == Receipt(id=first.id, duplicate=True)
    assert await lies_there(here, A) == []
