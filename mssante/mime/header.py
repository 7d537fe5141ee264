"""Header blocks read as octets: fields with their offsets, unfolding, parameters, identifiers.

Invariants: linear in the size of the block, whatever it holds; never raises on what a peer wrote; at
most MIME_HEADER_LINES_MAX lines and MIME_PARAMETERS_MAX parameters are read, the rest is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mssante import limits

Parameters = tuple[tuple[bytes, bytes], ...]

# RFC 5322 §2.2 and §2.2.3: a name, a colon, then lines; a line that begins with a blank continues the
# field. Possessive, so that no input makes it backtrack. Garbage lines match nothing and are skipped.
_FIELD = re.compile(rb"(?m)^([!-9;-~]{1,998}+)[ \t]*+:((?:[^\n]*+\n(?=[ \t]))*+[^\n]*+\n?)")
# One field and its folded lines, or a line that is not a field.
_FIELD_OR_LINE = re.compile(rb"([^\s:]++)[ \t]*+:[^\n]*+\n?(?:[ \t][^\n]*+\n?)*|[^\n]*\n|[^\n]+")
_WHOLE_FIELDS = re.compile(
    rb"(?s).*\n(?=[^ \t])"
)  # up to the last line that begins a field, or what may be one
_NEXT_FIELD = re.compile(rb"\n(?=[^ \t])")
_NAME = re.compile(rb"([^\s:]++)[ \t]*+:")
_TO_COLON = re.compile(rb"[ \t]*+:")
_LINES = re.compile(rb"(?:[^\n]*+\n){%d}" % limits.MIME_HEADER_LINES_MAX)
_TO_COMMENT = re.compile(rb'((?:"(?:[^"\\]|\\.)*+"?|\\.|[^"(\\]|\\)*+)\(', re.DOTALL)
_COMMENT_EDGE = re.compile(rb"[()\\]")
_PARAMETER = re.compile(rb'[;\s]*+([^=;\s"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))[^;]*+', re.DOTALL)
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
    """The block's fields as (lower-case name, raw value), in order. Faster than `fields`."""
    return [(name.lower(), raw) for name, raw in _FIELD.findall(within_lines(block))]


def fields(block: bytes) -> tuple[Field, ...]:
    """The fields of a header block, in order. Lines that are not fields are skipped."""
    return tuple(
        Field(name=match[1].lower(), value=unfold(match[2]), start=match.start(), end=match.end())
        for match in _FIELD.finditer(within_lines(block))
    )


def values(block: bytes, name: bytes) -> tuple[bytes, ...]:
    """Every value of the field `name` (lower case), unfolded, in order."""
    return tuple(unfold(raw) for found, raw in pairs(block) if found == name)


def chosen_fields(block: bytes, names: frozenset[bytes], *, others: bool = False) -> bytes:
    """The fields of `block` whose name (in any case) is in `names` (lower case), or with `others` the fields
    whose name is not, then a blank line: the answer to IMAP's HEADER.FIELDS (RFC 3501 §6.4.5). Octets, order,
    folding and repeats stay as they are. The names never become part of a regular expression, because they
    come from the client. `block` may include its blank line or not."""
    kept = _other_fields(block, names) if others else _named_fields(block, names)
    if kept and not kept[-1].endswith(b"\n"):
        kept.append(b"\r\n")
    kept.append(b"\r\n")
    return b"".join(kept)


