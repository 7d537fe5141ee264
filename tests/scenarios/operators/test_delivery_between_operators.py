"""A letter from one operator to another: queue, courier, mutual TLS, guard, reception, sealed mailbox."""

from __future__ import annotations

import hashlib
import random
import resource
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from mssante import limits
from mssante.crypto import keys as crypto_keys
from mssante.crypto import passwords
from mssante.delivery.backends import RelayBackend, Speaker
from mssante.delivery.couriers import Courier
from mssante.delivery.reception import Intake, Receipt, Reception, Trace
from mssante.delivery.routing import Routing
from mssante.model import Address, Direction, Envelope, MailboxStatus, MessageSource, PersonId
from mssante.observe import events
from mssante.observe.event import Event, add_sink
from mssante.reasons import Passing, Reason
from mssante.smtp.client.wire import Patience
from mssante.smtp.server.port import SmtpServer
from mssante.smtp.server.proof import Relay
from mssante.smtp.server.wire import SessionLimits
from mssante.trust.policy import VerifiedPeer
from mssante.trust.tls import PeerListenerContexts, TlsCredentials
from tests.scenarios.smtp.courier_world import World, made
from tests.support.operators.delivery_house import House, house

A, B = "dr.a@operateur-a.test", "dr.b@operateur-b.test"
LETTER = b"From: dr.a@operateur-a.test\r\nSubject: XDM/1.0/DDM+CR\r\n\r\n.\r\nBonjour\r\n..\r\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made(tmp_path_factory.mktemp("pki"))


@dataclass
class Operators:
    """A, whose queue sends; B, whose relay receives."""

    a: House
    b: House
    courier: Courier
    backend: LosingBackend

    async def submit(self, recipients: Sequence[str], content: bytes = LETTER, sender: str = A) -> None:
        intake = await self.a.reception.enqueue(
            sender=Address.parse(sender),
            recipients=[Address.parse(each) for each in recipients],
            trace=Trace(source=MessageSource.SUBMISSION, person=PersonId(A)),
        )
        for start in range(0, len(content), 65536):
            await intake.write(content[start : start + 65536])
        await intake.commit()

    async def send(self) -> None:
        await self.a.runner(self.courier).run_once()


class LosingBackend(RelayBackend):
    """B's own, that can lose its 250: the message is kept, and the peer never hears of it."""

    def __init__(self, reception: Reception, routing: Routing) -> None:
        super().__init__(reception, routing)
        self.losses = 0
        self.receipts: list[Receipt] = []

    async def begin(self, speaker: Speaker, envelope: Envelope, declared_size: int | None) -> Intake:
        intake = await super().begin(speaker, envelope, declared_size)
        commit = intake.commit

        async def lost() -> Receipt:
            receipt = await commit()
            self.receipts.append(receipt)
            if self.losses:
                self.losses -= 1
                raise Passing(Reason.INTERNAL, "the answer is lost")
            return receipt

        intake.commit = lost  # type: ignore[method-assign]
        return intake


@asynccontextmanager
async def _operators(world: World, folder: Path, octets_max: int) -> AsyncIterator[Operators]:
    async def verify(chain: tuple[bytes, ...]) -> VerifiedPeer:
        return world.verify(chain=chain, direction=Direction.IN)

    leaf, domain = world.leaf("operator-b"), world.domain("operator-b")
    contexts = PeerListenerContexts(
        TlsCredentials(chain_file=leaf.chain_file, key_file=leaf.key_file), world.anchors
    )
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(house(folder / "a", domains=[world.domain("operator-a")]))
        b = await stack.enter_async_context(house(folder / "b", domains=[domain]))
        a.space = b.space = world.space
        await a.mailbox(A)
        await b.mailbox(B)
        backend = LosingBackend(b.reception, b.routing)
        server = SmtpServer(
            name="relay",
            hostname="mss.operateur-b.test",
            role=Relay(verify=verify),
            backend=backend,
            tls=contexts.take,
            limits=SessionLimits(message_octets_max=octets_max),
        )
        await server.open("127.0.0.1", 0)
        stack.push_async_callback(server.close, 1)
        courier = world.courier(domain, server.port, Patience(connection=5, greeting=5, command=20))
        stack.push_async_callback(courier.aclose)
        yield Operators(a, b, courier, backend)


@pytest.fixture
async def both(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operators]:
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 512)
    monkeypatch.setattr(passwords, "PASSWORD_ITERATIONS", 1)
    async with _operators(world, tmp_path, 64 * limits.MIB) as made:
        yield made


def _content(kept: bytes, letter: bytes) -> bytes:
    """What was submitted, once the trace fields that relays put in front are taken off."""
    assert kept.endswith(letter), "octet for octet"
    return kept[: -len(letter)]


async def test_a_letter_crosses_and_is_sealed_octet_for_octet(both: Operators) -> None:
    told: list[Event] = []
    forget = add_sink(told.append)
    await both.submit([B])
    await both.send()
    forget()
    (kept,) = await both.b.inbox(B)
    trace = _content(kept, LETTER).decode()
    fields = [line.partition(":")[0] for line in trace.splitlines() if line[:1] not in "\t "]
    assert fields == ["Return-Path", "Received", "Received"]
    assert trace.startswith(f"Return-Path: <{A}>\r\n")
    assert await both.a.store.queue.messages() == []
    (sent,) = [event for event in told if isinstance(event, events.MessageSent)]
    assert (sent.destination, sent.recipients) == ("operateur-b.test", 1)
    assert "mss.operateur-b.test" in sent.dn


