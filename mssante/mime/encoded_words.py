"""Text in headers: encoded words (RFC 2047) and extended parameters (RFC 2231), both ways.

Invariants: `decode` never raises and is linear; a charset we do not know gives replacement characters: a peer
never chooses a codec of Python's, because some are slow and some are not charsets at all; decoded text holds
no CR, LF or NUL. Encoding writes ASCII lines of at most 76 octets.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp
from itertools import islice
from urllib.parse import unquote_to_bytes

from mssante.limits import MIME_ENCODED_WORDS_MAX
from mssante.model import Malformed

_WORD = re.compile(rb"=\?([^?\s*]{1,40}+)(?:\*[^?\s]{0,40}+)?\?([bBqQ])\?([^?\s]*+)\?=")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_CONTROL = re.compile(r"[\r\n\x00]")
_CONTROL_OCTET = re.compile(rb"[\0-\x1f\x7f]")

_CHARSETS = {
    "us-ascii": "ascii",
    "ascii": "ascii",
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "latin1": "iso-8859-1",
    "cp1252": "cp1252",
    "macintosh": "mac-roman",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    **{f"iso-8859-{n}": f"iso-8859-{n}" for n in range(1, 17) if n != 12},
    **{f"windows-125{n}": f"cp125{n}" for n in range(9)},
}


def in_charset(octets: bytes, charset: str) -> str:
    """The octets as text. Octets that the charset does not have become U+FFFD; an unknown charset is read as
    ASCII."""
    return octets.decode(_CHARSETS.get(charset.strip().lower(), "ascii"), "replace")


def text(octets: bytes, charset: bytes | None) -> str:
    """A part's octets as text. Where the charset is missing, unknown, or not the one that was really used,
    they are read as UTF-8, else as Windows-1252: that is what field software writes in such cases."""
    name = "" if charset is None else charset.decode("ascii", "replace").strip().lower()
    codec = _CHARSETS.get(name, "ascii")
    return _bare(octets) if codec in ("ascii", "utf-8") else octets.decode(codec, "replace")


def _bare(octets: bytes) -> str:
    """Octets outside any encoded word: ASCII, or the eight-bit text that field software writes raw."""
    if octets.isascii():
        return octets.decode("ascii")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def _payload(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return a2b_qp(text, header=True)
    letters = _NOT_BASE64.sub(b"", text)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    try:
        return a2b_base64(letters + b"=" * (-len(letters) % 4))
    except Error:
        return b""


def decode(value: bytes) -> str:
    """An unfolded header value as text for display and search."""
    if b"=?" not in value:
        return _CONTROL.sub(" ", _bare(value))
    pieces: list[str] = []
    # Adjacent words of one charset are joined before decoding: a character may be cut between two of them.
    run, run_charset = b"", ""
    position = 0
    for word in islice(_WORD.finditer(value), MIME_ENCODED_WORDS_MAX):
        between = value[position : word.start()]
        charset = word[1].decode("ascii", "replace").lower()
        # RFC 2047 §6.2: blanks between two encoded words are not part of the text.
        adjacent = bool(run_charset) and not between.strip(b" \t")
        if not (adjacent and charset == run_charset):
            pieces.append(in_charset(run, run_charset))
            run, run_charset = b"", charset
        if not adjacent:
            pieces.append(_bare(between))
        run += _payload(word[2], word[3])
        position = word.end()
    pieces.append(in_charset(run, run_charset))
    pieces.append(_bare(value[position:]))
    return _CONTROL.sub(" ", "".join(pieces))


def require_plain(value: bytes) -> None:
    """Returns when every program that decodes the encoded words of a value finds the same text in them as
    `decode`. Raises Malformed for a charset that we do not know, or in which ASCII octets are not ASCII; for
    base64 with anything else in it, or with octets after its end; for control characters inside a word; and
    for what begins as a word and is none."""
    if b"=?" not in value:
        return
    for word in _WORD.finditer(value):
        charset = word[1].decode("ascii", "replace").lower()
        if charset not in _CHARSETS or charset.startswith("utf-16"):
            raise Malformed("an encoded word in a charset that not every program reads")
        if word[2] in b"bB" and _NOT_BASE64.search(word[3].rstrip(b"=")):
            raise Malformed("an encoded word with broken base64")
        if _CONTROL_OCTET.search(_payload(word[2], word[3])):
            raise Malformed("an encoded word with control characters")
    if b"=?" in _WORD.sub(b" ", value):
        raise Malformed("an encoded word that is not whole")


def extended(value: bytes) -> str:
    """An RFC 2231 §4 extended value, charset'language'percent-encoded, as text."""
    charset, quote, rest = value.partition(b"'")
    language, second, encoded = rest.partition(b"'")
    if not quote or not second:
        return decode(value)
    del language
    return _CONTROL.sub(" ", in_charset(unquote_to_bytes(encoded), charset.decode("ascii", "replace")))


def encode(text: str, *, used: int = 0) -> bytes:
    """The text as a header value: as it is when ASCII and short, else UTF-8 encoded words, folded so that
    no line passes 76 octets; `used` octets already stand on the first line (the field's name)."""
    plain = _CONTROL.sub(" ", text)
    if plain.isascii() and plain.isprintable() and "=?" not in plain and used + len(plain) <= 76:
        return plain.encode("ascii")
    words: list[bytes] = []
    line = b""
    for character in plain:
        octets = character.encode("utf-8", "replace")
        # RFC 2047 §5: in a Q word, letters and digits are safe in every place.
        safe = character.isascii() and character.isalnum()
        piece = octets if safe else b"_" if character == " " else b"".join(b"=%02X" % o for o in octets)
        room = 76 - (used + 1 if not words else 1) - len(b"=?utf-8?q??=")
        if len(line) + len(piece) > room:
            words.append(line)
            line = b""
        line += piece
    words.append(line)
    return b"\r\n ".join(b"=?utf-8?q?" + word + b"?=" for word in words)
