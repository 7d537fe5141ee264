"""Prepares content for DATA, block by block and in bounded memory: the reverse of `grammar/data`.

Invariants: content is sent as it was stored, octet for octet, with dots doubled (RFC 5321 §4.5.2), and is
never repaired; content that is not canonical text stops before its end of data, so even a lenient receiver
sees one message or none (S4).
"""

from __future__ import annotations

from mssante.mime.canonical import CanonicalText
from mssante.reasons import Reason, Refused

_NO_LIMIT = 1 << 62  # line lengths were already checked when the message came in


class DotStuffer:
    """Feed the content, then call `end`. Both raise Refused(BARE_LINE_ENDING or NUL_OCTET). The caller must
    then close the connection at once, so that what was sent so far never becomes a message."""

    def __init__(self) -> None:
        self._text = CanonicalText(line_octets_max=_NO_LIMIT)
        self._tail = b"\r\n"  # the last two octets sent: after CRLF, a dot is at the beginning of a line

    def feed(self, block: bytes) -> bytes:
        """`block` as it travels."""
        self._text.see(block)
        self._require_canonical()
        joined = self._tail + block
        self._tail = joined[-2:]
        return joined.replace(b"\r\n.", b"\r\n..")[2:]

    def end(self) -> bytes:
        """The end of data."""
        self._text.end()
        self._require_canonical()
        if self._tail != b"\r\n":
            raise Refused(Reason.BARE_LINE_ENDING, "the last line has no end")
        return b".\r\n"

    def _require_canonical(self) -> None:
        if self._text.fault is not None:
            raise Refused(self._text.fault, "not sent: the content is not canonical")
