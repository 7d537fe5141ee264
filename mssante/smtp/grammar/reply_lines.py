"""Gathers a remote's octets into whole replies, for the client: lines counted, nothing looked at twice.

A reply comes in as many segments as the remote likes. Whoever parses it from its start for each segment does
work that grows with the square of its length (one reply of 24 KB: 9 seconds).

Invariants: each octet is searched once, however it is cut; a reply is given out once, when its last line is
whole; more than the bounds allow is a fault, told before it is kept.
"""

from __future__ import annotations

from mssante.limits import (
    REMOTE_OCTETS_BEFORE_PROOF_MAX,
    REMOTE_REPLY_LINE_OCTETS_MAX,
    REMOTE_REPLY_LINES_MAX,
)
from mssante.model import Malformed


class ReplyLines:
    """One for each connection. Until `proved` is called, all replies together are bounded too."""

    def __init__(self) -> None:
        self._whole = bytearray()  # the lines of this reply that are complete
        self._line = bytearray()  # and the beginning of the next
        self._lines = 0
        self._octets_left: int | None = REMOTE_OCTETS_BEFORE_PROOF_MAX

    @property
    def inside(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._whole or self._line)

    def proved(self) -> None:
        """The remote has proved who it is: from now on only each reply is bounded."""
        self._octets_left = None

    def receive_data(self, data: bytes) -> tuple[bytes | None, bytes]:
        """The reply that `data` completes, if it does, and what came behind it. Raises Malformed for a line,
        a reply or a beginning that is longer than its bound."""
        at = 0
        while at < len(data):
            end = data.find(b"\n", at)
            piece = data[at : end + 1] if end >= 0 else data[at:]
            at += len(piece)
            self._take(piece)
            if end >= 0 and self._line_ends():
                return self._reply(), data[at:]
        return None, b""

    def _take(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > REMOTE_REPLY_LINE_OCTETS_MAX:
            raise Malformed("a reply's line is too long")
        if self._octets_left is not None:
            self._octets_left -= len(piece)
            if self._octets_left < 0:
                raise Malformed("too much was said before the proof")
        self._line += piece

    def _line_ends(self) -> bool:
        """Counts the line that is whole now. Returns whether it is the last of its reply."""
        self._lines += 1
        if self._lines > REMOTE_REPLY_LINES_MAX:
            raise Malformed("a reply has too many lines")
        last = self._line[3:4] != b"-"  # RFC 5321 §4.2.1: a hyphen says that more lines follow
        self._whole += self._line
        self._line.clear()
        return last

    def _reply(self) -> bytes:
        reply = bytes(self._whole)
        self._whole.clear()
        self._lines = 0
        return reply
