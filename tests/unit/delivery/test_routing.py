"""Who may write to whom."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from mssante.annuaire.entries import MailboxEntry
from mssante.delivery.authors import require_author
from mssante.delivery.reception import Recipient, Trace
from mssante.keys.ring import Role
from mssante.mime.structure import scan
from mssante.model import Address, MailboxStatus, MessageSource, PersonId, SpecialUse, Uid
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.trust.space import TrustSpace
from tests.support.operators.delivery_house import HOME, LETTER, House

A, B = "dr.a@chu-a.test", "dr.b@cabinet-b.test"
ME = PersonId(A)


def _entry(status: MailboxStatus) -> MailboxEntry:
    return cast(MailboxEntry, SimpleNamespace(status=status))


async def test_a_recipient_of_ours_is_found_whatever_its_case(a_house: House) -> None:
    mailbox = await a_house.mailbox(A)
    found = await a_house.routing.local(Address.parse(A.upper()))
    assert found.mailbox == mailbox


@pytest.mark.parametrize(
    ("address", "kind", "reason"),
    [
        (B, Refused, Reason.RELAY_DENIED),
        ("x@sub.chu-a.test", Refused, Reason.RELAY_DENIED),
        ("nobody@chu-a.test", Refused, Reason.MAILBOX_UNKNOWN),
        ("closed@chu-a.test", Refused, Reason.MAILBOX_CLOSED),
        ("suspended@chu-a.test", Passing, Reason.MAILBOX_SUSPENDED),
        ("full@chu-a.test", Refused, Reason.MAILBOX_FULL),
    ],
)
async def test_why_a_recipient_is_not_taken(
    a_house: House, address: str, kind: type[Declined], reason: Reason
) -> None:
    await a_house.store.accounts.set_status(await a_house.mailbox("closed@chu-a.test"), MailboxStatus.CLOSED)
    await a_house.store.accounts.set_status(
        await a_house.mailbox("suspended@chu-a.test"), MailboxStatus.SUSPENDED
    )
    await a_house.mailbox("full@chu-a.test", quota_kib=10)
    with pytest.raises(kind) as caught:
        await a_house.routing.local(Address.parse(address), size=20_000)
    assert caught.value.reason is reason


async def test_a_mailbox_that_was_full_a_moment_ago_is_looked_at_again(a_house: House) -> None:
    mailbox, address = await a_house.mailbox(A, quota_kib=10), Address.parse(A)
    trace = Trace(source=MessageSource.SUBMISSION, person=ME)
    intake = await a_house.reception.deposit(
        sender=None, recipients=[Recipient(mailbox, address)], trace=trace
    )
    await intake.write(LETTER + b"0123456789abcdef\r\n" * 450)
    await intake.commit()
    with pytest.raises(Refused) as caught:
        await a_house.routing.local(address, size=5000)
    assert caught.value.reason is Reason.MAILBOX_FULL
    (inbox,) = [f for f in await a_house.store.folders.all(mailbox) if f.role is SpecialUse.INBOX]
    await a_house.store.messages.expunge(inbox.id, [Uid(1)], deleted_only=False)
    assert (await a_house.routing.local(address, size=5000)).mailbox == mailbox


async def test_the_queue_has_no_address_to_write_to(a_house: House) -> None:
    assert [row.address for row in await a_house.store.accounts.all() if row.id == a_house.queue] == [None]


async def test_a_person_writes_from_what_they_may_change(a_house: House) -> None:
    await a_house.mailbox(A)
    team = await a_house.mailbox("team@chu-a.test")
    routing, now = a_house.routing, a_house.clock.now()
    for sender in (A, A.upper(), None):
        await routing.person_sends_from(ME, Address.parse(sender) if sender else None)
    await a_house.broker.grant(ME, team, Role.READ)
    with pytest.raises(Refused) as caught:
        await routing.person_sends_from(ME, Address.parse("team@chu-a.test"))
    assert caught.value.reason is Reason.SENDER_NOT_YOURS
    await a_house.broker.grant(ME, team, Role.FULL, until=now + timedelta(days=1))
    await routing.person_sends_from(ME, Address.parse("team@chu-a.test"))
    a_house.clock.advance(timedelta(days=2))  # the locum's last day is over
    with pytest.raises(Refused):
        await routing.person_sends_from(ME, Address.parse("team@chu-a.test"))


@pytest.mark.parametrize("status", [MailboxStatus.SUSPENDED, MailboxStatus.CLOSED])
async def test_nobody_writes_from_a_mailbox_that_is_not_active(a_house: House, status: MailboxStatus) -> None:
    await a_house.store.accounts.set_status(await a_house.mailbox(A), status)
    with pytest.raises(Refused) as caught:
        await a_house.routing.person_sends_from(ME, Address.parse(A))
    assert caught.value.reason is Reason.SENDER_NOT_YOURS


async def test_the_trust_space_decides_where_a_letter_may_go(a_house: House) -> None:
    await a_house.routing.person_sends_to(Address.parse(B))
    a_house.space = TrustSpace.from_entries((), source="empty")
    with pytest.raises(Refused) as caught:
        await a_house.routing.person_sends_to(Address.parse(B))
    assert caught.value.reason is Reason.DOMAIN_NOT_LISTED


async def test_for_a_mailbox_of_ours_the_directory_is_never_asked(a_house: House) -> None:
    await a_house.mailbox(A)
    a_house.directory.down = True
    await a_house.routing.local(Address.parse(A))
    await a_house.routing.person_sends_to(Address.parse(A))
    with pytest.raises(Refused):
        await a_house.routing.person_sends_to(Address.parse("nobody@chu-a.test"))
    assert a_house.directory.asked == 0


async def test_to_a_mailbox_of_ours_no_list_is_needed(a_house: House) -> None:
    a_house.space = TrustSpace.from_entries((), source="empty")
    await a_house.mailbox(A)
    await a_house.routing.person_sends_to(Address.parse(A))
    with pytest.raises(Refused) as caught:
        await a_house.routing.person_sends_to(Address.parse("nobody@chu-a.test"))
    assert caught.value.reason is Reason.MAILBOX_UNKNOWN


async def test_the_directory_closes_an_address_but_its_silence_refuses_nothing(a_house: House) -> None:
    address, directory = Address.parse(B), a_house.directory
    await a_house.routing.person_sends_to(address)  # unlisted, perhaps
    for status in (MailboxStatus.ACTIVE, MailboxStatus.SUSPENDED):
        directory.entries[address.key] = _entry(status)
        await a_house.routing.person_sends_to(address)
    directory.entries[address.key] = _entry(MailboxStatus.CLOSED)
    with pytest.raises(Refused) as caught:
        await a_house.routing.person_sends_to(address)
    assert caught.value.reason is Reason.MAILBOX_CLOSED
    directory.down = True
    await a_house.routing.person_sends_to(address)


OURS = {HOME}
MINE = frozenset({A, "team@chu-a.test"})
GOOD = [
    b"From: dr.a@chu-a.test\r\n",
    b'From: "Dr A, (x)" <DR.A@CHU-A.TEST>\r\n',
    b"From: =?utf-8?q?Andr=C3=A9?=\r\n <dr.a@chu-a.test> (comment <x@y.test>)\r\n",
    b"From: team@chu-a.test\r\nSender: dr.a@chu-a.test\r\n",
    b'From: "secretariat@hopital.example" <dr.a@chu-a.test>\r\n',  # an ordinary address as a name
]
BAD = [
    (b"", Reason.HEADER_FROM_MALFORMED),
    (b"From:\r\n", Reason.HEADER_FROM_MALFORMED),
    (b"From: dr.a\r\n", Reason.HEADER_FROM_MALFORMED),
    (b"From: undisclosed:;\r\n", Reason.HEADER_FROM_MALFORMED),
    (b"From: dr.a@chu-a.test\r\nFROM: pdg@chu-a.test\r\n", Reason.HEADER_FROM_MALFORMED),
    (
        b"From: dr.a@chu-a.test\r\nSender: dr.a@chu-a.test\r\nSender: x@y.test\r\n",
        Reason.HEADER_FROM_MALFORMED,
    ),
    (b"From: pdg@chu-a.test\r\n", Reason.SENDER_NOT_YOURS),
    (b"From: dr.a@chu-a.test <pdg@chu-a.test>\r\n", Reason.HEADER_FROM_MALFORMED),
    (b"From: dr.a@chu-a.test, team@chu-a.test\r\n", Reason.HEADER_FROM_MALFORMED),
    (b'From: "pdg@chu-a.test" <dr.a@chu-a.test>\r\n', Reason.SENDER_NOT_YOURS),
    (b"From: dr.a@chu-a.test (pdg@chu-a.test)\r\n", Reason.SENDER_NOT_YOURS),
    (b"From: =?utf-8?q?pdg=40chu-a=2Etest?= <dr.a@chu-a.test>\r\n", Reason.SENDER_NOT_YOURS),
    (
        b"From: dr.a@chu-a.test\r\n" + b"X: y\r\n" * 1000 + b"From: pdg@chu-a.test\r\n",
        Reason.HEADER_FROM_MALFORMED,
    ),
    (b"From: dr.a@chu-a.test\r\nSender: pdg@chu-a.test\r\n", Reason.SENDER_NOT_YOURS),
    (b'From: "dr.a@chu-a.test" <pdg@evil.test>\r\n', Reason.SENDER_NOT_YOURS),
    (b"From: dr.a@chu-a.test\0.evil.test\r\n", Reason.HEADER_FROM_MALFORMED),
    ("From: dr.a@chu-а.test\r\n".encode(), Reason.HEADER_FROM_MALFORMED),
    (
        b"From: dr.a@chu-a.test\r\nX: " + b"y" * 70_000 + b"\r\nFrom: pdg@chu-a.test\r\n",
        Reason.HEADER_FROM_MALFORMED,
    ),
    (b"X: " + b"y" * 70_000 + b"\r\nFrom: dr.a@chu-a.test\r\n", Reason.HEADER_FROM_MALFORMED),
]


@pytest.mark.parametrize("fields", GOOD)
def test_a_letter_is_from_whom_it_may_be(fields: bytes) -> None:
    require_author(
        scan(fields + b"Subject: x\r\n\r\nFrom: pdg@chu-a.test\r\n"), mine=MINE, known=OURS.__contains__
    )


@pytest.mark.parametrize(("fields", "reason"), BAD, ids=range(len(BAD)))
def test_a_letter_from_somebody_else_is_refused(fields: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        require_author(
            scan(fields + b"Subject: x\r\n\r\nFrom: dr.a@chu-a.test\r\n"), mine=MINE, known=OURS.__contains__
        )
    assert caught.value.reason is reason
