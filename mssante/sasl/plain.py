"""The lines a client sends inside AUTHENTICATE (RFC 3501 §6.2.2, RFC 4959, RFC 4616).

Invariants: base64 is strict; a password leaves here only as a Secret; what is malformed is refused
before anyone looks up a user.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass

from mssante.limits import PASSWORD_OCTETS_MAX
from mssante.model import Malformed, Secret


@dataclass(frozen=True, slots=True)
class PlainCredentials:
    """RFC 4616: `authorised` is the identity to act as, empty for the user's own."""

    authorised: str
    user: str
    password: Secret


def response(line: bytes) -> bytes | None:
    """The octets of a client's response line; None when it cancels with `*`."""
    if line == b"*":
        return None
    return decoded(line)


def initial_response(word: bytes) -> bytes:
    """RFC 4959 §3: `=` is an empty response, anything else base64."""
    return b"" if word == b"=" else decoded(word)


def decoded(word: bytes) -> bytes:
    """Strict base64, padding included."""
    try:
        return b64decode(word, validate=True)
    except binascii.Error:
        raise Malformed("Not base64") from None


def plain(octets: bytes) -> PlainCredentials:
    """RFC 4616 §2 message: [authzid] NUL authcid NUL passwd, in UTF-8."""
    fields = octets.split(b"\0")
    if len(fields) != 3 or not fields[1] or not 0 < len(fields[2]) <= PASSWORD_OCTETS_MAX:
        raise Malformed("Malformed PLAIN response")
    try:
        authorised, user, password = (field.decode("utf-8") for field in fields)
    except UnicodeDecodeError:
        raise Malformed("A PLAIN response is in UTF-8") from None
    return PlainCredentials(authorised, user, Secret(password))
