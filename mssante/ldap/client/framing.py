"""The socket that ldap3 reads from, with the bounds on size and time that ldap3 itself does not have.

ldap3 would keep whatever a server sends.

Invariants: a message is read only if the length it announces is acceptable; a request of ours is answered by
a limited number of messages; one question reads at most LDAP_ANSWER_OCTETS_MAX and ends at its deadline,
however slowly the server sends.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from mssante.limits import (
    LDAP_ANSWER_OCTETS_MAX,
    LDAP_LENGTH_OCTETS_MAX,
    LDAP_MESSAGE_OCTETS_MAX,
    LDAP_SECONDS_MAX,
)

_SEQUENCE = 0x30  # RFC 4511 §4.1.1: an LDAPMessage is a SEQUENCE


class AnswerRefused(OSError):
    """The server's octets are not acceptable. It is an OSError so that ldap3 closes the connection."""


class FramedSocket:
    """Takes the place of a connected socket in an ldap3 connection. `recv` gives one whole message."""

    def __init__(
        self,
        plain: socket.socket,
        *,
        deadline: float,
        messages_max: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`deadline` is a time of `clock`; `messages_max` counts messages between two requests of ours."""
        self.plain = plain
        self._deadline = deadline
        self._messages_max = messages_max
        self._clock = clock
        self._messages = 0
        self._octets_read = 0

    def recv(self, size: int) -> bytes:
        """The next message, whatever `size` is; b"" when the server closed between two messages. Raises
        OSError."""
        first = self._some(1)
        if not first:
            return b""
        if first[0] != _SEQUENCE:
            raise AnswerRefused("not an LDAP message")
        header = first + self._exactly(1)
        length = header[1]
        if length & 0x80:  # X.690 §8.1.3.5, long form; the indefinite form is refused (RFC 4511 §5.1)
            octets = length & 0x7F
            if not 1 <= octets <= LDAP_LENGTH_OCTETS_MAX:
                raise AnswerRefused("length of an LDAP message")
            written = self._exactly(octets)
            header, length = header + written, int.from_bytes(written, "big")
        self._messages += 1
        if (
            length > LDAP_MESSAGE_OCTETS_MAX
            or self._octets_read + length > LDAP_ANSWER_OCTETS_MAX
            or self._messages > self._messages_max
        ):
            raise AnswerRefused("too large an answer")
        return header + self._exactly(length)

    def sendall(self, octets: bytes) -> None:
        self._allow_time()
        self._messages = 0
        self.plain.sendall(octets)

    def shutdown(self, how: int) -> None:
        # SSLSocket's own shutdown would drop the TLS object while another thread may still read from it.
        socket.socket.shutdown(self.plain, how)

    def close(self) -> None:
        self.plain.close()

    def _exactly(self, count: int) -> bytes:
        pieces: list[bytes] = []
        while count:
            piece = self._some(count)
            if not piece:
                raise AnswerRefused("closed within a message")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _some(self, count: int) -> bytes:
        self._allow_time()
        piece = self.plain.recv(count)
        self._octets_read += len(piece)
        return piece

    def _allow_time(self) -> None:
        left = self._deadline - self._clock()
        if left <= 0:
            raise TimeoutError("the question's time is over")
        self.plain.settimeout(min(left, LDAP_SECONDS_MAX))
