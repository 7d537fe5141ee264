"""swaks (Debian's) speaks to whole operators: what it is told, accepted and refused, word for word."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass

import pytest

from tests.support.operators.world import HOST, MAILBOXES, Operator, Trio, World

CAMILLE, ETIENNE = MAILBOXES["a"], MAILBOXES["b"]
KEPT = re.compile(r"^<~  250 2\.0\.0 Message conserve / Message kept [0-9a-f]{32}$", re.MULTILINE)
_DATA = "From: <{sender}>\\nTo: <{to}>\\nMessage-ID: <{unique}@swaks.test>\\nSubject: Essai\\n\\nBonjour.\\n"


@dataclass(frozen=True, slots=True)
class Said:
    """What swaks printed, and its exit code (0 when the letter was taken)."""

    code: int
    text: str

    def refused(self, reply: str) -> bool:
        """Whether this reply was given, in clear or under TLS."""
        return re.search(rf"^<(?:\*\*|~\*|-|~)\s+{re.escape(reply)}", self.text, re.MULTILINE) is not None


def swaks(*options: str, sender: str = CAMILLE, to: str = ETIENNE, header_from: str = "") -> Said:
    """Runs it with a letter that nobody has sent before."""
    program = shutil.which("swaks")
    assert program is not None, "swaks is missing: run tests/support/services.sh"
    data = _DATA.format(sender=header_from or sender, to=to, unique=secrets.token_hex(8))
    command = [program, "--from", sender, "--to", to, "--data", data, "--helo", "poste.test", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return Said(ended.returncode, ended.stdout + ended.stderr)


def submission(operator: Operator, *, implicit: bool = False, password: str = "") -> list[str]:
    """To ports 587 or 465 of an operator, as its first person."""
    login = operator.login
    port = operator.ports[2 if implicit else 1]
    secret = password or login.password.value
    return [
        *("--server", HOST, "--port", str(port), "--tls-on-connect" if implicit else "--tls"),
        *("--auth-user", login.address, "--auth-password", secret),
    ]


def relay(operator: Operator, world: World, certificate: str = "operator-a") -> list[str]:
    """To port 25 of an operator, with a certificate of the development PKI; none for an empty name."""
    options = ["--server", HOST, "--port", str(operator.relay_port), "--tls"]
    if certificate:
        leaf = world.leaf(certificate)
        options += ["--tls-cert", str(leaf.chain_file), "--tls-key", str(leaf.key_file)]
    return options


@pytest.mark.parametrize("implicit", [False, True], ids=["587", "465"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_letter_is_submitted(trio: Trio, implicit: bool, mechanism: str) -> None:
    since = trio.b.log_length()
    trusted = ["--tls-verify", "--tls-ca-path", str(trio.world.pki.anchors)]
    said = swaks(*submission(trio.a, implicit=implicit), "--auth", mechanism, *trusted)
    assert said.code == 0, said.text
    assert KEPT.search(said.text)
    trio.b.await_events("message_accepted", since=since, source="peer")


def test_submission_in_clear_is_refused(trio: Trio) -> None:
    port = str(trio.a.ports[1])
    said = swaks("--server", HOST, "--port", port)
    assert said.code != 0
    assert said.refused("530 5.7.0 TLS obligatoire: envoyez STARTTLS d'abord / TLS is required")


def test_submission_without_a_login_is_refused(trio: Trio) -> None:
    said = swaks("--server", HOST, "--port", str(trio.a.ports[1]), "--tls")
    assert said.code != 0
    assert said.refused("530 5.7.0 ")
    assert "AUTH PLAIN LOGIN" in said.text


def test_a_wrong_password_is_refused(trio: Trio) -> None:
    said = swaks(*submission(trio.a, password="not-the-password"), "--auth", "PLAIN")
    assert said.code != 0
    assert said.refused("535 5.7.8 Identifiant ou mot de passe refuse / Login or password not accepted")


@pytest.mark.parametrize(
    ("sender", "header_from", "to", "reply"),
    [
        (
            "dr.autre@chu-a.mssante.test",
            "",
            ETIENNE,
            "553 5.7.1 Cette adresse d'expediteur",
        ),
        (CAMILLE, "dr.autre@chu-a.mssante.test", ETIENNE, "553 5.7.1 Cette adresse d'expediteur"),
        (CAMILLE, "", "ami@gmail.example", "550 5.7.1 Domaine absent de l'espace de confiance"),
        (CAMILLE, "", "personne@chu-a.mssante.test", "550 5.1.1 Boite aux lettres inconnue"),
    ],
    ids=["envelope sender", "header sender", "outside the trust space", "no such mailbox"],
)
def test_what_a_person_may_not_send(trio: Trio, sender: str, header_from: str, to: str, reply: str) -> None:
    said = swaks(*submission(trio.a), "--auth", "PLAIN", sender=sender, header_from=header_from, to=to)
    assert said.code != 0
    assert said.refused(reply), said.text


def test_a_peer_delivers_with_its_certificate(trio: Trio) -> None:
    said = swaks(*relay(trio.b, trio.world))
    assert said.code == 0, said.text
    assert KEPT.search(said.text)
    assert "=== TLS started with cipher TLSv1.3:" in said.text


@pytest.mark.parametrize(
    ("certificate", "sender", "to", "reply"),
    [
        ("", CAMILLE, ETIENNE, "550 5.7.1 Certificat client absent"),
        ("expire", "dr.x@expire.conformite.test", ETIENNE, "550 5.7.5 Certificat expire"),
        ("revoque", "dr.x@revoque.conformite.test", ETIENNE, "550 5.7.5 Certificat revoque"),
        ("operateur-inconnu", CAMILLE, ETIENNE, "550 5.7.1 DN du certificat absent de la liste blanche"),
        (
            "operator-a",
            "x@labo-c.mssante.test",
            ETIENNE,
            "550 5.7.1 Ce certificat ne parle pas",
        ),
        ("operator-a", CAMILLE, "nul@cabinet-b.mssante.test", "550 5.1.1 Boite aux lettres inconnue"),
        ("operator-a", CAMILLE, "x@labo-c.mssante.test", "550 5.7.1 Domaine qui n'est pas servi ici"),
    ],
    ids=["none", "expired", "revoked", "unlisted", "another's domain", "no mailbox", "not served here"],
)
def test_what_a_peer_may_not_do(trio: Trio, certificate: str, sender: str, to: str, reply: str) -> None:
    said = swaks(*relay(trio.b, trio.world, certificate), sender=sender, to=to)
    assert said.code != 0
    assert said.refused(reply), said.text


def test_a_certificate_of_another_authority_ends_at_the_handshake(trio: Trio) -> None:
    since = trio.b.log_length()
    said = swaks(*relay(trio.b, trio.world, "non-igc"))
    assert said.code != 0
    trio.b.await_events("handshake_refused", since=since)
    assert "250" not in said.text.partition("TLS")[2].partition("MAIL FROM")[2]


def test_what_is_offered_in_clear_and_under_tls(trio: Trio) -> None:
    said = swaks(*relay(trio.b, trio.world), "--quit-after", "HELO")
    assert said.code == 0, said.text
    in_clear = re.findall(r"^<-  250[- ](\w+)", said.text, re.MULTILINE)
    under_tls = re.findall(r"^<~  250[- ](\w+)", said.text, re.MULTILINE)
    assert in_clear == ["mss", "SIZE", "8BITMIME", "STARTTLS", "ENHANCEDSTATUSCODES"]
    assert under_tls == ["mss", "SIZE", "8BITMIME", "PIPELINING", "ENHANCEDSTATUSCODES"]
