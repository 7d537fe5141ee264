"""AUTH on submission: PLAIN (RFC 4616) and LOGIN.

Invariants: a malformed response is answered and counted as an error, and never leads to a login; nobody acts
for somebody else (the authorization identity is empty or the same as the login).
"""

from __future__ import annotations

import base64

from mssante.model import Malformed, PersonId, Secret, user_parts
from mssante.sasl.credentials import Credentials
from mssante.sasl.login import PASSWORD_CHALLENGE, USER_CHALLENGE, login
from mssante.sasl.plain import plain
from mssante.sasl.responses import initial_response, response
from mssante.smtp.grammar import replies
from mssante.smtp.server.wire import ServerWire


class _GivenUp(Exception):
    """The client has sent `*`."""


async def exchange(wire: ServerWire, mechanism: str, initial: str | None) -> tuple[PersonId, Secret] | None:
    """Asks the client for what is missing. None when the client gave up or its answer is malformed; the reply
    that says so has then been sent."""
    try:
        if mechanism == "PLAIN":
            return claimed(plain(await _response(wire, initial, challenge=b"")))
        user = await _response(wire, initial, challenge=USER_CHALLENGE)
        return claimed(login(user, await _response(wire, None, challenge=PASSWORD_CHALLENGE)))
    except _GivenUp:
        await wire.say(replies.AUTH_CANCELLED)
    except Malformed:
        await wire.say(replies.AUTH_MALFORMED)
    return None


def claimed(credentials: Credentials) -> tuple[PersonId, Secret]:
    """Who the client says it is, and the password. A mailbox named in the login does not matter here. Raises
    Malformed when the authorization identity is not that of the login."""
    if credentials.for_another:
        raise Malformed("another identity")
    return user_parts(credentials.user)[0], credentials.password


async def _response(wire: ServerWire, initial: str | None, *, challenge: bytes) -> bytes:
    if initial is not None:
        return initial_response(initial.encode("ascii"))
    wire.write(b"334 " + base64.b64encode(challenge) + b"\r\n")
    octets = response((await wire.readline()).strip())
    if octets is None:
        raise _GivenUp
    return octets
