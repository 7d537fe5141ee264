"""The queue at work, on virtual time: who is told what, and what is never done twice or lost."""

from __future__ import annotations

import asyncio
import email
import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import timedelta
from email import policy
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from mssante import limits
from mssante.delivery.couriers import Consignment
from mssante.delivery.retry import Fate, Outcome
from mssante.model import Address, MailboxStatus
from mssante.observe import events
from mssante.observe.event import Event, add_sink
from mssante.reasons import Reason
from tests.support.operators.delivery_house import LETTER, FakeCourier, House

A, B, C = "dr.a@chu-a.test", "dr.b@cabinet-b.test", "dr.c@cabinet-b.test"
DELIVERED = Outcome(Fate.DELIVERED, None, "250 2.0.0 ok")
REFUSED = Outcome(Fate.FAILED, Reason.REMOTE_REFUSED, "550 5.1.1 no such user")
LATER = Outcome(Fate.DEFERRED, Reason.REMOTE_DEFERRED, "450 4.2.1 later")
NOBODY = Outcome(Fate.DEFERRED, Reason.REMOTE_UNREACHABLE, reached=False)


def by_recipient(**fates: Outcome) -> FakeCourier:
    return FakeCourier(lambda sent: {a: fates[a.local.partition(".")[2]] for a in sent.recipients})


@pytest.fixture
async def home(a_house: House) -> House:
    await a_house.mailbox(A)
    return a_house


@pytest.fixture
def told() -> Iterator[list[Event]]:
    seen: list[Event] = []
    forget = add_sink(seen.append)
    yield seen
    forget()


def _notice(octets: bytes) -> tuple[str, list[Mapping[str, str]]]:
    """The words, and the fields of each recipient."""
    parsed = email.message_from_bytes(octets, policy=policy.default)
    assert parsed["Return-Path"] == "<>"
    assert parsed["Auto-Submitted"] == "auto-replied"
    text, status, _ = parsed.iter_parts()
    blocks: list[Mapping[str, str]] = [dict(block.items()) for block in status.iter_parts()]
    return text.get_content(), blocks[1:]


async def _outcomes(home: House) -> list[str]:
    """How recipients left the queue, as its journal tells."""
    lines = await home.store.journal.details(home.queue, home.broker.audit_key())
    return [json.loads(text.detail)["state"] for line, text in lines if line.kind == "outcome"]


async def test_a_letter_to_ourselves_takes_the_same_road(home: House) -> None:
    await home.mailbox("dr.z@chu-a.test")
    far = FakeCourier()
    await home.submit(["dr.z@chu-a.test", B])
    await home.runner(far).run_once()
    (kept,) = await home.inbox("dr.z@chu-a.test")
    assert kept.startswith(b"Return-Path: <dr.a@chu-a.test>\r\nReceived: ")
    assert kept.endswith(LETTER)
    ((address, sent),) = far.delivered
    assert (str(address), sent.endswith(LETTER), sent[:9]) == (B, True, b"Received:")
    assert await home.store.queue.messages() == []


async def test_the_same_words_sent_twice_arrive_twice(home: House) -> None:
    """Without a Message-ID nothing says that they are one letter."""
    await home.mailbox("dr.z@chu-a.test")
    for _ in range(2):
        await home.submit(["dr.z@chu-a.test"], b"From: dr.a@chu-a.test\r\n\r\nRappelez-moi\r\n")
    await home.runner(FakeCourier()).run_once()
    assert len(await home.inbox("dr.z@chu-a.test")) == 2


async def test_only_who_has_it_not_gets_it_again(home: House) -> None:
    far = by_recipient(b=DELIVERED, c=LATER)
    await home.submit([B, C])
    await home.runner(far).run_once()
    home.clock.advance(timedelta(hours=1))
    far.behaviour = lambda sent: sent.all(DELIVERED)
    await home.runner(far).run_once()
    assert [str(address) for address, _ in far.delivered] == [B, C]
    assert far.delivered[0][1] == far.delivered[1][1], "the same octets, so the same Message-ID"
    assert await home.inbox(A) == []


