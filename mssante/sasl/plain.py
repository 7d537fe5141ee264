"""The mechanism PLAIN (RFC 4616): one message that holds user name and password."""

from __future__ import annotations

from mssante.model import Malformed
from mssante.sasl.credentials import Credentials, credentials


def plain(message: bytes) -> Credentials:
    """RFC 4616 §2: [authzid] NUL authcid NUL passwd, in UTF-8. Raises Malformed."""
    fields = message.split(b"\0")
    if len(fields) != 3:
        raise Malformed("Malformed PLAIN response")
    authorised, user, password = fields
    return credentials("PLAIN", user=user, password=password, authorised=authorised)
