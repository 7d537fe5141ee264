"""AUTH on submission: PLAIN (RFC 4616) and LOGIN, decoded strictly and bounded.

Invariants: a malformed response is answered and counted, never half a login; nobody acts for another
(an authorization identity is empty or the login itself).
"""

from __future__ import annotations

import base64
import binascii

from mssante import limits
from mssante.model import PersonId, Secret, user_parts
from mssante.smtp.grammar import replies
from mssante.smtp.server.wire import ServerWire

_LOGIN_OCTETS_MAX = 320  # a whole mail address fits
Credentials = tuple[PersonId, Secret]


async def exchange(wire: ServerWire, mechanism: str, initial: str | None) -> Credentials | None:
    """Asks for what is missing; None when the client gave up or answered wrongly, which is then said."""
    match mechanism:
        case "PLAIN":
            response = await _response(wire, initial, challenge=b"")
            found = None if response is None else from_plain(response)
        case _:
            login = await _response(wire, initial, challenge=b"Username:")
            password = None if login is None else await _response(wire, None, challenge=b"Password:")
            response = password
            found = None if login is None or password is None else credentials(login, password)
    if found is None and response is not None:
        await wire.say(replies.AUTH_MALFORMED)
    return found


async def _response(wire: ServerWire, initial: str | None, *, challenge: bytes) -> bytes | None:
    if initial is None:
        wire.write(b"334 " + base64.b64encode(challenge) + b"\r\n")
        initial = (await wire.readline()).decode("ascii").strip()
        if initial == "*":  # RFC 4954 §4
            await wire.say(replies.AUTH_CANCELLED)
            return None
    elif initial == "=":  # RFC 4954 §4: an empty initial response
        return b""
    try:
        return base64.b64decode(initial, validate=True)
    except binascii.Error:
        await wire.say(replies.AUTH_MALFORMED)
        return None


def from_plain(response: bytes) -> Credentials | None:
    """Reads `authzid NUL login NUL password`."""
    parts = response.split(b"\0")
    if len(parts) != 3 or parts[0] not in (b"", parts[1]):
        return None
    return credentials(parts[1], parts[2])


def credentials(login: bytes, password: bytes) -> Credentials | None:
    """The two as text, within bounds."""
    if not 0 < len(login) <= _LOGIN_OCTETS_MAX or not 0 < len(password) <= limits.PASSWORD_OCTETS_MAX:
        return None
    if b"\0" in login or b"\0" in password:
        return None
    try:
        return user_parts(login.decode("utf-8"))[0], Secret(password.decode("utf-8"))
    except UnicodeDecodeError:
        return None
