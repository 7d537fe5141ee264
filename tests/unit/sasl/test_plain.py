"""PLAIN (RFC 4616), read strictly."""

from __future__ import annotations

import pytest

from mssante.model import Malformed
from mssante.sasl.plain import plain


def test_plain_credentials() -> None:
    found = plain(b"\0marie\0s\xc3\xa9cret")
    assert (found.authorised, found.user, found.password.value) == ("", "marie", "sécret")
    assert "sécret" not in repr(found)
    assert not found.for_another
    assert plain(b"bal@x.fr\0marie\0p").authorised == "bal@x.fr"
    assert plain(b"bal@x.fr\0marie\0p").for_another
    assert not plain(b"marie\0marie\0p").for_another


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"a",
        b"a\0b",
        b"\0",
        b"\0a",
        b"\0\0p",
        b"\0\0b",
        b"\0a\0",
        b"\0a\0p\0",
        b"\0a\0p\0q",
        b"\0a\0b\0c",
        b"\0\xff\0p",
        b"\0a\0\xff",
        b"\xff\0a\0p",
        b"\0a\0" + b"x" * 1025,
        b"\0" + b"a" * 321 + b"\0p",
        b"\0a/" + b"b" * 321 + b"\0p",
        b"a" * 321 + b"\0a\0p",
    ],
)
def test_malformed_plain_credentials_are_refused(octets: bytes) -> None:
    with pytest.raises(Malformed):
        plain(octets)


def test_a_login_and_the_mailbox_behind_it_may_each_be_a_whole_address() -> None:
    user = b"a" * 320 + b"/" + b"b" * 320
    assert plain(b"\0" + user + b"\0" + b"x" * 1024).user == user.decode()
