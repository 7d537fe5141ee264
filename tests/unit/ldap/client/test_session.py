"""Where a directory is, and how it must be spoken to."""

from __future__ import annotations

from pathlib import Path

import pytest

from mssante.ldap.client.session import LdapTarget, Transport
from mssante.model import Malformed, Secret

CA = Path("ca.pem")


@pytest.mark.parametrize(
    ("url", "ca_file", "transport", "port"),
    [
        ("ldaps://annuaire.example.test", None, Transport.TLS, 636),
        ("ldaps://annuaire.example.test:1636/", CA, Transport.TLS, 1636),
        ("ldap://annuaire.example.test", None, Transport.START_TLS, 389),
        ("ldap://10.0.0.1:3389", CA, Transport.START_TLS, 3389),
        ("ldap://127.0.0.1", None, Transport.PLAIN, 389),
        ("ldap://[::1]:1389", None, Transport.PLAIN, 1389),
        ("ldap://localhost", None, Transport.PLAIN, 389),
        ("ldap://localhost", CA, Transport.START_TLS, 389),
        ("ldap://localhost.example.test", None, Transport.START_TLS, 389),
        ("ldap://127.0.0.1.example.test", None, Transport.START_TLS, 389),
    ],
)
def test_only_loopback_may_go_in_clear(
    url: str, ca_file: Path | None, transport: Transport, port: int
) -> None:
    target = LdapTarget.parse(url, base_dn="o=x", ca_file=ca_file)
    assert (target.transport, target.port) == (transport, port)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "annuaire.example.test",
        "http://annuaire.example.test",
        "ldapi:///run/slapd.sock",
        "ldap://",
        "ldaps://host:port",
        "ldaps://host:99999",
        "ldaps://host/dc=test",
        "ldaps://host?x",
        "ldaps://user:secret@host",
        "ldaps://[::1",
    ],
)
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(Malformed):
        LdapTarget.parse(url, base_dn="o=x")


@pytest.mark.parametrize(
    ("bind_dn", "password"), [("cn=a", None), ("cn=a", Secret("")), (None, Secret("x")), ("", Secret("x"))]
)
def test_a_name_without_its_password_is_refused(bind_dn: str | None, password: Secret | None) -> None:
    with pytest.raises(Malformed):
        LdapTarget.parse("ldaps://host", base_dn="o=x", bind_dn=bind_dn, password=password)


def test_the_password_is_not_shown() -> None:
    target = LdapTarget.parse("ldaps://host", base_dn="o=x", bind_dn="cn=a", password=Secret("hidden"))
    assert "hidden" not in repr(target)