async def test_a_refusal_comes_back_to_its_sender_in_two_languages(home: House) -> None:
    await home.submit([B, C])
    await home.runner(by_recipient(b=REFUSED, c=DELIVERED)).run_once()
    (notice,) = await home.inbox(A)
    text, (fields,) = _notice(notice)
    assert text.index("a refusé le message") < text.index("refused the message")
    assert fields["Final-Recipient"] == f"rfc822; {B}"
    assert (fields["Action"], fields["Status"]) == ("failed", "5.1.1")
    assert "550 5.1.1 no such user" in fields["Diagnostic-Code"]
    assert b"XDM/1.0/DDM+CR" in notice
    assert sorted(await _outcomes(home)) == ["bounced", "delivered"]
    assert b"\r\nBonjour\r\n" not in notice, "of the letter only its header comes back"
    assert await home.store.queue.messages() == []


async def test_a_notice_is_never_answered(home: House) -> None:
    await home.submit([B, "nobody@chu-a.test"], sender=None)
    await home.runner(by_recipient(b=REFUSED)).run_once()
    assert await home.inbox(A) == []
    assert await home.store.queue.messages() == []


@pytest.mark.parametrize("status", [MailboxStatus.CLOSED, None])
async def test_a_sender_that_is_gone_is_not_told(home: House, status: MailboxStatus | None) -> None:
    await home.submit([B], sender=A if status else "gone@chu-a.test")
    if status:
        row = await home.store.accounts.mailbox(A)
        assert row is not None
        await home.store.accounts.set_status(row.id, status)
    await home.runner(by_recipient(b=REFUSED)).run_once()
    assert await home.store.queue.messages() == []


async def test_a_sender_that_is_suspended_is_told_when_it_is_back(home: House) -> None:
    row = await home.store.accounts.mailbox(A)
    assert row is not None
    await home.submit([B])
    await home.store.accounts.set_status(row.id, MailboxStatus.SUSPENDED)
    far = by_recipient(b=REFUSED)
    await home.runner(far).run_once()
    assert len(await home.store.queue.messages()) == 1
    await home.store.accounts.set_status(row.id, MailboxStatus.ACTIVE)
    home.clock.advance(timedelta(minutes=10))
    await home.runner(far).run_once()
    assert len(await home.inbox(A)) == 1
    assert await home.store.queue.messages() == []


async def _five_days(home: House, far: FakeCourier, *, days: float = 5.2) -> None:
    runner = home.runner(far)
    for _ in range(int(days * 24 * 6)):
        await runner.run_once()
        home.clock.advance(timedelta(minutes=10))


async def test_a_letter_nobody_takes_is_told_late_once_and_given_up_after_five_days(
    home: House, told: list[Event]
) -> None:
    far = FakeCourier(lambda sent: sent.all(LATER))
    await home.submit([B])
    await _five_days(home, far)
    late, lost = await home.inbox(A)
    text, (fields,) = _notice(late)
    assert (fields["Action"], fields["Status"]) == ("delayed", "4.4.7")
    assert "Will-Retry-Until" in fields
    assert "pas encore remis" in text
    _, (fields,) = _notice(lost)
    assert (fields["Action"], fields["Status"]) == ("failed", "5.4.7")
    assert 60 < len(far.attempts) <= 100
    assert await _outcomes(home) == ["expired"]
    assert await home.store.queue.messages() == []
    (failed,) = [event for event in told if isinstance(event, events.DeliveryFailed)]
    assert failed.reason == "expired_in_queue"


