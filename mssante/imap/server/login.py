"""LOGIN and AUTHENTICATE: from a password to an open mailbox.

Invariants: a wrong person, password, mailbox or grant gets the same answer in the same time, so that nobody
learns which of them was wrong; repeated guesses are slowed down.
"""

from __future__ import annotations

from mssante.imap.grammar import responses
from mssante.imap.grammar.commands import Authenticate, Login
from mssante.imap.grammar.events import RawLine
from mssante.imap.grammar.lexer import Unacceptable
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.imap.server.session import Answer, Session
from mssante.mailbox.opening import sign_in
from mssante.model import Malformed, Secret, user_parts
from mssante.observe import report
from mssante.observe.events import LoginAccepted, LoginRefused
from mssante.observe.terms import LoginProtocol
from mssante.reasons import Reason, Refused
from mssante.sasl.plain import plain
from mssante.sasl.responses import response
from mssante.words.imap import imap_answer


async def login(session: Session, command: Login) -> Answer:
    """RFC 3501 §6.2.3."""
    return await _sign_in(session, command.user, command.password)


async def authenticate(session: Session, command: Authenticate) -> Answer:
    """RFC 3501 §6.2.2 with PLAIN (RFC 4616), with or without an initial response (RFC 4959)."""
    octets = command.initial
    if octets is None:
        session.wire.expect_line()
        await session.send(responses.challenge(b""))
        event = await session.next_event()
        assert isinstance(event, RawLine), "the wire was told to expect a line"
        try:
            octets = response(event.octets)
        except Malformed as error:
            raise Unacceptable(str(error)) from None
        if octets is None:
            return Answer(ResponseStatus.BAD, "Cancelled")
    try:
        credentials = plain(octets)
    except Malformed as error:
        raise Unacceptable(str(error)) from None
    if credentials.for_another:
        text = (
            "Pour une autre boite: LOGIN/ADRESSE comme identifiant"
            " / For another mailbox: LOGIN/ADDRESS as user name"
        )
        raise Unacceptable(text, status="NO", code=Code.AUTHORIZATIONFAILED)
    return await _sign_in(session, credentials.user, credentials.password)


async def _sign_in(session: Session, user: str, password: Secret) -> Answer:
    service, remote = session.service, session.stream.remote
    person, _ = user_parts(user)
    try:
        async with session.stream.occupied(), service.throttle.attempt(remote, person):
            mailbox = await sign_in(
                store=service.store, broker=service.broker, user=user, password=password, remote=remote
            )
    except Refused as refused:
        report(LoginRefused(protocol=LoginProtocol.IMAP, remote=remote, reason=refused.reason))
        expired = refused.reason is Reason.ACCESS_EXPIRED
        answer = imap_answer(refused.reason if expired else Reason.AUTHENTICATION_FAILED)
        return Answer(ResponseStatus.NO, answer.text, answer.code)
    if not session.has_room(person):
        mailbox.close()
        raise Refused(Reason.TOO_MANY_CONNECTIONS)
    report(LoginAccepted(protocol=LoginProtocol.IMAP, person=person, remote=remote))
    session.signed_in(mailbox)
    service.know(session.stream, person)
    capabilities = responses.code_capability(session.protocol.capabilities())
    return Answer(ResponseStatus.OK, "Bienvenue / Welcome", capabilities)
