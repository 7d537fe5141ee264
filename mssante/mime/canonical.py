"""Whether a text is canonical: CRLF line endings, no NUL, no line too long (RFC 5322 §2.1.1, §2.3).

Invariants: the verdict depends on the octets alone, never on where the blocks were cut; whole blocks are
searched, not lines.
"""

from __future__ import annotations

from mssante import limits
from mssante.reasons import Reason

_NO_END = bytes(set(range(256)) - set(b"\r\n\0"))  # octets that neither end a line nor are forbidden


class CanonicalText:
    """Watches a text pass by: CRLF line endings only, no NUL, no line above `line_octets_max`.

    Blocks may be cut anywhere. `fault` is the gravest fault so far. `long_line` says that some line was
    longer than the 998 octets of RFC 5322 §2.1.1, whether that was accepted or not. DATA and APPEND use
    this."""

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
        """The gravest fault so far, in a fixed order, so that it does not depend on where blocks were cut."""
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
        """Looks at strides instead of lines. A stride begins with a line and is as long as a line may be. If
        it has a line end, no line up to its last one is too long, and the next stride begins behind that. If
        it has none, the line is long and is measured."""
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
