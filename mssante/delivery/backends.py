"""What an SMTP conversation asks, answered: other operators' mail, and what our people submit.

Invariants: a peer's right to a sender is judged on the proof of this very session; a person's, at MAIL and
again on the header before the message is kept; a refusal of authentication tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mssante.delivery.null_senders import NullSenders
from mssante.delivery.reception import Intake, Reception, Trace
from mssante.delivery.routing import Routing, require_author
from mssante.keys.broker import KeyBroker
from mssante.keys.ring import SignIn
from mssante.model import Address, Envelope, MessageSource, PersonId, Secret
from mssante.reasons import Reason, Refused
from mssante.trust.policy import VerifiedPeer


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who speaks in a session, as proved so far. On a relay `peer` is set before MAIL is asked, on submission
    `login`."""

    remote: str
    helo: str = ""
    tls_version: str | None = None
    peer: VerifiedPeer | None = None
    login: SignIn | None = None


class Backend(Protocol):
    """What an SMTP server asks: who may send what to whom, and where the content goes. It says no by raising
    Refused or Passing, never by a return value. The intake it begins is committed or aborted, once."""

    async def mail(self, speaker: Speaker, sender: Address | None) -> None: ...

    async def recipient(self, speaker: Speaker, address: Address) -> None: ...

    async def begin(self, speaker: Speaker, envelope: Envelope, declared_size: int | None) -> Intake: ...

    async def authenticate(self, speaker: Speaker, person: PersonId, password: Secret) -> SignIn: ...


class RelayBackend:
    """Port 25: mail of other operators for mailboxes of ours."""

    def __init__(self, reception: Reception, routing: Routing) -> None:
        self._reception = reception
        self._routing = routing
        self._null_senders = NullSenders(reception.clock)

    async def mail(self, speaker: Speaker, sender: Address | None) -> None:
        """Refused(DOMAIN_NOT_LISTED, DOMAIN_OF_ANOTHER_OPERATOR), Passing(NULL_SENDERS_TOO_MANY)."""
        peer = _peer(speaker)
        self._routing.peer_sends_from(peer, sender)
        if sender is None:
            self._null_senders.take(peer.identity.dn)

    async def recipient(self, speaker: Speaker, address: Address) -> None:
        """As Routing.local."""
        await self._routing.local(address)

    async def begin(self, speaker: Speaker, envelope: Envelope, declared_size: int | None) -> Intake:
        """As Routing.local, with room for what is declared."""
        peer = _peer(speaker)
        size = declared_size or 0
        return await self._reception.deposit(
            sender=envelope.sender,
            recipients=[await self._routing.local(each, size=size) for each in envelope.recipients],
            trace=Trace(
                source=MessageSource.PEER,
                helo=speaker.helo,
                remote=speaker.remote,
                tls_version=speaker.tls_version,
                peer=peer.identity,
                detail={
                    "list": _list_version(peer),
                    "crl": -1 if peer.crl_number is None else peer.crl_number,
                },
            ),
        )

    async def authenticate(self, speaker: Speaker, person: PersonId, password: Secret) -> SignIn:
        """Nobody logs in here."""
        raise Refused(Reason.NOT_PERMITTED)


class SubmissionBackend:
    """Ports 587 and 465: what our people write."""

    def __init__(self, reception: Reception, routing: Routing, broker: KeyBroker) -> None:
        self._reception = reception
        self._routing = routing
        self._broker = broker

    async def authenticate(self, speaker: Speaker, person: PersonId, password: Secret) -> SignIn:
        """Refused(AUTHENTICATION_FAILED), Passing."""
        return await self._broker.authenticate(person, password)

    async def mail(self, speaker: Speaker, sender: Address | None) -> None:
        """Refused(SENDER_NOT_YOURS, AUTHENTICATION_REQUIRED)."""
        await self._routing.person_sends_from(_person(speaker), sender)

    async def recipient(self, speaker: Speaker, address: Address) -> None:
        """As Routing.person_sends_to: what cannot arrive is said while the sender still looks."""
        await self._routing.person_sends_to(address)

    async def begin(self, speaker: Speaker, envelope: Envelope, declared_size: int | None) -> Intake:
        """The intake's `commit` raises also Refused(SENDER_NOT_YOURS, HEADER_FROM_MALFORMED)."""
        person = _person(speaker)
        mine = await self._routing.mailboxes_of(person)
        return await self._reception.enqueue(
            sender=envelope.sender,
            recipients=envelope.recipients,
            trace=Trace(
                source=MessageSource.SUBMISSION,
                helo=speaker.helo,
                remote=speaker.remote,
                tls_version=speaker.tls_version,
                person=person,
            ),
            inspect=lambda structure: require_author(structure, mine=mine),
        )


def _peer(speaker: Speaker) -> VerifiedPeer:
    assert speaker.peer is not None, "the relay asks for MAIL only once the peer is proved"
    return speaker.peer


def _person(speaker: Speaker) -> PersonId:
    """Refused(AUTHENTICATION_REQUIRED) once the password that opened this session is no longer theirs."""
    assert speaker.login is not None, "submission asks for MAIL only once somebody logged in"
    if not speaker.login.alive:
        raise Refused(Reason.AUTHENTICATION_REQUIRED)
    return speaker.login.person


def _list_version(peer: VerifiedPeer) -> str:
    at = peer.space.generated_at
    return at.isoformat() if at is not None else peer.space.source
