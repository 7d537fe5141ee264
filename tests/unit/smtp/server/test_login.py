"""Who a submission's AUTH says to be."""

import pytest

from mssante.model import Malformed, Secret
from mssante.sasl.plain import plain
from mssante.smtp.server.login import claimed


def test_plain_is_login_and_password() -> None:
    assert claimed(plain(b"\0dr.b\0mot de passe")) == ("dr.b", Secret("mot de passe"))
    assert claimed(plain(b"dr.b\0dr.b\0secret")) == ("dr.b", Secret("secret"))
    assert claimed(plain("\0dr.b\0clé".encode())) == ("dr.b", Secret("clé"))


def test_a_mailbox_behind_the_login_does_not_matter_to_a_submission() -> None:
    assert claimed(plain(b"\0dr.b/equipe@b.test\0secret")) == ("dr.b", Secret("secret"))


def test_nobody_acts_for_another() -> None:
    with pytest.raises(Malformed):
        claimed(plain(b"other\0a\0b"))


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(claimed(plain(b"\0a\0secret")))
