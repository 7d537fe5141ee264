"""Content as it travels in DATA, block by block: what `grammar/data` undoes, in memory that does not grow.

Invariants: what was stored is sent octet for octet with its dots doubled (RFC 5321 §4.5.2), never repaired;
anything but canonical text stops before its end of data, so a lenient receiver sees one message or none (S4).
"""

from __future__ import annotations

from mssante.mime.canonical import CanonicalText
from mssante.reasons import Reason, Refused

_NO_LIMIT = 1 << 62  # what came in was bounded when it came in


class DotStuffer:
    """Feed the content, then `end`. Both raise Refused(BARE_LINE_ENDING or NUL_OCTET); the connection is then
    to be closed without more, for what was sent so far is no message."""

    def __init__(self) -> None:
        self._text = CanonicalText(line_octets_max=_NO_LIMIT)
        self._tail = b"\r\n"  # the last two octets: a dot behind them begins a line

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
