"""SMTP framing and smuggling on a real socket (attack catalogue S1-S10, S13-S15)."""

from __future__ import annotations

import re

import pytest

from mssante.observe.events import Crashed, MessageNoted
from mssante.smtp.server.wire import SessionLimits
from tests.support.smtp.house import LETTER, MAILBOX, SENDER, House, relay
from tests.support.smtp.smuggling import FAKE_TERMINATORS

SECOND = (
    f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{MAILBOX}>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n.\r\n".encode()
)


@pytest.mark.parametrize("fake", FAKE_TERMINATORS)
async def test_a_fake_terminator_gives_one_reply_and_nothing_is_kept(fake: bytes) -> None:
    async with relay() as house:
        talk = await house.ready()
        await talk.send(LETTER + fake + SECOND + b"QUIT\r\n")
        replies = await talk.replies_to_the_end()
        if b"\r" in fake.replace(b"\r\n", b"") or b"\n" in fake.replace(b"\r\n", b""):
            expected = "550 5.5.2"
        elif b"\0" in fake:
            expected = "550 5.6.0"
        else:
            expected = "250 2.0.0"  # legal text: the second envelope is content of the first
        assert [reply[:9] for reply in replies] == [expected, "221 2.0.0"]
        assert len(house.backend.kept) == (1 if expected.startswith("250") else 0)


