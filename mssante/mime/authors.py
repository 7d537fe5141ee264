"""Who wrote a letter, as every mail program reads it: one From field with one address, or it cannot be said.

Mail programs read a damaged From field each in its own way: the first of two fields or the last, the address
in front of the angle brackets or the one inside, an encoded word decoded before the addresses are looked for
or after. So nothing is repaired here. What two programs could read differently is Malformed. A display name
is looked at as an eye sees it, with and without its quotes and comments: many programs show it alone.

Invariants: pure, and linear in the header, all of which is looked at; a From field is found whatever
invisible octets, blanks or folds stand between its name and its colon. What only looks like another letter
(a Cyrillic a) is not found out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from mssante.limits import AUTHOR_AT_SIGNS_MAX, AUTHOR_FIELD_OCTETS_MAX
from mssante.mime import encoded_words, header
from mssante.model import Address, Malformed

_ATOM = rb'[^\s\0"\[\]<>@,;:()\\]'
_ADDRESS = _ATOM + rb"++@" + _ATOM + rb"++"
# A NUL stands for a comment: one may stand around an address but not inside it or its angle brackets.
# A display name may hold a comma without quotes, as field software writes it (DUPONT, Jean <…>): what stands
# before the comma is no address.
_ONE = re.compile(
    rb'[\s\0]*+(?:(?:(?:"(?:[^"\\]|\\.)*+"|%b++|[\s\0,]++)*+)<\s*+(%b)\s*+>|(%b))[\s\0]*+'
    % (_ATOM, _ADDRESS, _ADDRESS),
    re.DOTALL,
)
_COMMENT_OR_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+"|\\.|[()]', re.DOTALL)
_QUOTING = re.compile(rb'["\\]')
_ROUND_AT = re.compile(r"\s*+@\s*+")
_EDGE = re.compile(r"[\s<>()\[\],;:\"'\\]")
# Nothing is drawn for these: joiners, selectors, fillers. So it is for controls and format characters, and
# hardly anything for the thin blanks (_unseen).
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # an address written backwards is read forwards
_LOCAL_MAX, _DOMAIN_MAX = 64, 253  # RFC 5321 §4.5.3.1, of a name in the DNS


def field_named(name: bytes) -> re.Pattern[bytes]:
    """Finds whole fields of this name, as any program might read it: in any case, with invisible octets
    before it, and with those, blanks or folds before its colon. Group 1 is the raw value."""
    return re.compile(
        rb"(?im)^(?![ \t])[^!-~\n]*+%b(?:[^!-~:\n]|\r?\n[ \t])*+:((?:[^\n]*+\n(?=[ \t]))*+[^\n]*+\n?)"
        % re.escape(name)
    )


_FROM, _SENDER = field_named(b"From"), field_named(b"Sender")


@dataclass(frozen=True, slots=True)
class NamedAuthor:
    """The address in a From or Sender field; and the `claims`: other addresses in its display name or
    comments, which a program may show in the author's place."""

    address: Address
    claims: tuple[Address, ...]


def author_of(block: bytes) -> NamedAuthor:
    """The one author. Raises Malformed."""
    if b"\0" in block:  # some programs leave it out, and find another field's name
        raise Malformed("a NUL in a header")
    found = _FROM.findall(block)
    if len(found) != 1:
        raise Malformed(f"{len(found)} From fields")
    return read(found[0])


def sender_of(block: bytes) -> NamedAuthor | None:
    """The one in the Sender field, if there is one. Raises Malformed."""
    found = _SENDER.findall(block)
    if len(found) > 1:
        raise Malformed(f"{len(found)} Sender fields")
    return read(found[0]) if found else None


def read(raw: bytes) -> NamedAuthor:
    """Reads a raw value that names one person. Raises Malformed."""
    if len(raw) > AUTHOR_FIELD_OCTETS_MAX:
        raise Malformed("an author too long to be read")
    value = header.unfold(raw)
    bare = _without_comments(value)
    one = _ONE.fullmatch(bare)
    if one is None:
        raise Malformed("not one address")
    written = one[1] or one[2]
    if b"=?" in written:  # some programs decode it first, and find another address in it
        raise Malformed("an encoded word in an address")
    try:
        address = Address.parse(written.decode("ascii"))
    except UnicodeDecodeError:
        raise Malformed("an address that is not ASCII") from None
    claims = {each.key: each for text in _shown(value, bare) for each in _addresses_in(text)}
    claims.pop(address.key, None)
    return NamedAuthor(address, tuple(claims.values()))


def _shown(value: bytes, bare: bytes) -> list[str]:
    """The texts that an eye may see of a value: as written; without its quotes and escapes, with its comments
    or without them. Raises Malformed for what programs decode each in its own way, and for a text that is
    shown in another order than it is written in."""
    written = {value, _QUOTING.sub(b"", value), _QUOTING.sub(b"", bare.replace(b"\0", b""))}
    texts = set()
    for each in written:
        encoded_words.require_plain(each)
        text = encoded_words.decode(each)
        if not (text.isascii() and text.isprintable()):
            if _REORDERING.search(text):
                raise Malformed("an author in another order than it is written in")
            seen = "".join(character for character in text if not _unseen(character))
            text = unicodedata.normalize("NFKC", seen)  # a full-width @ is one for the eye
        if text.count("@") > AUTHOR_AT_SIGNS_MAX:
            raise Malformed("an author of very many addresses")
        texts |= {text, _ROUND_AT.sub("@", text)}
    return sorted(texts)


def _unseen(character: str) -> bool:
    match unicodedata.category(character):
        case "Cc" | "Cf":
            return True
        case "Zs":
            return character not in " \u00a0"
    return _IGNORABLE.match(character) is not None


def _without_comments(value: bytes) -> bytes:
    """The value with a NUL in the place of each comment. Raises Malformed for one that never ends."""
    if b"\0" in value:
        raise Malformed("a NUL in an author")
    kept: list[bytes] = []
    depth = position = 0
    for found in _COMMENT_OR_QUOTED.finditer(value):
        if found[0] == b"(":
            if depth == 0:
                kept += [value[position : found.start()], b"\0"]
            depth += 1
        elif found[0] == b")":
            depth -= 1
            position = found.end()
        elif depth and found[0].startswith(b'"') and found[0].count(b"(") + found[0].count(b")"):
            raise Malformed("quotes round a parenthesis in a comment")  # quotes mean nothing there
        if depth < 0:
            raise Malformed("a comment that never began")
    if depth:
        raise Malformed("a comment that never ends")
    return b"".join([*kept, value[position:]])


def _addresses_in(text: str) -> Iterator[Address]:
    """Everything in a text that looks like an address."""
    pieces = text.split("@")
    for before, after in pairwise(pieces):
        local = _EDGE.split(before[-_LOCAL_MAX:])[-1]
        domain = _EDGE.split(after[: _DOMAIN_MAX + 1], maxsplit=1)[0].rstrip(".")
        try:
            yield Address.parse(f"{local}@{domain}")
        except Malformed:
            continue
