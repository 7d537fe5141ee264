"""Address lists (RFC 5322 §3.4), read into the shape that IMAP's ENVELOPE has (RFC 3501 §7.4.2).

Invariants: never raises; iterative and linear, whatever the nesting of comments or groups; at most
MIME_ADDRESSES_MAX entries are read from one field, and no more than a Reading allows from all fields of a
message together. Encoded words are left as written.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mssante import limits
from mssante.mime import encoded_words
from mssante.mime.header import end_of_comment, unescaped

_TOKEN = re.compile(
    rb'\s++|"((?:[^"\\]|\\.)*+)"?|(\[[^\]\\]*+\]?)|([<>@,;:()])|((?:[^\s"\[<>@,;:()\\]|\\.)++)|.', re.DOTALL
)
# The common case: one address in angle brackets, perhaps with a name of plain words before it. The reader
# below would give the same result, in five times the time.
_WORD = rb'[^\s"\[<>@,;:()\\]++'
_PLAIN_PATTERN = rb"(?:(%b(?: %b)*+) ?+)?+<(%b)@(%b)>" % (_WORD, _WORD, _WORD, _WORD)
_PLAIN = re.compile(_PLAIN_PATTERN)
_PLAIN_IN_LIST = re.compile(rb"\s*+%b(?:,|\Z)" % _PLAIN_PATTERN)


class AddressEntry(NamedTuple):
    """One address: display name, source route, local part, domain. A group opens with `host` None and its
    name in `mailbox`, and closes with all four None (RFC 3501 §7.4.2)."""

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None

    @property
    def address(self) -> str | None:
        """`local@domain` as text; None for a group's edge or an entry without a domain."""
        if not self.mailbox or not self.host:
            return None
        return f"{encoded_words.decode(self.mailbox)}@{encoded_words.decode(self.host)}"


_GROUP_END = AddressEntry(None, None, None, None)


class Reading:
    """How much may still be read of one message's address fields. It counts pieces, which cost about the same
    whatever a sender writes: a word or a sign, or so many octets of something long. `is_cut` says that some
    addresses were not read."""

    __slots__ = ("is_cut", "pieces_left")

    def __init__(self, pieces_max: int = limits.MIME_ADDRESS_PIECES_MAX) -> None:
        self.pieces_left = pieces_max
        self.is_cut = False


