"""A house for SMTP scenarios: development PKI, a backend that keeps in memory, a raw client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from mssante.clock import SystemClock
from mssante.delivery.backends import Backend, Speaker
from mssante.delivery.reception import Intake, Receipt
from mssante.demo.certs.make import build
from mssante.keys.ring import SignIn
from mssante.model import Address, Direction, Domain, Envelope, PersonId, Secret
from mssante.net.places import Caps
from mssante.net.throttle import Throttle
from mssante.observe.event import Event, add_sink
from mssante.reasons import Declined, Reason, Refused
from mssante.smtp.server.content import Commits
from mssante.smtp.server.port import SmtpServer
from mssante.smtp.server.proof import Relay, Submission
from mssante.smtp.server.wire import SessionLimits
from mssante.trust.names import DistinguishedName
from mssante.trust.path import Anchors
from mssante.trust.policy import VerifiedPeer, verify_peer
from mssante.trust.revocation import Revocations
from mssante.trust.space import Entry, TrustSpace
from mssante.trust.tls import PeerListenerContexts, TlsCredentials, peer_client_context, user_server_context

SENDER = "dr.a@operateur-a.test"
MAILBOX = "dr.b@operateur-b.test"
LETTER = b"Subject: essai\r\n\r\nBonjour\r\n"
PERSON, PASSWORD = "dr.b@operateur-b.test", "correct horse"


@dataclass(frozen=True)
class Leaf:
    chain_file: Path
    key_file: Path
    domain: str
    listed: str


@dataclass(frozen=True)
class Pki:
    """What was made, as files: another process can borrow it."""

    directory: Path
    leaves: dict[str, Leaf]

    @property
    def anchors(self) -> Path:
        return self.directory / "anchors.pem"

    @property
    def issuing(self) -> Path:
        return self.directory / "issuing.pem"

    @property
    def crls(self) -> Path:
        return self.directory / "crl"


_borrowed: list[Pki] = []


def borrow_pki(directory: Path) -> None:
    """Uses the PKI that another process made."""
    leaves = json.loads((directory / "leaves.json").read_text())
    _borrowed.append(
        Pki(
            directory,
            {
                name: Leaf(Path(chain), Path(key), domain, listed)
                for name, ((chain, key), (domain, listed)) in leaves.items()
            },
        )
    )


@cache
def pki() -> Pki:
    """One development PKI for the run."""
    if _borrowed:
        return _borrowed[0]
    made = build(Path(tempfile.mkdtemp(prefix="mssante-pki-")), now=datetime.now(UTC))
    leaves = {
        name: Leaf(leaf.chain_file, leaf.key_file, leaf.domain, leaf.listed)
        for name, leaf in made.leaves.items()
    }
    told = {
        name: [[str(leaf.chain_file), str(leaf.key_file)], [leaf.domain, leaf.listed]]
        for name, leaf in leaves.items()
    }
    (made.directory / "leaves.json").write_text(json.dumps(told))
    return Pki(made.directory, leaves)


@cache
def anchors() -> Anchors:
    return Anchors.load(pki().anchors, pki().issuing)


def credentials(leaf: str) -> TlsCredentials:
    return TlsCredentials(chain_file=pki().leaves[leaf].chain_file, key_file=pki().leaves[leaf].key_file)


def space_of(*leaves: str) -> TrustSpace:
    """Lists those leaves for their domains."""
    return TrustSpace.from_entries(
        (
            Entry(Domain.parse(pki().leaves[leaf].domain), DistinguishedName.parse(pki().leaves[leaf].listed))
            for leaf in leaves
        ),
        source="test",
    )


@dataclass
class Kept:
    speaker: Speaker
    envelope: Envelope
    declared_size: int | None
    content: bytes
    digest: str


class MemoryIntake(Intake):
    """Keeps in memory what it is given; nothing of the real one is in it but its type."""

    def __init__(self, backend: MemoryBackend, kept: Callable[[bytes, str], Kept]) -> None:
        self._backend = backend
        self._kept = kept
        self._content = bytearray()
        self._digest = hashlib.sha256()
        self.octets = 0
        self.ended = ""

    async def write(self, octets: bytes) -> None:
        assert not self.ended
        if self._backend.write_trouble is not None:
            raise self._backend.write_trouble
        self.octets += len(octets)
        self._digest.update(octets)
        if self._backend.keeps_content:
            self._content += octets

    async def complete(self) -> int:
        return 0

    async def commit(self) -> Receipt:
        assert not self.ended
        self.ended = "commit"
        self._backend.committing.set()
        await self._backend.may_commit.wait()
        if self._backend.commit_trouble is not None:
            raise self._backend.commit_trouble
        kept = self._kept(bytes(self._content), self._digest.hexdigest())
        self._backend.kept.append(kept)
        return Receipt(id=kept.digest[:32], duplicate=False)

    async def abort(self) -> None:
        assert not self.ended
        self.ended = "abort"
        self._backend.aborted += 1


class MemoryBackend:
    """Two mailboxes at operateur-b.test; what it keeps is in `kept`. Troubles are set by the test."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.intakes: list[MemoryIntake] = []
        self.aborted = 0
        self.keeps_content = True
        self.mail_trouble: Exception | None = None
        self.write_trouble: Exception | None = None
        self.commit_trouble: Exception | None = None
        self.committing = asyncio.Event()
        self.may_commit = asyncio.Event()
        self.may_commit.set()
        self.mailboxes = {MAILBOX, "equipe.b@operateur-b.test"}
        self.asked: list[Address] = []

    async def mail(self, speaker: Speaker, sender: Address | None) -> None:
        if self.mail_trouble is not None:
            raise self.mail_trouble
        if speaker.peer is not None:
            speaker.peer.speaks_for(sender.domain if sender is not None else None)
        elif sender is None or speaker.login is None or sender.key != speaker.login.person:
            raise Refused(Reason.SENDER_NOT_YOURS)

    async def recipient(self, speaker: Speaker, address: Address) -> None:
        self.asked.append(address)
        if address.domain.name != "operateur-b.test":
            raise Refused(Reason.RELAY_DENIED)
        if address.key not in self.mailboxes and not address.local.startswith("boite-"):
            raise Refused(Reason.MAILBOX_UNKNOWN)

    async def begin(self, speaker: Speaker, envelope: Envelope, declared_size: int | None) -> MemoryIntake:
        intake = MemoryIntake(
            self, lambda content, digest: Kept(speaker, envelope, declared_size, content, digest)
        )
        self.intakes.append(intake)
        return intake

    async def authenticate(self, speaker: Speaker, person: PersonId, password: Secret) -> SignIn:
        if not person.endswith("@operateur-b.test") or password.value != PASSWORD:
            raise Refused(Reason.AUTHENTICATION_FAILED)
        return SignIn(person, evidence="")


