"""A known peer and a known doctor who go about their day, and how long each thing takes them.

Invariants: a letter's time runs from its first try to its 250, however often it was declined meanwhile; every
letter has a token (its Message-ID), and what was acknowledged is remembered until it has been found; nobody
is given up on before the end. A peer brings a letter again until it hears 250; what people submit has a new
token at each try, because nobody promises them that a letter submitted twice is one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from mssante.demo.operator import HOST, DemoLogin
from tests.support.imap.client import Closed, ImapClient
from tests.support.operators.mail_clients import deliver, note, peer_context, relay, user_context
from tests.support.operators.world import Operator, World
from tests.support.smtp.house import Talk

TRY_SECONDS_MAX = 60
AGAIN_SECONDS = 0.25
LETTERS_PER_SESSION = 5
READ_AT_ONCE = 10
LAG_SECONDS = 0.05
DELIVER, SUBMIT, SIGN_IN, READ = "peer delivers", "doctor submits", "doctor signs in", "doctor reads"
FIRST = "first of the day"  # a known person signs in, and the server has to look at the password
THINGS = (DELIVER, SUBMIT, SIGN_IN, READ, FIRST)
TROUBLE = (OSError, TimeoutError, EOFError, AssertionError, Closed)  # ssl.SSLError is an OSError


@dataclass(slots=True)
class Figures:
    """Seconds of each thing done, what was declined, and the tokens that were acknowledged."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in THINGS})
    declined: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in THINGS})
    lags: list[float] = field(default_factory=list)  # of these clients themselves: no server is waited for
    delivered: set[str] = field(default_factory=set)
    submitted: dict[str, float] = field(default_factory=dict)  # and when, by time.monotonic

    def percentile(self, name: str, share: float) -> float:
        return percentile(self.seconds[name], share)


def percentile(seconds: Sequence[float], share: float) -> float:
    """No time at all is as bad as can be."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("inf")


@dataclass(slots=True)
class _Session:
    """A peer's, kept for some letters."""

    talk: Talk | None = None
    letters: int = 0

    def end(self) -> None:
        if self.talk is not None:
            self.talk.abort()
        self.talk = None


