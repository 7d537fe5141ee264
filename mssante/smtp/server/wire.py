"""The reader and the writer that aiosmtpd uses, over a Stream, with limits on size, time and errors.

Invariants: a command line is handed on only if it is printable ASCII of bounded length that ends with CRLF;
every wait has a deadline; the replies to pipelined commands are sent together; a session that only makes
errors or stays idle is closed.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import NoReturn

from mssante import limits
from mssante.net.endings import Stopping
from mssante.net.stream import Stream
from mssante.reasons import Passing, Reason, Refused
from mssante.smtp.grammar import replies
from mssante.words.reply import Reply
from mssante.words.smtp import smtp_answer

_CLEAN = re.compile(rb"[ -~]*\r\n")


class Hangup(ConnectionResetError):
    """The session is over and its last reply has been sent. `args[0]` is the cause, for the event.

    It is a ConnectionResetError because that makes aiosmtpd's loop end without sending anything more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What one session may cost (attack catalogue R1, R5, R7, R9)."""

    command_octets_max: int = limits.COMMAND_LINE_OCTETS_MAX
    recipients_max: int = limits.RECIPIENTS_MAX
    unknown_recipients_max: int = limits.UNKNOWN_RECIPIENTS_MAX
    errors_max: int = limits.SESSION_ERRORS_MAX
    junk_max: int = limits.SESSION_JUNK_MAX
    commands_without_mail_max: int = limits.SESSION_COMMANDS_WITHOUT_MAIL_MAX
    greeting_seconds: float = limits.GREETING_SECONDS_MAX
    command_seconds: float = limits.COMMAND_SECONDS_MAX
    session_seconds: float = limits.SESSION_SECONDS_MAX
    data_octets_per_second_min: float = limits.DATA_OCTETS_PER_SECOND_MIN
    data_credit_seconds: float = limits.DATA_CREDIT_SECONDS
    message_octets_max: int = limits.MESSAGE_OCTETS_MAX


