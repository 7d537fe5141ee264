"""Writes parts of the messages that we send ourselves: header fields, quoted-printable and base64.

Invariants: every line is at most 78 octets where it has a blank to fold at, and never more than
LINE_OCTETS_OUT_MAX; fields are printable ASCII, so nothing given can begin another field.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp

from mssante import limits
from mssante.mime import encoded_words

UNIQUE = re.compile(r"[A-Za-z0-9]{1,40}")  # what a boundary and a Message-ID of ours are made of
_UNPRINTABLE = re.compile(r"[^ -~]+")
_FOLD_AT = 78  # RFC 5322 §2.1.1


def clean(text: str, *, characters_max: int) -> str:
    """The text in printable ASCII: runs of anything else become one `?`, line ends and tabs a blank."""
    spaced = " ".join(text.split())
    return _UNPRINTABLE.sub("?", spaced)[:characters_max]


def field(name: str, value: str) -> bytes:
    """A field of ASCII words, folded at blanks."""
    lines: list[str] = []
    line = f"{name}:"
    for word in clean(value, characters_max=100 * limits.KIB).split(" "):
        for start in range(0, len(word), limits.HEADER_WORD_OCTETS_MAX):
            piece = word[start : start + limits.HEADER_WORD_OCTETS_MAX]
            if len(line) + 1 + len(piece) > _FOLD_AT and line != f"{name}:":
                lines.append(line)
                line = ""
            line += f" {piece}"
    lines.append(line)
    return "\r\n".join(lines).encode("ascii") + b"\r\n"


def text_field(name: str, text: str) -> bytes:
    """A field of free text, as encoded words unless it is short and ASCII (RFC 2047)."""
    return b"%b: %b\r\n" % (name.encode("ascii"), encoded_words.encode(text, used=len(name) + 2))


def quoted_printable(text: str) -> bytes:
    """The text, its lines ending in LF, as UTF-8 in quoted-printable with CRLF (RFC 2045 §6.7)."""
    return quoted_printable_octets("\r\n".join([*text.splitlines(), ""]).encode("utf-8"))


def quoted_printable_octets(lines: bytes) -> bytes:
    """Lines ending in CRLF, encoded."""
    encoded = b2a_qp(lines, istext=True)
    return encoded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def base64_lines(octets: bytes) -> bytes:
    """Base64 in lines of 76 (RFC 2045 §6.8)."""
    letters = b2a_base64(octets, newline=False)
    return b"".join(letters[start : start + 76] + b"\r\n" for start in range(0, len(letters), 76))
