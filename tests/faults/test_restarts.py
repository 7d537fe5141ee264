"""SIGKILL or SIGTERM at any instant while other operators deliver (C1, C30): nothing acknowledged is lost,
nothing is there twice.

Clients of another operator, over mutual TLS, each with one message at a time, which they send again until
they hear 250; the receiving operator is ended and started again meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import secrets
import ssl
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from tests.support.operators import mail_clients
from tests.support.operators.mail_clients import (
    contents,
    deliver,
    note,
    peer_context,
    reading,
    relay,
    submission,
    user_context,
)
from tests.support.operators.world import (
    DOMAINS,
    HOST,
    MAILBOXES,
    DemoLogin,
    Operator,
    World,
    alone,
    await_true,
)
from tests.support.smtp.house import Talk

SENDER = f"medecin@{DOMAINS['a']}"
SECOND_MAILBOX = "centre.de.sante@cabinet-b.mssante.test"


@dataclass
class Figures:
    """What happened, seen from outside."""

    kills: int = 0
    kills_while_starting: int = 0
    acknowledged: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by Message-ID: its recipients
    resent: int = 0
    declined: Counter[str] = field(default_factory=Counter)
    start_seconds: list[float] = field(default_factory=list)
    first_250_seconds: list[float] = field(default_factory=list)
    stop_seconds: list[float] = field(default_factory=list)
    ready_at: float | None = None
    seconds_max: float = math.inf  # a machine that is busy with something else makes fewer rounds

    def rounds(self, wanted: int) -> Iterator[int]:
        """As many as there is time for, three at least."""
        deadline = time.monotonic() + self.seconds_max
        for number in range(wanted):
            if number < 3 or time.monotonic() < deadline:
                yield number

    def acknowledge(self, name: str, recipients: tuple[str, ...]) -> None:
        self.acknowledged[name] = recipients
        if self.ready_at is not None:
            self.first_250_seconds.append(time.monotonic() - self.ready_at)
            self.ready_at = None


Session = Callable[[], Awaitable[Talk]]


class Sender:
    """A client that gives up on nothing. `opened` gives it a session ready for a MAIL FROM `sender`."""

    def __init__(self, opened: Session, sender: str, figures: Figures, chance: random.Random) -> None:
        self._opened = opened
        self._sender = sender
        self._figures = figures
        self._chance = chance

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self._one_message()

    async def _one_message(self) -> None:
        unique = secrets.token_hex(12)
        wanted = self._chance.choice([(MAILBOXES["b"],), (MAILBOXES["b"], SECOND_MAILBOX)])
        body = secrets.token_hex(self._chance.choices([500, 2_000, 100_000, 900_000], [50, 44, 5, 1])[0])
        lines = "\r\n".join(body[i : i + 76] for i in range(0, len(body), 76)) + "\r\n"
        digest = hashlib.sha256(lines.encode()).hexdigest()
        message = note(self._sender, wanted, unique=unique, subject=digest, body=lines.encode())
        while not await self._sent(message, wanted):
            await asyncio.sleep(self._chance.uniform(0.05, 0.15))
        self._figures.acknowledge(f"<{unique}@essai.test>", wanted)

    _talk: Talk | None = None

    async def _sent(self, message: bytes, recipients: tuple[str, ...]) -> bool:
        """Whether it was acknowledged. A connection lost, or silence, is no acknowledgement."""
        try:
            async with asyncio.timeout(30):
                self._talk = self._talk or await self._opened()
                reply = await deliver(self._talk, self._sender, recipients, message)
        except (OSError, TimeoutError, AssertionError, ssl.SSLError):
            reply = ""
        if reply.startswith("250"):
            return True
        if self._talk is not None:  # else nobody was there yet: nothing was sent
            self._figures.resent += 1
            self._figures.declined[reply[:9] or "connection lost"] += 1
            self._talk.abort()
            self._talk = None
        return False


async def serving(figures: Figures, chance: random.Random) -> None:
    """20 to 900 ms of service: three times in four since its first 250, else since it was ready."""
    if chance.random() < 3 / 4:
        deadline = time.monotonic() + 10
        while figures.ready_at is not None and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
    await asyncio.sleep(chance.uniform(0.02, 0.9))


async def killing(b: Operator, kills: int, figures: Figures, chance: random.Random) -> None:
    """SIGKILL, one time in eight once more before the server is ready."""
    for _ in figures.rounds(kills):
        await serving(figures, chance)
        await asyncio.to_thread(b.kill)
        figures.kills += 1
        if chance.random() < 1 / 8:
            b.spawn()
            await asyncio.sleep(chance.uniform(0.1, 1.5))
            await asyncio.to_thread(b.kill)
            figures.kills_while_starting += 1
        began = time.monotonic()
        b.spawn()
        await asyncio.to_thread(b.await_ready)
        figures.ready_at = time.monotonic()
        figures.start_seconds.append(figures.ready_at - began)


async def stopping_in_order(b: Operator, stops: int, figures: Figures, chance: random.Random) -> None:
    """SIGTERM: the server ends by itself, with exit code 0."""
    for _ in figures.rounds(stops):
        await serving(figures, chance)
        began = time.monotonic()
        assert await asyncio.to_thread(b.shut) == 0
        figures.stop_seconds.append(time.monotonic() - began)
        figures.kills += 1
        began = time.monotonic()
        b.spawn()
        await asyncio.to_thread(b.await_ready)
        figures.ready_at = time.monotonic()
        figures.start_seconds.append(figures.ready_at - began)


Ending = Callable[[Operator, int, Figures, random.Random], Awaitable[None]]


@dataclass(frozen=True)
class Plan:
    """How often the operator is ended, and by whom it is used meanwhile."""

    ending: Ending
    times: int
    clients: int
    seed: int
    seconds_max: float = math.inf


async def campaign(ended: Operator, opened: Session, sender: str, plan: Plan) -> Figures:
    """Clients with sessions made by `opened`, while `ended` is ended and started again."""
    chance, stopping = random.Random(plan.seed), asyncio.Event()
    figures = Figures(seconds_max=plan.seconds_max)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(plan.clients):
            client = Sender(opened, sender, figures, random.Random(chance.random()))
            tasks.create_task(client.run(stopping))
        await asyncio.sleep(0.5)
        await plan.ending(ended, plan.times, figures, chance)
        await asyncio.sleep(0.5)
        stopping.set()
    return figures


def found_in(world: World, b: Operator, address: str) -> Counter[str]:
    """How often each message lies in a mailbox; fails if one is not whole."""
    found: Counter[str] = Counter()
    with reading(world, b, user=f"{b.login.address}/{address}") as client:
        for message in contents(client):
            digest = mail_clients.field(message, "Subject")
            body = message.partition(b"\r\n\r\n")[2]
            assert hashlib.sha256(body).hexdigest() == digest, "a message is not whole"
            found[mail_clients.field(message, "Message-ID")] += 1
    return found


def receiving(world: World, plan: Plan, name: str) -> tuple[Figures, str]:
    """B is ended while peers deliver to it: the figures, and what its people find afterwards."""
    context = peer_context(world, "operator-a")
    with alone(world, receiver(world, name)) as b:

        async def opened() -> Talk:
            return await relay(world, b, "operator-a", context=context)

        grant(b)
        figures = asyncio.run(campaign(b, opened, SENDER, plan))
        told = judged(world, b, figures, plan)
        assert not b.events("crashed"), told
    return figures, told


def sending(world: World, plan: Plan, name: str) -> tuple[Figures, str]:
    """A is ended while its people submit and it delivers to B, which runs on."""
    b = receiver(world, f"{name}-b")
    a = world.operator("a", name=f"{name}-a")
    context = user_context(world)
    with alone(world, b), alone(world, a, [(b.domain, f"{HOST}:{b.relay_port}")]):

        async def opened() -> Talk:
            return await submission(a, context)

        grant(b)
        figures = asyncio.run(campaign(a, opened, a.login.address, plan))
        await_true(lambda: not a.ask("queue.list")["recipients"], 60, "A's queue is empty")
        told = judged(world, b, figures, plan)
        assert not [*a.events("crashed"), *b.events("crashed")], told
    return figures, told


def receiver(world: World, name: str) -> Operator:
    logins = (DemoLogin(MAILBOXES["b"], "PER"), DemoLogin(SECOND_MAILBOX, "ORG"))
    return world.operator("b", name=name, logins=logins)


def grant(b: Operator) -> None:
    """B's person opens both mailboxes."""
    b.ask("access.grant", person=b.login.address, address=SECOND_MAILBOX)


