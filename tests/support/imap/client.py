"""A raw IMAP client that believes nothing: every response is read by a strict parser of its own.

It shares no code with the server. A response that breaks the grammar of RFC 3501 §9 fails the test that
met it, whatever the test was about.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from typing import Any

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\]]+')  # backslash may begin a flag
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')  # RFC 3501 §9: an atom that may hold "]"
_LABEL = re.compile(rb'(?:BODY|BINARY|BINARY\.SIZE)\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*+\](<\d+>)?')
_STATUSES = {"OK", "NO", "BAD", "BYE", "PREAUTH"}
_WAIT_SECONDS = 20


class Atom(str):
    """What was written without quotes."""


@dataclass(frozen=True)
class Line:
    """One response. Of `* 3 FETCH (UID 7)`: number 3, name FETCH, values [[Atom UID, Atom 7]]. Of a status
    response: name OK, NO …, `code` and `text`. `tag` is `*`, `+` or the command's."""

    tag: str
    raw: bytes
    name: str = ""
    number: int | None = None
    values: list[Any] = field(default_factory=list)
    code: str | None = None
    text: str = ""

    def items(self) -> dict[str, Any]:
        """A FETCH's or STATUS's pairs."""
        flat = self.values[-1]
        assert len(flat) % 2 == 0, self.raw
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        assert len({name.upper() for name, _ in pairs}) == len(pairs), f"an item twice: {self.raw!r}"
        return {str(name).upper(): value for name, value in pairs}


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what was said before."""

    status: str
    code: str | None
    text: str
    lines: list[Line]

    def named(self, name: str) -> list[Line]:
        return [line for line in self.lines if line.name == name]

    def one(self, name: str) -> Line:
        (line,) = self.named(name)
        return line

    def fetched(self) -> dict[int, dict[str, Any]]:
        """FETCH responses by sequence number, several about one message joined."""
        found: dict[int, dict[str, Any]] = {}
        for line in self.named("FETCH"):
            assert line.number is not None
            found.setdefault(line.number, {}).update(line.items())
        return found

    def numbers(self, name: str = "SEARCH") -> list[int]:
        return [int(value) for value in self.one(name).values]

    def codes(self) -> dict[str, str]:
        """Response codes of untagged OKs, and of the end: UIDVALIDITY to 5."""
        texts = [line.code for line in self.lines if line.code] + ([self.code] if self.code else [])
        return {text.partition(" ")[0]: text.partition(" ")[2] for text in texts}


class Closed(Exception):
    """The server has closed the connection."""


class Malformed(AssertionError):
    """The server broke the grammar."""


class ImapClient:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting: Line
        self._tags = 0
        self.utf8 = False  # after ENABLE IMAP4rev2: quoted strings may hold UTF-8 (RFC 9051 §4.3)

    @classmethod
    async def open(
        cls, port: int, tls: ssl.SSLContext | None = None, *, here: str | None = None
    ) -> ImapClient:
        """Connected, the greeting read. With `tls` the port is TLS from the first octet. `here` is our own
        address: any of 127.0.0.0/8."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=tls,
            server_hostname="localhost" if tls else None,
            limit=2**24,
            local_addr=(here, 0) if here else None,
        )
        client = cls(reader, writer)
        client.greeting = await client.line()
        return client

    async def start_tls(self, tls: ssl.SSLContext) -> None:
        assert (await self.ask("STARTTLS")).status == "OK"
        await self.writer.start_tls(tls, server_hostname="localhost")

    async def login(self, user: str, password: str) -> Answer:
        answer = await self.ask(f'LOGIN "{user}" "{password}"')
        assert answer.status == "OK", answer
        return answer

    async def ask(self, command: str | bytes, *literals: bytes) -> Answer:
        """A command and its answer. Each `\\n` in `command` stands for the next literal, synchronising."""
        tag = self.next_tag()
        octets = command.encode() if isinstance(command, str) else command
        pieces = octets.split(b"\n")
        await self.send(tag.encode() + b" " + pieces[0])
        lines: list[Line] = []
        for literal, piece in zip(literals, pieces[1:], strict=True):
            await self.send(b"{%d}\r\n" % len(literal))
            while (line := await self.line()).tag == "*":
                lines.append(line)
            if line.tag == tag:
                return Answer(line.name, line.code, line.text, lines)
            await self.send(literal + piece)
        await self.send(b"\r\n")
        return await self.answer(tag, lines)

    async def answer(self, tag: str, lines: list[Line] | None = None) -> Answer:
        """Everything up to the tagged line."""
        lines = [] if lines is None else lines
        while (line := await self.line()).tag != tag:
            assert line.tag == "*", f"{line.raw!r} while waiting for {tag}"
            lines.append(line)
        assert line.name in ("OK", "NO", "BAD"), line.raw
        return Answer(line.name, line.code, line.text, lines)

    async def ok(self, command: str | bytes, *literals: bytes) -> Answer:
        answer = await self.ask(command, *literals)
        assert answer.status == "OK", (command, answer.status, answer.code, answer.text)
        return answer

    def next_tag(self) -> str:
        self._tags += 1
        return f"t{self._tags}"

    async def send(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def line(self) -> Line:
        """The next response, whole, its literals inside."""
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                return parsed(await self._raw(), utf8=self.utf8)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            raise Closed from None

    async def _raw(self) -> bytes:
        raw = b""
        while True:
            raw += await self.reader.readuntil(b"\r\n")
            announced = _LITERAL.search(raw)
            if announced is None or raw.startswith((b"+ ", b"* OK", b"* NO", b"* BAD", b"* BYE")):
                return raw
            raw += await self.reader.readexactly(int(announced[1]))

    async def to_the_end(self) -> list[Line]:
        """What is said until the server closes."""
        found = []
        try:
            while True:
                found.append(await self.line())
        except Closed:
            return found

    def close(self) -> None:
        self.writer.transport.abort()


def parsed(raw: bytes, *, utf8: bool = False) -> Line:
    """One response. Raises Malformed."""
    return _Parser(raw, utf8=utf8).line()


class _Parser:
    def __init__(self, raw: bytes, *, utf8: bool = False) -> None:
        self.raw = raw
        self.at = 0
        self.utf8 = utf8

    def line(self) -> Line:
        tag = self._tag()
        if tag == "+":
            self._require(self.raw[1:2] == b" ")
            return Line("+", self.raw, text=self.raw[2:-2].decode("ascii"))
        self._space()
        word = self._word()
        if word.isdigit() and tag == "*":
            self._space()
            return Line(tag, self.raw, self._word().upper(), int(word), self._values())
        if word.upper() in _STATUSES:
            return self._status(tag, word)
        self._require(tag == "*")
        # RFC 5256 §5: threads follow one another without a space.
        return Line(tag, self.raw, word.upper(), None, self._values(adjacent=word.upper() == "THREAD"))

    def _status(self, tag: str, word: str) -> Line:
        self._space()
        rest = self.raw[self.at : -2]
        self._require(re.fullmatch(rb"[\x20-\x7e]+", rest) is not None)
        found = re.fullmatch(rb"\[([^\]]+)\] (.+)", rest)
        self._require(found is not None or not rest.startswith(b"["))
        code, text = (found[1].decode(), found[2]) if found else (None, rest)
        return Line(tag, self.raw, word, None, [], code, text.decode())

    def _values(self, *, adjacent: bool = False) -> list[Any]:
        found: list[Any] = []
        while self.raw[self.at : self.at + 2] != b"\r\n":
            if not (adjacent and found):
                self._space()
            found.append(self._value())
        self._require(self.at + 2 == len(self.raw))
        return found

    def _value(self) -> Any:
        here = self.raw[self.at : self.at + 1]
        if here == b"(":
            return self._list()
        if here == b'"':
            return self._quoted()
        if here in (b"{", b"~"):
            return self._literal()
        label = _LABEL.match(self.raw, self.at)
        if label:
            # The field names inside may be quoted; that is spelling, not meaning.
            self.at = label.end()
            return Atom(label.group().decode())
        word = self._word()
        return None if word == "NIL" else Atom(word)

    def _list(self) -> list[Any]:
        self.at += 1
        found: list[Any] = []
        while self.raw[self.at : self.at + 1] != b")":
            # RFC 3501 §9: addresses and multipart bodies follow one another without a space.
            if found and not (isinstance(found[-1], list) and self.raw[self.at : self.at + 1] == b"("):
                self._space()
            found.append(self._value())
        self.at += 1
        return found

    def _quoted(self) -> bytes:
        found = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"').match(self.raw, self.at)
        self._require(found is not None)
        assert found is not None
        self.at = found.end()
        self._require(self.utf8 or found[1].isascii())
        found[1].decode("utf-8")
        return re.sub(rb"\\(.)", rb"\1", found[1])

    def _literal(self) -> bytes:
        found = re.compile(rb"~?\{(\d+)\}\r\n").match(self.raw, self.at)
        self._require(found is not None)
        assert found is not None
        self.at = found.end() + int(found[1])
        octets = self.raw[found.end() : self.at]
        # RFC 3516 §4.3: octets with a NUL are a literal8, and only those.
        self._require((b"\0" in octets) is (self.raw[found.start() : found.start() + 1] == b"~"))
        return octets

    def _tag(self) -> str:
        if self.raw[:1] in (b"*", b"+"):
            self.at = 1
            return self.raw[:1].decode("ascii")
        found = _TAG.match(self.raw)
        self._require(found is not None)
        assert found is not None
        self.at = found.end()
        return found.group().decode("ascii")

    def _word(self) -> str:
        found = _ATOM.match(self.raw, self.at)
        if self.raw[self.at : self.at + 1] == b"*":
            self.at += 1
            return "*"
        if self.raw[self.at : self.at + 2] == b"\\*":
            self.at += 2
            return "\\*"
        self._require(found is not None)
        assert found is not None
        self.at = found.end()
        return found.group().decode("ascii")

    def _space(self) -> None:
        self._require(self.raw[self.at : self.at + 1] == b" ")
        self.at += 1

    def _require(self, condition: bool) -> None:
        if not condition:
            raise Malformed(f"at {self.at}: {self.raw[:2000]!r}")
