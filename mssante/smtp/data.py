"""The content of a message on the wire: canonical CRLF or refused, dots undone, bounded, at any cut.

Invariants: the end of data is CRLF.CRLF and nothing else (RFC 5321 §4.1.1.4; every other line ending is a
fault, never a terminator: CVE-2023-51764 and its kin); the verdict and the content depend on the octets
alone, never on where the blocks were cut; memory is one block. Whole blocks are searched, not lines.
"""

from __future__ import annotations

from mssante import limits
from mssante.reasons import Reason

_END = b"\r\n.\r\n"
_NO_END = bytes(set(range(256)) - set(b"\r\n\0"))  # what neither ends a line nor must not be there


class CanonicalText:
    """Watches a text pass by: CRLF line endings only, no NUL, no line above `line_octets_max`.

    Blocks may be cut anywhere. `fault` is the gravest fault so far; `long_line` says that a line was
    longer than the 998 octets of RFC 5322 §2.1.1, accepted or not. Serves DATA and APPEND."""

    def __init__(self, *, line_octets_max: int = limits.LINE_OCTETS_MAX) -> None:
        self.octets = 0
        self.long_line = False
        self._line_octets_max = line_octets_max
        self._stride = min(line_octets_max, limits.LINE_OCTETS_OUT_MAX) + 2  # a line in bounds and its CRLF
        self._bare = False
        self._nul = False
        self._too_long = False
        self._held_cr = False
        self._line = 0  # octets of the line not yet ended

    @property
    def fault(self) -> Reason | None:
        """In a fixed order, so that it does not depend on the cuts."""
        if self._bare:
            return Reason.BARE_LINE_ENDING
        if self._nul:
            return Reason.NUL_OCTET
        return Reason.LINE_TOO_LONG if self._too_long else None

    def see(self, block: bytes) -> None:
        """Looks at the next octets."""
        self.octets += len(block)
        if self._held_cr and block:
            block = b"\r" + block
            self._held_cr = False
        if block.endswith(b"\r"):  # judged together with what follows it
            block = block[:-1]
            self._held_cr = True
        pairs = block.count(b"\r\n")
        ends = block.translate(None, _NO_END)
        if ends != b"\r\n" * pairs:
            self._nul = self._nul or b"\0" in ends
            self._bare = self._bare or ends.count(b"\n") != pairs or ends.count(b"\r") != pairs
        self._measure_lines(block)

    def end(self) -> None:
        """Nothing follows. A last line may lack its CRLF; a CR held until now is bare."""
        self._bare = self._bare or self._held_cr
        self._note_line(self._line)

    def _measure_lines(self, block: bytes) -> None:
        """From line start to line start, in strides of as many lines as one long line may hold."""
        size = len(block)
        start = -self._line
        while start + self._stride < size:
            newline = block.rfind(b"\n", max(start, 0), max(start + self._stride, 0))
            if newline < 0:
                newline = block.find(b"\n", max(start + self._stride, 0))
                self._note_line((newline - 1 if newline >= 0 else size) - start)
                if newline < 0:
                    self._line = size - start
                    return
            start = newline + 1
        last = block.rfind(b"\n", max(start, 0))
        self._line = size - (last + 1 if last >= 0 else start)

    def _note_line(self, octets: int) -> None:
        self.long_line = self.long_line or octets > limits.LINE_OCTETS_OUT_MAX
        self._too_long = self._too_long or octets > self._line_octets_max


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
            wire_octets_max = octets_max + octets_max // 2 + limits.CHUNK_BYTES
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
