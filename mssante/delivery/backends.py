"""Answers the questions of an SMTP session, for mail of other operators and for what our users submit.

Invariants: a peer's right to a sender is judged on the proof given in the same session; a person's right is
checked at MAIL, and again on the header before the message is kept; a refused login does not say what was
wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mssante.delivery import authors
from mssante.delivery.guesses import Guesses
from mssante.delivery.null_senders import NullSenders
from mssante.delivery.reception import Intake, Reception, Trace
from mssante.delivery.routing import Routing
from mssante.delivery.sending import Sending, SendingBounds
from mssante.keys.broker import KeyBroker
from mssante.keys.ring import SignIn
from mssante.model import Address, Envelope, ForeignAuthors, MessageSource, PersonId, Secret
from mssante.reasons import Reason, Refused
from mssante.trust.policy import VerifiedPeer

_BOUNDS = SendingBounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Who the client of a session is, as far as it is proved. Before `mail` is asked, `peer` is set on a
    relay and `login` on submission."""

    remote: str
    helo: str = ""
    tls_version: str | None = None
    peer: VerifiedPeer | None = None
    login: SignIn | None = None


class Backend(Protocol):
    """What an SMTP server asks: who may send what to whom, and where the content goes. A backend says no by
    raising Refused or Passing, never by a return value. The caller commits or aborts the intake of `begin`,
    once."""

    async def mail(self, speaker: Speaker, sender: Address | None) -> None: ...

    async def recipient(self, speaker: Speaker, address: Address) -> None: ...

    async def begin(self, speaker: Speaker, envelope: Envelope, declared_size: int | None) -> Intake: ...

    async def authenticate(self, speaker: Speaker, person: PersonId, password: Secret) -> SignIn: ...


class RelayBackend:
    """Port 25: mail of other operators for mailboxes of ours."""

    def __init__(
        self,
        reception: Reception,
        routing: Routing,
        *,
        foreign_authors: ForeignAuthors = ForeignAuthors.MARK,
    ) -> None:
        self._reception = reception
        self._routing = routing
        self._foreign_authors = foreign_authors
        self._null_senders = NullSenders(reception.clock)
        self._guesses = Guesses(reception.clock)

    async def mail(self, speaker: Speaker, sender: Address | None) -> None:
        """Refused(DOMAIN_NOT_LISTED, DOMAIN_OF_ANOTHER_OPERATOR), Passing(NULL_SENDERS_TOO_MANY)."""
        peer = _peer(speaker)
        self._routing.peer_sends_from(peer, sender)
        if sender is None:
            self._null_senders.take(peer.identity.dn)

    async def recipient(self, speaker: Speaker, address: Address) -> None:
        """The same as Routing.local. Passing(RECIPIENTS_GUESSED) for a peer that tries names."""
        who = _peer(speaker).identity.dn
        await self._guesses.judged(who, address, lambda: self._routing.local(address))

    async def begin(self, speaker: Speaker, envelope: Envelope, declared_size: int | None) -> Intake:
        """The same as Routing.local for each recipient, with room for the declared size. The `write` of this
        intake also raises what `authors.of_peer` raises."""
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
            judge=lambda header, whole: authors.of_peer(
                header,
                whole,
                peer=peer,
                ours=self._routing.domains,
                listed=self._routing.knows,
                foreign=self._foreign_authors,
            ),
        )

    async def authenticate(self, speaker: Speaker, person: PersonId, password: Secret) -> SignIn:
        """Refuses: there is no login on the relay."""
        raise Refused(Reason.NOT_PERMITTED)


class SubmissionBackend:
    """Ports 587 and 465: what our people write."""

    def __init__(
        self,
        reception: Reception,
        routing: Routing,
        broker: KeyBroker,
        bounds: SendingBounds = _BOUNDS,
    ) -> None:
        self._reception = reception
        self._routing = routing
        self._broker = broker
        self._guesses = Guesses(reception.clock)
        self._sending = Sending(
            store=reception.store, secret=reception.secret, clock=reception.clock, bounds=bounds
        )

    async def authenticate(self, speaker: Speaker, person: PersonId, password: Secret) -> SignIn:
        """Refused(AUTHENTICATION_FAILED), Passing."""
        return await self._broker.authenticate(person, password, remote=speaker.remote)

    async def mail(self, speaker: Speaker, sender: Address | None) -> None:
        """Refused(SENDER_NOT_YOURS, AUTHENTICATION_REQUIRED)."""
        await self._routing.person_sends_from(_person(speaker), sender)

    async def recipient(self, speaker: Speaker, address: Address) -> None:
        """The same as Routing.person_sends_to, so that the sender learns at once what cannot arrive.
        Passing(RECIPIENTS_GUESSED) for a person who tries names."""
        who = _person(speaker)
        if address.domain in self._routing.domains:
            await self._guesses.judged(who, address, lambda: self._routing.person_sends_to(address))
        else:
            await self._routing.person_sends_to(address)

    async def begin(self, speaker: Speaker, envelope: Envelope, declared_size: int | None) -> Intake:
        """Raises Passing as `Sending.admit`. The `commit` of this intake also raises
        Refused(SENDER_NOT_YOURS, HEADER_FROM_MALFORMED)."""
        person = _person(speaker)
        await self._sending.admit(
            person, envelope.sender, recipients=len(envelope.recipients), octets=declared_size or 0
        )
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
            inspect=lambda structure: authors.require_author(structure, mine=mine, known=self._routing.knows),
        )


def _peer(speaker: Speaker) -> VerifiedPeer:
    assert speaker.peer is not None, "the relay asks for MAIL only once the peer is proved"
    return speaker.peer


def _person(speaker: Speaker) -> PersonId:
    """Raises Refused(AUTHENTICATION_REQUIRED) when the password that opened this session is not valid any
    more."""
    assert speaker.login is not None, "submission asks for MAIL only once somebody logged in"
    if not speaker.login.alive:
        raise Refused(Reason.AUTHENTICATION_REQUIRED)
    return speaker.login.person


def _list_version(peer: VerifiedPeer) -> str:
    at = peer.space.generated_at
    return at.isoformat() if at is not None else peer.space.source
