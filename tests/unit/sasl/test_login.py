"""LOGIN, read strictly."""

import pytest

from mssante.model import Malformed
from mssante.sasl.login import login


def test_login_is_two_answers() -> None:
    found = login("dr.é".encode(), b"mot de passe")
    assert (found.authorised, found.user, found.password.value) == ("", "dr.é", "mot de passe")
    assert "mot de passe" not in repr(found)


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (b"a\0b", b"c"),
        (b"a", b"b\0c"),
        (b"a" * 321, b"b"),
        (b"\xff", b"b"),
        (b"a", b"\xff"),
        (b"", b"b"),
        (b"a", b""),
        (b"a", b"b" * 1025),
    ],
)
def test_login_is_bounded_text(user: bytes, password: bytes) -> None:
    with pytest.raises(Malformed):
        login(user, password)
