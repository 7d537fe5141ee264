"""The mechanism LOGIN: two questions, two answers. No RFC describes it, but some old mail clients know no
other.
"""

from __future__ import annotations

from mssante.sasl.credentials import Credentials, credentials

USER_CHALLENGE = b"Username:"
PASSWORD_CHALLENGE = b"Password:"


def login(user: bytes, password: bytes) -> Credentials:
    """The two answers, in UTF-8. Raises Malformed."""
    return credentials("LOGIN", user=user, password=password)