async def test_a_destination_that_is_back_gets_at_once_all_that_waited_for_it(home: House) -> None:
    far = FakeCourier(lambda sent: sent.all(NOBODY))
    for n in range(30):
        await home.submit([B], LETTER + b"%d\r\n" % n)
    await _five_days(home, far, days=1)
    runner = home.runner(far)  # started again, it knows of no trouble yet
    home.clock.advance(timedelta(hours=2))
    await runner.run_once()
    waiting = {r.next_at for message in await home.store.queue.messages() for r in message.recipients}
    assert min(waiting) - home.clock.now().timestamp() > 3600, "they have waited long, and wait long again"
    far.behaviour = lambda sent: sent.all(DELIVERED)
    home.clock.advance(timedelta(minutes=10))
    await home.submit([B], LETTER + b"new\r\n")
    await runner.run_once()
    assert len(far.delivered) == 31, "the new one arrives, and all the others in that moment"


async def test_a_destination_that_is_down_costs_one_attempt_for_each_back_off(home: House) -> None:
    far = FakeCourier(lambda sent: sent.all(NOBODY))
    for n in range(20):
        await home.submit([B], LETTER + b"%d\r\n" % n)
    await _five_days(home, far, days=1)
    assert 15 < len(far.attempts) < 60, "not twenty times as many"
    assert len(await home.store.queue.messages()) == 20
    far.behaviour = lambda sent: sent.all(DELIVERED)
    far.attempts.clear()
    await _five_days(home, far, days=0.15)
    assert len(far.attempts) == len(far.delivered) == 20
    assert len({content for _, content in far.delivered}) == 20
    assert await home.store.queue.messages() == []


async def test_a_retry_that_is_asked_for_knocks_where_nobody_answered_a_moment_ago(home: House) -> None:
    far = FakeCourier(lambda sent: sent.all(NOBODY))
    runner = home.runner(far)
    for n in range(10):
        await home.submit([B], LETTER + b"%d\r\n" % n)
    await runner.run_once()
    before = len(far.attempts)
    await home.store.queue.retry()
    await runner.run_once()
    assert len(far.attempts) == before + 1, "one knocks for all, and they wait again"
    far.behaviour = lambda sent: sent.all(DELIVERED)
    await home.store.queue.retry()
    await runner.run_once()
    assert len(far.delivered) == 10


class Gate(FakeCourier):
    """Holds whoever goes to the domains in `shut`."""

    def __init__(self, *shut: str) -> None:
        super().__init__()
        self.shut, self.opened = set(shut), asyncio.Event()
        self.inside = self.most = 0

    async def deliver(self, consignment: Consignment) -> Mapping[Address, Outcome]:
        if consignment.domain.name in self.shut:
            self.inside += 1
            self.most = max(self.most, self.inside)
            await self.opened.wait()
            self.inside -= 1
        return await super().deliver(consignment)


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_black_hole_holds_up_nobody_but_itself(home: House) -> None:
    far = Gate("cabinet-b.test")
    for n in range(12):
        await home.submit([B], LETTER + b"%d\r\n" % n)
    for n in range(9):
        await home.submit([f"dr@good-{n}.test"])
    working = asyncio.create_task(home.runner(far).run_once())
    await _until(lambda: len(far.delivered) == 9)
    assert far.most == limits.COURIERS_PER_DESTINATION
    assert not working.done()
    far.opened.set()
    await working
    assert len(far.delivered) == 21
    assert await home.store.queue.messages() == []


