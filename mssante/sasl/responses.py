"""The lines a client sends in a SASL exchange (RFC 4422 §3): base64, or `*` to cancel.

Invariants: base64 must be strictly correct, padding included; a cancellation is never taken for a response.
"""

from __future__ import annotations

import binascii
from base64 import b64decode

from mssante.model import Malformed


def response(line: bytes) -> bytes | None:
    """The octets of a client's response line; None when it cancels with `*` (RFC 3501 §6.2.2, RFC 4954 §4).
    Raises Malformed."""
    return None if line == b"*" else _decoded(line)


def initial_response(word: bytes) -> bytes:
    """RFC 4959 §3, RFC 4954 §4: `=` is an empty response, anything else base64. Raises Malformed."""
    return b"" if word == b"=" else _decoded(word)


def _decoded(word: bytes) -> bytes:
    try:
        return b64decode(word, validate=True)
    except binascii.Error:
        raise Malformed("Not base64") from None