class FieldPicker:
    """`chosen_fields` for a header that comes in pieces, cut anywhere, and is never held: `feed` the octets,
    then `finish` once; both give chosen octets. Only a name that does not end within LINE_OCTETS_MAX is no
    name here."""

    def __init__(self, names: frozenset[bytes], *, others: bool) -> None:
        self._names = names
        self._others = others
        self._rest = b""  # what follows the last whole field
        self._inside: bool | None = None  # in the middle of a long field: whether it is chosen
        self._last = b"\n"

    def feed(self, octets: bytes) -> bytes:
        block, chosen = self._rest + octets, b""
        if self._inside is not None:
            ended = _NEXT_FIELD.search(block)
            # A line end is kept back: what follows it tells whether the field ends there.
            end = ended.end() if ended else len(block) - block.endswith(b"\n")
            chosen = block[:end] if self._inside else b""
            block = block[end:]
            self._inside = None if ended else self._inside
        if self._inside is None:
            if whole := _WHOLE_FIELDS.match(block):
                chosen += self._whole(whole.group())
                block = block[whole.end() :]
            if len(block) > limits.LINE_OCTETS_MAX:
                named = _NAME.match(block)
                self._inside = named is not None and (named[1].lower() in self._names) != self._others
                end = len(block) - block.endswith(b"\n")
                chosen += block[:end] if self._inside else b""
                block = block[end:]
        self._rest = block
        return self._given(chosen)

    def finish(self) -> bytes:
        chosen = self._whole(self._rest) if self._inside is None else self._rest if self._inside else b""
        chosen = self._given(chosen)
        return chosen + (b"\r\n" if self._last == b"\n" else b"\r\n\r\n")

    def _whole(self, block: bytes) -> bytes:
        return b"".join((_other_fields if self._others else _named_fields)(block, self._names))

    def _given(self, chosen: bytes) -> bytes:
        self._last = chosen[-1:] or self._last
        return chosen


def _other_fields(block: bytes, names: frozenset[bytes]) -> list[bytes]:
    return [
        found.group()
        for found in _FIELD_OR_LINE.finditer(block)
        if found.group(1) is not None and found.group(1).lower() not in names
    ]


def _named_fields(block: bytes, names: frozenset[bytes]) -> list[bytes]:
    """Looks for each name at the start of a line, which is faster than reading every field."""
    lowered = b"\n" + block.lower()  # so the line that starts at n in `block` has its "\n" at n here
    places = []
    for name in names:
        start = b"\n" + name
        at = lowered.find(start)
        while at >= 0:
            if _TO_COLON.match(lowered, at + len(start)):
                places.append(at)
            at = lowered.find(start, at + 1)
    places.sort()
    return [block[at : _end_of_field(block, at)] for at in places]


def _end_of_field(block: bytes, at: int) -> int:
    end = block.find(b"\n", at)
    while end >= 0 and block[end + 1 : end + 2] in (b" ", b"\t"):
        end = block.find(b"\n", end + 1)
    return len(block) if end < 0 else end + 1


def end_of_comment(value: bytes, position: int, until: int | None = None) -> int:
    """Where a comment ends whose parenthesis opened just before `position`. Comments can hold comments
    (RFC 5322 §3.2.2). It ends at `until` at the latest, or where the value does."""
    until = len(value) if until is None else until
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(value, position, until)
        if edge is None:
            return until
        position = edge.end()
        if edge[0] == b"\\":
            position += 1
        else:
            depth += 1 if edge[0] == b"(" else -1
    return min(position, until)


def without_comments(value: bytes) -> bytes:
    """The value without its comments (RFC 5322 §3.2.2). Quoted strings are left alone."""
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
    if b"\\" not in quoted:
        return quoted
    # Between two escaped backslashes, any other backslash only escapes what follows it.
    pieces = [piece.replace(b"\\", b"") for piece in quoted.split(b"\\\\")]
    ends_alone = (len(quoted) - len(quoted.rstrip(b"\\"))) % 2 == 1
    return b"\\".join(pieces) + (b"\\" if ends_alone else b"")


def with_parameters(value: bytes) -> tuple[bytes, Parameters]:
    """A structured value in two: what stands before the first semicolon, and the parameters (RFC 2045 §5.1)
    with lower-case names. Continuations are put together (RFC 2231 §3). An extended parameter keeps its
    encoding and the asterisk at the end of its name, because IMAP clients expect them."""
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
