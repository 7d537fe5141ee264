"""The first words of a message (RFC 8970), made once at reception out of its first octets.

Invariants: at most PREVIEW_CHARACTERS_MAX characters of UTF-8, one line, nothing that steers how text is
shown; linear; never raises on what a peer wrote. What lies behind PREVIEW_OCTETS_READ_MAX is not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mssante.limits import (
    PREVIEW_CHARACTERS_MAX,
    PREVIEW_MARKUP_OCTETS_READ_FIRST,
    PREVIEW_PLAIN_OCTETS_READ_MAX,
)
from mssante.mime import decoding, encoded_words, header, text
from mssante.mime.content import Content
from mssante.mime.structure import Part

_BODY = re.compile(r"(?i)<body\b")
_TITLE = re.compile(r"(?is)<title\b.*?(?:</title\s*+>|\Z)")
_QUOTED_LINE = re.compile(r"(?m)^>.*+$")
# Controls, soft and zero-width fillers, marks that turn the direction of what follows.
_UNSHOWN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_CUT_CHARACTER = re.compile(rb"[\xc0-\xff][\x80-\xbf]{0,3}\Z")
_READ = frozenset({b"plain", b"html"})


def preview(head: bytes, root: Part) -> bytes:
    """The preview of a message. `head` are its first octets, of any number; `root` is its structure. Empty
    when `head` has no text that a person would read (RFC 8970 §3.2)."""
    for part in _texts(root):
        shown = _shown(head, part)
        if shown:
            return shown.encode("utf-8", "replace")
    return b""


def _texts(root: Part) -> Iterator[Part]:
    """The parts that a reader would be shown, in order. Of alternatives, plain text comes first."""
    pending = [root]
    while pending:
        part = pending.pop()
        kind = part.content
        if kind.disposition == b"attachment":
            continue
        if part.children:
            children = part.children
            if kind.subtype == b"alternative":
                children = tuple(sorted(children, key=lambda child: not _is_plain(child.content)))
            pending.extend(reversed(children))
        elif kind.media == b"text" and kind.subtype in _READ:
            yield part


def _is_plain(kind: Content) -> bool:
    return kind.media == b"text" and kind.subtype == b"plain"


def _shown(head: bytes, part: Part) -> str:
    plain = _is_plain(part.content)
    most = min(part.body_octets, PREVIEW_PLAIN_OCTETS_READ_MAX) if plain else part.body_octets
    octets = head[part.body_offset : part.body_offset + most]
    found = decoding.decoded(part.content.encoding, octets) if octets else None
    if not found:
        return ""
    if len(octets) < part.body_octets:
        found = _CUT_CHARACTER.sub(b"", found)  # half a character would make all of it invalid UTF-8
    written = encoded_words.text(found, header.parameter(part.content.parameters, b"charset"))
    if not plain:
        return _of_markup(written)
    return _one_line(_QUOTED_LINE.sub("", written)) or _one_line(written)


def _of_markup(written: str) -> str:
    """Tries with the beginning first, which nearly always gives two hundred characters."""
    body = _BODY.search(written)
    start = body.start() if body else 0
    beginning = written[start : start + PREVIEW_MARKUP_OCTETS_READ_FIRST]
    line = _one_line(text.shown_by_html(_TITLE.sub(" ", beginning[: beginning.rfind("<")])))
    if len(line) == PREVIEW_CHARACTERS_MAX:
        return line
    return _one_line(text.shown_by_html(_TITLE.sub(" ", written[start:])))


def _one_line(written: str) -> str:
    line = " ".join(_UNSHOWN.sub("", written).split())
    return line[:PREVIEW_CHARACTERS_MAX].rstrip()
