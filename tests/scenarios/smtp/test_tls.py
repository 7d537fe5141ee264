"""STARTTLS and the proof of a peer (attack catalogue T1, T2, T7, T8, T16; findings A5-A11)."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from mssante.observe.events import ConnectionRefused, HandshakeRefused, PeerAccepted, PeerRefused
from mssante.reasons import Passing, Reason
from mssante.smtp.server.wire import SessionLimits
from tests.support.smtp.house import (
    LETTER,
    MAILBOX,
    PASSWORD,
    PERSON,
    SENDER,
    House,
    Talk,
    client_context,
    pki,
    relay,
    space_of,
    submission,
    trouble,
    until,
)


@pytest.mark.parametrize("size", [1, 100, 2_002, 65_536])
@pytest.mark.parametrize("port", [relay, submission])
async def test_plaintext_behind_starttls_ends_the_connection_before_the_handshake(
    size: int, port: Callable[[], AbstractAsyncContextManager[House]]
) -> None:
    async with port() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO mss.operateur-a.test")
        await talk.send(b"STARTTLS\r\n" + (b"RSET\r\n" * 11000)[:size])
        replies = await talk.replies_to_the_end()
        assert all(not reply.startswith(("220", "250")) for reply in replies)
        await until(lambda: bool(house.told(ConnectionRefused)))
        assert not house.backend.intakes


async def test_plaintext_in_a_later_segment_is_never_a_command() -> None:
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO mss.operateur-a.test")
        assert (await talk.ask("STARTTLS")).startswith("220")
        await talk.send(b"EHLO evil.test\r\nMAIL FROM:<>\r\n")
        rest = await talk.reader.read()
        assert b"250" not in rest  # a TLS alert, or nothing
        await until(lambda: bool(house.told(HandshakeRefused)))


async def test_starttls_inside_tls_is_503() -> None:
    async with relay() as house:
        talk = await house.secured()
        assert (await talk.ask("STARTTLS")).startswith("503 5.5.1")
        assert (await talk.ask("NOOP")).startswith("250")


async def test_nothing_but_greeting_is_done_in_clear() -> None:
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO mss.operateur-a.test")
        for command in (
            f"MAIL FROM:<{SENDER}>",
            f"RCPT TO:<{MAILBOX}>",
            "DATA",
            "RSET",
            "AUTH PLAIN AGEAYg==",
        ):
            assert (await talk.ask(command)).startswith("530 5.7.0")


async def test_what_was_learnt_in_clear_is_forgotten() -> None:
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO mss.operateur-a.test")
        await talk.start_tls(client_context())
        assert (await talk.ask(f"MAIL FROM:<{SENDER}>")).startswith("503 5.5.1")


@pytest.mark.parametrize(
    ("leaf", "reply", "reason"),
    [
        (None, "550 5.7.1", Reason.CERTIFICATE_MISSING),
        ("expire", "550 5.7.5", Reason.CERTIFICATE_EXPIRED),
        ("revoque", "550 5.7.5", Reason.CERTIFICATE_REVOKED),
        ("no-match", "550 5.7.1", Reason.PEER_NOT_LISTED),
        ("operateur-inconnu", "550 5.7.1", Reason.PEER_NOT_LISTED),
    ],
)
async def test_a_refused_peer_is_told_why_at_mail(leaf: str | None, reply: str, reason: Reason) -> None:
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO mss.test")
        await talk.start_tls(client_context(leaf))
        assert (await talk.ask("EHLO mss.test")).startswith("250")
        assert (await talk.ask("MAIL FROM:<>")).startswith(reply)
        assert (await talk.ask(f"RCPT TO:<{MAILBOX}>")).startswith("503")
        (event,) = house.told(PeerRefused)
        assert isinstance(event, PeerRefused)
        assert event.reason == reason.value
        assert bool(event.fingerprint) == (leaf is not None)


@pytest.mark.parametrize("leaf", ["non-igc", "self-signed"])
async def test_a_chain_from_elsewhere_fails_the_handshake_and_openssl_says_why(leaf: str) -> None:
    async with relay() as house:
        talk = await house.talk()
        await talk.reply()
        await talk.ask("EHLO mss.test")
        await talk.start_tls(client_context(leaf))  # TLS 1.3: the client believes it until it reads
        assert await talk.ask("EHLO mss.test") == ""
        await until(lambda: bool(house.told(HandshakeRefused)))
        (event,) = house.told(HandshakeRefused)
        assert isinstance(event, HandshakeRefused)
        assert event.cause.startswith("CERTIFICATE_VERIFY_FAILED: ")


async def test_a_peer_speaks_for_its_own_domains_only() -> None:
    async with relay() as house:
        talk = await house.secured()
        assert (await talk.ask("MAIL FROM:<x@operateur-b.test>")).startswith("550 5.7.1")
        assert (await talk.ask("MAIL FROM:<x@nulle-part.test>")).startswith("550 5.7.1")
        assert (await talk.ask("MAIL FROM:<>")).startswith("250 2.1.0")
        domains = [event.domain for event in house.told(PeerRefused) if isinstance(event, PeerRefused)]
        assert domains == ["operateur-b.test", "nulle-part.test"]
        assert len(house.told(PeerAccepted)) == 1


async def test_a_peer_struck_off_the_list_stops_at_its_next_message() -> None:
    async with relay(recheck_seconds=0) as house:
        talk = await house.secured()
        assert (await talk.ask(f"MAIL FROM:<{SENDER}>")).startswith("250")
        await talk.ask("RSET")
        assert (await talk.ask(f"MAIL FROM:<{SENDER}>")).startswith("250")  # judged again, told once
        await talk.ask("RSET")
        house.space[0] = space_of("operator-b")
        assert (await talk.ask(f"MAIL FROM:<{SENDER}>")).startswith("550 5.7.1")
        house.space[0] = space_of("operator-a")
        assert (await talk.ask(f"MAIL FROM:<{SENDER}>")).startswith("250")
        assert len(house.told(PeerAccepted)) == 2
        assert len(house.told(PeerRefused)) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_session_is_resumed(version: ssl.TLSVersion) -> None:
    async with relay() as house:
        context = client_context()
        context.minimum_version = context.maximum_version = version

        def connect(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
            with socket.create_connection(("127.0.0.1", house.port)) as wire:
                wire.recv(1000)
                wire.sendall(b"EHLO a.test\r\n")
                wire.recv(1000)
                wire.sendall(b"STARTTLS\r\n")
                wire.recv(1000)
                with context.wrap_socket(wire, session=session) as tls:
                    tls.sendall(b"EHLO a.test\r\n")
                    assert tls.recv(1000).startswith(b"250")
                    return tls.session, tls.session_reused

        session, _ = await asyncio.to_thread(connect, None)
        _, reused = await asyncio.to_thread(connect, session)
        assert reused is False


def _resuming(sock: socket.socket, context: ssl.SSLContext, session: ssl.SSLSession | None) -> ssl.SSLSocket:
    tls = context.wrap_socket(sock, session=session)
    tls.sendall(b"EHLO mss.operateur-a.test\r\n")
    assert tls.recv(1000).startswith(b"250")
    return tls


@pytest.mark.parametrize(("listed", "reply"), [("operator-a", "250 2.1.0"), ("operator-b", "550 5.7.1")])
async def test_two_connections_that_share_a_context_both_get_a_verdict_of_today(
    listed: str, reply: str
) -> None:
    """Both are told 220 before either makes its handshake, and the peer keeps a cache of sessions."""
    async with relay() as house:
        context = client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2

        def told_220() -> socket.socket:
            wire = socket.create_connection(("127.0.0.1", house.port), 10)
            for line in (b"EHLO mss.operateur-a.test\r\n", b"STARTTLS\r\n"):
                wire.recv(1000)
                wire.sendall(line)
            assert wire.recv(1000).startswith(b"220")
            return wire

        def converse() -> str:
            first, second = told_220(), told_220()
            with _resuming(first, context, None) as one:
                one.sendall(f"MAIL FROM:<{SENDER}>\r\n".encode())
                assert one.recv(1000).startswith(b"250 2.1.0")
                house.space[0] = space_of(listed)
                with _resuming(second, context, one.session) as two:
                    assert two.session_reused
                    two.sendall(f"MAIL FROM:<{SENDER}>\r\n".encode())
                    return two.recv(1000).decode()

        assert (await asyncio.to_thread(converse)).startswith(reply)


@pytest.mark.parametrize("cut", [0, 1000, 60_000])
async def test_content_cut_short_without_an_end_keeps_nothing(cut: int) -> None:
    async with relay() as house:
        talk = await house.ready()
        await talk.send((b"x" * 76 + b"\r\n") * (cut // 78) + b"\r\n")
        talk.abort()  # FIN or RST without close_notify
        await until(lambda: house.backend.aborted == 1)
        assert not house.backend.kept


async def test_submission_needs_a_login_and_a_login_needs_tls() -> None:
    async with submission() as house:
        talk = await house.talk()
        await talk.reply()
        assert "AUTH" not in await talk.ask("EHLO poste.test")
        assert (await talk.ask("AUTH LOGIN")).startswith("530 5.7.0")
        await talk.start_tls(client_context(None))
        assert "AUTH PLAIN LOGIN" in await talk.ask("EHLO poste.test")
        assert (await talk.ask(f"MAIL FROM:<{PERSON}>")).startswith("530 5.7.0")
        assert (await talk.ask("AUTH plain " + _plain(PERSON, PASSWORD))).startswith("235 2.7.0")
        assert (await talk.ask("AUTH PLAIN")).startswith("503 5.5.1")
        assert (await talk.ask("MAIL FROM:<autre@operateur-b.test>")).startswith("553 5.7.1")
        assert (await talk.ask(f"MAIL FROM:<{PERSON}>")).startswith("250")
        assert (await talk.ask(f"RCPT TO:<{MAILBOX}>")).startswith("250")
        assert (await talk.ask("DATA")).startswith("354")
        await talk.send(LETTER + b".\r\n")
        assert (await talk.reply()).startswith("250 2.0.0")
        login = house.backend.kept[0].speaker.login
        assert login is not None
        assert login.person == PERSON


def _plain(login: str, password: str, other: str = "") -> str:
    return _64(f"{other}\0{login}\0{password}")


def _64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (["AUTH PLAIN", _plain(PERSON, PASSWORD)], "235 2.7.0"),
        (["AUTH LOGIN", _64(PERSON), _64(PASSWORD)], "235 2.7.0"),
        ([f"AUTH LOGIN {_64(PERSON)}", _64(PASSWORD)], "235 2.7.0"),
        ([f"AUTH PLAIN {_plain(PERSON, PASSWORD, other=PERSON)}"], "235 2.7.0"),
        ([f"AUTH PLAIN {_plain(PERSON, PASSWORD, other='chef@operateur-b.test')}"], "501 5.5.2"),
        ([f"AUTH PLAIN {_plain(PERSON, 'wrong')}"], "535 5.7.8"),
        (["AUTH PLAIN ="], "501 5.5.2"),
        (["AUTH PLAIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", _64(PERSON), "*"], "501 5.7.0"),
        (["AUTH LOGIN", "%%%"], "501 5.5.2"),
        (["AUTH PLAIN a b"], "501 5.5.4"),
        (["AUTH XOAUTH2 abc"], "504 5.5.4"),
        (["AUTH"], "501 5.5.4"),
        ([f"AUTH PLAIN {_plain(PERSON, 'x' * 1025)}"], "501 5.5.2"),
        ([f"AUTH PLAIN {_plain('x' * 321, PASSWORD)}"], "501 5.5.2"),
        (["AUTH LOGIN", _64("x" * 321), _64(PASSWORD)], "501 5.5.2"),
    ],
)
async def test_authentication_is_strict(lines: list[str], answer: str) -> None:
    async with submission(implicit_tls=True) as house:
        talk = await Talk.open(house.port, client_context(None))
        await talk.reply()
        await talk.ask("EHLO poste.test")
        for line in lines[:-1]:
            assert (await talk.ask(line)).startswith("334 ")
        assert (await talk.ask(lines[-1])).startswith(answer)


async def test_implicit_tls_offers_no_starttls() -> None:
    async with submission(implicit_tls=True) as house:
        talk = await Talk.open(house.port, client_context(None))
        await talk.reply()
        assert "STARTTLS" not in await talk.ask("EHLO poste.test")
        assert (await talk.ask("STARTTLS")).startswith("503")


async def test_guessing_passwords_ends_the_session() -> None:
    async with submission(implicit_tls=True, limits=SessionLimits(errors_max=5)) as house:
        talk = await Talk.open(house.port, client_context(None))
        await talk.reply()
        await talk.ask("EHLO poste.test")
        for _ in range(5):
            assert (await talk.ask(f"AUTH PLAIN {_plain(PERSON, 'guess')}")).startswith("535 5.7.8")
        assert (await talk.reply()).startswith("421 4.7.0")


async def test_a_doubt_is_deferred_not_refused() -> None:
    async with relay() as house:
        house.backend.mail_trouble = trouble(Reason.REVOCATION_UNKNOWN, Passing)
        talk = await house.secured()
        assert (await talk.ask(f"MAIL FROM:<{SENDER}>")).startswith("451 4.7.5")


def test_the_pki_has_the_cases_used_here() -> None:
    assert {"operator-a", "operator-b", "expire", "revoque", "no-match", "non-igc"} <= set(pki().leaves)
