"""Letters that hold room and do not go on: they shut nobody out, and hear why they are cut (R3)."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mssante import limits
from mssante.delivery.backends import RelayBackend
from mssante.delivery.reception import Intake, Receipt, Recipient, Trace
from mssante.model import Address, MessageSource
from mssante.net.places import Caps
from mssante.net.room import RoomBounds
from mssante.observe.events import OctetsShort, SlowSenderCut
from mssante.observe.terms import Share
from mssante.smtp.server.content import Commits, memory_of
from tests.support.operators.delivery_house import house as delivery_house
from tests.support.smtp.house import (
    LETTER,
    PERSON,
    SENDER,
    House,
    Talk,
    doctor,
    pki,
    relay,
    submission,
    until,
)
from tests.unit.mime.bombs import BOMBS

KIB, MIB = 2**10, 2**20
SLACK_OCTETS = 512 * KIB  # what a letter holds however short, and the blocks under way
CAPS = Caps(per_address=500, pre_tls_per_address=200)
HALF_SENT = (b"x" * 76 + b"\r\n") * 3400 + b"x"  # of a letter that never ends: 259 KiB
HEADER = b"From: " + SENDER.encode() + b"\r\n\r\n"
HELD = len(HALF_SENT) * limits.INTAKE_OCTETS_PER_OCTET
ROOM = RoomBounds(octets_max=16 * HELD, patience_seconds=0.3, wait_seconds=20)


@dataclass
class Ports:
    """The three ports of one operator, which share their room."""

    relay: House
    submission: House
    submissions: House
    commits: Commits

    async def peer(self, leaf: str = "operator-a") -> Talk:
        return await (await self.relay.secured(leaf)).ready(f"dr@{pki().leaves[leaf].domain}")

    async def person(self, name: str = PERSON, *, implicit_tls: bool = False) -> Talk:
        port = (self.submissions if implicit_tls else self.submission).port
        return await (await doctor(port, name, implicit_tls=implicit_tls)).ready(name)

    async def honest(self, letter: bytes = LETTER) -> list[str]:
        """What is said to fourteen letters, on all three ports."""
        answers = []
        for turn in range(14):
            if turn % 3 == 0:
                talk = await self.peer("operator-b")
            else:
                talk = await self.person("honnete@operateur-b.test", implicit_tls=turn % 3 == 1)
            answers.append(await talk.deliver(letter))
            talk.abort()
        return answers


@asynccontextmanager
async def ports(commits: Commits) -> AsyncIterator[Ports]:
    async with (
        relay(commits=commits, caps=CAPS) as first,
        submission(commits=commits, caps=CAPS) as second,
        submission(commits=commits, caps=CAPS, implicit_tls=True) as third,
    ):
        yield Ports(first, second, third, commits)


def _all_taken(answers: list[str]) -> None:
    assert [answer[:3] for answer in answers] == ["250"] * len(answers)


async def _stalled(talk: Talk) -> Talk:
    await talk.send(HALF_SENT)
    return talk


def _early(folder: Path) -> int:
    """How many letters have chunks in the database and are not kept."""
    with contextlib.closing(sqlite3.connect(folder / "mail.db")) as mail:
        (count,) = mail.execute("SELECT count(*) FROM blob").fetchone()
    return int(count)


async def _end(talks: list[Talk]) -> None:
    for talk in talks:
        talk.abort()


async def test_letters_that_have_sent_nothing_hold_nothing_and_close_no_port() -> None:
    """80 of one peer, 40 of another, 40 of a person."""
    async with ports(Commits()) as all_ports:
        idle = [await all_ports.peer() for _ in range(80)]
        idle += [await all_ports.peer("valide") for _ in range(40)]
        idle += [await all_ports.person() for _ in range(40)]
        _all_taken(await all_ports.honest())
        assert all_ports.commits.memory.taken == all_ports.commits.disk.taken == 0
        await _end(idle)


async def test_sixty_four_slow_doctors_close_no_port() -> None:
    async with ports(Commits()) as all_ports:
        slow = [await all_ports.person(f"dr.{n}@operateur-b.test") for n in range(64)]
        for talk in slow:
            await talk.send(b"a\r\n")
        _all_taken(await all_ports.honest())
        assert all_ports.commits.memory.taken <= 64 * 10
        assert not all_ports.relay.told(OctetsShort)
        await _end(slow)


async def test_who_holds_its_share_keeps_out_only_itself() -> None:
    """A peer fills its quarter of the room. Others find room at once; its own next letter takes the place of
    the slowest."""
    async with ports(Commits(memory=ROOM)) as all_ports:
        stalled = [await _stalled(await all_ports.peer()) for _ in range(4)]
        await until(lambda: all_ports.commits.memory.taken == 4 * HELD)
        _all_taken(await all_ports.honest())
        assert not all_ports.relay.told(OctetsShort)
        assert (await (await all_ports.peer()).deliver()).startswith("250")
        assert (await stalled[0].reply()).startswith("421 4.3.2 Envoi trop lent")
        (alarm,) = all_ports.relay.told(OctetsShort)
        assert isinstance(alarm, OctetsShort)
        assert (alarm.room, alarm.share, alarm.of) == ("memory", Share.PARTY, alarm.most_by)
        (cut,) = all_ports.relay.told(SlowSenderCut)
        assert isinstance(cut, SlowSenderCut)
        assert (cut.listener, cut.who, cut.octets) == ("relay", alarm.of, len(HALF_SENT))
        assert await stalled[0].reply() == ""
        await _end(stalled)


async def test_stalled_letters_of_many_people_and_peers_close_no_port() -> None:
    """Thrice what there is room for, from several parties on all ports: nobody honest hears 4xx, and the room
    is never exceeded."""
    async with ports(Commits(memory=ROOM)) as all_ports:
        most = 0

        async def stalling(number: int) -> None:
            nonlocal most
            match number % 3:
                case 0:
                    talk = await all_ports.peer(("operator-a", "valide")[number % 2])
                case kind:
                    talk = await all_ports.person(f"dr.{number}@operateur-b.test", implicit_tls=kind == 1)
            try:
                await _stalled(talk)
                most = max(most, all_ports.commits.memory.taken)
                assert (await talk.reader.readline())[:9] in (b"421 4.3.2", b"")
            finally:
                talk.abort()

        async with asyncio.TaskGroup() as tasks:
            attackers = [tasks.create_task(stalling(number)) for number in range(48)]
            await until(lambda: all_ports.commits.memory.taken > ROOM.octets_max // 2, 20)
            _all_taken(await all_ports.honest(HALF_SENT + b"\r\n"))
            for each in attackers:
                each.cancel()
        assert most <= ROOM.octets_max
        assert all_ports.relay.told(OctetsShort)
        assert all_ports.relay.told(SlowSenderCut)
        await until(lambda: all_ports.commits.memory.taken == 0)


async def test_a_letter_that_is_cut_leaves_nothing_behind(tmp_path: Path) -> None:
    """With a real store: what had been written early is removed, and the next letter is kept."""
    room = RoomBounds(
        octets_max=4 * limits.INTAKE_OCTETS_PER_LETTER_MAX, patience_seconds=0.3, wait_seconds=20
    )
    async with delivery_house(tmp_path) as operator:
        await operator.mailbox("dr.a@chu-a.test")
        backend = RelayBackend(operator.reception, operator.routing)
        commits = Commits(memory=room)
        async with relay(commits=commits, answered_by=backend) as house:
            slow = await (await house.secured()).ready(SENDER, "dr.a@chu-a.test")
            await slow.send(HEADER + HALF_SENT * 10)
            await until(lambda: commits.disk.taken == len(HEADER) + len(HALF_SENT) * 10)
            assert commits.memory.taken == limits.INTAKE_OCTETS_PER_LETTER_MAX
            assert _early(tmp_path) > 0
            talk = await (await house.secured()).ready(SENDER, "dr.a@chu-a.test")
            assert (await talk.deliver(HEADER + LETTER)).startswith("250")
            assert (await slow.reply()).startswith("421 4.3.2")
            await until(lambda: commits.memory.taken == commits.disk.taken == 0)
            assert _early(tmp_path) == 0
            assert len(await operator.inbox("dr.a@chu-a.test")) == 1


def plain(size: int) -> bytes:
    return b"Subject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * (size // 78)


@pytest.mark.parametrize("letter", [plain, *BOMBS], ids=lambda letter: letter.__name__)
async def test_no_letter_holds_more_memory_than_it_takes_from_the_room(
    letter: Callable[[int], bytes], tmp_path: Path
) -> None:
    octets = letter(2 * MIB)
    async with delivery_house(tmp_path) as operator:
        address = Address.parse("dr.a@chu-a.test")
        recipient = Recipient(await operator.mailbox(address.key), address)
        trace = Trace(source=MessageSource.PEER)
        tracemalloc.start()
        try:
            before, over = tracemalloc.get_traced_memory()[0], 0
            intake = await operator.reception.deposit(sender=None, recipients=[recipient], trace=trace)
            for at in range(0, len(octets), 16 * KIB):
                await intake.write(octets[at : at + 16 * KIB])
                over = max(over, tracemalloc.get_traced_memory()[0] - before - memory_of(at + 16 * KIB))
            assert over <= SLACK_OCTETS
        finally:
            tracemalloc.stop()
        await intake.abort()


class _Watched(Commits):
    """Remembers how much memory was taken when each commit began."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    async def commit(self, intake: Intake) -> Receipt:
        self.taken.append(self.memory.taken)
        return await super().commit(intake)


