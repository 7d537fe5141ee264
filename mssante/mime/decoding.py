"""Content-transfer-encodings undone as the octets stream by (RFC 2045 §6), for FETCH BINARY.

Invariants: what comes out does not depend on where the octets were cut; memory is one piece and a line of at
most 64 KiB; linear; never raises on what a peer wrote: octets that do not belong to the encoding are skipped
(base64) or stay as they are (quoted-printable, and every line beyond 64 KiB).
"""

from __future__ import annotations

import binascii
from typing import Protocol

from mssante import limits

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))


class Decoder(Protocol):
    """`feed` the encoded octets, cut anywhere, then `finish` once; both give decoded octets."""

    def feed(self, octets: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


def decoder(encoding: bytes) -> Decoder | None:
    """A new one for an encoding in lower case; None for an encoding we do not know."""
    kind = _KINDS.get(encoding)
    return None if kind is None else kind()


def decoded(encoding: bytes, octets: bytes) -> bytes | None:
    """As `decoder`, for octets that are all there at once."""
    made = decoder(encoding)
    return None if made is None else made.feed(octets) + made.finish()


class _Identity:
    def feed(self, octets: bytes) -> bytes:
        return octets

    def finish(self) -> bytes:
        return b""


class _Base64:
    def __init__(self) -> None:
        self._held = b""
        self._ended = False

    def feed(self, octets: bytes) -> bytes:
        if self._ended:
            return b""
        letters = self._held + octets.translate(None, _NOT_BASE64)  # RFC 2045 §6.8: others are ignored
        end = letters.find(b"=")
        if end >= 0:
            self._ended = True
            return _of_letters(letters[:end])
        whole = len(letters) & ~3
        self._held = letters[whole:]
        return binascii.a2b_base64(letters[:whole])

    def finish(self) -> bytes:
        return b"" if self._ended else _of_letters(self._held)


def _of_letters(letters: bytes) -> bytes:
    """Decodes the last letters, whose padding may be missing. A single letter left over is not a whole octet
    and is dropped."""
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


class _QuotedPrintable:
    def __init__(self) -> None:
        self._line = b""  # the beginning of a line whose end has not come yet
        self._in_long = False  # inside a line too long for the encoding: it passes as it is

    def feed(self, octets: bytes) -> bytes:
        text = self._line + octets
        self._line = b""
        passed = b""
        if self._in_long:
            end = text.find(b"\r\n")
            if end < 0:
                return self._passing(text)
            passed, text, self._in_long = text[: end + 2], text[end + 2 :], False
        end = text.rfind(b"\r\n") + 2
        if end == 1:
            end = 0
        passed += _lines_decoded(text[:end])
        self._line = text[end:]
        if len(self._line) > limits.MIME_ENCODED_LINE_OCTETS_MAX:
            self._in_long = True
            passed += self._passing(self._line)
        return passed

    def _passing(self, text: bytes) -> bytes:
        cut = len(text) - text.endswith(b"\r")
        self._line = text[cut:]
        return text[:cut]

    def finish(self) -> bytes:
        return self._line if self._in_long else _lines_decoded(self._line)


def _lines_decoded(text: bytes) -> bytes:
    """Decodes whole lines. The last one may lack its line end."""
    lines = text.split(b"\r\n")
    if max(map(len, lines)) <= limits.MIME_ENCODED_LINE_OCTETS_MAX:
        return _joined(lines)
    pieces, start = [], 0
    for at, line in enumerate(lines):
        if len(line) > limits.MIME_ENCODED_LINE_OCTETS_MAX:
            pieces += [_joined([*lines[start:at], b""]), line, b"\r\n"]
            start = at + 1
    return b"".join([*pieces, _joined(lines[start:])])


def _joined(lines: list[bytes]) -> bytes:
    # RFC 2045 §6.7 (3): blanks at the end of a line are not text.
    return binascii.a2b_qp(b"\r\n".join([line.rstrip(b" \t") for line in lines]))


_KINDS: dict[bytes, type[_Identity | _Base64 | _QuotedPrintable]] = {
    b"": _Identity,
    b"7bit": _Identity,
    b"8bit": _Identity,
    b"binary": _Identity,
    b"base64": _Base64,
    b"quoted-printable": _QuotedPrintable,
}
