"""Weeks of a queue in moments: remotes that come and go, refuse and forget, a process killed at any attempt,
a database that is locked when a remote has just answered.

A seed decides everything and is in the test's name. What must hold at the end, whatever the seed: each
recipient has the letter or its sender was told, once; nobody has it twice but where a process died.
"""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mssante import limits
from mssante.crypto import passwords
from mssante.delivery.couriers import Consignment
from mssante.delivery.retry import Fate, Outcome
from mssante.model import Address
from mssante.reasons import Reason
from tests.support.operators.delivery_house import LETTER, House, house

SENDERS = ("dr.a@chu-a.test", "dr.c@chu-a.test")
OUTCOMES = (
    Outcome(Fate.DELIVERED, None, "250 2.0.0 ok"),
    Outcome(Fate.DEFERRED, Reason.REMOTE_DEFERRED, "450 4.2.1 later"),
    Outcome(Fate.DEFERRED, Reason.REMOTE_UNREACHABLE),
    Outcome(Fate.FAILED, Reason.REMOTE_REFUSED, "550 5.1.1 unknown"),
)
NOBODY = Outcome(Fate.DEFERRED, Reason.REMOTE_UNREACHABLE, reached=False)


class Killed(BaseException):
    """The process ends here."""


Key = tuple[str, str]  # the letter's number, the recipient


class Outages:
    """Another connection that keeps the database from being written for a moment, in this share of cases."""

    def __init__(self, file: Path, share: float) -> None:
        self.share = share
        self._connection = sqlite3.connect(file, isolation_level=None, timeout=10)

    def begin(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN EXCLUSIVE")
            asyncio.get_running_loop().call_later(0.1, self._connection.execute, "ROLLBACK")


@dataclass
class Remotes:
    """Every remote operator: each domain is down for a while, answers as it likes, and the process may be
    killed when a remote has just taken a letter, or before."""

    chance: random.Random
    house: House
    kill: float
    outage: Outages
    down_until: dict[str, datetime] = field(default_factory=dict)
    taken: Counter[Key] = field(default_factory=Counter)
    attempts: Counter[Key] = field(default_factory=Counter)
    uncertain: set[Key] = field(default_factory=set)
    final: set[Key] = field(default_factory=set)

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]:
        content = b"".join([block async for block in consignment.content()])
        number = re.findall(rb"X-Letter: (\d+)\r\n", content)[0].decode()
        keys = {address: (number, str(address)) for address in consignment.recipients}
        assert not self.final & set(keys.values()), "who has it, or was given up, is left in peace"
        self.attempts.update(keys.values())
        if self.house.clock.now() < self.down_until.get(
            consignment.domain.name, datetime.min.replace(tzinfo=UTC)
        ):
            return consignment.all(NOBODY)
        outcomes = {a: self.chance.choices(OUTCOMES, (6, 6, 2, 1))[0] for a in consignment.recipients}
        dies = self.chance.random() < self.kill
        for address, outcome in outcomes.items():
            if outcome.fate is Fate.DELIVERED:
                self.taken[keys[address]] += 1
            if dies:
                self.uncertain.add(keys[address])
            elif outcome.fate is Fate.DELIVERED or (outcome.fate is Fate.FAILED and not self.outage.share):
                self.final.add(keys[address])  # after a refusal whose notice could not be kept we ask again
        if dies:
            raise Killed
        if self.chance.random() < self.outage.share:
            self.outage.begin()
        return outcomes


async def _live(home: House, remotes: Remotes, chance: random.Random) -> None:
    """Until the queue is empty: from one due time to the next."""
    runner = home.runner(remotes, chance.random)
    for _ in range(20_000):
        try:
            await runner.run_once()
        except BaseExceptionGroup:
            home.clock.advance(timedelta(seconds=limits.QUEUE_LEASE_SECONDS + 1))
            runner = home.runner(remotes, chance.random)
            continue
        waiting = [
            r.next_at for m in await home.store.queue.messages() for r in m.recipients if not r.state.final
        ]
        if not waiting:
            return
        home.clock.advance(
            max(timedelta(seconds=1), datetime.fromtimestamp(min(waiting), UTC) - home.clock.now())
        )
    raise AssertionError("the queue never empties")


async def _notices(home: House) -> tuple[Counter[Key], Counter[Key]]:
    """Who was told of what: failures and delays."""
    failed, late = Counter[Key](), Counter[Key]()
    for sender in SENDERS:
        for octets in await home.inbox(sender):
            number = re.findall(rb"X-Letter: (\d+)\r\n", octets)[0].decode()
            for recipient, action in re.findall(rb"Final-Recipient: rfc822; (\S+)\r\nAction: (\w+)", octets):
                (failed if action == b"failed" else late)[number, recipient.decode()] += 1
    return failed, late


@pytest.mark.parametrize(("kill", "outage"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.2), (0.1, 0.2)])
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(2, 40))]
)
async def test_every_recipient_has_the_letter_or_its_sender_was_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, kill: float, outage: float
) -> None:
    monkeypatch.setattr("mssante.database.writer.DATABASE_BUSY_SECONDS", 0.02)
    monkeypatch.setattr(limits, "QUEUE_OUTCOME_AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(passwords, "PASSWORD_MEMORY_KIB", 512)
    monkeypatch.setattr(passwords, "PASSWORD_ITERATIONS", 1)
    chance = random.Random(seed)
    async with house(tmp_path) as home:
        for sender in SENDERS:
            await home.mailbox(sender)
        remotes = Remotes(chance, home, kill, Outages(tmp_path / "mail.db", outage))
        for n in range(4):
            days = chance.choice([0, 0, 0.3, 2, 9])
            remotes.down_until[f"far-{n}.test"] = home.clock.now() + timedelta(days=days)
        wanted: set[Key] = set()
        for number in range(4):
            names = [f"r{chance.randrange(3)}@far-{chance.randrange(4)}.test" for _ in range(3)]
            to = sorted(set(names[: chance.randint(1, 3)]))
            wanted |= {(str(number), each) for each in to}
            letter = b"X-Letter: %d\r\n" % number + LETTER
            await home.submit(to, letter, sender=chance.choice(SENDERS))
        await _live(home, remotes, chance)
        failed, late = await _notices(home)

        told = set(failed)
        assert set(remotes.taken) | told == wanted, "nobody is forgotten"
        assert set(remotes.taken) & told <= remotes.uncertain
        assert {key for key, times in remotes.taken.items() if times > 1} <= remotes.uncertain
        assert set(failed.values()) <= {1}
        assert set(late.values()) <= {1}
        assert max(remotes.attempts.values()) <= 100
        assert await home.store.queue.messages() == []
