"""AUTH's content, decoded strictly (RFC 4616)."""

import pytest

from mssante.model import Secret
from mssante.smtp.server.login import credentials, from_plain


def test_plain_is_login_and_password() -> None:
    assert from_plain(b"\0dr.b\0mot de passe") == ("dr.b", Secret("mot de passe"))
    assert from_plain(b"dr.b\0dr.b\0secret") == ("dr.b", Secret("secret"))
    assert from_plain("\0dr.b\0clé".encode()) == ("dr.b", Secret("clé"))


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\0a\0",
        b"\0\0b",
        b"\0a\0b\0c",
        b"other\0a\0b",
        b"a\0b",
        b"\0\xff\0b",
        b"\0a\0" + b"p" * 1025,
    ],
)
def test_plain_is_all_or_nothing(response: bytes) -> None:
    assert from_plain(response) is None


@pytest.mark.parametrize(
    ("login", "password"), [(b"a\0b", b"c"), (b"a", b"b\0c"), (b"a" * 321, b"b"), (b"\xff", b"b")]
)
def test_login_is_bounded_text(login: bytes, password: bytes) -> None:
    assert credentials(login, password) is None


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(from_plain(b"\0a\0secret"))