class ServerWire:
    """Takes the place of both StreamReader (`readuntil`, `readline`) and StreamWriter (`write`, `drain`,
    `close`) for aiosmtpd, and has the methods that the guard needs. It serves one session, before TLS and
    inside it."""

    def __init__(self, stream: Stream, session: SessionLimits) -> None:
        self.stream = stream
        self.greeted = False
        self.commands = 0
        self._limits = session
        self._clock = asyncio.get_running_loop().time
        self._begun = self._clock()
        self._buffer = b""
        self._at = 0
        self._out: list[bytes] = []
        self._errors = 0
        self._junk = 0
        self._commands = 0  # since the last message
        self._unknown_recipients = 0
        self._cut: tuple[Reply, str] | None = None

    # What aiosmtpd reads

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """The next well-formed command line. A malformed one is answered here and counted as an error."""
        deadline = self._clock() + self._limits.command_seconds
        if not self.greeted:
            deadline = min(deadline, self._begun + self._limits.greeting_seconds)
        deadline = min(deadline, self._begun + self._limits.session_seconds)
        while True:
            end = self._buffer.find(separator, self._at)
            if end < 0:
                if len(self._buffer) - self._at > self._limits.command_octets_max:
                    # R1: we do not wait for the end of a line that is already too long.
                    await self.hang_up(replies.LINE_TOO_LONG, "line too long")
                await self._more(deadline)
                continue
            line = self._buffer[self._at : end + 1]
            self._at = end + 1
            if self._at == len(self._buffer):
                self.give_back(b"")  # the line may hold a password: it is not kept until the next one comes
            if len(line) > self._limits.command_octets_max:
                await self.say(replies.LINE_TOO_LONG)
            elif _CLEAN.fullmatch(line) is None:
                await self.say(replies.LINE_MALFORMED)
            else:
                return line

    readline = readuntil

    # What aiosmtpd writes

    def write(self, octets: bytes) -> None:
        self._out.append(octets)

    async def drain(self) -> None:
        """Does nothing: replies are sent once no received command is left to handle (RFC 2920 §3.2)."""

    def close(self) -> None:
        self.stream.close()

    # What the guard adds

    @property
    def pending(self) -> bool:
        """Whether the client has sent octets that have not been read yet."""
        return self._at < len(self._buffer) or self.stream.pending

    async def say(self, reply: Reply) -> None:
        """Sends a reply, and counts it as an error if it refuses. Raises Hangup after too many errors."""
        self.write(f"{reply}\r\n".encode("ascii"))
        if reply.refuses and reply.code != 421 and reply != TOO_MANY_RECIPIENTS:
            self._errors += 1
            if self._errors >= self._limits.errors_max:
                await self.hang_up(_TOO_MANY_ERRORS, "too many errors")

    async def count_command(self, verb: str) -> None:
        """Counts one command. Raises Hangup after too many commands without a message."""
        self.commands += 1
        self._commands += 1
        self._junk += verb in ("NOOP", "RSET", "EHLO", "HELO")
        if self._junk > self._limits.junk_max or self._commands > self._limits.commands_without_mail_max:
            await self.hang_up(_TOO_MANY_ERRORS, "too many commands without mail")

    async def count_unknown_recipient(self) -> None:
        """Raises Hangup when the client seems to be guessing addresses (R5). Unlike the other counts, this
        one is not reset by a message that was taken."""
        self._unknown_recipients += 1
        if self._unknown_recipients > self._limits.unknown_recipients_max:
            await self.hang_up(_TOO_MANY_ERRORS, "too many unknown recipients")

    def forgive_errors(self) -> None:
        """Resets the counts of errors and commands, after a message that was taken."""
        self._errors = self._junk = self._commands = 0

    async def hang_up(self, reply: Reply, cause: str) -> NoReturn:
        """Sends the last reply of the session, then raises Hangup."""
        self.write(f"{reply}\r\n".encode("ascii"))
        await self.flush()
        raise Hangup(cause)

    def cut(self, reply: Reply, cause: str) -> None:
        """Ends the session with this last reply: at once if another task waits for the client to send, else
        when it would next wait."""
        self._cut = reply, cause
        self.stream.wait_no_longer()

    async def flush(self) -> None:
        """Sends the replies that are waiting. Raises ConnectionResetError when the client is gone."""
        if self._out:
            self.stream.write(b"".join(self._out))
            self._out.clear()
        await self.stream.drain()

    async def read_content(self, seconds: float) -> bytes:
        """The next octets of content. Raises Hangup at the end of the connection or after `seconds`."""
        if self._at >= len(self._buffer):
            await self._more(min(self._clock() + seconds, self._begun + self._limits.session_seconds))
        taken = self._buffer[self._at :]
        self._buffer, self._at = b"", 0
        return taken

    def give_back(self, octets: bytes) -> None:
        """Puts back what was read behind the end of the content."""
        self._buffer, self._at = octets, 0

    def forget(self) -> None:
        """Drops what was read and not handled, and what was not sent. The session has ended."""
        self.give_back(b"")
        self._out.clear()

    async def _more(self, deadline: float) -> None:
        await self.flush()
        if self._cut is not None:
            await self.hang_up(*self._cut)
        try:
            block = await self.stream.read(max(deadline - self._clock(), 0))
        except TimeoutError:
            await self.hang_up(*(self._cut or (_TOO_SLOW, "too slow")))
        except Stopping:
            await self.hang_up(_SHUTTING_DOWN, "shutting down")
        if not block:
            raise Hangup("the far side left")
        self._buffer = self._buffer[self._at :] + block
        self._at = 0


_TOO_MANY_ERRORS = smtp_answer(Refused(Reason.TOO_MANY_ERRORS))
_TOO_SLOW = smtp_answer(Refused(Reason.TOO_SLOW))
_SHUTTING_DOWN = smtp_answer(Passing(Reason.SHUTTING_DOWN))
TOO_MANY_RECIPIENTS = smtp_answer(Passing(Reason.TOO_MANY_RECIPIENTS))
