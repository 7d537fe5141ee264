"""Whatever is broken off, wherever: nothing that is shared stays taken.

Clients of all kinds begin conversations on all ports and vanish at a random octet, while the database fails
now and then. Afterwards every place, octet, turn, loan, promise and announcement must have been given back:
one that is left is taken for ever, and enough of them close the service to everybody.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from mssante.delivery.backends import RelayBackend, SubmissionBackend
from mssante.delivery.reception import Reception
from mssante.delivery.routing import Routing
from mssante.imap.server.port import ImapServer
from mssante.limits import IMAP_CONTENTS_SEARCHED_AT_ONCE, IMAP_SORTS_AT_ONCE
from mssante.model import Domain, MailboxId, MailboxKind
from mssante.net.listener import Listener
from mssante.net.places import Caps
from mssante.observe.events import Crashed
from mssante.reasons import Passing, Reason
from mssante.smtp.server.content import Commits
from mssante.store import MailboxRow, tables
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, imap_house, letter
from tests.support.operators.delivery_house import FakeDirectory
from tests.support.smtp.house import House, client_context, relay, space_of, submission, until

CAPS = Caps(per_address=1000, pre_tls_per_address=1000)
LETTERS = 30
CLIENTS, AT_ONCE = 240, 12
SENDER = "dr.b@operateur-b.test"
BODY = (
    b"From: %s\r\nMessage-ID: <1@x>\r\nSubject: x\r\n\r\n" % SENDER.encode() + (b"x" * 76 + b"\r\n") * 25_000
)  # 1.9 MiB
OURS = Domain.parse("operateur-a.test")


@dataclass
class Operator:
    """Four ports over one store."""

    imap: ImapHouse
    relay: House
    submissions: House
    commits: Commits
    marie: MailboxId
    failing: list[float]  # the share of transactions that fail now

    @property
    def listeners(self) -> list[Listener]:
        ours = self.imap.server, self.imap.implicit, self.relay.server, self.submissions.server
        return [each.listener for each in ours]


@asynccontextmanager
async def operator(folder: Path, chance: random.Random) -> AsyncIterator[Operator]:
    async with imap_house(folder, caps=CAPS, guessing_slowed=False) as imap:
        marie = await imap.mailbox()
        await imap.deliver(marie, *[letter() for _ in range(LETTERS)])
        queue = MailboxRow(
            id=MailboxId(b"q" * 16), address=None, kind=MailboxKind.QUEUE, created_at=0, quota_kib=None
        )
        await imap.store.accounts.add(queue, await imap.broker.create_mailbox(queue.identity))
        reception = Reception(
            store=imap.store, broker=imap.broker, queue=queue.id, clock=imap.clock, hostname="mss.a.test"
        )
        routing = Routing(
            domains=frozenset([OURS]),
            store=imap.store,
            broker=imap.broker,
            directory=FakeDirectory(),
            space=lambda: space_of("operator-b"),
        )
        commits, failing = Commits(), [0.0]
        transact = imap.database._writer._transact

        async def sometimes(fn: Callable[[Connection], Any], *, patience: float) -> Any:
            if chance.random() < failing[0]:
                raise Passing(Reason.STORAGE_UNAVAILABLE, "played")
            return await transact(fn, patience=patience)

        imap.database._writer._transact = sometimes
        incoming = RelayBackend(reception, routing)
        outgoing = SubmissionBackend(reception, routing, imap.broker)
        async with (
            relay(commits=commits, caps=CAPS, answered_by=incoming) as first,
            submission(commits=commits, caps=CAPS, implicit_tls=True, answered_by=outgoing) as second,
        ):
            yield Operator(imap, first, second, commits, marie, failing)


def append(size: int, *, more: bool = False) -> bytes:
    return b" {%d+}\r\n" % size + BODY[:size] + (b"" if more else b"\r\n")


LOGIN = f"a LOGIN {MARIE} {{{len(PASSWORD)}+}}\r\n{PASSWORD}\r\n".encode()
ROUND = b"".join(
    [
        b"b SELECT INBOX\r\n",
        b"c APPEND INBOX" + append(900_000, more=True) + append(400_000, more=True) + append(100_000),
        b"d SORT (SUBJECT) UTF-8 ALL\r\ne SEARCH BODY bonjour\r\nf THREAD REFERENCES UTF-8 ALL\r\n",
        b"g COPY 1:5 INBOX\r\nh FETCH 1:* (FLAGS BODY.PEEK[])\r\n",
        b"i STORE 1:3 +FLAGS (\\Seen x)\r\nj MOVE 1:2 INBOX\r\nk APPEND INBOX" + append(1_500_000),
        b"l IDLE\r\nDONE\r\nm CREATE x\r\nn RENAME x y\r\no DELETE y\r\n",
        b"p APPEND INBOX" + append(1_200_000, more=True) + append(50_000, more=True) + b" {9999999}\r\n",
    ]
)
RELAYED = [b"EHLO x", f"MAIL FROM:<{SENDER}>".encode(), f"RCPT TO:<{MARIE}>".encode(), b"DATA"]
SUBMITTED = [
    b"EHLO x",
    b"AUTH PLAIN " + base64.b64encode(f"\0{MARIE}\0{PASSWORD}".encode()),
    f"MAIL FROM:<{MARIE}>".encode(),
    b"RCPT TO:<dr.b@operateur-b.test>",
    b"DATA",
]


class Vanishing:
    """One client that goes away somewhere."""

    def __init__(self, chance: random.Random, operator: Operator) -> None:
        self._chance = chance
        self._operator = operator

    async def run(self) -> None:
        port = self._chance.choice([self._imap, self._imap, self._starttls, self._relay, self._submission])
        try:
            async with asyncio.timeout(20):
                await port()
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # it was cut, as it wished

    async def _imap(self) -> None:
        """Pipelines a round of commands, up to a random octet."""
        whole = LOGIN + ROUND
        cut = self._chance.choice([self._chance.randrange(len(whole)), self._chance.randrange(len(LOGIN))])
        await self._say(self._operator.imap.implicit.port, whole[:cut])

    async def _say(self, port: int, octets: bytes) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client_context(None), server_hostname="localhost"
        )
        try:
            writer.write(octets)
            if self._chance.random() < 0.7:
                await writer.drain()
                await self._read_a_little(reader)
        finally:
            writer.transport.abort()

    async def _starttls(self) -> None:
        """A handshake that is broken off, or pipelined in clear."""
        imap, smtp = self._operator.imap.server.port, self._operator.relay.port
        port, octets = self._chance.choice([(imap, b"a STARTTLS\r\n"), (smtp, b"EHLO x\r\nSTARTTLS\r\n")])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(octets + self._chance.choice([b"", b"\x16\x03\x01\x02\x00", b"b NOOP\r\n"]))
            await self._read_a_little(reader)
        finally:
            writer.transport.abort()

    async def _relay(self) -> None:
        talk = await self._operator.relay.secured("operator-b")
        await self._letter(talk.reader, talk.writer, RELAYED)

    async def _submission(self) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self._operator.submissions.port,
            ssl=client_context(None),
            server_hostname="localhost",
        )
        await reader.readline()
        await self._letter(reader, writer, SUBMITTED)

    async def _letter(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, commands: list[bytes]
    ) -> None:
        steps = self._chance.choice([len(commands), self._chance.randrange(len(commands) + 1)])
        try:
            for command in commands[:steps]:
                writer.write(command + b"\r\n")
                while (await reader.readuntil(b"\r\n"))[3:4] == b"-":
                    pass
            if steps == len(commands):
                size = self._chance.choice([0, self._chance.randrange(len(BODY)), len(BODY), len(BODY)])
                body = BODY if commands is RELAYED else BODY.replace(SENDER.encode(), MARIE.encode())
                writer.write(body[:size] + (b".\r\nRSET\r\nMAIL" if size == len(BODY) else b""))
                await writer.drain()
                await self._read_a_little(reader)
        finally:
            writer.transport.abort()

    async def _read_a_little(self, reader: asyncio.StreamReader) -> None:
        try:
            async with asyncio.timeout(self._chance.choice([0.0, 0.02, 0.2, 1.0])):
                while await reader.read(self._chance.choice([1, 1000, 65536])):
                    pass
        except TimeoutError:
            pass


def taken(operator: Operator) -> dict[str, object]:
    """Everything shared that is not free, by name."""
    gc.collect()
    imap, found = operator.imap, dict[str, object]()
    for listener in operator.listeners:
        places = listener._places
        found[f"{listener.name} places"] = places._taken, places._pre_tls, places.dismissed
        found[f"{listener.name} prefixes"] = dict(places._by_prefix), dict(places._pre_tls_by_prefix)
        found[f"{listener.name} conversations"] = len(listener._conversations), listener.connections
    for room in (operator.commits.memory, operator.commits.disk):
        found[f"{room._name} room"] = dict(room._taken), len(room._claims), len(room._waiters)
    for server in (imap.server, imap.implicit):
        found[f"{server.listener.name} turns"] = turns_of(server)
    persons, throttle, writer = imap.server.persons, imap.server._service.throttle, imap.database._writer
    found["persons"] = dict(persons._connections), len(persons._turns), len(persons._memory)
    found["sign-ins"] = sum(line.under_way + len(line.waiting) for line in throttle._lines.values())
    found["password checks"] = imap.broker._checks.pending
    found["promises"] = dict(imap.store.promises._promised)
    found["announced letters"] = len(writer._announced)
    found["jobs"] = writer._jobs.qsize() + writer._slices.qsize()
    found["unbroken"] = len(imap.store._transactions._unbroken._tasks)
    found["rings"] = sum(ring.grant is not None for ring in imap.broker._rings)
    return {name: value for name, value in found.items() if not is_nothing(value)}


def turns_of(server: ImapServer) -> tuple[int, ...]:
    """How many turns are not free."""
    service = server._service
    searching = IMAP_CONTENTS_SEARCHED_AT_ONCE - service.threads._turns._value
    large = int(service.threads._large.locked())
    return IMAP_SORTS_AT_ONCE - service.sorts._value, searching, large, len(server._sessions)


def is_nothing(value: object) -> bool:
    return not any(value) if isinstance(value, tuple) else not value


async def early(operator: Operator) -> int:
    """Contents in the database that belong to no letter."""
    count: int = await operator.imap.database.read(
        lambda c: c.execute(select(func.count()).select_from(tables.blob)).scalar_one()
    )
    return count


async def some_at_once(clients: list[Callable[[], Awaitable[None]]]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(client: Callable[[], Awaitable[None]]) -> None:
        async with places:
            await client()

    await asyncio.gather(*(one(client) for client in clients))


@pytest.mark.parametrize("seed", [1, 2])
async def test_clients_that_vanish_anywhere_leave_nothing_taken(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with operator(tmp_path, chance) as ours:
        for share in (0.0, 0.5, 0.0):
            ours.failing[0] = share
            await some_at_once([Vanishing(chance, ours).run for _ in range(CLIENTS // 3)])
        ours.failing[0] = 0.0
        try:
            await until(lambda: not taken(ours), 60)
        except TimeoutError:
            assert taken(ours) == {}
        await ours.imap.store.sweep()  # what a failing database could not remove
        assert ours.imap.told(Crashed) == []
        client = await ours.imap.login()  # and a new client is served as ever
        await client.ok("SELECT INBOX")
        client.close()


async def test_an_append_that_cannot_be_undone_gives_back_what_was_promised(
    tmp_path: Path,
) -> None:
    """Its client vanishes while the database takes nothing: the quota has its room again all the same."""
    async with operator(tmp_path, random.Random(1)) as ours:
        client = await ours.imap.selected()
        pieces = append(1_200_000, more=True) + append(50_000, more=True) + b" {9000+}\r\nx"
        await client.send(b"a APPEND INBOX" + pieces)
        while not await early(ours):
            await asyncio.sleep(0.01)
        await until(lambda: ours.imap.store.promises.promised(ours.marie) > 1250 * 1000 // 1024)
        ours.failing[0] = 1.0
        client.close()
        await until(lambda: not ours.imap.implicit.listener._conversations)
        ours.failing[0] = 0.0
        assert taken(ours) == {}
        await ours.imap.store.sweep()