async def test_an_unknown_recipient_is_told_in_the_words_of_the_other_operator(both: Operators) -> None:
    await both.submit([B, "nobody@operateur-b.test"])
    await both.send()
    assert len(await both.b.inbox(B)) == 1
    (notice,) = await both.a.inbox(A)
    assert b"Status: 5.1.1\r\n" in notice
    assert b"Diagnostic-Code: smtp; 550 5.1.1 " in notice
    assert b"Final-Recipient: rfc822; nobody@operateur-b.test\r\n" in notice


async def test_a_suspended_mailbox_waits_and_a_closed_one_comes_back(both: Operators) -> None:
    mailbox = (await both.b.store.accounts.mailbox(B)).id  # type: ignore[union-attr]
    await both.b.store.accounts.set_status(mailbox, MailboxStatus.SUSPENDED)
    await both.submit([B])
    await both.send()
    assert len(await both.a.store.queue.messages()) == 1
    await both.b.store.accounts.set_status(mailbox, MailboxStatus.ACTIVE)
    both.a.clock.advance(timedelta(minutes=10))
    await both.send()
    assert len(await both.b.inbox(B)) == 1
    await both.b.store.accounts.set_status(mailbox, MailboxStatus.CLOSED)
    await both.submit([B], LETTER + b"again\r\n")
    await both.send()
    assert b"Status: 5.2.1\r\n" in (await both.a.inbox(A))[0]


async def test_a_lost_250_is_asked_for_again_and_kept_once(both: Operators) -> None:
    both.backend.losses = 3
    await both.submit([B])
    for _ in range(5):
        await both.send()
        both.a.clock.advance(timedelta(hours=2))
    assert [receipt.duplicate for receipt in both.backend.receipts] == [False, True, True, True]
    assert len(await both.b.inbox(B)) == 1
    assert await both.a.store.queue.messages() == []


async def test_a_listed_operator_cannot_write_for_another_domain(both: Operators) -> None:
    """A's own routing is passed by: what B thinks of it is the point."""
    await both.submit([B], sender="pdg@operateur-b.test")
    await both.send()
    assert await both.b.inbox(B) == []
    assert await both.a.store.queue.messages() == []


def _any_letter(chance: random.Random) -> bytes:
    """Canonical lines of any octets, dots where they hurt."""
    lines = []
    for _ in range(chance.randrange(60)):
        length = chance.choice([0, 1, 2, 5, 76, 997, 998, 4000])
        line = bytes(chance.choice(b"..abc \t\x01\x7f\x80\xff=-<") for _ in range(length))
        lines.append(chance.choice([b"", b".", b"..", b". "]) + line)
    return b"From: dr.a@operateur-a.test\r\n\r\n" + b"".join(line[:4096] + b"\r\n" for line in lines)


async def _round_trips(both: Operators, count: int) -> None:
    chance = random.Random(5)
    sent = []
    for n in range(count):
        letter = b"X-N: %d\r\n" % n + _any_letter(chance)
        sent.append(letter)
        await both.submit([B], letter)
    await both.send()
    kept = await both.b.inbox(B)
    digests = {hashlib.sha256(octets[octets.index(b"X-N: ") :]).digest() for octets in kept}
    assert digests == {hashlib.sha256(letter).digest() for letter in sent}
    assert len(kept) == count


async def test_whatever_the_lines_the_digest_is_the_same_at_the_other_end(both: Operators) -> None:
    await _round_trips(both, 40)


@pytest.mark.campaign
async def test_two_thousand_letters_arrive_with_the_digest_they_left_with(both: Operators) -> None:
    await _round_trips(both, 2000)


async def test_a_big_letter_crosses_in_flat_memory(both: Operators, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto_keys, "_watched", None)  # the suite's watch over nonces keeps all it sees
    line = b"." + b"x" * 74 + b"\r\n"
    letter = b"From: dr.a@operateur-a.test\r\n\r\n" + line * (16 * limits.MIB // len(line))
    await both.submit([B], letter)
    digest, size = hashlib.sha256(letter).digest(), len(letter)
    del letter
    tracemalloc.start()
    await both.send()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"16 MiB crossed; peak of both operators: {peak / limits.MIB:.1f} MiB (RSS {resident} MiB)")
    assert peak < 8 * limits.MIB
    (kept,) = await both.b.inbox(B)
    assert hashlib.sha256(kept[-size:]).digest() == digest


@pytest.fixture
async def small(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Operators]:
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 512)
    async with _operators(world, tmp_path, 100_000) as made:
        yield made


async def test_a_letter_too_large_for_the_other_operator_comes_back_at_once(small: Operators) -> None:
    await small.submit([B], LETTER + b"x" * 200_000 + b"\r\n")
    await small.send()
    (notice,) = await small.a.inbox(A)
    assert b"Status: 5.3.4\r\n" in notice
    assert await small.b.inbox(B) == []