def judged(world: World, b: Operator, figures: Figures, plan: Plan) -> str:
    """Fails unless each acknowledged message lies once, whole, with each of its recipients."""
    found = {address: found_in(world, b, address) for address in (MAILBOXES["b"], SECOND_MAILBOX)}
    lost = [
        (message, address)
        for message, recipients in figures.acknowledged.items()
        for address in recipients
        if not found[address][message]
    ]
    twice = [name for names in found.values() for name, many in names.items() if many > 1]
    strange = [name for names in found.values() for name in names if name not in figures.acknowledged]
    told = (
        f"{figures.kills} times (+{figures.kills_while_starting} while starting), {plan.clients} clients:"
        f" {len(figures.acknowledged)} acknowledged, {figures.resent} sent again,"
        f" {len(lost)} lost, {len(twice)} twice;"
        f" restart {_range(figures.start_seconds)}; then 250 {_range(figures.first_250_seconds)};"
        f" declined {dict(figures.declined)}"
    )
    assert figures.kills == plan.times or plan.seconds_max < math.inf
    assert len(figures.acknowledged) > figures.kills, told
    assert (lost, twice, strange) == ([], [], []), told
    assert not [reply for reply in figures.declined if reply.startswith("5")], told
    return told


def _range(seconds: Sequence[float]) -> str:
    return f"median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s" if seconds else "never"


