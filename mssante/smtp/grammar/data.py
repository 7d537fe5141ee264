"""Reads the content of a message from the wire: finds its end, undoes doubled dots, refuses what is not CRLF.

Invariants: only CRLF.CRLF ends the data (RFC 5321 §4.1.1.4); any other line ending is a fault and never ends
it, because servers that took another one let a second message be smuggled inside the first (CVE-2023-51764
and similar). The result depends on the octets alone, not on how they were cut into blocks; only one block is
in memory. For speed, whole blocks are searched rather than lines.
"""

from __future__ import annotations

from mssante import limits
from mssante.mime.canonical import CanonicalText
from mssante.reasons import Reason

_END = b"\r\n.\r\n"


class DataParser:
    """Turns what follows `354` into the message: feed it blocks until `done`.

    After a fault no more content is returned, but reading goes on to the end of data, and `fault` then says
    why the message is refused. `exhausted` says that `wire_octets_max` was reached before the end: close the
    connection. `leftover` is what came behind the end of data. A parser serves one message."""

    def __init__(
        self,
        *,
        octets_max: int,
        line_octets_max: int = limits.LINE_OCTETS_MAX,
        wire_octets_max: int | None = None,
    ) -> None:
        self.done = False
        self.exhausted = False
        self.leftover = b""
        self._octets_max = octets_max
        # Doubled dots add a third at most, so only a message that is already too large reaches this limit.
        if wire_octets_max is None:
            wire_octets_max = octets_max + octets_max // 2 + limits.CHUNK_OCTETS
        self._wire_left = wire_octets_max
        self._text = CanonicalText(line_octets_max=line_octets_max)
        self._carry = b"\r\n"  # the content begins where a line begins
        self._begun = False

    @property
    def octets(self) -> int:
        """How many octets of content there are so far."""
        return self._text.octets

    @property
    def long_line(self) -> bool:
        return self._text.long_line

    @property
    def fault(self) -> Reason | None:
        """Why the message cannot be taken; None if it can. It is final once `done`."""
        found = self._text.fault
        if found in (None, Reason.LINE_TOO_LONG) and self._text.octets > self._octets_max:
            return Reason.MESSAGE_TOO_LARGE
        return found

    def receive_data(self, block: bytes) -> bytes:
        """The content that `block` completes, in canonical form and with dots undone; b"" after a fault."""
        assert not self.done, "this message has ended"
        beyond = b""
        if len(block) > self._wire_left:
            block, beyond = block[: self._wire_left], block[self._wire_left :]
            self.exhausted = True
        text = self._carry + block
        dot = text.find(b"\r\n.") if b"." in text else -1
        end = text.find(_END, dot) if dot >= 0 else -1
        if end >= 0:
            self.done, self.exhausted = True, False
            self.leftover = text[end + len(_END) :] + beyond
            text = text[: end + 2]
        else:
            kept = len(text) - _undecided(text)
            self._carry, text = text[kept:], text[:kept]
            self._wire_left -= len(block)
        if dot >= 0:
            text = text.replace(b"\r\n.", b"\r\n")  # RFC 5321 §4.5.2
        if not self._begun and text:
            self._begun = True
            text = text[2:]
        self._text.see(text)
        return text if self.fault is None else b""


def _undecided(text: bytes) -> int:
    """How many of the last octets may begin the end of data, or a doubled dot: they wait for more."""
    for length in (4, 3, 2, 1):
        if text.endswith(_END[:length]):
            return length
    return 0
