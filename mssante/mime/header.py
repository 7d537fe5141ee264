"""Header blocks read as octets: fields with their offsets, unfolding, parameters, identifiers.

Invariants: linear in the size of the block, whatever it holds; never raises on what a peer wrote; at
most MIME_HEADER_LINES_MAX lines and MIME_PARAMETERS_MAX parameters are read, the rest is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from mssante import limits

Parameters = tuple[tuple[bytes, bytes], ...]

# RFC 5322 §2.2 and §2.2.3: a name, a colon, then lines; a line that begins with a blank continues the
# field. Possessive, so that no input makes it backtrack. Garbage lines match nothing and are skipped.
_FIELD = re.compile(rb"(?m)^([!-9;-~]{1,998}+)[ \t]*+:((?:[^\n]*+\n(?=[ \t]))*+[^\n]*+\n?)")
_LINES = re.compile(rb"(?:[^\n]*+\n){%d}" % limits.MIME_HEADER_LINES_MAX)
_TO_COMMENT = re.compile(rb'((?:"(?:[^"\\]|\\.)*+"?|\\.|[^"(\\]|\\)*+)\(', re.DOTALL)
_COMMENT_EDGE = re.compile(rb"[()\\]")
_PARAMETER = re.compile(rb'[;\s]*+([^=;\s"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))[^;]*+', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MESSAGE_IDENTIFIER = re.compile(rb"<[^<>\s]{1,996}+>")
_ATTRIBUTE_UNSAFE = re.compile(rb"[^A-Za-z0-9!#$&+.^_`|~-]")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: `name` in lower case, `value` unfolded and trimmed, `block[start:end]` as written."""

    name: bytes
    value: bytes
    start: int
    end: int


def unfold(raw: bytes) -> bytes:
    """The value on one line, trimmed (RFC 5322 §2.2.3: the CRLF goes, the blank after it stays)."""
    if b"\n" in raw:
        raw = raw.replace(b"\r\n", b"").replace(b"\n", b"")
    return raw.strip(b" \t\r\n")


def has_too_many_lines(block: bytes) -> bool:
    return block.count(b"\n") > limits.MIME_HEADER_LINES_MAX


def within_lines(block: bytes) -> bytes:
    """The block's first MIME_HEADER_LINES_MAX lines."""
    if has_too_many_lines(block) and (lines := _LINES.match(block)):
        return lines.group()
    return block


def pairs(block: bytes) -> list[tuple[bytes, bytes]]:
    """The block's fields as (lower-case name, raw value), in order: the cheap form of `fields`."""
    return [(name.lower(), raw) for name, raw in _FIELD.findall(within_lines(block))]


def fields(block: bytes) -> tuple[Field, ...]:
    """The fields of a header block, in order. Lines that are no field are skipped."""
    return tuple(
        Field(name=match[1].lower(), value=unfold(match[2]), start=match.start(), end=match.end())
        for match in _FIELD.finditer(within_lines(block))
    )


def values(block: bytes, name: bytes) -> tuple[bytes, ...]:
    """Every value of the field `name` (lower case), unfolded, in order."""
    return tuple(unfold(raw) for found, raw in pairs(block) if found == name)


@lru_cache(maxsize=256)
def _selection(names: frozenset[bytes], but: bool) -> re.Pattern[bytes]:
    named = b"|".join(re.escape(name) for name in sorted(names)) or b"(?!)"
    wanted = rb"(?!(?:%b)[ \t]*+:)[!-9;-~]++" % named if but else rb"(?:%b)" % named
    return re.compile(rb"(?mi)^%b[ \t]*+:(?:[^\n]*+\n(?=[ \t]))*+[^\n]*+\n?" % wanted)


