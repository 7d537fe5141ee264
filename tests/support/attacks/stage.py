"""What every attack player is given: whom to knock at, as whom, how much, and until when.

Invariants: a player opens its connections through the stage, from an address of its own; it rests between
rounds, so that it is the attack that is measured and not the attacker's share of the processor; whatever is
said to it, or not said, is counted and ends one round only.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field

from mssante.demo.operator import HOST
from tests.support.imap.client import Answer, Closed, ImapClient, Line, parsed
from tests.support.smtp.house import Talk

ROUND_SECONDS_MAX = 120
KINDS_HEARD_MAX = 12
_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


@dataclass(frozen=True, slots=True)
class Ports:
    """One process of the operator."""

    relay: int
    submission: int
    imaps: int


@dataclass(frozen=True, slots=True)
class Peer:
    """A listed operator, as its attackers have it."""

    chain_file: str
    key_file: str
    sender: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that the players know, as plain values: they play in a process of their own. `strength` 1 is the
    attack as it was seen; less makes fewer connections and smaller letters. `home`: the address where the
    good people sit; `victims`: whose passwords are guessed, the good doctor first."""

    hosts: tuple[Ports, ...]
    anchors: str
    peers: dict[str, Peer]
    passwords: dict[str, str]
    domain: str
    recipient: str
    victims: tuple[str, ...]
    home: str
    silent_domains: tuple[str, ...]
    silent_port: int
    slow_domains: tuple[str, ...]
    slow_port: int
    strength: float = 1.0

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Scene:
        told = json.loads(text)
        told["hosts"] = tuple(Ports(**each) for each in told["hosts"])
        told["peers"] = {name: Peer(**each) for name, each in told["peers"].items()}
        for name in ("victims", "silent_domains", "slow_domains"):
            told[name] = tuple(told[name])
        return cls(**told)


@dataclass(slots=True)
class Tally:
    """What one attack did, and what it heard."""

    made: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)

    def hear(self, what: str | Answer) -> None:
        """Counts an answer by its beginning: the codes of SMTP, the status and code of IMAP."""
        if isinstance(what, Answer):
            code = (what.code or "").partition(" ")[0]
            kind = f"{what.status} [{code}]" if code else what.status
        else:
            reply = re.match(r"\d{3}(?:[ -]\d\.\d\.\d+)?", what)
            kind = reply[0].replace("-", " ") if reply else what[:30] or "closed"
        if kind not in self.heard and len(self.heard) >= KINDS_HEARD_MAX:
            kind = "and others"
        self.heard[kind] += 1

    def most(self, what: str, number: int) -> None:
        """Keeps the largest number."""
        self.made[what] = max(self.made[what], number)

    @contextlib.contextmanager
    def trouble(self) -> Iterator[None]:
        """What an attacker must expect is counted: refused, cut, not answered."""
        try:
            yield
        except Declined as declined:
            self.hear(str(declined))
        except TimeoutError:
            self.heard["silence"] += 1
        except (OSError, EOFError, Closed):  # ssl.SSLError is an OSError
            self.heard["cut"] += 1


class Declined(Exception):
    """The server said something else than what the next step needs."""


