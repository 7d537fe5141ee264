"""Reads LDIF content records (RFC 2849) strictly, one record at a time.

Invariants: memory and work are bounded by the limits; a record is read as a whole, or set aside with its line
number and the reason, and the next one is read all the same; no value is fetched from elsewhere (`:<` is
refused), and change records are refused. Like OpenLDAP, it tolerates UTF-8 without base64, and LF at the end
of lines. It accepts no NUL and no bare CR.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mssante.ldap.grammar.values import RawEntry
from mssante.limits import LDIF_ENTRIES_MAX, LDIF_LINE_OCTETS_MAX, LDIF_LINES_PER_ENTRY_MAX, LDIF_OCTETS_MAX
from mssante.model import Malformed

# RFC 2849: AttributeDescription, with options. No attribute of ours has any, so one with options is unknown.
_NAME = re.compile(rb"(?:[A-Za-z][A-Za-z0-9-]{0,63}|[0-9]+(?:\.[0-9]+){1,31})(?:;[A-Za-z0-9-]{1,64}){0,8}")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_CHANGES = frozenset({"changetype", "control"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LdifRecord:
    """A record: its first line's number, its DN as written, its attributes (names in lower case)."""

    line: int
    dn: str
    attributes: RawEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class LdifOdd:
    """A record set aside: where it begins, and why."""

    line: int
    why: str


def read_ldif(content: bytes) -> Iterator[LdifRecord | LdifOdd]:
    """The records of `content`, in order. Raises Malformed when it is not LDIF at all: too large, too
    many records, another version than 1."""
    if len(content) > LDIF_OCTETS_MAX:
        raise Malformed(f"over {LDIF_OCTETS_MAX} bytes")
    count = 0
    for line, lines in _records(content):
        version, rest = _without_version(lines) if count == 0 else (b"1", lines)
        if version != b"1":
            raise Malformed("not LDIF version 1")
        if not rest:
            continue
        count += 1
        if count > LDIF_ENTRIES_MAX:
            raise Malformed(f"over {LDIF_ENTRIES_MAX} records")
        try:
            yield _record(line, rest)
        except Malformed as error:
            yield LdifOdd(line=line, why=str(error))


def _records(content: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """The physical lines of each record, comments left out, with the number of its first line."""
    lines: list[bytes] = []
    first, in_comment = 0, False
    for number, line in enumerate(_physical_lines(content), start=1):
        if not line:
            if lines:
                yield first, lines
            lines, in_comment = [], False
        elif line.startswith(b"#"):
            in_comment = True
        elif not (in_comment and line.startswith(b" ")):  # a comment can be folded too
            in_comment = False
            if not lines:
                first = number
            if len(lines) <= LDIF_LINES_PER_ENTRY_MAX:  # one line too many is enough to see it
                lines.append(line)
    if lines:
        yield first, lines


def _physical_lines(content: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        yield content[start:end].removesuffix(b"\r")
        start = end + 1


def _without_version(lines: list[bytes]) -> tuple[bytes, list[bytes]]:
    name, colon, value = lines[0].partition(b":")
    if not colon or name.lower() != b"version":
        return b"1", lines
    return value.strip(b" "), lines[1:]


def _record(line: int, lines: list[bytes]) -> LdifRecord:
    dn: str | None = None
    attributes: dict[str, list[bytes]] = {}
    for logical in _unfolded(lines):
        name, value = _attribute(logical)
        if dn is None:
            if name != "dn":
                raise Malformed("does not begin with dn")
            dn = _dn(value)
        elif name == "dn":
            raise Malformed("two dn in one record")
        elif name in _CHANGES:
            raise Malformed("a change, not content")
        else:
            attributes.setdefault(name, []).append(value)
    if dn is None or not attributes:
        raise Malformed("no attribute")
    return LdifRecord(line=line, dn=dn, attributes=attributes)


def _unfolded(lines: list[bytes]) -> Iterator[bytes]:
    if lines[0].startswith(b" "):
        raise Malformed("begins with a continuation")
    if len(lines) > LDIF_LINES_PER_ENTRY_MAX:
        raise Malformed(f"over {LDIF_LINES_PER_ENTRY_MAX} lines")
    pieces: list[bytes] = []
    size = 0
    for line in lines:
        if not line.startswith(b" "):
            if pieces:
                yield b"".join(pieces)
            pieces, size = [], 0
        piece = line[1:] if pieces else line
        size += len(piece)
        if size > LDIF_LINE_OCTETS_MAX:
            raise Malformed(f"a line over {LDIF_LINE_OCTETS_MAX} octets")
        pieces.append(piece)
    yield b"".join(pieces)


def _attribute(logical: bytes) -> tuple[str, bytes]:
    name, colon, rest = logical.partition(b":")
    if not colon or not _NAME.fullmatch(name):
        raise Malformed("not an attribute and its value")
    if rest.startswith(b":"):
        value = _unbase64(rest[1:].lstrip(b" "))
    elif rest.startswith(b"<"):
        raise Malformed("a value by URL")
    else:
        value = rest.lstrip(b" ")
        if b"\0" in value or b"\r" in value:
            raise Malformed("NUL or bare CR")
        if value.startswith((b":", b"<")):
            raise Malformed("a value that begins as base64 or a URL does")  # RFC 2849 SAFE-INIT-CHAR
    return name.decode("ascii").lower(), value


def _unbase64(text: bytes) -> bytes:
    if not _BASE64.fullmatch(text):
        raise Malformed("not base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Malformed("not base64") from None


def _dn(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("dn: not UTF-8") from None
