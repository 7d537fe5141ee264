"""LOGIN and AUTHENTICATE: from a password to an open mailbox.

Invariants: a wrong person, password, mailbox or grant gets one answer, in the same time; guessing is slowed.
"""

from __future__ import annotations

from mssante.imap import responses, sasl
from mssante.imap.commands import Authenticate, Login
from mssante.imap.events import RawLine
from mssante.imap.lexer import Unacceptable
from mssante.imap.responses import Code, Status
from mssante.mailbox.access import sign_in
from mssante.model import Secret, user_parts
from mssante.net.imap_answers import imap_answer
from mssante.net.imapd_talk import Answer, Talk
from mssante.observe import report
from mssante.observe.events import LoginAccepted, LoginRefused
from mssante.reasons import Reason, Refused


async def login(talk: Talk, command: Login) -> Answer:
    """RFC 3501 §6.2.3."""
    return await _sign_in(talk, command.user, command.password)


async def authenticate(talk: Talk, command: Authenticate) -> Answer:
    """RFC 3501 §6.2.2 with PLAIN (RFC 4616), with or without an initial response (RFC 4959)."""
    octets = command.initial
    if octets is None:
        talk.wire.expect_line()
        await talk.send(responses.challenge(b""))
        event = await talk.next_event()
        assert isinstance(event, RawLine), "the wire was told to expect a line"
        octets = sasl.response(event.octets)
        if octets is None:
            return Answer(Status.BAD, "Cancelled")
    credentials = sasl.plain(octets)
    if credentials.authorised not in ("", credentials.user):
        text = (
            "Pour une autre boite: LOGIN/ADRESSE comme identifiant"
            " / For another mailbox: LOGIN/ADDRESS as user name"
        )
        raise Unacceptable(text, status="NO", code=Code.AUTHORIZATIONFAILED)
    return await _sign_in(talk, credentials.user, credentials.password)


async def _sign_in(talk: Talk, user: str, password: Secret) -> Answer:
    service, remote = talk.service, talk.stream.remote
    person, _ = user_parts(user)
    try:
        async with service.throttle.attempt(remote, person):
            mailbox = await sign_in(store=service.store, broker=service.broker, user=user, password=password)
    except Refused as refused:
        report(LoginRefused(protocol="imap", remote=remote, reason=refused.reason.value))
        expired = refused.reason is Reason.ACCESS_EXPIRED
        answer = imap_answer(refused.reason if expired else Reason.AUTHENTICATION_FAILED)
        return Answer(Status.NO, answer.text, answer.code)
    if not talk.has_room(person):
        mailbox.close()
        raise Refused(Reason.TOO_MANY_CONNECTIONS)
    report(LoginAccepted(protocol="imap", person=person, remote=remote))
    talk.signed_in(mailbox)
    capabilities = responses.code_capability(talk.session.capabilities())
    return Answer(Status.OK, "Bienvenue / Welcome", capabilities)
