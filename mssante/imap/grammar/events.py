"""The events by which `Wire` tells its owner what has come from the client, one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from mssante.flags import FlagList
from mssante.imap.grammar.append_syntax import Replaced
from mssante.imap.grammar.commands import Request
from mssante.imap.grammar.responses import ResponseStatus


class Signal(Enum):
    """Events without a value."""

    NEED_DATA = "need data"  # nothing more until receive_data
    CONTINUE = "continue"  # write `responses.continuation()`: the client waits to send a literal
    LITERAL_END = "literal end"  # the message of an APPEND is complete; it is not accepted yet


@dataclass(frozen=True, slots=True)
class Rejected:
    """A command that was not understood, or exceeds a limit: answer it and go on. Without a tag the answer is
    untagged. Inside an APPEND it ends the APPEND, and none of its messages may be kept. `unsaves`: forget
    what an earlier SEARCH has saved (RFC 5182 §2.1)."""

    tag: str | None
    status: ResponseStatus
    text: str
    code: str | None = None
    unsaves: bool = False


@dataclass(frozen=True, slots=True)
class Bye:
    """The conversation cannot go on: say BYE and close. No event follows."""

    text: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class RawLine:
    """The line that `Wire.expect_line` asked for, without CRLF."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class AppendStart:
    """A message is announced (RFC 3501 §6.3.11): call `Wire.accept` or `Wire.refuse`.

    `index` counts the messages of one command from 0 (RFC 3502). `size` is in octets; `octets8` when the
    client says that NUL may be among them (RFC 3516 §4.4); with `replaced` it is a REPLACE (RFC 8508), of
    one message only."""

    tag: str
    mailbox: str
    flags: FlagList
    date: datetime | None
    size: int
    index: int
    octets8: bool = False
    replaced: Replaced | None = None


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """The next octets of the message. Where one chunk ends and the next begins has no meaning."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class AppendEnd:
    """The APPEND command is complete and well formed: keep its messages and answer `tag`."""

    tag: str


@dataclass(frozen=True, slots=True)
class AppendRefused:
    """The refused APPEND has been read to its end: answer `tag` now."""

    tag: str


Event = (
    Signal | Request | Rejected | Bye | RawLine | AppendStart | LiteralChunk | AppendEnd | AppendRefused
)  # fmt: skip