class GoodTraffic:
    """`hosts`: the processes of one operator, used in turn. `peer`: whose certificate the peer shows;
    `home`: the address where the doctor sits; `colleagues`: to whom the doctor writes."""

    def __init__(
        self,
        world: World,
        hosts: Sequence[Operator],
        *,
        peer: tuple[str, str],
        doctor: DemoLogin,
        home: str,
        colleagues: Sequence[str],
    ) -> None:
        self._world = world
        self._hosts = itertools.cycle(hosts)
        self._leaf, self._sender = peer
        self._doctor = doctor
        self._home = home
        self._colleagues = colleagues
        self._peer_tls = peer_context(world, self._leaf)
        self._user_tls = user_context(world)
        self.figures = Figures()

    async def run(
        self,
        stopping: asyncio.Event,
        *,
        peers: int = 2,
        doctors: int = 2,
        first: Sequence[DemoLogin] = (),
        first_every: float = 1,
    ) -> Figures:
        """Until told to stop, and what is under way is done: the figures since the last run. The people of
        `first` sign in one after the other, for the first time since the server was started."""
        self.figures = Figures()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lag(stopping))
            for _ in range(peers):
                tasks.create_task(self._peer(stopping))
            for _ in range(doctors):
                tasks.create_task(self._at_work(stopping))
            for number, login in enumerate(first):
                tasks.create_task(self._first(login, stopping, first_every * (number + 0.5)))
        return self.figures

    async def _lag(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            began = time.monotonic()
            await asyncio.sleep(LAG_SECONDS)
            self.figures.lags.append(time.monotonic() - began - LAG_SECONDS)

    # The peer

    async def _peer(self, stopping: asyncio.Event) -> None:
        session = _Session()
        while not stopping.is_set():
            token = secrets.token_hex(12)
            letter = note(self._sender, [self._doctor.address], unique=token)
            if await self._until_done(DELIVER, partial(self._bring, session, letter), "250", stopping):
                self.figures.delivered.add(token)
            await asyncio.sleep(0.2)
        session.end()

    async def _bring(self, session: _Session, letter: bytes) -> str:
        """One try, in the session there is, or a new one."""
        kept = False
        try:
            if session.talk is None:
                host = next(self._hosts)
                session.talk = await relay(self._world, host, self._leaf, context=self._peer_tls)
            reply = await deliver(session.talk, self._sender, [self._doctor.address], letter)
            session.letters += 1
            kept = reply.startswith("250") and session.letters % LETTERS_PER_SESSION > 0
        finally:
            if not kept:
                session.end()
        return reply

    # The doctor

    async def _at_work(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self._until_done(SUBMIT, self._submit, "250", stopping)
            await asyncio.sleep(0.2)
            await self._read(stopping)
            await asyncio.sleep(0.2)

    async def _submit(self) -> str:
        """Port 587: sign in, one letter to every colleague."""
        token = secrets.token_hex(12)
        letter = note(self._doctor.address, self._colleagues, unique=token)
        reader, writer = await self._connection(next(self._hosts).ports[1])
        talk = Talk(reader, writer)
        try:
            assert (await talk.reply()).startswith("220")
            await talk.ask("EHLO poste.test")
            await talk.start_tls(self._user_tls)
            await talk.ask("EHLO poste.test")
            plain = f"\0{self._doctor.address}\0{self._doctor.password.value}".encode()
            reply = await talk.ask(f"AUTH PLAIN {base64.b64encode(plain).decode()}")
            if not reply.startswith("235"):
                return reply
            reply = await deliver(talk, self._doctor.address, self._colleagues, letter)
            if reply.startswith("250"):
                self.figures.submitted[token] = time.monotonic()
            return reply
        finally:
            talk.abort()

    async def _read(self, stopping: asyncio.Event) -> None:
        """Port 993: sign in, look at the newest letters and open the last."""
        opened: list[ImapClient] = []

        async def read() -> str:
            client = opened[-1]
            selected = await client.ok("SELECT INBOX")
            many = selected.one("EXISTS").number or 0
            if many:
                await client.ok(f"FETCH {max(1, many - READ_AT_ONCE)}:{many} (UID FLAGS ENVELOPE)")
                await client.ok(f"FETCH {many} (BODY.PEEK[])")
            return "OK"

        try:
            if await self._until_done(SIGN_IN, partial(self._sign_in, self._doctor, opened), "OK", stopping):
                await self._until_done(READ, read, "OK", stopping, tries=1)
        finally:
            for client in opened:
                client.close()

    async def _first(self, login: DemoLogin, stopping: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stopping.wait()
        opened: list[ImapClient] = []
        if not stopping.is_set():
            await self._until_done(FIRST, partial(self._sign_in, login, opened), "OK", stopping)
        for client in opened:
            client.close()

    async def _sign_in(self, login: DemoLogin, opened: list[ImapClient]) -> str:
        """Port 993: a new session, also if it is told no."""
        reader, writer = await self._connection(next(self._hosts).ports[4], self._user_tls)
        client = ImapClient(reader, writer)
        opened.append(client)
        client.greeting = await client.line()
        answer = await client.ask(f'LOGIN "{login.address}" "{login.password.value}"')
        if answer.status != "OK":
            client.close()
        return f"{answer.status} [{answer.code}]"

    async def sign_in_once(self, logins: Sequence[DemoLogin]) -> None:
        """Makes them known to the server, from where they sit."""
        for login in logins:
            opened: list[ImapClient] = []
            assert (await self._sign_in(login, opened)).startswith("OK")
            opened[0].close()

    # Both

    async def _until_done(
        self,
        name: str,
        one: Callable[[], Awaitable[str]],
        good: str,
        stopping: asyncio.Event,
        *,
        tries: int = 1000,
    ) -> bool:
        """Whether it was done in the end. What is not done when all stops counts with its time."""
        began = time.monotonic()
        done = False
        for _ in range(tries):
            try:
                async with asyncio.timeout(TRY_SECONDS_MAX):
                    reply = await one()
            except TROUBLE as trouble:
                reply = f"{type(trouble).__name__}"
            done = reply.startswith(good)
            if done:
                break
            self.figures.declined[name][reply[:30].split("\r")[0] or "cut"] += 1
            if stopping.is_set() and time.monotonic() - began > TRY_SECONDS_MAX:
                break
            await asyncio.sleep(AGAIN_SECONDS)
        self.figures.seconds[name].append(time.monotonic() - began)
        return done

    async def _connection(
        self, port: int, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            HOST,
            port,
            ssl=tls,
            server_hostname="localhost" if tls else None,
            local_addr=(self._home, 0),
            limit=2**24,
        )
