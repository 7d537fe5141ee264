"""What a client proves itself with, read strictly."""

from __future__ import annotations

import pytest

from mssante.model import Malformed
from mssante.sasl import plain


def test_plain_credentials() -> None:  # RFC 4616
    found = plain.plain(b"\0marie\0s\xc3\xa9cret")
    assert (found.authorised, found.user, found.password.value) == ("", "marie", "sécret")
    assert "sécret" not in repr(found)
    assert plain.plain(b"bal@x.fr\0marie\0p").authorised == "bal@x.fr"


@pytest.mark.parametrize(
    "octets",
    [b"", b"a", b"\0a", b"\0\0p", b"\0a\0", b"\0a\0p\0", b"\0a\0p\0q", b"\0\xff\0p", b"\0a\0" + b"x" * 1025],
)
def test_malformed_plain_credentials_are_refused(octets: bytes) -> None:
    with pytest.raises(Malformed):
        plain.plain(octets)


def test_sasl_lines() -> None:
    assert plain.response(b"*") is None
    assert plain.response(b"") == b""
    assert plain.response(b"YQ==") == b"a"
    assert plain.initial_response(b"=") == b""
    for line in (b"YQ", b"Y Q=", b"YQ==\n", b"=", b"\xff", b"**"):
        with pytest.raises(Malformed):
            plain.response(line)
