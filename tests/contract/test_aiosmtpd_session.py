"""Sessions: what aiosmtpd 1.4.6 does, and what the guard makes of it (findings A4, A29-A42)."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket

import pytest

from mssante.smtp.server.wire import SessionLimits
from tests.support.smtp.house import LETTER, MAILBOX, SENDER, Talk, relay, submission, until
from tests.support.smtp.plain_aiosmtpd import plain


@pytest.mark.parametrize("line", [b"NOOP\n", b"NOOP\r\r\r\n"])
async def test_a4_a_command_may_end_in_anything_for_aiosmtpd(line: bytes) -> None:
    async with plain() as server:
        talk = await server.greeted()
        await talk.send(line)
        assert (await talk.reply()).startswith("250")
    async with relay() as house:
        talk = await house.secured()
        await talk.send(line)
        assert (await talk.reply()).startswith("500 5.5.2")


async def test_a29_a_disconnect_cancels_aiosmtpds_handler_and_not_our_commit() -> None:
    async with plain() as server:
        server.handler.may_finish.clear()
        talk = await server.ready()
        await talk.send(LETTER + b".\r\n")
        await server.handler.began.wait()
        talk.abort()
        await until(lambda: server.handler.cancelled)
    async with relay() as house:
        house.backend.may_commit.clear()
        talk = await house.ready()
        await talk.send(LETTER + b".\r\n")
        await house.backend.committing.wait()
        talk.abort()
        await asyncio.sleep(0.05)
        house.backend.may_commit.set()
        await until(lambda: len(house.backend.kept) == 1)


def _finish_sending(talk: Talk) -> None:
    """FIN, the receiving half left open."""
    with socket.socket(fileno=os.dup(talk.writer.get_extra_info("socket").fileno())) as wire:
        wire.shutdown(socket.SHUT_WR)


async def test_a29_a_client_that_has_finished_sending_gets_no_reply_from_aiosmtpd() -> None:
    async with plain() as server:
        server.handler.may_finish.clear()
        talk = await server.ready()
        await talk.send(LETTER + b".\r\n")
        await server.handler.began.wait()
        _finish_sending(talk)
        await until(lambda: server.handler.cancelled)
        assert await talk.reply() == ""
    async with relay() as house:
        house.backend.may_commit.clear()
        talk = await house.ready()
        await talk.send(LETTER + b".\r\n")
        await house.backend.committing.wait()
        _finish_sending(talk)
        await asyncio.sleep(0.05)
        house.backend.may_commit.set()
        assert (await talk.reply()).startswith("250")


async def test_a31_aiosmtpds_timer_runs_during_the_commit() -> None:
    async with plain(timeout=0.2) as server:
        server.handler.may_finish.clear()
        talk = await server.ready()
        await talk.send(LETTER + b".\r\n")
        assert await talk.reply() == ""
    async with relay(limits=SessionLimits(command_seconds=0.2, data_credit_seconds=0.2)) as house:
        house.backend.may_commit.clear()
        talk = await house.ready()
        await talk.send(LETTER + b".\r\n")
        await asyncio.sleep(0.4)
        house.backend.may_commit.set()
        assert (await talk.reply()).startswith("250")


async def test_a32_a33_an_exceptions_text_reaches_the_peer_of_aiosmtpd() -> None:
    error = RuntimeError("patient DUPONT\r\n250 forged ok")
    async with plain() as server:
        server.handler.fails = error
        talk = await server.ready()
        await talk.send(LETTER + b".\r\n")
        assert await talk.reply() == "500 Error: (RuntimeError) patient DUPONT\r\n"
        assert await talk.reply() == "250 forged ok\r\n"
    async with relay() as house:
        house.backend.commit_trouble = error
        talk = await house.ready()
        await talk.send(LETTER + b".\r\n")
        assert re.fullmatch(r"451 4\.3\.0 [ -~]*\r\n", await talk.reply())
        assert (await talk.ask("NOOP")).startswith("250 2.0.0 OK")


async def test_a34_the_null_sender_is_a_text_for_aiosmtpd() -> None:
    async with plain() as server:
        talk = await server.greeted()
        await talk.ask("MAIL FROM:<>")
        await talk.ask("RCPT TO:<b@b.test>")
        await talk.ask("DATA")
        await talk.send(LETTER + b".\r\n")
        await talk.reply()
        assert server.handler.envelopes[0][0] == "<>"
    async with relay() as house:
        talk = await house.secured()
        await talk.ask("MAIL FROM:<>")
        await talk.ask(f"RCPT TO:<{MAILBOX}>")
        await talk.ask("DATA")
        await talk.send(LETTER + b".\r\n")
        await talk.reply()
        assert house.backend.kept[0].envelope.sender is None


@pytest.mark.parametrize(
    "address",
    [
        "<@relay.test:a@operateur-a.test>",
        "<(comment)a@operateur-a.test>",
        "<a@operateur-a.test",
        "<no-domain>",
        '<"two words"@operateur-a.test>',
        f"<{'l' * 300}@operateur-a.test>",
    ],
)
async def test_a35_aiosmtpd_takes_addresses_that_are_not(address: str) -> None:
    async with plain() as server:
        talk = await server.greeted()
        assert (await talk.ask(f"MAIL FROM:{address}")).startswith("250")
    async with relay() as house:
        talk = await house.secured()
        assert (await talk.ask(f"MAIL FROM:{address}")).startswith("553 5.1.7")


async def test_a36_a_unicode_digit_breaks_aiosmtpd() -> None:
    async with plain(enable_SMTPUTF8=True) as server:
        talk = await server.greeted()
        assert "ValueError" in await talk.ask("MAIL FROM:<a@a.test> SIZE=²")
    async with relay() as house:
        talk = await house.secured()
        assert (await talk.ask(f"MAIL FROM:<{SENDER}> SIZE=²")).startswith("500 5.5.2")


async def test_a37_aiosmtpd_takes_any_number_of_recipients() -> None:
    async with plain() as server:
        talk = await server.greeted()
        await talk.ask("MAIL FROM:<a@a.test>")
        for _ in range(300):
            assert (await talk.ask("RCPT TO:<b@b.test>")).startswith("250")
    async with relay() as house:
        talk = await house.secured()
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        replies = [await talk.ask(f"RCPT TO:<{MAILBOX}>") for _ in range(201)]
        assert [reply[:9] for reply in replies] == ["250 2.1.5"] * 200 + ["452 4.5.3"]


async def test_a38_aiosmtpd_answers_empty_lines_for_ever() -> None:
    async with plain(command_call_limit=5) as server:
        talk = await server.greeted()
        for _ in range(500):
            assert (await talk.ask("")).startswith("500")
    async with relay() as house:
        talk = await house.secured()
        replies = [await talk.ask("") for _ in range(20)]
        assert all(reply.startswith("500 5.5.") for reply in replies)
        assert (await talk.reply()).startswith("421")


async def test_a39_each_ehlo_makes_aiosmtpds_command_limit_grow() -> None:
    long = "MAIL FROM:<a@a.test> " + " " * 600
    async with plain() as server:
        talk = await server.greeted()
        assert (await talk.ask(long)).startswith("500 Command line too long")
        for _ in range(5):
            await talk.ask("EHLO a.test")
        assert (await talk.ask(long)).startswith("250")
    async with relay() as house:
        talk = await house.secured()
        for _ in range(90):
            await talk.ask("EHLO mss.operateur-a.test")
        assert (await talk.ask(f"MAIL FROM:<{SENDER}> " + " " * 2048)).startswith("500 5.5.2")


async def test_a40_a_trickle_of_noops_keeps_aiosmtpd_for_ever() -> None:
    async with plain(timeout=0.2) as server:
        talk = await server.greeted()
        for _ in range(12):
            await asyncio.sleep(0.05)
            assert (await talk.ask("NOOP")).startswith("250")
    async with relay(limits=SessionLimits(session_seconds=0.4)) as house:
        talk = await house.secured()
        reply = "250"
        while reply.startswith("250"):
            await asyncio.sleep(0.05)
            reply = await talk.ask("NOOP")
        assert reply.startswith("421 4.4.2")


async def test_a41_aiosmtpd_logs_every_command_and_every_line() -> None:
    seen: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    log = logging.getLogger("mail.log")
    assert log.disabled  # by importing the guard
    listening = Listening()
    log.addHandler(listening)
    before = log.level, log.disabled
    try:
        log.disabled = False
        log.setLevel(logging.DEBUG)
        async with plain() as server:
            talk = await server.ready()
            await talk.send(b"Subject: canary-subject\r\n.\r\n")
            await talk.reply()
        assert any("b@b.test" in text for text in seen)
        assert any("canary-subject" in text for text in seen)
        seen.clear()
        log.disabled = True
        async with relay() as house:
            talk = await house.ready()
            await talk.send(b"Subject: canary-subject\r\n.\r\n")
            await talk.reply()
        assert not seen
    finally:
        log.removeHandler(listening)
        log.level, log.disabled = before


async def test_a42_aiosmtpd_offers_more_than_we_want() -> None:
    async with plain() as server:
        talk = await server.greeted()
        assert (await talk.ask("VRFY someone@b.test")).startswith("252")
        assert (await talk.ask("HELP")).startswith("250")
    async with submission() as house:
        talk = await house.talk()
        assert "Python" not in await talk.reply()
        await talk.ask("EHLO a.test")
        assert (await talk.ask("VRFY someone@b.test")).startswith("5")
        assert (await talk.ask("HELP")).startswith("5")
