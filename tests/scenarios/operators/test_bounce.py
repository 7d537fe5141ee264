"""What comes back (RFC 3464): a sender is told, once, in French then English; a notice is never answered."""

from __future__ import annotations

import asyncio
import email
import email.policy
import smtplib
from email.message import EmailMessage
from typing import cast

import pytest

from tests.support.operators.mail_clients import (
    deliver,
    field,
    inbox,
    note,
    relay,
    submit,
    user_context,
)
from tests.support.operators.world import DOMAINS, HOST, Trio, await_true

UNKNOWN = f"nobody.here@{DOMAINS['b']}"


def notices(trio: Trio, about: str) -> list[EmailMessage]:
    """The notices in A's mailbox about the letter of that Message-ID, read by the standard library."""
    found = [m for m in inbox(trio.world, trio.a) if field(m, "In-Reply-To") == about]
    return [email.message_from_bytes(m, policy=email.policy.default) for m in found]


def test_a_recipient_unknown_at_the_remote_comes_back_as_a_report(trio: Trio) -> None:
    a, unique = trio.a, "inconnu-chez-b"
    message = note(a.login.address, [UNKNOWN], unique=unique, subject="XDM/1.0/DDM+retour")
    since = a.log_length()
    assert submit(trio.world, a, [UNKNOWN], message) == {}
    (failed,) = a.await_events("delivery_failed", 1, since)
    assert (failed["destination"], failed["reason"]) == (DOMAINS["b"], "remote_refused")
    await_true(lambda: bool(notices(trio, f"<{unique}@essai.test>")), 10)
    (report,) = notices(trio, f"<{unique}@essai.test>")
    assert report["From"] == f"postmaster@{DOMAINS['a']}"
    assert report["To"] == a.login.address
    assert report["Return-Path"] == "<>"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["Subject"] == "Message non remis / Undelivered message"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    text, status, header = report.iter_parts()
    _reads_french_then_english(cast(EmailMessage, text).get_content())
    about, recipient = status.iter_parts()  # RFC 3464 §2.1: per message, then per recipient
    assert about["Reporting-MTA"] == "dns; mss.operateur-a.test"
    assert recipient["Final-Recipient"] == f"rfc822; {UNKNOWN}"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Remote-MTA"] == f"dns; {DOMAINS['b']}"
    assert recipient["Diagnostic-Code"].startswith("smtp; 550 5.1.1 Boite aux lettres inconnue")
    assert header.get_content_type() == "text/rfc822-headers"
    assert "XDM/1.0/DDM+retour" in header.as_string()
    assert "Bonjour" not in header.as_string()  # the header alone comes back


def _reads_french_then_english(text: str) -> None:
    french, english = text.split("Hello,")
    assert "Votre message n’a pas pu être remis à :" in french
    assert UNKNOWN in french
    assert "Your message could not be delivered to:" in english
    assert UNKNOWN in english
    assert "550 5.1.1" in french
    assert "550 5.1.1" in english


def test_of_several_recipients_the_good_ones_have_it_and_the_others_are_told(trio: Trio) -> None:
    """One letter to B (one known, one not) and to C: one notice, about one recipient."""
    a, unique = trio.a, "deux-bons-un-mauvais"
    recipients = [trio.b.login.address, UNKNOWN, trio.c.login.address]
    submit(trio.world, a, recipients, note(a.login.address, recipients, unique=unique))
    name = f"<{unique}@essai.test>"

    def arrived() -> bool:
        kept = [m for at in (trio.b, trio.c) for m in inbox(trio.world, at, item="BODY.PEEK[HEADER]")]
        return [field(m, "Message-ID") for m in kept].count(name) == 2 and bool(notices(trio, name))

    await_true(arrived, 20)
    (report,) = notices(trio, name)
    _, status, _ = report.iter_parts()
    _, *told = status.iter_parts()
    assert [part["Final-Recipient"] for part in told] == [f"rfc822; {UNKNOWN}"]


def test_a_closed_mailbox_of_our_own_is_said_at_once(trio: Trio) -> None:
    """At RCPT, while the sender still looks: there is nothing to bounce."""
    a, since = trio.a, trio.a.log_length()
    a.ask("bal.create", address=f"ferme@{DOMAINS['a']}", kind="ORG")
    a.ask("bal.close", address=f"ferme@{DOMAINS['a']}")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        submit(trio.world, a, [f"ferme@{DOMAINS['a']}"], note(a.login.address, ["x@x.test"]))
    ((code, text),) = refused.value.recipients.values()
    assert (code, text[:18]) == (550, b"5.2.1 Boite fermee")
    assert not a.events("message_accepted", since)


async def test_the_null_sender_is_never_answered(trio: Trio) -> None:
    """R12. A notice to a mailbox that is not there is refused at RCPT; one that is accepted ends there."""
    b, since = trio.b, trio.b.log_length()
    talk = await relay(trio.world, b, "operator-a")
    report = note(f"postmaster@{DOMAINS['a']}", [b.login.address], unique="avis", subject="Undelivered")
    assert (await deliver(talk, "", [UNKNOWN], report)).startswith("550 5.1.1")
    await talk.ask("RSET")
    assert (await deliver(talk, "", [b.login.address], report)).startswith("250")
    (kept,) = [
        m
        for m in await asyncio.to_thread(inbox, trio.world, b)
        if field(m, "Message-ID") == "<avis@essai.test>"
    ]
    assert kept.startswith(b"Return-Path: <>\r\n")
    assert b.events("message_accepted", since, source="queue") == []  # nothing was written in answer
    assert (await asyncio.to_thread(b.ask, "queue.list"))["recipients"] == []


def test_a_notice_that_finds_nobody_ends_there(trio: Trio) -> None:
    """A receipt (null sender) from A to a mailbox unknown at B: B refuses it, A tells nobody, forgets it."""
    a, unique, since = trio.a, "accuse", trio.a.log_length()
    message = note(a.login.address, [UNKNOWN], unique=unique)
    _submit_null_sender(trio, UNKNOWN, message)
    (failed,) = a.await_events("delivery_failed", 1, since)
    assert failed["reason"] == "remote_refused"
    waiting = {line["id"] for line in a.ask("queue.list")["recipients"]}
    assert failed["queued"] not in waiting
    assert notices(trio, f"<{unique}@essai.test>") == []
    assert a.events("message_accepted", since, source="queue") == []


def _submit_null_sender(trio: Trio, recipient: str, message: bytes) -> None:
    a = trio.a
    with smtplib.SMTP(HOST, a.ports[1], timeout=60) as client:
        client.starttls(context=user_context(trio.world))
        client.login(a.login.address, a.login.password.value)
        assert client.sendmail("", [recipient], message) == {}


async def test_a_letter_that_turns_in_circles_ends(trio: Trio) -> None:
    """R11: more than 25 Received fields are refused, for ever, and nothing is kept."""
    b = trio.b
    talk = await relay(trio.world, b, "operator-a")
    hops = b"Received: from x by y; Mon, 02 Mar 2026 10:00:00 +0000\r\n" * 25
    message = hops + note(f"x@{DOMAINS['a']}", [b.login.address], unique="boucle")
    reply = await deliver(talk, f"x@{DOMAINS['a']}", [b.login.address], message)
    assert reply.startswith("554 5.4.6 Le message tourne en boucle")
    found = await asyncio.to_thread(inbox, trio.world, b)
    assert not [m for m in found if field(m, "Message-ID") == "<boucle@essai.test>"]
