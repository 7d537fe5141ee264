"""What an SMTP conversation is answered, on a real store and a real broker."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_hex
from typing import cast

import pytest

from mssante.delivery.backends import RelayBackend, Speaker, SubmissionBackend
from mssante.delivery.sending import SendingBounds
from mssante.keys.ring import SignIn
from mssante.limits import (
    GUESSES_AT_ONCE,
    GUESSES_PER_HOUR,
    NULL_SENDERS_AT_ONCE,
    NULL_SENDERS_PER_MINUTE,
)
from mssante.model import Address, Domain, Envelope, MailboxStatus, PeerIdentity, PersonId, Secret
from mssante.observe import events
from mssante.observe.event import Event, add_sink
from mssante.reasons import Declined, Passing, Reason, Refused
from mssante.trust.policy import VerifiedPeer
from mssante.words.smtp import smtp_answer
from tests.support.operators.delivery_house import LETTER, FakeCourier, House

FOREIGN = LETTER.replace(b"From: dr.a@chu-a.test", b"From: dr.b@cabinet-b.test")
A, B = Address.parse("dr.a@chu-a.test"), Address.parse("dr.b@cabinet-b.test")


@dataclass(frozen=True)
class FakePeer:
    """Speaks for cabinet-b.test."""

    crl_number: int | None = 3
    dn: str = "CN=b"

    @property
    def identity(self) -> PeerIdentity:
        return PeerIdentity(dn=self.dn, serial="1", fingerprint="ab")

    @property
    def space(self) -> object:
        return type("Space", (), {"generated_at": None, "source": "test"})

    def speaks_for(self, domain: Domain | None) -> None:
        if domain is not None and domain != B.domain:
            raise Refused(Reason.DOMAIN_OF_ANOTHER_OPERATOR)


NOBODY = Speaker(remote="192.0.2.1", helo="far", tls_version="TLSv1.3")
PEER = replace(NOBODY, peer=cast(VerifiedPeer, FakePeer()))
ME = replace(NOBODY, login=SignIn(PersonId("dr.a@chu-a.test"), evidence=""))


@pytest.fixture
async def relay(a_house: House) -> RelayBackend:
    await a_house.mailbox(str(A))
    return RelayBackend(a_house.reception, a_house.routing)


@pytest.fixture
async def submission(a_house: House) -> SubmissionBackend:
    await a_house.mailbox(str(A))
    return SubmissionBackend(a_house.reception, a_house.routing, a_house.broker)


async def _said(
    backend: RelayBackend | SubmissionBackend,
    session: Speaker,
    sender: Address | None,
    recipient: Address,
    content: bytes | None = None,
) -> None:
    """One whole transaction."""
    content = content or (LETTER if session.peer is None else FOREIGN)
    await backend.mail(session, sender)
    await backend.recipient(session, recipient)
    intake = await backend.begin(session, Envelope(sender, (recipient,)), None)
    await intake.write(content)
    await intake.commit()


def _reason(caught: pytest.ExceptionInfo[Declined]) -> Reason:
    return caught.value.reason


async def test_a_peer_brings_mail_from_its_domain_or_from_nobody(a_house: House, relay: RelayBackend) -> None:
    await _said(relay, PEER, B, A)
    await _said(relay, PEER, None, A)
    assert len(await a_house.inbox(str(A))) == 2
    with pytest.raises(Refused) as caught:
        await _said(relay, PEER, Address.parse("x@other.test"), A)
    assert _reason(caught) is Reason.DOMAIN_OF_ANOTHER_OPERATOR


async def test_we_relay_for_nobody(relay: RelayBackend) -> None:
    with pytest.raises(Refused) as caught:
        await _said(relay, PEER, B, Address.parse("z@third.test"))
    assert _reason(caught) is Reason.RELAY_DENIED


async def test_what_changes_between_rcpt_and_the_end_of_data_is_seen(
    a_house: House, relay: RelayBackend
) -> None:
    found = await a_house.routing.local(A)
    await relay.recipient(PEER, A)
    intake = await relay.begin(PEER, Envelope(B, (A,)), None)
    await intake.write(FOREIGN)
    await a_house.store.accounts.set_status(found.mailbox, MailboxStatus.SUSPENDED)
    with pytest.raises(Passing) as caught:
        await intake.commit()
    assert _reason(caught) is Reason.MAILBOX_SUSPENDED


async def test_among_several_the_one_without_room_is_found_before_data(
    a_house: House, relay: RelayBackend
) -> None:
    await a_house.mailbox("full@chu-a.test", quota_kib=10)
    full = Address.parse("full@chu-a.test")
    with pytest.raises(Refused) as caught:
        await relay.begin(PEER, Envelope(B, (A, full)), 20_000)
    assert _reason(caught) is Reason.MAILBOX_FULL


async def test_nobody_logs_in_on_port_25(relay: RelayBackend) -> None:
    with pytest.raises(Refused) as caught:
        await relay.authenticate(PEER, PersonId(str(A)), Secret("secret"))
    assert _reason(caught) is Reason.NOT_PERMITTED


async def test_a_password_is_the_only_way_in(submission: SubmissionBackend) -> None:
    await submission.authenticate(NOBODY, PersonId(str(A)), Secret("secret"))
    for person, password in ((str(A), "wrong"), ("nobody@chu-a.test", "secret")):
        with pytest.raises(Refused) as caught:
            await submission.authenticate(NOBODY, PersonId(person), Secret(password))
        assert _reason(caught) is Reason.AUTHENTICATION_FAILED


async def test_a_person_writes_as_themselves_and_nobody_else(
    a_house: House, submission: SubmissionBackend
) -> None:
    await _said(submission, ME, A, B)
    await a_house.mailbox("boss@chu-a.test")
    forged = LETTER.replace(b"dr.a@chu-a.test\r\nMes", b"boss@chu-a.test\r\nMes")
    assert forged != LETTER
    for sender, content in ((Address.parse("boss@chu-a.test"), LETTER), (A, forged), (None, forged)):
        with pytest.raises(Refused) as caught:
            await _said(submission, ME, sender, B, content)
        assert _reason(caught) is Reason.SENDER_NOT_YOURS
    assert len(await a_house.store.queue.messages()) == 1


async def test_a_receipt_goes_out_without_a_sender(a_house: House, submission: SubmissionBackend) -> None:
    await _said(submission, ME, None, B)
    assert len(await a_house.store.queue.messages()) == 1


async def test_a_recipient_outside_the_trust_space_is_refused_while_the_sender_looks(
    submission: SubmissionBackend,
) -> None:
    with pytest.raises(Refused) as caught:
        await _said(submission, ME, A, Address.parse("someone@gmail.test"))
    assert _reason(caught) is Reason.DOMAIN_NOT_LISTED


async def test_a_session_opened_with_a_password_ends_with_it(
    a_house: House, submission: SubmissionBackend
) -> None:
    me = PersonId(str(A))
    session = replace(NOBODY, login=await submission.authenticate(NOBODY, me, Secret("secret")))
    await _said(submission, session, A, B)
    await a_house.broker.change_password(me, Secret("another"))
    with pytest.raises(Refused) as caught:
        await _said(submission, session, A, B)
    assert _reason(caught) is Reason.AUTHENTICATION_REQUIRED
    assert len(await a_house.store.queue.messages()) == 1


async def test_a_message_begun_before_the_password_changed_is_not_taken_after(
    a_house: House, submission: SubmissionBackend
) -> None:
    me = PersonId(str(A))
    session = replace(NOBODY, login=await submission.authenticate(NOBODY, me, Secret("secret")))
    await submission.mail(session, A)
    await a_house.broker.suspend(me)
    with pytest.raises(Refused) as caught:
        await submission.begin(session, Envelope(A, (B,)), None)
    assert _reason(caught) is Reason.AUTHENTICATION_REQUIRED


async def test_a_peer_s_null_senders_are_slowed_and_nobody_else_s(
    relay: RelayBackend, a_house: House
) -> None:
    """T7: any listed operator may write from <>, at its measure."""
    reasons: set[Reason] = set()

    async def many(session: Speaker, count: int) -> int:
        taken = 0
        for _ in range(count):
            try:
                await relay.mail(session, None)
            except Passing as passing:
                reasons.add(passing.reason)
            else:
                taken += 1
        return taken

    assert await many(PEER, 2 * NULL_SENDERS_AT_ONCE) == NULL_SENDERS_AT_ONCE
    assert reasons == {Reason.NULL_SENDERS_TOO_MANY}
    assert str(smtp_answer(Passing(Reason.NULL_SENDERS_TOO_MANY))).startswith("450 4.7.1 ")
    await relay.mail(PEER, B)  # from its own domain it still writes
    assert await many(replace(NOBODY, peer=cast(VerifiedPeer, FakePeer(dn="CN=c"))), 10) == 10
    a_house.clock.advance(timedelta(minutes=1))
    assert await many(PEER, 2 * NULL_SENDERS_AT_ONCE) == NULL_SENDERS_PER_MINUTE
    a_house.clock.advance(timedelta(days=1))
    assert await many(PEER, 2 * NULL_SENDERS_AT_ONCE) == NULL_SENDERS_AT_ONCE


async def _tried(backend: RelayBackend | SubmissionBackend, session: Speaker, count: int) -> int:
    """How many of `count` names were answered with yes or no, each in a session of its own."""
    said: Counter[Reason] = Counter()
    for n in range(count):
        try:
            await backend.recipient(replace(session, remote=f"192.0.2.{n % 250}"), _named(f"nom-{n}"))
        except Declined as declined:
            said[declined.reason] += 1
    assert said.total() == count
    assert set(said) <= {Reason.MAILBOX_UNKNOWN, Reason.RECIPIENTS_GUESSED}
    return said[Reason.MAILBOX_UNKNOWN]


def _named(local: str) -> Address:
    return Address.parse(f"{local}@chu-a.test")


@pytest.mark.parametrize("who", ["peer", "person"])
async def test_whoever_tries_names_in_ever_new_sessions_soon_learns_nothing(
    a_house: House, who: str, relay: RelayBackend
) -> None:
    """R5: the count follows who it is, not the session."""
    submission = SubmissionBackend(a_house.reception, a_house.routing, a_house.broker)
    backend, session = (relay, PEER) if who == "peer" else (submission, ME)
    await a_house.mailbox("hidden@chu-a.test")
    told: list[Event] = []
    forget = add_sink(told.append)
    await backend.recipient(session, A)

    assert await _tried(backend, session, 1000) == GUESSES_AT_ONCE
    with pytest.raises(Passing) as caught:
        await backend.recipient(session, _named("hidden"))  # one that exists looks like one that does not
    assert str(smtp_answer(caught.value)).startswith("450 4.7.1 ")
    await backend.recipient(session, A)  # who was written to before is written to still
    if who == "person":
        await backend.recipient(session, B)  # elsewhere there is nothing of ours to learn
    (alarm,) = [event for event in told if isinstance(event, events.AddressesHarvested)]
    assert alarm.who == ("CN=b" if who == "peer" else "dr.a@chu-a.test")

    a_house.clock.advance(timedelta(hours=1))
    assert await _tried(backend, session, 1000) == GUESSES_PER_HOUR
    forget()


async def test_one_peer_s_guesses_take_nothing_from_another(relay: RelayBackend) -> None:
    await _tried(relay, PEER, 300)
    other = replace(NOBODY, peer=cast(VerifiedPeer, FakePeer(dn="CN=c")))
    await relay.recipient(other, A)
    assert await _tried(relay, other, 50) == 50


@pytest.fixture
def sender(a_house: House) -> SubmissionBackend:
    bounds = SendingBounds(recipients_per_hour=300, queued_kib_max=100, queued_recipients_max=400)
    return SubmissionBackend(a_house.reception, a_house.routing, a_house.broker, bounds)


async def _taken(backend: SubmissionBackend, count: int, content: bytes) -> int:
    """How many of `count` letters to one address were taken before one was put off."""
    for number in range(count):
        try:
            intake = await backend.begin(ME, Envelope(A, (B,)), len(content))
        except Passing:
            return number
        await intake.write(content + token_hex(8).encode() + b"\r\n")
        await intake.commit()
    return count


async def test_a_person_sends_so_much_in_an_hour_from_whatever_mailbox(
    a_house: House, sender: SubmissionBackend
) -> None:
    """R3: one password is not enough to send to everybody in a night."""
    await a_house.mailbox(str(A))
    many = tuple(Address.parse(f"dr-{n}@cabinet-b.test") for n in range(200))
    await (await sender.begin(ME, Envelope(A, many), 100)).abort()
    for who in (A, None, A):
        with pytest.raises(Passing) as caught:
            await sender.begin(ME, Envelope(who, many), 100)
        assert _reason(caught) is Reason.SENDING_TOO_FAST
        assert str(smtp_answer(caught.value)).startswith("450 4.7.1 ")
    await (
        await sender.begin(ME, Envelope(A, many[:100]), 100)
    ).abort()  # what was put off counts for nothing
    a_house.clock.advance(timedelta(minutes=40))
    await (await sender.begin(ME, Envelope(A, many), 100)).abort()


async def test_what_waits_in_the_queue_of_one_person_is_bounded(
    a_house: House, sender: SubmissionBackend
) -> None:
    await a_house.mailbox(str(A))
    letter = LETTER + (b"x" * 70 + b"\r\n") * 300
    kept = await _taken(sender, 50, letter)
    assert 3 <= kept <= 5
    with pytest.raises(Passing) as caught:
        await sender.begin(ME, Envelope(None, (B,)), len(letter))  # the person counts, whatever the sender
    assert _reason(caught) is Reason.SENDER_QUEUE_FULL
    assert str(smtp_answer(caught.value)).startswith("452 4.3.1 ")
    again = SubmissionBackend(
        a_house.reception, a_house.routing, a_house.broker, SendingBounds(queued_kib_max=100)
    )
    assert await _taken(again, 1, letter) == 0, "a restart forgets none of it"
    await a_house.runner(FakeCourier()).run_once()
    assert await _taken(sender, 50, letter) == kept


async def test_recipients_still_to_be_reached_are_bounded_too(a_house: House) -> None:
    await a_house.mailbox(str(A))
    bounds = SendingBounds(queued_recipients_max=200)
    backend = SubmissionBackend(a_house.reception, a_house.routing, a_house.broker, bounds)
    many = tuple(Address.parse(f"dr-{n}@cabinet-b.test") for n in range(150))
    intake = await backend.begin(ME, Envelope(A, many), 100)
    await intake.write(LETTER)
    await intake.commit()
    with pytest.raises(Passing) as caught:
        await backend.begin(ME, Envelope(A, many), 100)
    assert _reason(caught) is Reason.SENDER_QUEUE_FULL