async def test_six_hundred_silent_destinations_leave_places_for_those_that_answer(home: House) -> None:
    silent = [f"silent-{n}.test" for n in range(600)]
    good = [f"dr@good-{n}.test" for n in range(20)]
    await home.mailbox("dr.z@chu-a.test")
    far = Gate(*silent)
    runner = home.runner(far)
    await home.submit(good)
    await runner.run_once()
    for start in range(0, 600, 200):
        await home.submit([f"dr@{domain}" for domain in silent[start : start + 200]])
    working = asyncio.create_task(runner.run_once())
    await _until(lambda: far.inside == limits.COURIERS_AT_UNPROVED)
    await home.submit([*good, "dr.z@chu-a.test"], LETTER + b"again\r\n")
    runner._woken.set()
    await _until(lambda: len(far.delivered) == 2 * len(good))
    async with asyncio.timeout(30):  # our own mailboxes need no place
        while not await home.inbox("dr.z@chu-a.test"):
            await asyncio.sleep(0.01)
    assert (far.most, working.done()) == (limits.COURIERS_AT_UNPROVED, False)

    # Once they are known to be silent, they have a smaller share still, and each has its turn.
    far.behaviour = lambda sent: sent.all(NOBODY)
    far.opened.set()
    await working
    assert far.most == limits.COURIERS_AT_UNPROVED
    far.opened.clear()
    home.clock.advance(timedelta(hours=2))
    again = asyncio.create_task(runner.run_once())
    await _until(lambda: far.inside == limits.COURIERS_AT_SILENT)
    far.behaviour = lambda sent: sent.all(DELIVERED)
    far.most = far.inside
    far.opened.set()
    await again
    assert far.most <= limits.COURIERS_AT_UNPROVED
    assert len(far.delivered) == 2 * len(good) + 600
    assert await home.store.queue.messages() == []


async def test_whoever_answers_and_then_stalls_does_not_take_every_place(home: House) -> None:
    names = [f"stall-{n}.test" for n in range(50)]
    far = Gate(*names)
    far.behaviour = lambda sent: sent.all(Outcome(Fate.DEFERRED, Reason.REMOTE_UNREACHABLE))
    far.opened.set()
    runner = home.runner(far)
    await home.submit([f"dr@{name}" for name in names])
    await runner.run_once()
    home.clock.advance(timedelta(hours=2))
    far.opened.clear()
    working = asyncio.create_task(runner.run_once())
    await _until(lambda: far.inside >= limits.COURIERS_AT_UNPROVED)
    far.behaviour = lambda sent: sent.all(DELIVERED)
    far.opened.set()
    await working
    assert (far.most, len(far.delivered)) == (limits.COURIERS_AT_UNPROVED, 50)


async def test_a_new_letter_is_taken_at_once(home: House) -> None:
    far = FakeCourier()
    runner = home.runner(far)
    running = asyncio.create_task(runner.run())
    await asyncio.sleep(0)
    for n in range(3):
        await home.submit([B], LETTER + b"%d\r\n" % n)
        await _until(lambda n=n: len(far.delivered) == n + 1)
    runner.stop()
    async with asyncio.timeout(2):
        await running


async def test_stopping_lets_what_is_under_way_end(home: House) -> None:
    far = Gate("cabinet-b.test")
    runner = home.runner(far)
    await home.submit([B])
    running = asyncio.create_task(runner.run())
    await _until(lambda: far.inside == 1)
    runner.stop()
    far.opened.set()
    await running
    assert await home.store.queue.messages() == []