@dataclass
class House:
    server: SmtpServer
    backend: MemoryBackend
    events: list[Event] = field(default_factory=list)
    space: list[TrustSpace] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    async def talk(self) -> Talk:
        return await Talk.open(self.port)

    async def secured(self, leaf: str = "operator-a") -> Talk:
        """A peer past STARTTLS and EHLO."""
        talk = await self.talk()
        await talk.reply()
        await talk.ask("EHLO mss.operateur-a.test")
        await talk.start_tls(client_context(leaf))
        await talk.ask("EHLO mss.operateur-a.test")
        return talk

    async def ready(self, leaf: str = "operator-a") -> Talk:
        """A peer that has had its 354."""
        talk = await self.secured(leaf)
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        await talk.ask(f"RCPT TO:<{MAILBOX}>")
        assert (await talk.ask("DATA")).startswith("354")
        return talk


def client_context(leaf: str | None = "operator-a") -> ssl.SSLContext:
    if leaf is None:
        context = ssl.create_default_context(cafile=str(pki().anchors))
        context.check_hostname = False
        return context
    return peer_client_context(credentials(leaf), anchors())


@asynccontextmanager
async def relay(
    *,
    limits: SessionLimits | None = None,
    caps: Caps | None = None,
    commits: Commits | None = None,
    listed: tuple[str, ...] = ("operator-a", "operator-b", "valide", "expire", "revoque"),
    recheck_seconds: float = 60,
    answered_by: Backend | None = None,
) -> AsyncIterator[House]:
    """Operator B's port 25. `answered_by` takes the place of the backend that keeps in memory."""
    space = [space_of(*listed)]
    crls = Revocations.load(pki().crls, issuers=anchors().issuers, now=datetime.now(UTC))

    async def verify(chain: tuple[bytes, ...]) -> VerifiedPeer:
        return verify_peer(
            chain,
            anchors=anchors(),
            space=space[0],
            crls=crls,
            now=datetime.now(UTC),
            direction=Direction.IN,
        )

    contexts = PeerListenerContexts(credentials("operator-b"), anchors())
    role = Relay(verify=verify, recheck_seconds=recheck_seconds)
    async with _serving(
        role, contexts.take, limits=limits, caps=caps, commits=commits, answered_by=answered_by
    ) as house:
        house.space = space
        yield house


