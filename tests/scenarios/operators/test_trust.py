"""Who may say what to a whole operator: unlisted peers, forged domains, stripped TLS (T3, T4, T7, T21)."""

from __future__ import annotations

import asyncio
import re
import smtplib
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from mssante.reasons import Reason
from tests.scenarios.smtp.courier_remotes import Script, remote
from tests.scenarios.smtp.test_ans_cases import server_context
from tests.support.operators.mail_clients import deliver, field, inbox, note, relay, submit
from tests.support.operators.world import (
    DOMAINS,
    HOST,
    SHARED_DOMAIN,
    UNLISTED,
    DemoLogin,
    Operator,
    Trio,
    World,
)

VALIDE = "valide.conformite.test"
SPEAKS_FOR = {"a": {DOMAINS["a"], SHARED_DOMAIN}, "b": {DOMAINS["b"], SHARED_DOMAIN}, "c": {DOMAINS["c"]}}
PAIRS = [(peer, at) for peer, at in product("abc", repeat=2) if peer != at]


async def test_an_unlisted_operator_is_told_to_have_itself_listed(trio: Trio) -> None:
    b, since = trio.b, trio.b.log_length()
    talk = await relay(trio.world, b, UNLISTED)
    for sender in (f"x@{DOMAINS['a']}", "x@operateur-inconnu.test", ""):
        reply = await talk.ask(f"MAIL FROM:<{sender}>")
        assert reply.startswith("550 5.7.1 DN du certificat absent de la liste blanche")
    (event,) = b.events("peer_refused", since)  # one verdict on one session is told once
    assert (event["reason"], event["dn"]) == (Reason.PEER_NOT_LISTED.value, trio.world.leaf(UNLISTED).dn)


@pytest.mark.parametrize(("peer", "at"), PAIRS)
async def test_a_listed_operator_speaks_for_its_own_domains_alone(trio: Trio, peer: str, at: str) -> None:
    """T7, all pairs of three operators: every foreign domain refused, every own one accepted."""
    receiver, since = trio[at], trio[at].log_length()
    talk = await relay(trio.world, receiver, f"operator-{peer}")
    for domain in (*DOMAINS.values(), SHARED_DOMAIN):
        reply = await talk.ask(f"MAIL FROM:<medecin@{domain}>")
        if domain in SPEAKS_FOR[peer]:
            assert reply.startswith("250 2.1.0")
            assert (await talk.ask("RSET")).startswith("250")
        else:
            assert reply.startswith("550 5.7.1 Ce certificat ne parle pas pour ce domaine")
    assert (await talk.ask("MAIL FROM:<medecin@hors-liste-d.mssante.test>")).startswith(
        "550 5.7.1 Domaine absent de l'espace de confiance"
    )
    assert (await talk.ask("MAIL FROM:<>")).startswith("250 2.1.0")  # any listed operator may return mail
    told = {(e["domain"], e["reason"]) for e in receiver.events("peer_refused", since)}
    forged = {*DOMAINS.values(), SHARED_DOMAIN} - SPEAKS_FOR[peer]
    expected = {(domain, Reason.DOMAIN_OF_ANOTHER_OPERATOR.value) for domain in forged}
    assert told == expected | {("hors-liste-d.mssante.test", Reason.DOMAIN_NOT_LISTED.value)}


async def test_a_second_certificate_that_is_not_listed_is_another_name(trio: Trio) -> None:
    """The same operator, its spare certificate: its DN differs by the CN, and only listed DNs count."""
    b, since = trio.b, trio.b.log_length()
    talk = await relay(trio.world, b, "operator-a-spare")
    reply = await talk.ask(f"MAIL FROM:<medecin@{DOMAINS['a']}>")
    assert reply.startswith("550 5.7.1 Nom du certificat different du nom attendu")
    (event,) = b.events("peer_refused", since)
    assert event["reason"] == Reason.CERTIFICATE_NAME_MISMATCH.value


async def test_a_peer_writes_to_our_mailboxes_only(trio: Trio) -> None:
    talk = await relay(trio.world, trio.b, "operator-a")
    assert (await talk.ask(f"MAIL FROM:<medecin@{DOMAINS['a']}>")).startswith("250")
    assert (await talk.ask(f"RCPT TO:<x@{DOMAINS['c']}>")).startswith("550 5.7.1 Domaine qui n'est pas servi")
    assert (await talk.ask(f"RCPT TO:<x@{DOMAINS['b']}>")).startswith("550 5.1.1 Boite aux lettres inconnue")
    assert (await talk.ask("DATA")).startswith("554 5.5.1")


