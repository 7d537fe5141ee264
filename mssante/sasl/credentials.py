"""A user name and its password, as PLAIN and LOGIN carry them, with the same limits on every port.

Invariants: credentials that are malformed or too long are refused before any user is looked up; a password
leaves this module only as a Secret.
"""

from __future__ import annotations

from dataclasses import dataclass

from mssante.limits import LOGIN_OCTETS_MAX, PASSWORD_OCTETS_MAX
from mssante.model import USER_SEPARATOR, Malformed, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """`user` proves who it is with `password`. `authorised` is the identity it wants to act as (RFC 4422 §2);
    empty for its own."""

    user: str
    password: Secret
    authorised: str = ""

    @property
    def for_another(self) -> bool:
        """Whether the user asks to act as somebody else."""
        return self.authorised not in ("", self.user)


def credentials(mechanism: str, *, user: bytes, password: bytes, authorised: bytes = b"") -> Credentials:
    """The fields decoded to text. Raises Malformed, with the name of the mechanism in its text."""
    if not user or not password or any(b"\0" in field for field in (user, password, authorised)):
        raise Malformed(f"Malformed {mechanism} response")
    if len(password) > PASSWORD_OCTETS_MAX or not (within_bounds(user) and within_bounds(authorised)):
        raise Malformed(f"Malformed {mechanism} response")
    try:
        return Credentials(
            user=user.decode("utf-8"),
            password=Secret(password.decode("utf-8")),
            authorised=authorised.decode("utf-8"),
        )
    except UnicodeDecodeError:
        raise Malformed(f"A {mechanism} response is in UTF-8") from None


def within_bounds(user: bytes) -> bool:
    """Whether a user name is short enough. It is a login and, after a separator, perhaps the address of a
    mailbox; each may have LOGIN_OCTETS_MAX octets."""
    login, _, address = user.partition(USER_SEPARATOR.encode("ascii"))
    return len(login) <= LOGIN_OCTETS_MAX and len(address) <= LOGIN_OCTETS_MAX
