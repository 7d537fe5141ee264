"""The conformity cases that the ANS plays against operators (facts §1), both ways, on whole operators.

Each is refused or accepted for its own reason: in the reply, and in the log.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import SubjectAlternativeName

from mssante.reasons import Reason
from tests.scenarios.smtp.courier_remotes import Remote, Script, remote
from tests.support.operators.mail_clients import (
    deliver,
    field,
    inbox,
    note,
    peer_context,
    relay,
    submit,
)
from tests.support.operators.world import PLAYED, WITHOUT_TLS, Trio
from tests.support.smtp.house import Talk

# What is said at MAIL, in both languages, and what the log has. `valide` is the one accepted.
REFUSED_INBOUND = {
    "expire": ("550 5.7.5 Certificat expire", "Certificate expired", Reason.CERTIFICATE_EXPIRED),
    "revoque": ("550 5.7.5 Certificat revoque", "Certificate revoked", Reason.CERTIFICATE_REVOKED),
    "no-match": (
        "550 5.7.1 DN du certificat absent de la liste blanche",
        "Certificate DN not in the white list",
        Reason.PEER_NOT_LISTED,
    ),
    "cn-diff-dn": (
        "550 5.7.1 Nom du certificat different",
        "Certificate name is not the expected one",
        Reason.CERTIFICATE_NAME_MISMATCH,
    ),
}
DEFERRED_OUTBOUND = {
    "expire": Reason.CERTIFICATE_EXPIRED,
    "revoque": Reason.CERTIFICATE_REVOKED,
    "non-igc": Reason.CERTIFICATE_UNTRUSTED_ISSUER,
    "no-match": Reason.PEER_NOT_LISTED,
    "cn-diff-dn": Reason.CERTIFICATE_NAME_MISMATCH,
    "sans-tls": Reason.TLS_FAILED,
}


def domain_of(case: str) -> str:
    return f"{case}.conformite.test"


# ---- They write to us


async def test_inbound_valide_is_accepted_and_kept(trio: Trio) -> None:
    b, since = trio.b, trio.b.log_length()
    sender = f"audit@{domain_of('valide')}"
    message = note(sender, [b.login.address], unique="ans-valide-entrant")
    talk = await relay(trio.world, b, "valide")
    assert (await deliver(talk, sender, [b.login.address], message)).startswith("250 2.0.0")
    (accepted,) = b.events("peer_accepted", since, direction="in")
    assert accepted["dn"] == trio.world.leaf("valide").dn
    assert accepted["tls_version"] == "TLSv1.3"
    found = await asyncio.to_thread(inbox, trio.world, b)
    (kept,) = [m for m in found if field(m, "Message-ID") == "<ans-valide-entrant@essai.test>"]
    assert kept.endswith(message)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
@pytest.mark.parametrize("case", REFUSED_INBOUND)
async def test_inbound_refused_in_words_that_say_who_must_act(
    trio: Trio, case: str, version: ssl.TLSVersion
) -> None:
    b, since, leaf = trio.b, trio.b.log_length(), trio.world.leaf(case)
    french, english, reason = REFUSED_INBOUND[case]
    talk = await relay(trio.world, b, case, context=peer_context(trio.world, case, version))
    reply = await talk.ask(f"MAIL FROM:<audit@{leaf.domain}>")
    assert reply.startswith(french)
    assert english in reply
    assert (await talk.ask(f"RCPT TO:<{b.login.address}>")).startswith("503 5.5.1")
    (event,) = b.events("peer_refused", since)
    assert (event["direction"], event["reason"], event["dn"]) == ("in", reason.value, leaf.dn)
    assert event["serial"]
    assert event["fingerprint"]
    assert not b.events("message_accepted", since)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
async def test_inbound_non_igc_ends_in_the_handshake_and_the_log_says_why(
    trio: Trio, version: ssl.TLSVersion
) -> None:
    """Only OpenSSL judges an unknown chain: the peer gets an alert, we keep its reason."""
    b, since = trio.b, trio.b.log_length()
    talk = await Talk.open(b.relay_port)
    await talk.reply()
    await talk.ask("EHLO mss.pair.test")
    assert (await talk.ask("STARTTLS")).startswith("220")
    try:
        await talk.writer.start_tls(peer_context(trio.world, "non-igc", version))
        assert await talk.ask("EHLO mss.pair.test") == ""  # TLS 1.3: heard at the first answer only
    except (ssl.SSLError, ConnectionError):
        assert version is ssl.TLSVersion.TLSv1_2
    (event,) = await asyncio.to_thread(b.await_events, "handshake_refused", 1, since)
    assert event["listener"] == "relay"
    assert "CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate" in event["cause"]
    assert not b.events("message_accepted", since)


async def test_inbound_sans_tls_is_told_that_tls_is_required(trio: Trio) -> None:
    b, since = trio.b, trio.b.log_length()
    talk = await Talk.open(b.relay_port)
    await talk.reply()
    await talk.ask("EHLO mss.sans-tls.test")
    for command in (
        f"MAIL FROM:<audit@{WITHOUT_TLS}>",
        "MAIL FROM:<>",
        f"RCPT TO:<{b.login.address}>",
        "DATA",
    ):
        assert (await talk.ask(command)).startswith("530 5.7.0 TLS obligatoire: envoyez STARTTLS d'abord")
    assert (await talk.ask("QUIT")).startswith("221")
    assert not b.events("message_accepted", since)


async def test_inbound_without_a_certificate_is_told_to_present_one(trio: Trio) -> None:
    b, since = trio.b, trio.b.log_length()
    talk = await relay(trio.world, b, None)
    reply = await talk.ask("MAIL FROM:<>")
    assert reply.startswith("550 5.7.1 Certificat client absent")
    assert [e["reason"] for e in b.events("peer_refused", since)] == [Reason.CERTIFICATE_MISSING.value]


# ---- We write to them


@dataclass
class Played:
    """The cases' operators, played, after one letter to each of them by one of A's people."""

    remotes: Mapping[str, Remote]
    since: int
    message: bytes


async def play(trio: Trio) -> Played:
    cases = [*PLAYED, "sans-tls"]
    recipients = [f"audit@{domain_of(case)}" for case in cases]
    message, since = note(trio.a.login.address, recipients), trio.a.log_length()
    async with AsyncExitStack() as stack:
        remotes = {}
        for case in cases:
            leaf = trio.world.leaf("valide" if case == "sans-tls" else case)
            context = server_context(trio, leaf.chain_file, leaf.key_file)
            script = Script(starttls=case != "sans-tls")
            port = trio.case_ports[domain_of(case)]
            remotes[case] = await stack.enter_async_context(remote(script, context, port=port))
        assert await asyncio.to_thread(submit, trio.world, trio.a, recipients, message) == {}
        await asyncio.to_thread(trio.a.await_events, "delivery_deferred", len(cases) - 1, since)
        await asyncio.to_thread(trio.a.await_events, "message_sent", 1, since)
    return Played(remotes, since, message)


@pytest.fixture(scope="module")
def played(running_trio: Trio) -> Played:
    """Told to its end before the first test looks."""
    return asyncio.run(play(running_trio))


def refusals(trio: Trio, played: Played, case: str) -> list[dict[str, Any]]:
    return trio.a.events("peer_refused", played.since, direction="out", domain=domain_of(case))


def test_outbound_valide_gets_the_letter_over_mutual_tls(trio: Trio, played: Played) -> None:
    remote = played.remotes["valide"]
    ((sender, recipients, content),) = remote.messages
    assert sender.startswith(b"MAIL FROM:<%b>" % trio.a.login.address.encode())
    assert recipients == (b"audit@valide.conformite.test",)
    assert content.endswith(played.message)
    (sent,) = trio.a.events("message_sent", played.since, destination=domain_of("valide"))
    assert sent["dn"] == trio.world.leaf("valide").dn


@pytest.mark.parametrize("case", DEFERRED_OUTBOUND)
def test_outbound_waits_with_its_own_reason_and_nothing_is_given_away(
    trio: Trio, played: Played, case: str
) -> None:
    remote, reason = played.remotes[case], DEFERRED_OUTBOUND[case].value
    (deferred,) = trio.a.events("delivery_deferred", played.since, destination=domain_of(case))
    assert (deferred["reason"], deferred["attempts"]) == (reason, 1)
    assert 300 <= deferred["next_attempt_seconds"] <= 400
    (refused,) = refusals(trio, played, case)
    assert refused["reason"] == reason
    if case not in ("non-igc", "sans-tls"):  # there the handshake, or its absence, ended it
        assert refused["dn"] == trio.world.leaf(case).dn
    assert remote.connections == 1
    assert remote.messages == []
    assert all(line.split()[0] in (b"EHLO", b"STARTTLS", b"QUIT") for line in remote.in_clear)
    assert not any(line.startswith((b"MAIL", b"RCPT", b"DATA")) for line in remote.commands)


def test_what_waits_is_in_the_queue_and_only_that(trio: Trio, played: Played) -> None:
    waiting = trio.a.ask("queue.list")["recipients"]
    states = sorted(recipient["state"] for recipient in waiting)
    assert states == sorted(["delivered"] + ["pending"] * len(DEFERRED_OUTBOUND))


async def test_a_renewed_certificate_gets_what_waited(trio: Trio, played: Played, tmp_path: Path) -> None:
    """The operator of `expire` mends its server: the same letter arrives, once, when told to try again."""
    assert played.remotes["expire"].messages == []
    since = trio.a.log_length()
    context = server_context(trio, *renewed(trio, "expire", tmp_path))
    async with remote(Script(), context, port=trio.case_ports[domain_of("expire")]) as mended:
        await asyncio.to_thread(trio.a.ask, "queue.retry")
        await asyncio.to_thread(
            trio.a.await_events, "message_sent", 1, since, destination=domain_of("expire")
        )
        ((_, _, content),) = mended.messages
        assert content.endswith(played.message)


def renewed(trio: Trio, case: str, folder: Path) -> tuple[Path, Path]:
    """A good certificate of the same name and key."""
    leaf = trio.world.leaf(case)
    certificate = leaf.issued.certificate
    names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    issued = trio.world.pki.organisations.issue(
        certificate.subject, leaf.issued.key, now=datetime.now(UTC), alternative_names=names
    )
    chain = folder / "renewed.pem"
    chain.write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in (issued.certificate, *issued.chain)))
    return chain, leaf.key_file


def server_context(trio: Trio, chain_file: Path, key_file: Path) -> ssl.SSLContext:
    """A remote that shows that certificate, and asks for ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file, key_file)
    context.load_verify_locations(trio.world.pki.anchors)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