class _AddressReader:
    """Reads one field in one pass. An entry is added to `entries` at the end of each address."""

    def __init__(self, value: bytes, reading: Reading, *, quick: bool = True) -> None:
        self.value = value
        self.reading = reading
        self.quick = quick
        self.position = 0
        self.entries: list[AddressEntry] = []
        self.in_group = False
        self._clear()

    def _clear(self) -> None:
        self.pieces: list[bytes] = []  # outside angle brackets: a display name, or a bare address
        self.gap = False  # a blank or a comment stands before the next word
        self.at: int | None = None  # index in `pieces` where a bare address's domain begins
        self.comment: bytes | None = None
        self.angle: AddressEntry | None = None

    def read(self) -> tuple[AddressEntry, ...]:
        begins = self.quick
        while self._may_go_on() and len(self.entries) < limits.MIME_ADDRESSES_MAX:
            if begins and self._read_plain():
                continue
            token = self._next()
            if token[3] is not None:
                self._special(token[3])
            elif (word := _word(token)) is not None:
                if self.gap and self.pieces and self.at is None:
                    self.pieces.append(b" ")
                self.pieces.append(word)
                self.gap = False
            else:
                self.gap = True
            begins = self.quick and token[3] in (b",", b":", b";")
        self.reading.is_cut |= self.position < len(self.value)
        self._finish()
        if self.in_group:
            self.entries.append(_GROUP_END)
        return tuple(self.entries)

    def _may_go_on(self) -> bool:
        return self.position < len(self.value) and self.reading.pieces_left > 0

    def _read_plain(self) -> bool:
        """Reads an address of the common shape that is followed by a comma or the end, if one is next."""
        if self.pieces or self.at is not None or self.comment is not None or self.angle is not None:
            return False  # a colon within a group, which ends nothing
        plain = _PLAIN_IN_LIST.match(self.value, self.position)
        if plain is None:
            return False
        self.entries.append(AddressEntry(plain[1], None, plain[2], plain[3]))
        self._pass(plain.end())
        return True

    def _next(self) -> re.Match[bytes]:
        token = _TOKEN.match(self.value, self.position)
        assert token is not None, "the last alternative takes any octet"
        self._pass(token.end())
        return token

    def _pass(self, position: int, octets_per_piece: int = limits.MIME_ADDRESS_PIECE_OCTETS) -> None:
        """Goes on to `position`."""
        self.reading.pieces_left -= 1 + (position - self.position) // octets_per_piece
        self.position = position

    def _special(self, special: bytes) -> None:
        match special:
            case b",":
                self._finish()
            case b"(":
                self.comment = self._skip_comment() or self.comment
                self.gap = True
            case b"<":
                self.angle = self._read_angle()
            case b"@" if self.at is None:
                self.at = len(self.pieces)
            case b":" if not self.in_group:
                self.entries.append(AddressEntry(None, None, b"".join(self.pieces), None))
                self.in_group = True
                self._clear()
            case b";":
                self._finish()
                if self.in_group:
                    self.entries.append(_GROUP_END)
                    self.in_group = False

    def _finish(self) -> None:
        if self.angle is not None:
            name = b"".join(self.pieces) or self.comment
            self.entries.append(AddressEntry(name, self.angle.route, self.angle.mailbox, self.angle.host))
        elif self.pieces:
            at = len(self.pieces) if self.at is None else self.at
            mailbox, host = b"".join(self.pieces[:at]), b"".join(self.pieces[at:])
            self.entries.append(AddressEntry(self.comment, None, mailbox, host))
        self._clear()

    def _skip_comment(self) -> bytes:
        """Goes past the comment that has just opened. Returns its text, which is the name in
        `address (Name)`."""
        start = self.position
        per_piece = limits.MIME_COMMENT_PIECE_OCTETS
        most = start + max(0, self.reading.pieces_left) * per_piece
        self._pass(end_of_comment(self.value, start, min(most, len(self.value))), per_piece)
        text = self.value[start : self.position]
        return unescaped(text.removesuffix(b")")).strip()

    def _read_angle(self) -> AddressEntry:
        """Reads `<…>`: an optional route, a local part, a domain (RFC 5322 §3.4 and §4.4)."""
        route: bytes | None = None
        local: list[bytes] = []
        host: list[bytes] = []
        part = local
        while self._may_go_on():
            before = self.position
            special = (token := self._next())[3]
            if special is None:
                part.append(_word(token) or b"")
            elif special == b">":
                break
            elif special == b"(":
                self._skip_comment()
            elif special == b"@":
                part = host
            elif local:  # the bracket was never closed: the next address begins here
                self.position = before
                break
            elif special == b":":
                route = b"@" + b"".join(host)
                host.clear()
                part = local
            elif special == b",":
                host.append(b",@")
        return AddressEntry(None, route, b"".join(local), b"".join(host))


def _word(token: re.Match[bytes]) -> bytes | None:
    if token[1] is not None:
        return unescaped(token[1])
    if token[2] is not None:
        return token[2]
    return unescaped(token[4]) if token[4] is not None else None


def parse(value: bytes, reading: Reading | None = None) -> tuple[AddressEntry, ...]:
    """The entries of an unfolded From, Sender, Reply-To, To, Cc or Bcc value, in order. All fields of one
    message are given the same `reading`."""
    reading = reading or Reading()
    if len(value) > limits.MIME_ADDRESS_OCTETS_MAX:
        value, reading.is_cut = value[: limits.MIME_ADDRESS_OCTETS_MAX], True
    elif plain := _PLAIN.fullmatch(value):
        return (AddressEntry(plain[1], None, plain[2], plain[3]),)
    return _AddressReader(value, reading).read()


def text(entries: tuple[AddressEntry, ...]) -> str:
    """The entries as people read them, for SEARCH: `Name <local@domain>, …`, decoded."""
    shown = []
    for entry in entries:
        if entry.mailbox is None:
            continue
        address = encoded_words.decode(entry.mailbox)
        if entry.host:
            address += "@" + encoded_words.decode(entry.host)
        shown.append(f"{encoded_words.decode(entry.name)} <{address}>" if entry.name else address)
    return ", ".join(shown)