async def test_a_letter_is_kept_octet_for_octet_with_its_envelope_and_its_peer() -> None:
    body = LETTER + b"..un point\r\n.\xc3\xa9\r\n"
    async with relay() as house:
        talk = await house.ready()
        await talk.send(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert (await talk.reply()).startswith("250 2.0.0")
        (kept,) = house.backend.kept
        assert kept.content == body
        assert str(kept.envelope.sender) == SENDER
        assert [str(address) for address in kept.envelope.recipients] == [MAILBOX]
        assert kept.speaker.peer is not None
        assert "operateur-a" in kept.speaker.peer.identity.dn
        assert kept.speaker.tls_version == "TLSv1.3"
        assert kept.speaker.helo == "mss.operateur-a.test"


@pytest.mark.parametrize("cut", range(1, len(b"a\r\n.b\r\n.\r\nNOOP\r\n")))
async def test_the_end_of_data_may_be_cut_anywhere(cut: int) -> None:
    wire = b"a\r\n..b\r\n.\r\nNOOP\r\n"
    async with relay() as house:
        talk = await house.ready()
        await talk.send(wire[:cut])
        await talk.send(wire[cut:])
        assert (await talk.reply()).startswith("250 2.0.0")
        assert (await talk.reply()).startswith("250 2.0.0")
        assert house.backend.kept[0].content == b"a\r\n.b\r\n"


@pytest.mark.parametrize(
    ("octets", "reply", "noted"),
    [
        (998, "250", 0),
        (999, "250", 1),
        (4096, "250", 1),
        (4097, "500 5.5.2", 0),
        (10 * 2**20, "500 5.5.2", 0),
    ],
)
async def test_long_lines_are_taken_to_4096_octets(octets: int, reply: str, noted: int) -> None:
    async with relay() as house:
        talk = await house.ready()
        await talk.send(b"x" * octets + b"\r\n.\r\n")
        assert (await talk.reply()).startswith(reply)
        assert len(house.told(MessageNoted)) == noted
        assert house.backend.aborted == (0 if reply == "250" else 1)
        assert (await talk.ask("NOOP")).startswith("250")


@pytest.mark.parametrize(
    "line",
    [
        b"NOOP\n",
        b"NO\0OP\r\n",
        b"NOOP\r\r\n",
        b"NOOP\r\r\r\n",
        b"MAIL FROM:<a\0@b.test>\r\n",
        b"\x80NOOP\r\n",
        b"NOOP \xc3\xa9\r\n",
        b"NO\rOP\r\n",
        b"\n",
        b"\r\n",
    ],
)
async def test_a_malformed_command_line_is_answered_500(line: bytes) -> None:
    async with relay() as house:
        talk = await house.secured()
        await talk.send(line)
        assert re.match(r"500 5\.5\.[12] ", await talk.reply())
        assert (await talk.ask("NOOP")).startswith("250 2.0.0")


@pytest.mark.parametrize("position", [0, 12, 20])
async def test_a_nul_in_the_content_is_refused(position: int) -> None:
    async with relay() as house:
        talk = await house.ready()
        await talk.send(LETTER[:position] + b"\0" + LETTER[position:] + b".\r\n")
        assert (await talk.reply()).startswith("550 5.6.0")
        assert not house.backend.kept


@pytest.mark.parametrize(
    "command", ["BDAT 5 LAST", "VRFY dr.b", "EXPN equipe", "HELP", "AUTH PLAIN AGEAYg=="]
)
async def test_what_is_not_offered_is_502(command: str) -> None:
    async with relay() as house:
        talk = await house.secured()
        ehlo = await talk.ask("EHLO mss.operateur-a.test")
        assert not re.search("CHUNKING|SMTPUTF8|VRFY|HELP|AUTH|STARTTLS", ehlo)
        assert (await talk.ask(command)).startswith("502 5.5.1")


async def test_what_is_offered_before_and_after_tls() -> None:
    async with relay(limits=SessionLimits(message_octets_max=1234567)) as house:
        talk = await house.talk()
        assert await talk.reply() == "220 mss.operateur-b.test ESMTP\r\n"
        before = await talk.ask("EHLO mss.operateur-a.test")
        assert {line[4:] for line in before.splitlines()[1:]} == {
            "SIZE 1234567",
            "8BITMIME",
            "STARTTLS",
            "ENHANCEDSTATUSCODES",
        }
        talk = await house.secured()
        after = await talk.ask("EHLO mss.operateur-a.test")
        assert {line[4:] for line in after.splitlines()[1:]} == {
            "SIZE 1234567",
            "8BITMIME",
            "PIPELINING",
            "ENHANCEDSTATUSCODES",
        }


@pytest.mark.parametrize("command", ["EHLO mss.operateur-a.test", "HELO mss.operateur-a.test"])
async def test_a_command_sent_before_the_reply_to_a_greeting_ends_the_session(command: str) -> None:
    async with relay() as house:
        talk = await house.secured()
        await talk.send(f"{command}\r\nMAIL FROM:<{SENDER}>\r\n".encode())
        assert [reply[:9] for reply in await talk.replies_to_the_end()] == ["554 5.5.0"]


async def test_content_sent_before_354_ends_the_session_and_keeps_nothing() -> None:
    async with relay() as house:
        talk = await house.secured()
        await talk.ask(f"MAIL FROM:<{SENDER}>")
        await talk.ask(f"RCPT TO:<{MAILBOX}>")
        await talk.send(b"DATA\r\nSubject: early\r\n\r\n.\r\n")
        assert [reply[:9] for reply in await talk.replies_to_the_end()] == ["554 5.5.0"]
        assert not house.backend.kept
        assert not house.backend.intakes


async def test_a_hundred_pipelined_recipients_are_answered_in_order() -> None:
    async with relay() as house:
        talk = await house.secured()
        commands = [f"MAIL FROM:<{SENDER}>"]
        commands += [f"RCPT TO:<boite-{n}@operateur-{'b' if n % 10 else 'z'}.test>" for n in range(100)]
        await talk.send("".join(f"{command}\r\n" for command in [*commands, "DATA"]).encode())
        answers = [await talk.reply() for _ in range(102)]
        assert answers[0].startswith("250 2.1.0")
        assert [answer[:9] for answer in answers[1:101]] == [
            "250 2.1.5" if n % 10 else "550 5.7.1" for n in range(100)
        ]
        assert answers[101].startswith("354")
        await talk.send(LETTER + b".\r\n")
        assert (await talk.reply()).startswith("250")
        assert len(house.backend.kept[0].envelope.recipients) == 90


async def _mail(house: House, argument: str) -> str:
    talk = await house.secured()
    return await talk.ask(f"MAIL {argument}")


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("FROM:<dr.a@operateur-a.test> SIZE=²", "500 5.5.2"),
        ("FROM:<dr.a@operateur-a.test> SIZE=-1", "501 5.5.4"),
        (f"FROM:<dr.a@operateur-a.test> SIZE={10**30}", "501 5.5.4"),
        ("FROM:<dr.a@operateur-a.test> SIZE=99999999999", "552 5.3.4"),
        ("FROM:<dr.a@operateur-a.test> FUTURE=1", "555 5.5.4"),
        ("FROM:<dr.a@operateur-a.test> SMTPUTF8", "555 5.6.7"),
        ("FROM:<dr.a@operateur-a.test> BODY=BINARYMIME", "501 5.5.4"),
        ("FROM:<@relay.test:dr.a@operateur-a.test>", "553 5.1.7"),
        ("", "501 5.5.4"),
    ],
)
async def test_hostile_mail_parameters_are_answered_from_the_table(argument: str, reply: str) -> None:
    async with relay() as house:
        assert (await _mail(house, argument)).startswith(reply)


@pytest.mark.parametrize("text", ["boom\r\n250 forged ok", "é" * 50, "x" * 10_000, "INSERT INTO patient"])
@pytest.mark.parametrize("where", ["mail_trouble", "write_trouble", "commit_trouble"])
async def test_an_exception_is_451_and_its_text_stays_inside(text: str, where: str) -> None:
    async with relay() as house:
        setattr(house.backend, where, RuntimeError(text))
        talk = await house.secured()
        answer = await talk.ask(f"MAIL FROM:<{SENDER}>")
        if where != "mail_trouble":
            await talk.ask(f"RCPT TO:<{MAILBOX}>")
            await talk.ask("DATA")
            await talk.send(LETTER + b".\r\n")
            answer = await talk.reply()
        assert re.fullmatch(r"451 4\.3\.0 [ -~]{1,200}\r\n", answer)
        assert text[:8] not in answer
        assert (await talk.ask("NOOP")).startswith("250")
        (crash,) = house.told(Crashed)
        assert isinstance(crash, Crashed)
        assert crash.error == "RuntimeError"