def fat(octets: int) -> bytes:
    """A long header: it is kept beside the content, for each mailbox."""
    fields = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 70) for n in range(octets // 75))
    return HEADER[:-2] + fields + b"\r\nBonjour\r\n"


async def _to_many(house: House, mailboxes: int, letter: bytes) -> str:
    talk = await house.secured()
    await talk.ask(f"MAIL FROM:<{SENDER}>")
    for n in range(mailboxes):
        assert (await talk.ask(f"RCPT TO:<dr.{n}@chu-a.test>")).startswith("250")
    assert (await talk.ask("DATA")).startswith("354")
    return await talk.deliver(letter)


@pytest.mark.parametrize("too_much", [False, True])
async def test_what_a_letter_for_many_mailboxes_holds_beside_its_content_is_taken_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_much: bool
) -> None:
    """Each further mailbox has a summary and a header of its own, which wait in memory for the commit."""
    if too_much:
        monkeypatch.setattr(limits, "COPIES_OCTETS_MAX", 100 * KIB)
    letter, mailboxes = fat(40 * KIB), 5
    async with delivery_house(tmp_path) as operator:
        for n in range(mailboxes):
            await operator.mailbox(f"dr.{n}@chu-a.test")
        commits = _Watched()
        backend = RelayBackend(operator.reception, operator.routing)
        async with relay(commits=commits, answered_by=backend) as house:
            answer = await _to_many(house, mailboxes, letter)
        if too_much:
            assert answer.startswith("552")
            assert commits.taken == []
        else:
            assert answer.startswith("250")
            assert commits.taken[0] >= memory_of(len(letter)) + (mailboxes - 1) * 40 * KIB
        assert commits.memory.taken == commits.disk.taken == 0
        assert len(await operator.inbox("dr.0@chu-a.test")) == len(commits.taken)
