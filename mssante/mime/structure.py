"""Where everything lies in a message: found in one pass as it streams in, so that later a FETCH is a slice.

A message is a tree of parts. A part is a header, a blank line and a body. The header of a multipart names a
boundary: in its body, each line of two hyphens and the boundary begins a part, and one with two more hyphens
behind ends the last part. The body of a message/rfc822 part is again a whole message. The scanner looks for
these lines and writes down, for each part, where its header and its body begin and how long they are.

What a message says of itself is not trusted. The scanner keeps a stack of the parts that are open and a table
of the lines that delimit parts of any of them. A delimiter belongs to the innermost multipart with that
boundary and closes all that is open inside it, so a part whose end was forgotten, or left out on purpose,
ends with the part around it, or with the message. All that a sender could multiply has a bound
(limits.MIME_*): how deep parts lie in one another, how many there are, the octets and lines of headers, the
length of a boundary. A multipart or message beyond the depth is opaque: it counts as plain text, and nothing
is looked for in its body. So is a multipart without a boundary that can be used. Once there are too many
parts, no more delimiters are looked for. Of a header that is too long, only the beginning is read.

The octets may come cut anywhere. What could be the beginning of a delimiter or of a blank line stays in the
buffer until more octets follow. Besides, only headers are held, within their limits, and the parts found.

A delimiter is a whole line: two hyphens, the boundary, blanks. RFC 2046 §5.1.1 would take any line that
begins so. The clients we serve do not, and a whole line is never mistaken for that of a longer boundary.

Invariants: the body is never held (at most one slice of it, and one header block within its limit); linear in
the size; the result does not depend on where the octets were cut; beyond a limit the message stays readable
as a whole, and `notes` says what was exceeded. Never raises on what a peer wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from mssante import limits
from mssante.mime import content, header
from mssante.mime.content import Content, EnvelopeFields, Heading

_TAIL = limits.MIME_DELIMITER_OCTETS_MAX + 8
_LINE = rb"--([^\r\n]{1,%d}+)(?=\r\n)" % limits.MIME_DELIMITER_OCTETS_MAX
_IN_BODY = re.compile(rb"\r\n" + _LINE)
_IN_HEADER = re.compile(rb"\r\n(?:(\r\n)|" + _LINE + rb")")
_NEVER = 1 << 62


class Note(StrEnum):
    """What was beyond a limit (limits.MIME_*), or is not what the message says it is."""

    DEPTH = "depth"
    PARTS = "parts"
    HEADER_OCTETS = "header_bytes"
    HEADER_LINES = "header_lines"
    BOUNDARY = "boundary"
    ENCODED_MESSAGE = "encoded_message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One entity: its header is `[header_offset, +header_octets)`, blank line included; its body
    `[body_offset, +body_octets)`, in the octets of the whole message. `lines` counts the body's line ends.
    `envelope` is there when the header is a message's. A message/rfc822 part has one child, the message."""

    content: Content
    header_offset: int
    header_octets: int
    body_offset: int
    body_octets: int
    lines: int
    envelope: EnvelopeFields | None = None
    children: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A whole message. `header` is its header block, cut at HEADER_KEPT_OCTETS_MAX when `header_is_cut`;
    `hops` counts its Received fields; `size` is exact."""

    root: Part
    size: int
    header: bytes = field(repr=False)
    header_is_cut: bool
    hops: int
    notes: tuple[Note, ...]


class _Open:
    """A part whose end has not been seen."""

    __slots__ = (
        "body_offset",
        "boundary",
        "children",
        "header_octets",
        "header_offset",
        "heading",
        "is_message_root",
        "lines_before",
    )

    def __init__(self, header_offset: int, *, is_message_root: bool) -> None:
        self.header_offset = header_offset
        self.is_message_root = is_message_root
        self.header_octets = 0
        self.body_offset = header_offset
        self.lines_before = 0
        self.heading: Heading = _NO_HEADING
        self.boundary: bytes | None = None  # of a multipart whose closing delimiter has not been seen
        self.children: list[Part] = []


_NO_HEADING = content.read(b"", of_message=False)


class Scanner:
    """`feed` the message's octets, cut anywhere, then `close` once."""

    def __init__(self) -> None:
        self._buffer = b"\r\n"  # as if a line had ended: a header may begin with its blank line
        self._base = -2  # offset in the message of the buffer's first octet
        self._end = _NEVER  # the message's size, once known
        self._stack = [_Open(0, is_message_root=True)]
        self._parts = 1
        self._containers = 0
        self._delimiters: dict[bytes, int] = {}  # of each delimiter, how many open multiparts have it
        self._newlines = 0  # line ends in the octets before the offset `_counted`
        self._counted = 0
        self._in_header = True
        self._head: list[bytes] = []
        self._head_octets = 0
        self._head_taken = 0  # offset up to which the current header was taken
        self._head_budget = limits.MIME_HEADER_OCTETS_TOTAL_MAX
        self._kept = b""
        self._hops = 0
        self._notes: dict[Note, None] = {}

    @property
    def weight(self) -> int:
        """How much there is to say of the message so far, about in octets: its headers, and its parts."""
        read = limits.MIME_HEADER_OCTETS_TOTAL_MAX - self._head_budget + self._head_octets
        return read + self._parts * limits.MIME_PART_WEIGHT_OCTETS

    def feed(self, octets: bytes | bytearray | memoryview) -> None:
        """Take the next octets of the message."""
        for _ in self.feeding(octets):
            pass

    def feeding(self, octets: bytes | bytearray | memoryview) -> Iterator[None]:
        """The same in short steps, for octets that hold many parts: go through it to the end."""
        for start in range(0, len(octets), limits.MIME_SCANNED_OCTETS_AT_ONCE):
            yield from self._scan(self._buffer + octets[start : start + limits.MIME_SCANNED_OCTETS_AT_ONCE])

    def close(self) -> Structure:
        """The message ended. To be called once."""
        self._end = self._base + len(self._buffer)
        # A last line without its end is a line too: it may be a delimiter.
        for _ in self._scan(self._buffer + b"\r\n"):
            pass
        if self._in_header:
            self._take(self._buffer, self._end)
            self._end_header(self._buffer, self._end, begins_body=False)
        self._count(self._buffer, self._end)
        self._close_down_to(0, self._end)
        root = self._close_top(self._end)
        return Structure(
            root=root,
            size=self._end,
            header=self._kept,
            header_is_cut=root.header_octets > len(self._kept),
            hops=self._hops,
            notes=tuple(self._notes),
        )

    def _scan(self, buffer: bytes) -> Iterator[None]:
        position = keep_from = turns = 0
        while position >= 0:
            if turns == limits.MIME_SCANNED_PARTS_AT_ONCE:
                yield
                turns = 0
            turns += 1
            keep_from = position
            position = (
                self._through_header(buffer, position)
                if self._in_header
                else self._through_body(buffer, position)
            )
        keep = _tail(buffer, keep_from)
        if self._in_header:
            self._take(buffer, self._base + keep)
        self._count(buffer, self._base + keep)
        self._base += keep
        self._buffer = buffer[keep:]

    def _through_body(self, buffer: bytes, position: int) -> int:
        """The position after the next delimiter, or -1 when the buffer holds none."""
        delimiters = self._delimiters
        if delimiters:
            for match in _IN_BODY.finditer(buffer, position):
                line = match[1]
                if line in delimiters or (line := line.rstrip(b" \t")) in delimiters:
                    return self._delimit(buffer, match.start(), match.end(), line)
        return -1

    def _through_header(self, buffer: bytes, position: int) -> int:
        """The position of the line end before the body, or after a delimiter; -1 when neither is there."""
        for match in _IN_HEADER.finditer(buffer, position):
            if match[1] is not None:
                end = min(self._base + match.end(), self._end)
                self._take(buffer, end)
                self._count(buffer, end)
                self._end_header(buffer, end, begins_body=True)
                return match.start() + 2
            line = match[2].rstrip(b" \t")
            if line in self._delimiters:
                at = max(self._base + match.start(), self._stack[-1].header_offset)
                self._take(buffer, at)
                self._count(buffer, at)
                self._end_header(buffer, at, begins_body=False)
                return self._delimit(buffer, match.start(), match.end(), line)
        return -1

    def _take(self, buffer: bytes, until: int) -> None:
        """Keep the current header's octets up to that offset, within the budget."""
        if until <= self._head_taken:
            return
        room = min(limits.MIME_HEADER_OCTETS_MAX, self._head_budget) - self._head_octets
        piece = buffer[self._head_taken - self._base : until - self._base]
        if len(piece) > room:
            self._notes[Note.HEADER_OCTETS] = None
            piece = piece[: max(0, room)]
        self._head.append(piece)
        self._head_octets += len(piece)
        self._head_taken = until

    def _count(self, buffer: bytes, until: int) -> None:
        if until > self._counted:
            self._newlines += buffer.count(b"\n", self._counted - self._base, until - self._base)
            self._counted = until

    def _lines_until(self, offset: int) -> int:
        # If the body is empty, the line end that belongs to the delimiter after it is counted already.
        return self._newlines - (1 if self._counted > offset else 0)

    def _end_header(self, buffer: bytes, body_offset: int, *, begins_body: bool) -> None:
        """The current header is complete: read it, and decide how the body that follows is looked through."""
        top = self._stack[-1]
        head = b"".join(self._head)
        self._head.clear()
        self._head_budget -= self._head_octets
        self._head_octets = 0
        self._in_header = False
        top.header_octets = body_offset - top.header_offset
        top.body_offset = body_offset
        top.lines_before = self._newlines
        if header.has_too_many_lines(head):
            self._notes[Note.HEADER_LINES] = None
        parent = self._stack[-2].heading.content if len(self._stack) > 1 else None
        top.heading = content.read(
            head,
            of_message=top.is_message_root,
            in_digest=parent is not None and parent.is_multipart and parent.subtype == b"digest",
        )
        if len(self._stack) == 1:
            self._kept = head[: limits.HEADER_KEPT_OCTETS_MAX]
            self._hops = top.heading.received
        self._decide(top, begins_body=begins_body)

    def _decide(self, top: _Open, *, begins_body: bool) -> None:
        """Decides whether the body of the part on top is made of parts, is a message, or is just octets."""
        kind = top.heading.content
        if kind.is_multipart:
            boundary = kind.boundary
            if boundary is None:
                self._make_opaque(top, Note.BOUNDARY)
            elif self._containers >= limits.MIME_DEPTH_MAX:
                self._make_opaque(top, Note.DEPTH)
            else:
                self._containers += 1
                if begins_body:
                    top.boundary = boundary
                    self._expect(boundary, 1)
        elif kind.is_message:
            if kind.is_encoded:  # RFC 2046 §5.2.1 forbids it; its octets are no message until decoded
                self._notes[Note.ENCODED_MESSAGE] = None
                top.heading = Heading(content=kind.as_octets(), envelope=top.heading.envelope)
            elif self._containers >= limits.MIME_DEPTH_MAX:
                self._make_opaque(top, Note.DEPTH)
            elif self._parts >= limits.MIME_PARTS_MAX:
                self._make_opaque(top, Note.PARTS)
            else:
                self._containers += 1
                self._begin_part(top.body_offset, is_message_root=True)
                if not begins_body:  # a delimiter ended the header: the message within has no octet
                    self._in_header = False
                    self._stack[-1].lines_before = self._newlines

    def _make_opaque(self, top: _Open, note: Note) -> None:
        self._notes[note] = None
        top.heading = Heading(content=top.heading.content.as_text(), envelope=top.heading.envelope)

    def _expect(self, boundary: bytes, by: int) -> None:
        for line in (boundary, boundary + b"--"):
            count = self._delimiters.pop(line, 0) + by
            if count:
                self._delimiters[line] = count

    def _begin_part(self, offset: int, *, is_message_root: bool) -> None:
        self._parts += 1
        self._stack.append(_Open(offset, is_message_root=is_message_root))
        self._in_header = True
        self._head_taken = offset

    def _delimit(self, buffer: bytes, start: int, end: int, line: bytes) -> int:
        """A delimiter stands at buffer[start:end]: close what it ends, open what it begins."""
        offset = self._base + start  # RFC 2046 §5.1.1: the line end before it belongs to the delimiter
        level = len(self._stack) - 1
        while not (boundary := self._stack[level].boundary) or line not in (boundary, boundary + b"--"):
            level -= 1
        if line == boundary and self._parts >= limits.MIME_PARTS_MAX:
            self._notes[Note.PARTS] = None
            self._delimiters.clear()
            return end
        self._count(buffer, offset)
        self._close_down_to(level, offset)
        if line == boundary:
            self._begin_part(min(self._base + end + 2, self._end), is_message_root=False)
        else:
            self._stack[level].boundary = None
            self._expect(boundary, -1)
        return end

    def _close_down_to(self, level: int, offset: int) -> None:
        while len(self._stack) > level + 1:
            part = self._close_top(offset)
            self._stack[-1].children.append(part)

    def _close_top(self, offset: int) -> Part:
        top = self._stack.pop()
        kind = top.heading.content
        if kind.is_multipart or kind.is_message:
            self._containers -= 1
        if top.boundary is not None and self._delimiters:
            self._expect(top.boundary, -1)
        return Part(
            content=kind,
            header_offset=top.header_offset,
            header_octets=top.header_octets,
            body_offset=top.body_offset,
            body_octets=max(0, offset - top.body_offset),
            lines=max(0, self._lines_until(offset) - top.lines_before),
            envelope=top.heading.envelope if top.is_message_root else None,
            children=tuple(top.children),
        )


def _tail(buffer: bytes, start: int) -> int:
    """Where the octets begin that may turn out to begin a delimiter or a blank line."""
    found = buffer.rfind(b"\r\n", max(start, len(buffer) - _TAIL))
    if found >= 0:
        return found
    return len(buffer) - 1 if len(buffer) > start and buffer.endswith(b"\r") else len(buffer)


def scan(message: bytes) -> Structure:
    """The structure of a message already whole."""
    scanner = Scanner()
    scanner.feed(message)
    return scanner.close()