async def test_cancelled_in_the_middle_the_letter_stays(home: House) -> None:
    far = Gate("cabinet-b.test")
    await home.submit([B])
    running = asyncio.create_task(home.runner(far).run())
    await _until(lambda: far.inside == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    home.clock.advance(timedelta(seconds=limits.QUEUE_LEASE_SECONDS + 1))
    await home.runner(again := FakeCourier()).run_once()
    assert len(again.delivered) == 1


async def test_a_bug_with_one_letter_leaves_the_others_and_loses_nothing(
    home: House, told: list[Event]
) -> None:
    def broken(sent: Consignment) -> Mapping[Address, Outcome]:
        if any(address.local == "dr.c" for address in sent.recipients):
            raise ZeroDivisionError("Dupont 1 85 05 78 006 084 91")
        return sent.all(DELIVERED)

    far = FakeCourier(broken)
    await home.submit([C])
    await home.submit([B], LETTER + b"2\r\n")
    await home.runner(far).run_once()
    assert [str(address) for address, _ in far.delivered] == [B]
    (crash,) = [event for event in told if isinstance(event, events.Crashed)]
    assert (crash.boundary, crash.error) == ("runner", "ZeroDivisionError")
    assert "Dupont" not in repr(crash)
    far.behaviour = lambda sent: sent.all(DELIVERED)
    home.clock.advance(timedelta(minutes=10))
    await home.runner(far).run_once()
    assert len(far.delivered) == 2


async def test_a_damaged_letter_is_an_alarm_and_is_neither_sent_nor_lost(
    home: House, told: list[Event], tmp_path: Path
) -> None:
    await home.submit([B])
    with sqlite3.connect(tmp_path / "mail.db") as database:
        (before,) = database.execute("SELECT envelope_ct FROM outbound").fetchone()
        database.execute("UPDATE outbound SET envelope_ct = ?", (before[:-1] + bytes([before[-1] ^ 1]),))
    far = FakeCourier()
    await home.runner(far).run_once()
    assert far.delivered == []
    assert [type(event) for event in told if isinstance(event, events.CorruptionFound)] != []
    with sqlite3.connect(tmp_path / "mail.db") as database:
        database.execute("UPDATE outbound SET envelope_ct = ?", (before,))
    home.clock.advance(timedelta(minutes=10))
    await home.runner(far).run_once()
    assert len(far.delivered) == 1


async def test_a_full_mailbox_of_ours_stops_no_other_recipient(home: House) -> None:
    await home.mailbox("dr.z@chu-a.test")
    await home.mailbox("full@chu-a.test", quota_kib=1)
    await home.submit(["full@chu-a.test", "dr.z@chu-a.test"], LETTER + b"x" * 3000 + b"\r\n")
    await home.runner(FakeCourier()).run_once()
    assert len(await home.inbox("dr.z@chu-a.test")) == 1
    (notice,) = await home.inbox(A)
    _, (fields,) = _notice(notice)
    assert (fields["Final-Recipient"], fields["Status"]) == ("rfc822; full@chu-a.test", "5.2.2")


class Killed(BaseException):
    """The end of a process, as far as a task can tell."""


async def test_done_again_after_a_crash_a_local_delivery_and_a_notice_change_nothing(home: House) -> None:
    """Killed between the deposit and the note of it: the lease runs out, all is done again."""
    await home.mailbox("dr.z@chu-a.test")
    await home.submit(["dr.z@chu-a.test", B])
    far = by_recipient(b=REFUSED)

    async def killed(*_: object, **__: object) -> bool:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home.store.queue, "settle", killed)
        for _ in range(3):
            with pytest.raises(BaseExceptionGroup):
                await home.runner(far).run_once()
            home.clock.advance(timedelta(seconds=limits.QUEUE_LEASE_SECONDS + 1))
    await home.runner(far).run_once()
    assert len(await home.inbox("dr.z@chu-a.test")) == 1
    assert len(await home.inbox(A)) == 1
    assert await home.store.queue.messages() == []


async def test_a_letter_whose_key_is_of_an_unknown_kind_is_told_and_holds_up_no_other(
    home: House, told: list[Event]
) -> None:
    damaged = await home.submit([B])
    await home.submit([C])

    def damage(connection: Connection) -> None:
        number = connection.execute(
            text("SELECT number FROM message WHERE id = :id"), {"id": bytes.fromhex(damaged)}
        ).scalar_one()
        connection.execute(text("UPDATE dek SET suite = 77 WHERE message_number = :n"), {"n": number})

    await home.store._transactions.database.write(damage)
    far = FakeCourier()
    await home.runner(far).run_once()
    assert [str(address) for address, _ in far.delivered] == [C]
    assert [each.message for each in told if isinstance(each, events.CorruptionFound)] == [damaged]
    assert not [each for each in told if isinstance(each, events.Crashed)]
    (waiting,) = await home.store.queue.messages()
    assert waiting.message_id.hex() == damaged
