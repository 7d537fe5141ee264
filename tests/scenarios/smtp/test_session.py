"""What a session may cost, and how it ends (attack catalogue R1, R4, R5, R7-R9, R13; findings A29-A31)."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Coroutine

import pytest

from mssante.net.places import Caps
from mssante.net.room import RoomBounds
from mssante.observe.events import (
    ConnectionRefused,
    Crashed,
    HandshakeRefused,
    RecipientsGuessed,
    SessionEnded,
)
from mssante.reasons import Passing, Reason
from mssante.smtp.server.content import Commits, memory_of
from mssante.smtp.server.wire import SessionLimits
from tests.support.smtp.house import (
    LETTER,
    MAILBOX,
    SENDER,
    House,
    Talk,
    client_context,
    relay,
    submission,
    trouble,
    until,
)

SHORT = SessionLimits(
    greeting_seconds=0.3,
    command_seconds=0.3,
    session_seconds=30,
    data_octets_per_second_min=1000,
    data_credit_seconds=0.3,
)


async def _flooded(talk: Talk, block: bytes, count: int) -> int:
    """Sends until the server closes; how many octets went."""
    sent = 0
    try:
        for _ in range(count):
            talk.writer.write(block)
            await talk.writer.drain()
            sent += len(block)
    except ConnectionError:
        pass
    return sent


@pytest.mark.parametrize("secured", [False, True])
async def test_a_command_line_without_end_is_cut_at_its_limit(secured: bool) -> None:
    async with relay() as house:
        talk = await (house.secured() if secured else house.talk())
        if not secured:
            await talk.reply()
        await talk.send(b"A" * 4096)
        assert [reply[:9] for reply in await talk.replies_to_the_end()] == ["500 5.5.2"]


async def test_an_authentication_response_without_end_is_cut_at_its_limit() -> None:
    async with submission(implicit_tls=True) as house:
        talk = await Talk.open(house.port, client_context(None))
        await talk.reply()
        await talk.ask("EHLO poste.test")
        await talk.ask("AUTH LOGIN")
        await talk.send(b"A" * 4096)
        assert [reply[:9] for reply in await talk.replies_to_the_end()] == ["500 5.5.2"]


@pytest.mark.parametrize("block", [b"x" * 65536, b"x" * 76 + b"\r\n", b"a\nb"])
async def test_content_without_end_is_cut_before_three_times_the_maximum(block: bytes) -> None:
    async with relay(limits=SessionLimits(message_octets_max=2**20)) as house:
        talk = await house.ready()
        await _flooded(talk, block * (65536 // len(block)), 400)
        await until(lambda: bool(house.told(SessionEnded)))
        (ended,) = house.told(SessionEnded)
        assert isinstance(ended, SessionEnded)
        assert ended.cause == "content without end"
        assert [intake.ended for intake in house.backend.intakes] == ["abort"]
        assert house.backend.intakes[0].octets <= 2**20


@pytest.mark.parametrize("declared", ["", " SIZE=1"])
async def test_the_count_decides_not_the_declared_size(declared: str) -> None:
    async with relay(limits=SessionLimits(message_octets_max=100_000)) as house:
        talk = await house.secured()
        await talk.ask(f"MAIL FROM:<{SENDER}>{declared}")
        await talk.ask(f"RCPT TO:<{MAILBOX}>")
        await talk.ask("DATA")
        await talk.send((b"x" * 76 + b"\r\n") * 1500 + b".\r\n")
        assert (await talk.reply()).startswith("552 5.3.4")
        assert (await talk.ask(f"MAIL FROM:<{SENDER}> SIZE=100001")).startswith("552 5.3.4")
        assert (await talk.ask(f"MAIL FROM:<{SENDER}> SIZE=100000")).startswith("250")
        assert not house.backend.kept


async def test_a_flood_of_recipients_is_bounded_and_costs_little() -> None:
    async with relay() as house:
        talk = await house.secured()
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        began = time.process_time()
        pouring = asyncio.create_task(_flooded(talk, f"RCPT TO:<{MAILBOX}>\r\n".encode() * 100, 200))
        replies = await talk.replies_to_the_end()
        await pouring
        assert time.process_time() - began < 1  # the client's share included
        assert sum(reply.startswith("250 2.1.5") for reply in replies) == 200
        assert sum(reply.startswith("452 4.5.3") for reply in replies) > 100
        assert replies[-1].startswith("421")


async def test_a_mailbox_named_twice_gets_the_message_once() -> None:
    async with relay() as house:
        talk = await house.secured()
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        for address in (MAILBOX, MAILBOX.upper(), MAILBOX):
            assert (await talk.ask(f"RCPT TO:<{address}>")).startswith("250")
        await talk.ask("DATA")
        await talk.send(LETTER + b".\r\n")
        await talk.reply()
        assert [str(address) for address in house.backend.kept[0].envelope.recipients] == [MAILBOX]
        assert len(house.backend.asked) == 1


async def test_guessing_addresses_ends_the_session() -> None:
    async with relay(limits=SessionLimits(unknown_recipients_max=3)) as house:
        talk = await house.secured()
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        replies = [await talk.ask(f"RCPT TO:<inconnu-{n}@operateur-b.test>") for n in range(4)]
        assert [reply[:9] for reply in replies] == ["550 5.1.1"] * 3 + ["421 4.7.0"]
        (alarm,) = house.told(RecipientsGuessed)
        assert isinstance(alarm, RecipientsGuessed)
        assert "operateur-a" in alarm.dn


@pytest.mark.parametrize("line", [b"\r\n", b"\xc3\xa9\r\n", b"FOO\r\n", b"RCPT TO:<a@b.test>\r\n", b"NOOP\n"])
async def test_twenty_errors_end_the_session(line: bytes) -> None:
    async with relay() as house:
        talk = await house.secured()
        pouring = asyncio.create_task(_flooded(talk, line * 100, 100))
        replies = await talk.replies_to_the_end()
        await pouring
        assert len(replies) == 21
        assert replies[-1].startswith("421 4.7.0")


async def test_a_hundred_idle_commands_end_the_session() -> None:
    async with relay() as house:
        talk = await house.secured()
        pouring = asyncio.create_task(_flooded(talk, b"NOOP\r\n" * 200, 1))
        replies = await talk.replies_to_the_end()
        await pouring
        assert len(replies) == 99  # two EHLO, 98 NOOP, and the end
        assert replies[-1].startswith("421 4.7.0")


async def test_a_delivered_message_forgives_what_came_before() -> None:
    async with relay(limits=SessionLimits(errors_max=3)) as house:
        talk = await house.secured()
        for _ in range(3):
            assert (await talk.ask("FOO")).startswith("500")
            assert (await talk.ask("FOO")).startswith("500")
            await talk.ask(f"MAIL FROM:<{SENDER}>")
            await talk.ask(f"RCPT TO:<{MAILBOX}>")
            await talk.ask("DATA")
            await talk.send(LETTER + b".\r\n")
            assert (await talk.reply()).startswith("250")


async def _silent(house: House) -> None:
    talk = await house.talk()
    await talk.reply()


async def _half_handshake(house: House) -> None:
    talk = await house.talk()
    await talk.reply()
    await talk.ask("EHLO a.test")
    await talk.ask("STARTTLS")
    await talk.send(b"\x16\x03\x01")


async def _bytewise(house: House) -> None:
    talk = await house.secured()
    for octet in b"NOOP" * 100:
        talk.writer.write(bytes([octet]))
        await asyncio.sleep(0.02)


async def _noops_before_ehlo(house: House) -> None:
    talk = await house.talk()
    await talk.reply()
    while await talk.ask("NOOP"):
        await asyncio.sleep(0.05)


async def _slow_content(house: House) -> None:
    talk = await house.ready()
    for _ in range(1000):
        await talk.send(b"a\r\n")
        await asyncio.sleep(0.02)


async def _deaf(house: House) -> None:
    """Asks and never reads: a window of a few KiB, then nothing."""
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(wire, ("127.0.0.1", house.port))
        await loop.sock_sendall(wire, b"EHLO a.test\r\n")
        await asyncio.sleep(0.05)
        try:
            while True:
                await loop.sock_sendall(wire, b"FOO\r\n" * 10_000)
        except ConnectionError:
            pass


@pytest.mark.parametrize("attack", [_silent, _half_handshake, _bytewise, _noops_before_ehlo, _slow_content])
async def test_a_slow_client_is_cut_in_time(attack: Callable[[House], Coroutine[None, None, None]]) -> None:
    caps = Caps(handshake_seconds=0.3, write_seconds=0.3)
    async with relay(limits=SHORT, caps=caps) as house:
        client = asyncio.create_task(attack(house))
        await until(lambda: bool(house.told(SessionEnded) or house.told(HandshakeRefused)), seconds=3)
        await until(lambda: house.server.listener.connections == 0, seconds=2)
        client.cancel()
        assert not house.backend.kept


async def test_content_at_the_minimum_rate_outlives_every_command_limit() -> None:
    async with relay(limits=SHORT) as house:
        talk = await house.ready()
        for _ in range(20):
            await talk.send(b"x" * 98 + b"\r\n")
            await asyncio.sleep(0.04)
        await talk.send(b".\r\n")
        assert (await talk.reply()).startswith("250")


async def test_a_session_ends_after_its_time_however_busy() -> None:
    async with relay(limits=SessionLimits(session_seconds=0.5, junk_max=10_000)) as house:
        talk = await house.secured()
        reply = ""
        async with asyncio.timeout(3):
            while not reply.startswith("421"):
                reply = await talk.ask("NOOP")
                await asyncio.sleep(0.01)
        assert reply.startswith("421 4.4.2")


async def test_a_commit_may_take_longer_than_any_limit_of_the_peer() -> None:
    async with relay(limits=SHORT) as house:
        house.backend.may_commit.clear()
        talk = await house.ready()
        await talk.send(LETTER + b".\r\n")
        await asyncio.sleep(0.8)
        house.backend.may_commit.set()
        assert (await talk.reply()).startswith("250")


@pytest.mark.parametrize("goodbye", ["abort", "close", "half-close"])
async def test_a_peer_that_vanishes_does_not_cancel_the_commit(goodbye: str) -> None:
    async with relay() as house:
        house.backend.may_commit.clear()
        talk = await house.ready()
        await talk.send(LETTER + b".\r\n")
        await house.backend.committing.wait()
        if goodbye == "abort":
            talk.abort()
        else:
            talk.writer.close()
        await asyncio.sleep(0.05)
        house.backend.may_commit.set()
        await until(lambda: len(house.backend.kept) == 1)
        assert house.backend.aborted == 0


async def test_a_client_that_only_finished_sending_gets_its_reply_in_clear() -> None:
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        talk.writer.write(b"EHLO a.test\r\n")
        talk.writer.write_eof()
        assert (await talk.reply()).startswith("250")


async def test_stopping_finishes_commits_and_says_421_to_the_others() -> None:
    async with relay() as house:
        idle = await house.secured()
        receiving = await house.ready()
        await receiving.send(b"Subject: half")
        committing = await house.ready()
        house.backend.may_commit.clear()
        await committing.send(LETTER + b".\r\n")
        await house.backend.committing.wait()
        stopping = asyncio.create_task(house.server.close(5))
        assert (await idle.reply()).startswith("421 4.3.2")
        assert (await receiving.reply()).startswith("421 4.3.2")
        house.backend.may_commit.set()
        assert (await committing.reply()).startswith("250 2.0.0")
        await stopping
        assert len(house.backend.kept) == 1
        assert house.backend.aborted == 1
        with pytest.raises(OSError):
            await house.talk()


async def test_a_commit_outlives_the_stop_that_cut_its_session() -> None:
    async with relay() as house:
        talk = await house.ready()
        house.backend.may_commit.clear()
        await talk.send(LETTER + b".\r\n")
        await house.backend.committing.wait()
        stopping = asyncio.create_task(house.server.close(0.1))
        assert await talk.reply() == ""
        assert not stopping.done()
        house.backend.may_commit.set()
        await stopping
        assert len(house.backend.kept) == 1
        assert house.backend.aborted == 0


async def _cut_run(house: House, script: list[bytes], at: int) -> None:
    """Speaks the script, and hangs up after `at` octets of it."""
    talk = await house.secured()
    sent = 0
    for step in script:
        part = step[: at - sent]
        talk.writer.write(part)
        sent += len(part)
        if sent >= at:
            break
        if step.endswith(b"\r\n") and not step.startswith(b"Subject"):
            await talk.reply()
    talk.abort()


async def _vanishing(runs: int) -> None:
    script = [f"MAIL FROM:<{SENDER}>\r\n".encode(), f"RCPT TO:<{MAILBOX}>\r\n".encode(), b"DATA\r\n"]
    script += [LETTER + b".\r\n", b"QUIT\r\n"]
    total = sum(map(len, script))
    chance = random.Random(5)
    async with relay() as house:
        for run in range(runs):
            at = chance.randrange(1, total) if run >= 12 else total - run  # each octet behind the final dot
            await _cut_run(house, script, at)
        await until(lambda: house.server.listener.connections == 0)
        await until(lambda: len(house.told(SessionEnded)) == runs)
        assert {intake.ended for intake in house.backend.intakes} <= {"commit", "abort"}
        assert len(house.backend.kept) + house.backend.aborted == len(house.backend.intakes)
        assert all(kept.content == LETTER for kept in house.backend.kept)
        assert not house.told(Crashed)


async def test_vanishing_anywhere_leaves_a_whole_message_or_none() -> None:
    await _vanishing(60)


@pytest.mark.campaign
async def test_vanishing_anywhere_five_hundred_times() -> None:
    await _vanishing(500)


async def test_too_many_messages_at_once_are_deferred() -> None:
    """The letter that finds no room hears so at its end, and is taken once there is some (R3)."""
    most = memory_of(len(LETTER) + 8)
    bounds = RoomBounds(octets_max=most, share_of_port=1, share_of_party=1, wait_seconds=0.1)
    commits = Commits(memory=bounds)
    async with relay(commits=commits) as house:
        first, second = await house.ready(), await house.ready()
        await first.send(LETTER + b"x")
        await until(lambda: commits.memory.taken > 0)
        assert (await second.deliver()).startswith("452 4.3.1")
        assert house.backend.aborted == 1
        assert (await first.deliver(b"\r\n")).startswith("250")
        assert (await (await second.ready()).deliver()).startswith("250")


async def test_full_storage_is_told_at_the_end_of_data_and_nothing_is_kept() -> None:
    async with relay() as house:
        house.backend.write_trouble = trouble(Reason.STORAGE_FULL, Passing)
        talk = await house.ready()
        await talk.send(LETTER * 1000 + b".\r\n")
        assert (await talk.reply()).startswith("452 4.3.1")
        house.backend.write_trouble = None
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        await talk.ask(f"RCPT TO:<{MAILBOX}>")
        await talk.ask("DATA")
        await talk.send(LETTER + b".\r\n")
        assert (await talk.reply()).startswith("250")
        assert (house.backend.aborted, len(house.backend.kept)) == (1, 1)


async def _silent_from(address: str, port: int) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    return writer


async def test_silent_strangers_do_not_shut_out_a_known_peer() -> None:
    caps = Caps(total=100, pre_tls=50, per_address=50, pre_tls_per_address=10)
    async with relay(caps=caps) as house:
        talk = await house.secured()
        await talk.ask(f"MAIL FROM:<{SENDER}>")  # 127.0.0.1 is known from here on
        silent = [await _silent_from(f"127.0.1.{n % 20}", house.port) for n in range(300)]
        await until(lambda: len(house.told(ConnectionRefused)) >= 20)  # one of each address, the rest summed
        assert house.server.listener.connections == 41  # 80 % of 50 before TLS, and the peer
        began = time.monotonic()
        again = await house.ready()
        await again.send(LETTER + b".\r\n")
        assert (await again.reply()).startswith("250")
        assert time.monotonic() - began < 2
        for writer in silent:
            writer.close()
        await until(lambda: house.server.listener.connections == 2)


async def test_a_connection_too_many_is_told_so() -> None:
    async with relay(caps=Caps(pre_tls_per_address=2)) as house:
        silent = [await house.talk() for _ in range(2)]
        talk = await house.talk()
        assert (await talk.reply()).startswith("421 4.7.0")
        assert (await silent[0].reply()).startswith("220")
        (event,) = house.told(ConnectionRefused)
        assert isinstance(event, ConnectionRefused)
        assert event.cause == "too many connections without TLS from this address"


async def test_a_peer_that_has_proved_itself_opens_many_at_once() -> None:
    async with relay(caps=Caps(pre_tls_per_address=2)) as house:
        talk = await house.secured()
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        for _ in range(5):
            assert (await (await house.talk()).reply()).startswith("220")


async def test_a_deaf_client_is_cut_by_the_write_deadline() -> None:
    limits = SessionLimits(errors_max=10**9, commands_without_mail_max=10**9)
    async with relay(limits=limits, caps=Caps(write_seconds=0.3)) as house:
        client = asyncio.create_task(_deaf(house))
        await until(lambda: bool(house.told(SessionEnded)), seconds=10)
        (ended,) = house.told(SessionEnded)
        assert isinstance(ended, SessionEnded)
        assert ended.cause == "connection lost"
        client.cancel()


async def test_logs_of_aiosmtpd_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with relay() as house:
        talk = await house.ready()
        await talk.send(b"Subject: canary-subject\r\n\r\ncanary-body\r\n.\r\n")
        await talk.reply()
        await talk.ask("FOO canary")
    assert "canary" not in caplog.text
    assert SENDER not in caplog.text