Road = Callable[[World, Plan, str], tuple[Figures, str]]


def test_a_killed_receiver_loses_nothing_it_acknowledged(
    shared_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = receiving(shared_world, Plan(killing, 8, clients=4, seed=1, seconds_max=20), "killed")
    with capsys.disabled():
        print(f"\nreceiver, kill -9 {told}")


def test_a_killed_sender_delivers_once_all_it_acknowledged(
    shared_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """At least once on the wire; once in the mailbox, because B knows again what it has kept."""
    _, told = sending(shared_world, Plan(killing, 3, clients=3, seed=5), "killed-sender")
    with capsys.disabled():
        print(f"\nsender, kill -9 {told}")


def test_a_stopped_receiver_loses_nothing_and_says_so_to_its_peers(
    shared_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, told = receiving(shared_world, Plan(stopping_in_order, 2, clients=4, seed=3), "stopped")
    with capsys.disabled():
        print(f"\nreceiver, SIGTERM {told}; stop {_range(figures.stop_seconds)}")
    assert max(figures.stop_seconds) < 30
    assert set(figures.declined) <= {"connection lost", "421 4.3.2", "451 4.3.0"}


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("road", "ending"),
    [(receiving, killing), (receiving, stopping_in_order), (sending, killing), (sending, stopping_in_order)],
)
def test_fifty_ends_lose_nothing(
    shared_world: World, road: Road, ending: Ending, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{road.__name__}-{ending.__name__}"
    figures, told = road(shared_world, Plan(ending, 50, clients=8, seed=2), name)
    with capsys.disabled():
        print(f"\n{name} {told}; stop {_range(figures.stop_seconds)}")
