"""The content of a message on the wire: canonical CRLF or refused, dots undone, bounded, at any cut.

Invariants: the end of data is CRLF.CRLF and nothing else (RFC 5321 §4.1.1.4; every other line ending is a
fault, never a terminator: CVE-2023-51764 and its kin); the verdict and the content depend on the octets
alone, never on where the blocks were cut; memory is one block. Whole blocks are searched, not lines.
"""

from __future__ import annotations

from mssante import limits
from mssante.mime.canonical import CanonicalText
from mssante.reasons import Reason

_END = b"\r\n.\r\n"


class DataParser:
    """Turns what follows `354` into the message: feed it blocks until `done`.

    After a fault nothing more is given out, but reading goes on to the end of data, where `fault` is
    the verdict; `exhausted` says that `wire_octets_max` came first: close the connection. `leftover` is
    what came behind the end of data. A parser serves one message."""

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
        # Doubled dots add a third at most, so only a message already too large meets this half more.
        if wire_octets_max is None:
            wire_octets_max = octets_max + octets_max // 2 + limits.CHUNK_OCTETS
        self._wire_left = wire_octets_max
        self._text = CanonicalText(line_octets_max=line_octets_max)
        self._carry = b"\r\n"  # the content begins where a line begins
        self._begun = False

    @property
    def octets(self) -> int:
        """Octets of content so far."""
        return self._text.octets

    @property
    def long_line(self) -> bool:
        return self._text.long_line

    @property
    def fault(self) -> Reason | None:
        """Why the message cannot be taken, if so: final once `done`."""
        found = self._text.fault
        if found in (None, Reason.LINE_TOO_LONG) and self._text.octets > self._octets_max:
            return Reason.MESSAGE_TOO_LARGE
        return found

    def receive_data(self, block: bytes) -> bytes:
        """The content that `block` completes: canonical, dots undone; b"" once there is a fault."""
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
    """How many last octets may be the beginning of the end of data, or of a doubled dot."""
    for length in (4, 3, 2, 1):
        if text.endswith(_END[:length]):
            return length
    return 0