async def test_a_peer_cannot_write_as_one_of_us(trio: Trio) -> None:
    """T22: the envelope is the peer's own; the From field is ours, a third operator's, or two."""
    b, since = trio.b, trio.b.log_length()
    sender, to = f"medecin@{DOMAINS['a']}", b.login.address
    talk = await relay(trio.world, b, "operator-a")
    ours, foreign = note(to, [to], unique="t22-ours"), note(f"x@{DOMAINS['c']}", [to], unique="t22-foreign")
    two = b"From: " + sender.encode() + b"\r\n" + b"X: y\r\n" * 1000 + ours
    shared = note(f"x@{SHARED_DOMAIN}", [to], unique="t22-shared")
    for envelope in (sender, ""):
        said = await deliver(talk, envelope, [to], ours)
        assert said.startswith("550 5.7.1 Auteur (From) d'un domaine que nous servons")
        assert (await deliver(talk, envelope, [to], two)).startswith("550 5.6.0")
    assert (await deliver(talk, sender, [to], foreign)).startswith("250")
    assert (await deliver(talk, sender, [to], shared)).startswith("250")
    assert [event["note"] for event in b.events("message_noted", since)] == ["author_unproved"]
    reasons = [event["reason"] for event in b.events("message_declined", since)]
    assert reasons == ["author_ours", "header_from_malformed"] * 2


def test_a_person_writes_from_its_own_mailbox_alone(trio: Trio) -> None:
    a, to = trio.a, [trio.b.login.address]
    other = DemoLogin(trio.b.login.address, "PER", a.login.password)
    honest = note(a.login.address, to)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        submit(trio.world, a, to, honest, other)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        submit(trio.world, a, to, note(trio.b.login.address, to))  # the From field alone is forged
    assert refused.value.smtp_code == 553
    with pytest.raises(smtplib.SMTPRecipientsRefused) as unlisted:
        submit(trio.world, a, ["x@hors-liste-d.mssante.test"], honest)
    ((code, text),) = unlisted.value.recipients.values()
    assert (code, text[:5]) == (550, b"5.7.1")
    assert b"Domaine absent de l'espace de confiance" in text


@asynccontextmanager
async def stripping(port: int, to: Operator) -> AsyncIterator[list[bytes]]:
    """Somebody on the line at `port`, who passes everything on to `to`, but its offer of STARTTLS.
    Gives what the caller said."""
    said: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(HOST, to.relay_port)

        async def back() -> None:
            while block := await far_reader.read(65536):
                writer.write(re.sub(rb"STARTTLS", b"XSTARTTL", block))
            writer.close()

        answering = asyncio.create_task(back())
        while block := await reader.read(65536):
            said.append(block)
            far_writer.write(block)
        far_writer.close()
        await answering

    server = await asyncio.start_server(serve, HOST, port)
    try:
        yield said
    finally:
        server.close()


async def send_to(trio: Trio, domain: str) -> tuple[int, str]:
    """C's person writes to `domain`, which C has not tried before: one that failed a moment ago is left
    alone. Returns where its log was, and why the letter waits."""
    c, since, recipient = trio.c, trio.c.log_length(), f"secret@{domain}"
    letter = note(c.login.address, [recipient], subject="Confidentiel")
    await asyncio.to_thread(submit, trio.world, c, [recipient], letter)
    (deferred,) = await asyncio.to_thread(c.await_events, "delivery_deferred", 1, since, destination=domain)
    return since, deferred["reason"]


async def test_stripped_starttls_defers_the_letter_and_nothing_is_said(trio: Trio) -> None:
    at_b = trio.b.log_length()
    async with stripping(trio.case_ports[VALIDE], trio.b) as said:
        since, reason = await send_to(trio, VALIDE)
    assert reason == Reason.TLS_FAILED.value
    (refused,) = trio.c.events("peer_refused", since)
    assert (refused["direction"], refused["reason"]) == ("out", Reason.TLS_FAILED.value)
    assert re.fullmatch(rb"EHLO \S+\r\n(QUIT\r\n)?", b"".join(said))
    assert not trio.b.events("message_accepted", at_b)


