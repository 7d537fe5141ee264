"""Folder names: modified UTF-7 (RFC 3501 §5.1.3) or UTF-8 (RFC 9051 §5.1) on the wire, str in the program.

Invariants: a name has one spelling on the wire (decoding and encoding it gives the same octets again); INBOX
is the same folder in upper and lower case; a name is never used as a path: "../x" is just a folder of that
name.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64decode, b64encode

from mssante.limits import FOLDER_NAME_OCTETS_MAX
from mssante.model import DELIMITER, INBOX, Malformed

_SHIFT = re.compile(rb"&([A-Za-z0-9+,]*)-")
_TO_SHIFT = re.compile("[^\x20-\x7e]+|&")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # RFC 5198 §2: none of these in a name.


def encode(name: str) -> bytes:
    """The modified UTF-7 of `name`: printable US-ASCII only."""
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode("ascii")
    return _TO_SHIFT.sub(_encode_run, name).encode("ascii")


def _encode_run(found: re.Match[str]) -> str:
    if found.group() == "&":
        return "&-"
    octets = found.group().encode("utf-16-be", "surrogatepass")
    return f"&{b64encode(octets).rstrip(b'=').replace(b'/', b',').decode('ascii')}-"


def decode(octets: bytes) -> str:
    """The name that these octets encode. Raises Malformed if they are not its only correct encoding."""
    name = decode_leniently(octets)
    if not octets.isascii() or encode(name) != octets:
        raise Malformed("not modified UTF-7")
    return name


def decode_utf8(octets: bytes) -> str:
    """The name in these octets. Raises Malformed if they are not UTF-8."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None


def decode_leniently(octets: bytes) -> str:
    """What a client may have meant: broken shift sequences stay as written, raw octets are read as UTF-8."""
    if octets.isascii() and b"&" not in octets:
        return octets.decode("ascii")
    pieces = []
    at = 0
    for found in _SHIFT.finditer(octets):
        pieces.append(octets[at : found.start()].decode("utf-8", "replace"))
        pieces.append(_decode_run(found))
        at = found.end()
    pieces.append(octets[at:].decode("utf-8", "replace"))
    return "".join(pieces)


def _decode_run(found: re.Match[bytes]) -> str:
    inside = found.group(1)
    if not inside:
        return "&"
    padded = inside.replace(b",", b"/") + b"=" * (-len(inside) % 4)
    try:
        return b64decode(padded).decode("utf-16-be")
    except ValueError:
        return found.group().decode("ascii")


def canonical(name: str) -> str:
    """The name with INBOX in upper case, also as its first component (RFC 9051 §5.1); the rest unchanged."""
    head, delimiter, rest = name.partition(DELIMITER)
    return INBOX + delimiter + rest if head.upper() == INBOX else name


def check_new(name: str, *, utf8: bool = False) -> None:
    """Refuses (Malformed) a name no folder should be given: empty, too long, with an empty component
    or a control character. With `utf8` also one that is not Net-Unicode (RFC 9051 §5.1: MUST); in modified
    UTF-7 a name is kept exactly as written (RFC 3501 §5.1.3)."""
    if utf8 and not unicodedata.is_normalized("NFC", name):
        raise Malformed("a folder name that is not in normalization form C")
    if len(name.encode("utf-8", "replace")) > FOLDER_NAME_OCTETS_MAX:
        raise Malformed("a folder name is too long")
    if _CONTROL.search(name):
        raise Malformed("a control character in a folder name")
    if not all(name.split(DELIMITER)):
        raise Malformed("an empty folder name, or an empty component in it")
