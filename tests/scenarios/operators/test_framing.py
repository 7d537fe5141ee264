"""Octets that try to be more than they are, at whole operators: S1, S4, T1. Nothing of them is kept."""

from __future__ import annotations

import asyncio
import smtplib
import ssl

import pytest

from mssante.reasons import Reason
from tests.support.operators.mail_clients import field, inbox, note, relay, user_context
from tests.support.operators.world import DOMAINS, HOST, Trio
from tests.support.smtp.house import Talk
from tests.support.smtp.smuggling import FORBIDDEN

SENDER = f"medecin@{DOMAINS['a']}"


@pytest.mark.parametrize("size", [1, 100, 4096])
@pytest.mark.parametrize("port", [0, 1], ids=["relay", "submission"])
async def test_plaintext_behind_starttls_is_never_executed(trio: Trio, port: int, size: int) -> None:
    b, since = trio.b, trio.b.log_length()
    talk = await Talk.open(b.ports[port])
    await talk.reply()
    await talk.ask("EHLO mss.pair.test")
    injected = (b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\n" % (SENDER.encode(), b.login.address.encode())) * 80
    await talk.send(b"STARTTLS\r\n" + injected[:size])
    replies = await talk.replies_to_the_end()
    assert all(reply.startswith(("220", "554 5.5.0")) for reply in replies)
    assert not any(reply.startswith("250") for reply in replies)
    causes = await asyncio.to_thread(b.await_events, "connection_refused", 1, since)
    assert [event["cause"] for event in causes] == ["plaintext behind STARTTLS"]


@pytest.mark.parametrize("size", [1, 100, 4096])
async def test_plaintext_behind_starttls_ends_an_imap_session(trio: Trio, size: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, trio.b.ports[3])
    assert (await reader.readline()).startswith(b"* OK")
    writer.write(b"a STARTTLS\r\n" + (b"b LOGIN camille canary-password\r\n" * 200)[:size])
    answers = await asyncio.wait_for(reader.read(), 10)
    assert b"b OK" not in answers
    assert b"b NO" not in answers
    writer.close()


async def test_what_is_injected_before_tls_is_not_there_after_it(trio: Trio) -> None:
    """The injected MAIL arrives in a later segment: it breaks the handshake, it is never a command."""
    talk = await Talk.open(trio.b.relay_port)
    await talk.reply()
    await talk.ask("EHLO mss.pair.test")
    assert (await talk.ask("STARTTLS")).startswith("220")
    since = trio.b.log_length()
    await talk.send(b"MAIL FROM:<%b>\r\n" % SENDER.encode())
    assert not [reply for reply in await talk.replies_to_the_end() if reply.startswith("250")]
    (event,) = await asyncio.to_thread(trio.b.await_events, "handshake_refused", 1, since)
    assert "canary" not in event["cause"]


async def test_smuggled_envelopes_are_one_message_refused(trio: Trio) -> None:
    """S1: false ends of data, each followed by a second envelope: one reply, which refuses."""
    b, since = trio.b, trio.b.log_length()
    for number, fake in enumerate(FORBIDDEN):
        talk = await relay(trio.world, b, "operator-a")
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        await talk.ask(f"RCPT TO:<{b.login.address}>")
        await talk.ask("DATA")
        smuggled = f"MAIL FROM:<admin@{DOMAINS['a']}>\r\nRCPT TO:<{b.login.address}>\r\nDATA\r\n".encode()
        await talk.send(
            note(SENDER, [b.login.address], unique=f"devant-{number}")
            + b"fin"
            + fake
            + smuggled
            + note(SENDER, [b.login.address], unique=f"cache-{number}")
            + b".\r\n"
        )
        assert (await talk.reply()).startswith(("550 5.5.2", "550 5.6.0"))  # bare CR or LF, or a NUL
        assert (await talk.ask("NOOP")).startswith("250")  # no second reply was waiting
        await talk.ask("QUIT")
    declined = b.events("message_declined", since, stage="data")
    assert len(declined) == len(FORBIDDEN) == 13
    assert {event["reason"] for event in declined} <= {Reason.BARE_LINE_ENDING.value, Reason.NUL_OCTET.value}
    assert not b.events("message_accepted", since)
    found = await asyncio.to_thread(inbox, trio.world, b, item="BODY.PEEK[HEADER]")
    assert not [m for m in found if field(m, "Message-ID").startswith(("<devant", "<cache"))]


def test_a_person_cannot_submit_what_others_could_misread(trio: Trio) -> None:
    """S4: bare line endings never reach the queue, so no lenient remote can be smuggled to."""
    a, since, recipient = trio.a, trio.a.log_length(), trio.b.login.address
    with smtplib.SMTP(HOST, a.ports[1], timeout=30) as client:
        client.starttls(context=user_context(trio.world))
        client.login(a.login.address, a.login.password.value)
        for fake in FORBIDDEN:
            client.mail(a.login.address)
            client.rcpt(recipient)
            assert client.docmd("DATA")[0] == 354
            client.send(note(a.login.address, [recipient]) + b"fin" + fake + b"MAIL FROM:<x@y.test>\r\n.\r\n")
            assert client.getreply()[0] == 550
    assert not a.events("message_accepted", since)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_old_tls(trio: Trio) -> None:
    """T14: nothing below TLS 1.2 on any port."""
    for port in trio.b.ports[:2]:
        with smtplib.SMTP(HOST, port, timeout=30) as client:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError, smtplib.SMTPException)):
                client.starttls(context=context)