@asynccontextmanager
async def submission(
    *,
    implicit_tls: bool = False,
    limits: SessionLimits | None = None,
    caps: Caps | None = None,
    commits: Commits | None = None,
    delay_seconds_max: float = 0,
    answered_by: Backend | None = None,
) -> AsyncIterator[House]:
    """Operator B's port 587, or 465. `answered_by` takes the place of the backend that keeps in memory."""
    context = user_server_context(credentials("operator-b"))
    async with _serving(
        Submission(throttle=Throttle(SystemClock(), delay_seconds_max=delay_seconds_max)),
        lambda: context,
        limits=limits,
        caps=caps,
        commits=commits,
        implicit_tls=implicit_tls,
        answered_by=answered_by,
    ) as house:
        yield house


@asynccontextmanager
async def _serving(
    role: Relay | Submission,
    tls: Callable[[], ssl.SSLContext],
    *,
    limits: SessionLimits | None,
    caps: Caps | None,
    commits: Commits | None = None,
    implicit_tls: bool = False,
    answered_by: Backend | None = None,
) -> AsyncIterator[House]:
    backend = MemoryBackend()
    name = "relay" if isinstance(role, Relay) else "submissions" if implicit_tls else "submission"
    server = SmtpServer(
        name=name,
        hostname="mss.operateur-b.test",
        role=role,
        backend=answered_by or backend,
        tls=tls,
        implicit_tls=implicit_tls,
        limits=limits,
        caps=caps,
        commits=commits,
    )
    house = House(server, backend)
    forget = add_sink(house.events.append)
    await server.open("127.0.0.1", 0)
    try:
        yield house
    finally:
        backend.may_commit.set()
        await server.close(1)
        forget()


async def doctor(port: int, person: str = PERSON, *, implicit_tls: bool = False) -> Talk:
    """A person who has logged in on 587 or 465, past EHLO."""
    talk = await Talk.open(port, client_context(None) if implicit_tls else None)
    await talk.reply()
    if not implicit_tls:
        await talk.ask("EHLO pc")
        await talk.start_tls(client_context(None))
    await talk.ask("EHLO pc")
    response = base64.b64encode(f"\0{person}\0{PASSWORD}".encode()).decode()
    assert (await talk.ask(f"AUTH PLAIN {response}")).startswith("235")
    return talk


class Talk:
    """A raw SMTP client: sends octets, reads replies, checks nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext | None = None) -> Talk:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None, limit=2**20
        )
        return cls(reader, writer)

    async def send(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def reply(self) -> str:
        """One reply, all its lines; "" when the server has closed."""
        lines = []
        while True:
            try:
                line = await asyncio.wait_for(self.reader.readline(), 10)
            except (ConnectionError, ssl.SSLError):
                return ""
            lines.append(line.decode("latin-1"))
            if line[3:4] != b"-":
                return "".join(lines)

    async def ask(self, command: str) -> str:
        try:
            await self.send(command.encode() + b"\r\n")
        except ConnectionError:
            pass  # the server may have said its last words already
        return await self.reply()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        assert (await self.ask("STARTTLS")).startswith("220")
        await self.writer.start_tls(context, server_hostname="localhost")

    async def replies_to_the_end(self) -> list[str]:
        """Every reply until the server closes."""
        found = []
        while reply := await self.reply():
            found.append(reply)
        return found

    async def ready(self, sender: str = SENDER, recipient: str = MAILBOX) -> Talk:
        """From MAIL to 354."""
        await self.ask(f"MAIL FROM:<{sender}>")
        await self.ask(f"RCPT TO:<{recipient}>")
        assert (answer := await self.ask("DATA")).startswith("354"), answer
        return self

    async def deliver(self, octets: bytes = LETTER) -> str:
        """What is said to a letter, after 354."""
        await self.send(octets + b".\r\n")
        return await self.reply()

    def abort(self) -> None:
        self.writer.transport.abort()


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Waits for what the server is about to do; fails when it does not."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def trouble(reason: Reason, kind: type[Declined] = Refused) -> Declined:
    return kind(reason, "canary-detail")
