"""The octets of one IMAP connection, cut into commands (RFC 3501 §2.2 and §4.3, RFC 7888).

Invariants: events do not depend on how the network cut the octets into pieces; the octets kept of a peer are
bounded at every moment, more tightly before login; the message of an APPEND is passed on in pieces and never
held as a whole; after an error that can be recovered from, the next event belongs to the next command; after
any other error there is only BYE.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from mssante.imap.grammar.append_syntax import parse_append, parse_append_next
from mssante.imap.grammar.events import (
    AppendEnd,
    AppendRefused,
    AppendStart,
    Bye,
    Event,
    LiteralChunk,
    RawLine,
    Rejected,
    Signal,
)
from mssante.imap.grammar.framing import BEFORE_LOGIN, TAIL, LiteralAnnouncement, after_login, tag_of
from mssante.imap.grammar.lexer import Beyond, Literal8, Unacceptable
from mssante.imap.grammar.parse import parse
from mssante.imap.grammar.responses import Code, ResponseStatus
from mssante.limits import IMAP_APPEND_MESSAGES_MAX, IMAP_SKIPPED_OCTETS_MAX, IMAP_TAG_OCTETS_MAX
from mssante.reasons import Reason
from mssante.words.imap import imap_answer

_APPEND = re.compile(rb"[^ ]+ (?:APPEND|(?:UID )?REPLACE [^ ]+) [^ ]", re.IGNORECASE)

_TOO_LARGE = "Litteral trop grand, ou trop nombreux / A literal is too large, or too many"
_TOO_MANY = "Trop de messages a la fois / Too many messages in one APPEND"
_TOO_BIG = imap_answer(Reason.MESSAGE_TOO_LARGE)


class _Mode(Enum):
    LINE = 1  # a command's line, or what follows a literal in it
    LITERAL = 2  # a literal kept for the command
    OFFER = 3  # an APPEND waits until its owner calls accept or refuse
    MESSAGE = 4  # its message is passed on in pieces
    SKIP = 5  # the octets of a refused command are read and dropped
    RAW = 6  # one line that is no command
    DEAD = 7  # BYE was told: nothing is read any more


class Wire:
    """Feed it `receive_data`, ask it `next_event` until NEED_DATA. One per connection and TLS layer."""

    def __init__(self) -> None:
        self._limits = BEFORE_LOGIN
        self._buffer = bytearray()
        self._searched = 0  # there is no LF before this place of the buffer
        self._before_login = 0
        self._utf8 = False
        self._next_command()

    def _next_command(self) -> None:
        self._mode = _Mode.LINE
        self._texts: list[bytes] = []
        self._literals: list[bytes] = []
        self._awaited = 0  # how many octets of the literal or message are still to come
        self._command_octets = 0
        self._append: AppendStart | None = None
        self._octets8 = self._waits = False
        self._due: Event | None = None  # an event to be told before anything more is read
        self._after_skip: Event = Signal.NEED_DATA
        self._skipped = self._skipped_max = 0

    def authenticated(self, *, message_octets_max: int) -> None:
        """The peer has logged in: from the next command on the wider limits apply, and APPEND is accepted."""
        self._limits = after_login(message_octets_max)

    def speaks_utf8(self) -> None:
        """From the next command on, folder names are read as UTF-8 (RFC 9051 §5.1)."""
        self._utf8 = True

    @property
    def pending(self) -> bool:
        """Whether octets have come that are not part of any event yet. After STARTTLS there must be none
        (RFC 3501 §6.2.1, CVE-2011-0411)."""
        return bool(self._buffer)

    def receive_data(self, octets: bytes) -> None:
        if self._mode is not _Mode.DEAD:
            self._buffer += octets

    def expect_line(self) -> None:
        """The next line is the client's answer in AUTHENTICATE, or ends IDLE: it comes as RawLine."""
        assert self._mode is _Mode.LINE
        self._mode = _Mode.RAW

    def accept(self) -> None:
        """Accepts the announced message: it comes as LiteralChunk events, and then LITERAL_END."""
        assert self._mode is _Mode.OFFER
        self._mode = _Mode.MESSAGE
        self._due = Signal.CONTINUE if self._waits else None

    def refuse(self) -> None:
        """Refuses the APPEND, also in the middle of a message. AppendRefused comes when the octets of the
        command that are on their way have been read and dropped."""
        assert self._append is not None
        refused = AppendRefused(self._append.tag)
        if self._mode is _Mode.OFFER and self._waits:
            # RFC 3501 §7.5: without a continuation the client does not send the literal: nothing to drop.
            self._next_command()
            self._due = refused
        else:
            self._due = self._read_past(refused, octets=self._awaited)

    def next_event(self) -> Event:
        """The next thing that happened; NEED_DATA until more is received."""
        while True:
            event, self._due = self._due, None
            event = event or _STEPS[self._mode](self)
            if event is not None:
                return event

    # -- lines ------------------------------------------------------------------------------------

    def _line(self) -> Event | None:
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if len(self._buffer) < self._limits.line:
                return Signal.NEED_DATA
        size = end + 1
        if end < 0 or size > self._limits.line or self._command_octets + size > self._limits.command:
            start = self._texts[0] if self._texts else bytes(self._buffer[: IMAP_TAG_OCTETS_MAX + 1])
            long = Rejected(tag_of(start), ResponseStatus.BAD, "The command is too long", Code.LIMIT)
            return self._read_past(long)
        line = self._taken(size)
        return self._spent(size) or self._text(line)

    def _taken(self, size: int) -> bytes:
        octets = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._searched = 0
        return octets

    def _spent(self, octets: int) -> Event | None:
        """Counts the octets consumed; BYE when a peer that has not logged in has sent too many."""
        self._command_octets += octets
        if self._limits.session is None:
            return None
        self._before_login += octets
        if self._before_login > self._limits.session:
            return self._end("Too much before login")
        return None

    def _text(self, ended: bytes) -> Event | None:
        line = ended.rstrip(b"\r\n")
        announced = LiteralAnnouncement.at_end_of(line)
        if not ended.endswith(b"\r\n") or len(line) != len(ended) - 2 or b"\r" in line or b"\0" in line:
            return self._refused(announced, line, Unacceptable("Bare CR, bare LF or NUL in a command"))
        if self._append is not None:
            return self._after_message(self._append, line, announced)
        if announced is None:
            self._texts.append(line)
            return self._complete()
        self._texts.append(announced.text)
        if self._in_append():
            return self._announced_message(announced)
        return self._announced_literal(announced)

    def _complete(self) -> Event:
        texts, literals = self._texts, self._literals
        self._next_command()
        try:
            return parse(b"\n".join(texts), literals, utf8=self._utf8)
        except Unacceptable as error:
            return Rejected(
                tag_of(texts[0]), ResponseStatus(error.status), error.text, error.code, error.unsaves
            )

    def _refused(
        self, announced: LiteralAnnouncement | None, line: bytes, error: Unacceptable
    ) -> Event | None:
        """Answers a command that will not be done. If the client sends the announced literal without waiting,
        the literal is read and dropped first."""
        if self._append is not None:
            tag: str | None = self._append.tag
        else:
            tag = tag_of(self._texts[0] if self._texts else line)
        rejected = Rejected(tag, ResponseStatus(error.status), error.text, error.code)
        if announced is None or announced.waits:
            self._next_command()
            return rejected
        return self._read_past(rejected, octets=announced.size)

    # -- literals ---------------------------------------------------------------------------------

    def _announced_literal(self, announced: LiteralAnnouncement) -> Event | None:
        bounds = self._limits
        octets = self._command_octets + announced.size
        if (
            announced.size > bounds.literal
            or octets > bounds.command
            or len(self._literals) >= bounds.literals
        ):
            if not announced.waits:
                # RFC 7888 §4: the client is sending this literal already and cannot be stopped, except by
                # closing the connection.
                return self._end("A literal is too large, or there are too many", Code.LIMIT)
            error = Beyond(_TOO_LARGE)
            return self._refused(announced, b"", error)
        self._awaited = announced.size
        self._octets8 = announced.octets8
        self._mode = _Mode.LITERAL
        return Signal.CONTINUE if announced.waits else None

    def _literal(self) -> Event | None:
        size = self._awaited
        if len(self._buffer) < size:
            return Signal.NEED_DATA
        octets = self._taken(size)
        self._literals.append(Literal8(octets) if self._octets8 else octets)
        self._mode = _Mode.LINE
        return self._spent(size)

    # -- APPEND -----------------------------------------------------------------------------------

    def _announced_message(self, announced: LiteralAnnouncement) -> Event | None:
        tag = tag_of(self._texts[0])
        try:
            found = parse_append(b"\n".join(self._texts), self._literals, utf8=self._utf8)
        except Unacceptable as error:
            return self._refused(announced, b"", error)
        assert tag is not None  # parse_append has read it
        start = AppendStart(
            tag, found.mailbox, found.flags, found.date, announced.size, 0, announced.octets8, found.replaced
        )
        return self._offer(start, announced)

    def _after_message(
        self, append: AppendStart, line: bytes, announced: LiteralAnnouncement | None
    ) -> Event | None:
        if not line:
            self._next_command()
            return AppendEnd(append.tag)
        try:
            if announced is None or append.replaced is not None:
                raise Unacceptable("Unexpected text after the message")
            flags, date = parse_append_next(announced.text)
        except Unacceptable as error:
            return self._refused(announced, line, error)
        index = append.index + 1
        if index >= IMAP_APPEND_MESSAGES_MAX:
            return self._refused(announced, line, Beyond(_TOO_MANY))
        # Its size is not added to the octets of the command: that limit is for lines, not for messages.
        size, octets8 = announced.size, announced.octets8
        again = AppendStart(append.tag, append.mailbox, flags, date, size, index, octets8)
        return self._offer(again, announced)

    def _offer(self, append: AppendStart, announced: LiteralAnnouncement) -> Event | None:
        self._append = append
        self._awaited = append.size
        self._waits = announced.waits
        if append.size > self._limits.message:
            error = Unacceptable(_TOO_BIG.text, status="NO", code=_TOO_BIG.code)
            return self._refused(announced, b"", error)
        self._mode = _Mode.OFFER
        return append

    def _message(self) -> Event | None:
        if not self._awaited:
            self._mode = _Mode.LINE
            return Signal.LITERAL_END
        if not self._buffer:
            return Signal.NEED_DATA
        chunk = self._taken(min(self._awaited, len(self._buffer)))
        self._awaited -= len(chunk)
        return LiteralChunk(chunk)

    # -- what is refused --------------------------------------------------------------------------

    def _read_past(self, event: Event, *, octets: int = 0) -> Event | None:
        """Tells `event` when `octets` and the rest of the command have been read and dropped: the rest of its
        line, and the literals that the client sends without waiting."""
        bound = IMAP_SKIPPED_OCTETS_MAX if self._in_append() else self._limits.skipped
        if self._limits.session is not None:
            bound = self._limits.session - self._before_login
        if octets > bound:
            return self._end("A literal is too large", Code.LIMIT)
        self._mode, self._after_skip, self._awaited = _Mode.SKIP, event, octets
        self._skipped, self._skipped_max = 0, bound
        return None

    def _in_append(self) -> bool:
        """Whether the texts so far begin an APPEND or REPLACE and reach its folder's name at least."""
        if not self._limits.message or not self._texts:
            return False
        return _APPEND.match(self._texts[0] + b"\n" * (len(self._texts) - 1)) is not None

    def _skip(self) -> Event | None:
        if self._awaited:
            passed = len(self._taken(min(self._awaited, len(self._buffer))))
            self._awaited -= passed
            self._skipped += passed
            return Signal.NEED_DATA if self._awaited else None
        end = self._buffer.find(b"\n", self._searched)
        if self._skipped + (end + 1 if end >= 0 else len(self._buffer)) > self._skipped_max:
            return self._end("The command is too long", Code.LIMIT)
        if end < 0:
            # The last octets are kept, because the line may end in the announcement of another literal.
            self._skipped += len(self._taken(max(0, len(self._buffer) - TAIL)))
            self._searched = len(self._buffer)
            return Signal.NEED_DATA
        self._skipped += end + 1
        announced = LiteralAnnouncement.in_tail(self._taken(end + 1).rstrip(b"\r\n"))
        if announced is None or announced.waits:
            return self._skipped_all()
        self._awaited = announced.size
        if self._skipped + self._awaited > self._skipped_max:
            return self._end("A literal is too large", Code.LIMIT)
        return None

    def _skipped_all(self) -> Event:
        if self._limits.session is not None:
            self._before_login += self._skipped
        event = self._after_skip
        self._next_command()
        return event

    # -- other lines, and the end -----------------------------------------------------------------

    def _raw(self) -> Event | None:
        end = self._buffer.find(b"\n", self._searched)
        if end < 0 and len(self._buffer) < self._limits.line:
            self._searched = len(self._buffer)
            return Signal.NEED_DATA
        if end < 0 or end >= self._limits.line:
            return self._end("The line is too long", Code.LIMIT)
        line = self._taken(end + 1)
        self._next_command()
        return self._spent(end + 1) or RawLine(line[:-1].removesuffix(b"\r"))

    def _end(self, text: str, code: str | None = None) -> Event:
        self._next_command()
        self._mode = _Mode.DEAD
        self._buffer.clear()
        return Bye(text, code)


# One table for all: a Wire that held its own methods would refer to itself, and what a client typed would
# stay in memory after the connection, until the collector of cycles runs.
_STEPS: dict[_Mode, Callable[[Wire], Event | None]] = {
    _Mode.LINE: Wire._line,
    _Mode.LITERAL: Wire._literal,
    _Mode.MESSAGE: Wire._message,
    _Mode.SKIP: Wire._skip,
    _Mode.RAW: Wire._raw,
    _Mode.DEAD: lambda wire: Signal.NEED_DATA,
}
