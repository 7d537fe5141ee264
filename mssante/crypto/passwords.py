"""Hashing and checking passwords with Argon2id (RFC 9106).

Invariants: a stored password is a PHC string and nothing else; a check takes the same time whether the person
exists or not. One check takes PASSWORD_MEMORY_KIB of memory and a quarter of a second, so never run it on the
event loop.
"""

from __future__ import annotations

import os
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mssante.limits import PASSWORD_ITERATIONS, PASSWORD_MEMORY_KIB, PASSWORD_OCTETS_MAX
from mssante.model import Secret

_SALT_OCTETS = 16  # RFC 9106 §3.1
_HASH_OCTETS = 32


class WrongPassword(Exception):
    """The password is not this person's, or there is no such person."""


def prepared(password: Secret) -> bytes:
    """The octets that are hashed. They are in NFC (RFC 8265 §4.2.2), so that all keyboards give the same
    ones, and cut one octet above the limit: what is longer matches no stored password anyway."""
    return unicodedata.normalize("NFC", password.value).encode("utf-8", "replace")[: PASSWORD_OCTETS_MAX + 1]


def hashed(password: Secret) -> str:
    """Hashes a new password into a PHC string, `$argon2id$v=19$m=…,t=…,p=1$salt$hash`. Raises ValueError if
    it is empty or too long."""
    octets = prepared(password)
    if not 0 < len(octets) <= PASSWORD_OCTETS_MAX:
        raise ValueError("a password has 1 to 1024 octets")
    return _argon2id(os.urandom(_SALT_OCTETS)).derive_phc_encoded(octets)


def verify(password: Secret, stored: str | None) -> None:
    """Raises WrongPassword unless the password matches. `stored` None (no such person) takes the same
    time."""
    octets = prepared(password)
    if stored is None:
        _argon2id(b"\0" * _SALT_OCTETS).derive(octets)
        raise WrongPassword
    try:
        Argon2id.verify_phc_encoded(octets, stored)
    except InvalidKey:
        raise WrongPassword from None


def _argon2id(salt: bytes) -> Argon2id:
    return Argon2id(
        salt=salt,
        length=_HASH_OCTETS,
        iterations=PASSWORD_ITERATIONS,
        lanes=1,
        memory_cost=PASSWORD_MEMORY_KIB,
    )