class Stage:
    """The scene, set up in the players' process. `stop` is set when they are told to stop."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.stop = asyncio.Event()
        self._turns: Counter[str] = Counter()
        self.anybody = _context()
        self._peers = {name: _context(peer) for name, peer in scene.peers.items()}

    def many(self, number: int, least: int = 1) -> int:
        """So many, at full strength."""
        return max(least, round(number * self.scene.strength))

    def port(self, name: str) -> int:
        """That port of each process of the operator in turn."""
        self._turns[name] += 1
        found: int = getattr(self.scene.hosts[self._turns[name] % len(self.scene.hosts)], name)
        return found

    async def rest(self, seconds: float) -> None:
        """Ends early when the players are told to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stop.wait()

    async def rounds(
        self, tally: Tally, one: Callable[[], Awaitable[None]], *, every: float, at_once: int = 1
    ) -> None:
        """Plays `one` again and again, `at_once` times at once, and rests `every` seconds behind each."""

        async def player(number: int) -> None:
            await self.rest(every * number / at_once)
            while not self.stop.is_set():
                with tally.trouble():
                    async with asyncio.timeout(ROUND_SECONDS_MAX):
                        await one()
                await self.rest(every)

        await asyncio.gather(*(player(number) for number in range(at_once)))

    # Ways in

    @asynccontextmanager
    async def connected(
        self, port: int, here: str, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection from `here`, any address of 127.0.0.0/8; reset at the end."""
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(
                HOST,
                port,
                ssl=tls,
                server_hostname="localhost" if tls else None,
                local_addr=(here, 0),
                limit=2**24,
            )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def relayed(self, peer: str, here: str) -> AsyncIterator[Talk]:
        """A session of `peer` on port 25, past STARTTLS and EHLO."""
        async with self.connected(self.port("relay"), here) as (reader, writer):
            talk = Talk(reader, writer)
            await self._secured(talk, self._peers[peer])
            yield talk

    @asynccontextmanager
    async def submitting(self, person: str, here: str) -> AsyncIterator[Talk]:
        """A session of `person` on port 587, signed in."""
        async with self.connected(self.port("submission"), here) as (reader, writer):
            talk = Talk(reader, writer)
            await self._secured(talk, self.anybody)
            plain = f"\0{person}\0{self.scene.passwords[person]}".encode()
            writer.write(b"AUTH PLAIN " + base64.b64encode(plain) + b"\r\n")
            expect("235", await _patient(talk))
            yield talk

    async def _secured(self, talk: Talk, context: ssl.SSLContext) -> None:
        expect("220", await talk.reply())
        expect("250", await talk.ask("EHLO poste.test"))
        expect("220", await talk.ask("STARTTLS"))
        async with asyncio.timeout(30):
            await talk.writer.start_tls(context, server_hostname="localhost")
        expect("250", await talk.ask("EHLO poste.test"))

    @asynccontextmanager
    async def greeted(self, here: str) -> AsyncIterator[ImapClient]:
        """A session on port 993, before its login."""
        async with self.connected(self.port("imaps"), here, self.anybody) as (reader, writer):
            client = ImapClient(reader, writer)
            client.greeting = await client.line()
            yield client

    @asynccontextmanager
    async def reading(self, person: str, here: str, folder: str = "INBOX") -> AsyncIterator[ImapClient]:
        """A session of `person` on port 993, with that folder open."""
        async with self.greeted(here) as client:
            for command in (f'LOGIN "{person}" "{self.scene.passwords[person]}"', f"SELECT {folder}"):
                answer = await client.ask(command)
                if answer.status != "OK":
                    raise Declined(f"{answer.status} [{answer.code}]")
            yield client


def expect(beginning: str, reply: str) -> None:
    """Raises Declined for another reply."""
    if not reply.startswith(beginning):
        raise Declined(reply)


async def patiently(client: ImapClient, tag: str, seconds: float) -> Answer:
    """The answer to a command that may take longer than the client waits for a line."""
    lines: list[Line] = []
    async with asyncio.timeout(seconds):
        while True:
            raw = await client.reader.readuntil(b"\r\n")
            while announced := _LITERAL.search(raw):
                raw += await client.reader.readexactly(int(announced[1]))
                raw += await client.reader.readuntil(b"\r\n")
            line = parsed(raw)
            if line.tag == tag:
                return Answer(line.name, line.code, line.text, lines)
            lines.append(line)


async def _patient(talk: Talk) -> str:
    """A reply that may take a while: passwords wait for their turn."""
    async with asyncio.timeout(60):
        return (await talk.reader.readline()).decode("latin-1")


def _context(peer: Peer | None = None) -> ssl.SSLContext:
    """An attacker does not check whom it talks to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if peer is not None:
        context.load_cert_chain(peer.chain_file, peer.key_file)
    return context