def select(block: bytes, names: Iterable[bytes], *, but: bool = False) -> bytes:
    """The named fields as written, in the block's order, then the blank line: what IMAP's HEADER.FIELDS
    answers (RFC 3501 §6.4.5). `but`: all fields except those (HEADER.FIELDS.NOT)."""
    found = _selection(frozenset(name.lower() for name in names), but).findall(block)
    if found and not found[-1].endswith(b"\r\n"):  # a block cut short of its last line end
        found[-1] = found[-1].rstrip(b"\r\n") + b"\r\n"
    return b"".join(found) + b"\r\n"


def end_of_comment(value: bytes, position: int) -> int:
    """Where the comment ends whose parenthesis opened just before `position`; they nest (RFC 5322 §3.2.2)."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(value, position)
        if edge is None:
            return len(value)
        position = edge.end()
        if edge[0] == b"\\":
            position += 1
        else:
            depth += 1 if edge[0] == b"(" else -1
    return position


def without_comments(value: bytes) -> bytes:
    """The value less its comments (RFC 5322 §3.2.2); quoted strings are left alone."""
    if b"(" not in value:
        return value
    kept: list[bytes] = []
    position = 0
    while opened := _TO_COMMENT.match(value, position):
        kept.append(opened[1])
        position = end_of_comment(value, opened.end())
    kept.append(value[position:])
    return b"".join(kept).strip()


def unescaped(quoted: bytes) -> bytes:
    """The content of a quoted string, its quoted-pairs undone."""
    return _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def with_parameters(value: bytes) -> tuple[bytes, Parameters]:
    """A structured value in two: what stands before the first semicolon, and the parameters (RFC 2045 §5.1)
    with lower-case names. Continuations are put together (RFC 2231 §3); an extended value keeps its name's
    final asterisk and its encoding, as IMAP clients expect it."""
    main, _, rest = without_comments(value).partition(b";")
    found: list[tuple[bytes, bytes]] = []
    position = 0
    for _ in range(limits.MIME_PARAMETERS_MAX):
        if position >= len(rest):
            break
        match = _PARAMETER.match(rest, position)
        if match is None:  # not a parameter: on to the next semicolon
            position = rest.find(b";", position + 1)
            if position < 0:
                break
            continue
        text = unescaped(match[2]) if match[2] is not None else match[3].strip()
        found.append((match[1].lower(), text))
        position = match.end()
    return main.strip(), _joined(found)


def _joined(found: list[tuple[bytes, bytes]]) -> Parameters:
    """RFC 2231 §3: title*0, title*1* … become one parameter, in the place of the first seen."""
    for name, _ in found:
        if b"*" in name:
            break
    else:
        return tuple(found)
    sections: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    order: list[tuple[bytes, bytes | None]] = []
    for name, text in found:
        base, star, number = name.removesuffix(b"*").rpartition(b"*")
        if not star or not number.isdigit() or len(number) > 3:
            order.append((name, text))
            continue
        if base not in sections:
            sections[base] = {}
            order.append((base, None))
        sections[base].setdefault(int(number), (text, name.endswith(b"*")))
    joined: list[tuple[bytes, bytes]] = []
    for name, whole in order:
        joined.append((name, whole) if whole is not None else _one(name, sections[name]))
    return tuple(joined)


def _one(name: bytes, sections: dict[int, tuple[bytes, bool]]) -> tuple[bytes, bytes]:
    pieces = []
    number = 0
    while number in sections:
        pieces.append(sections[number])
        number += 1
    if not any(extended for _, extended in pieces):
        return name, b"".join(text for text, _ in pieces)
    return name + b"*", b"".join(text if extended else _percent(text) for text, extended in pieces)


def _percent(text: bytes) -> bytes:
    return _ATTRIBUTE_UNSAFE.sub(lambda octet: b"%%%02X" % octet[0][0], text)


def parameter(parameters: Parameters, name: bytes) -> bytes | None:
    """The first parameter of that name (lower case), as written."""
    for found, text in parameters:
        if found == name:
            return text
    return None


def message_identifiers(value: bytes) -> tuple[bytes, ...]:
    """The msg-ids of a Message-ID, In-Reply-To or References value, angle brackets included."""
    return tuple(_MESSAGE_IDENTIFIER.findall(value))