@pytest.mark.parametrize(
    ("case", "script", "reason"),
    [
        ("expire", Script(after_starttls=b"250 2.1.0 injected\r\n"), Reason.TLS_FAILED),
        ("revoque", Script(starttls_reply=b"454 4.7.0 not now\r\n"), Reason.TLS_FAILED),
        ("no-match", Script(handshake=False), Reason.TLS_FAILED),
        # T21: whoever made C knock at another operator's door, its good certificate is not that domain's.
        ("cn-diff-dn", Script(), Reason.DOMAIN_OF_ANOTHER_OPERATOR),
    ],
    ids=["an answer injected in clear", "declined", "handshake broken", "somebody else answers"],
)
async def test_whoever_answers_and_however_a_letter_goes_to_its_operator_over_tls_or_waits(
    trio: Trio, case: str, script: Script, reason: Reason
) -> None:
    domain, leaf = f"{case}.conformite.test", trio.world.leaf("valide")
    context = server_context(trio, leaf.chain_file, leaf.key_file)
    async with remote(script, context, port=trio.case_ports[domain]) as far:
        _, told = await send_to(trio, domain)
    assert told == reason.value
    assert far.connections == 1
    assert all(line.split()[0] in (b"EHLO", b"STARTTLS", b"QUIT") for line in far.in_clear)
    assert not [line for line in far.commands if line.startswith((b"MAIL", b"RCPT", b"DATA"))]
    assert not far.messages


async def test_a_letter_between_two_operators_names_each_in_its_trace(trio: Trio) -> None:
    """The three of them, a ring of letters: what arrives is what was sent, behind two trace fields."""
    ring = {"a": "b", "b": "c", "c": "a"}
    letters = {
        sender: note(trio[sender].login.address, [trio[to].login.address], unique=f"ring-{sender}")
        for sender, to in ring.items()
    }
    since = {letter: trio[letter].log_length() for letter in "abc"}
    for sender, to in ring.items():
        await asyncio.to_thread(submit, trio.world, trio[sender], [trio[to].login.address], letters[sender])
    for sender, to in ring.items():
        await asyncio.to_thread(trio[to].await_events, "message_accepted", 1, since[to], source="peer")
        found = await asyncio.to_thread(inbox, trio.world, trio[to])
        (kept,) = [m for m in found if field(m, "Message-ID") == f"<ring-{sender}@essai.test>"]
        assert kept.endswith(letters[sender])
        trace = kept[: -len(letters[sender])]
        assert trace.startswith(b"Return-Path: <%b>\r\n" % trio[sender].login.address.encode())
        assert len(re.findall(rb"(?m)^Received:", trace)) == 2
        assert b"CN=mss.operateur-%b.test" % sender.encode() in trace


async def test_delivering_the_same_message_again_keeps_one_copy(trio: Trio) -> None:
    """R14, C10: a hundred retries after a lost 250 are answered as the first time, and change nothing."""
    sender, b = f"medecin@{DOMAINS['a']}", trio.b
    message = note(sender, [b.login.address], unique="cent-fois")
    talk = await relay(trio.world, b, "operator-a")
    (reply,) = {await deliver(talk, sender, [b.login.address], message) for _ in range(100)}
    assert reply.startswith("250 2.0.0 Message conserve / Message kept ")
    found = await asyncio.to_thread(inbox, trio.world, b)
    assert [field(m, "Message-ID") for m in found].count("<cent-fois@essai.test>") == 1


def test_a_trust_space_that_is_too_old_makes_everybody_wait(shared_world: World) -> None:
    """Fails closed, and passing: never a bounce. The doctor and /ready say what to do."""
    operator = shared_world.operator("b", name="b-stale")
    old = (datetime.now(UTC) - timedelta(days=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    listed = shared_world.white_list.read_text(encoding="utf-8")
    stale = shared_world.directory / "stale.xml"
    stale.write_text(re.sub(r"(?<=<DateDeGeneration>)[^<]+", old, listed), encoding="utf-8")
    operator.set_up(shared_world)
    text = operator.config_file.read_text(encoding="utf-8")
    operator.config_file.write_text(text.replace(str(shared_world.white_list), str(stale)), encoding="utf-8")
    try:
        b = operator.boot()

        async def ask() -> str:
            talk = await relay(shared_world, b, "operator-a")
            return await talk.ask(f"MAIL FROM:<medecin@{DOMAINS['a']}>")

        reply = asyncio.run(ask())
        findings = b.ask("doctor")["findings"]
        with pytest.raises(urllib.error.HTTPError) as not_ready:
            urllib.request.urlopen(f"http://{HOST}:{b.ports[5]}/ready", timeout=10)
    finally:
        operator.shut()
        shared_world.operators.remove(operator)
    assert reply.startswith("451 4.7.0 Liste blanche perimee chez nous"), reply
    (event,) = b.events("peer_refused")
    assert event["reason"] == Reason.TRUST_SPACE_STALE.value
    assert ["WRONG", "over 168 hours old: nobody is trusted; fetch a new one"] in [
        [finding["state"], finding["text"]] for finding in findings
    ]
    assert not_ready.value.code == 503
    assert b"fetch a new white list" in not_ready.value.read()
