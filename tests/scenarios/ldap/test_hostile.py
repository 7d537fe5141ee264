"""Directories that lie, drip, flood or impersonate (attack catalogue D2 and D3), and one that is away."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import time
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

import pytest

from mssante.annuaire.ldap import LdapDirectory
from mssante.clock import ManualClock
from mssante.demo.annuaire import BASE_DN
from mssante.demo.annuaire.slapd import ADMIN_DN, TlsFiles
from mssante.ldap.client.session import LdapTarget
from mssante.limits import (
    DIRECTORY_REST_SECONDS,
    DIRECTORY_UNANSWERED_MAX,
    LDAP_MESSAGE_OCTETS_MAX,
    LDAP_QUESTIONS_AT_ONCE,
    LDAP_QUESTIONS_MAX,
)
from mssante.model import Address, Secret
from mssante.reasons import Passing, Reason
from tests.support.ldap.fake_ldap import (
    EXTENDED,
    SEARCH,
    Conversation,
    FakeLdap,
    Script,
    ber,
    done,
    entry,
    fake_ldap,
    mailbox,
    message,
    reference,
    text,
)
from tests.support.ldap.slapd import slapd, tls_files

ADDRESS = Address.parse("camille.moreau@chu-a.mssante.test")
PASSWORD = Secret("never-in-clear")


def _plain(fake: FakeLdap, *, seconds: float = 5) -> LdapDirectory:
    target = LdapTarget.parse(fake.url, base_dn=BASE_DN)
    return LdapDirectory(target, question_seconds=seconds, trust_seconds=seconds)


async def _unavailable(question: Awaitable[object]) -> str:
    with pytest.raises(Passing) as raised:
        await question
    assert raised.value.reason is Reason.DIRECTORY_UNAVAILABLE
    return raised.value.detail


NUMBER = b"\x7f\xed\xcb\xa9"
N = int.from_bytes(NUMBER, "big")


def _answering(*answers: bytes) -> Script:
    """Answers each search with `answers`, written for message number N and renumbered."""

    def script(conversation: Conversation) -> None:
        for number, tag, _ in conversation.requests():
            if tag == SEARCH:
                for answer in answers:
                    conversation.send(answer.replace(NUMBER, number.to_bytes(4, "big"), 1))

    return script


def _found(address: str, **attributes: str | bytes) -> bytes:
    return entry(N, f"mssAdresse={address},{BASE_DN}", mailbox(address, **attributes))


# ------------------------------------------------------------------ the fake is a good one first


async def test_a_well_behaved_fake_is_believed() -> None:
    with fake_ldap(_answering(_found(str(ADDRESS)), done(N))) as fake:
        directory = _plain(fake)
        found = await directory.mailbox(ADDRESS)
        assert found is not None
        assert found.address == ADDRESS
        assert await directory.search("moreau", 5) == (found,)
        await directory.aclose()


# ------------------------------------------------------------------ D2: who answers


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return tls_files(tmp_path_factory.mktemp("tls") / "right")


async def test_ldaps_and_starttls_work_with_the_right_authority(tmp_path: Path, tls: TlsFiles) -> None:
    with slapd(tmp_path, tls=tls) as server:
        for url in (server.tls_url or "", server.url):
            target = LdapTarget.parse(
                url,
                base_dn=server.base_dn,
                ca_file=tls.ca,
                bind_dn=ADMIN_DN,
                password=Secret(server.admin_password),
            )
            directory = LdapDirectory(target)
            found = await directory.mailbox(Address.parse("cardiologie@chu-a.mssante.test"))
            assert "Confidentielle" not in repr(found)  # the administrator may read it; we do not ask
            assert found is not None
            await directory.aclose()


async def test_a_wrong_bind_password_is_passing(tmp_path: Path) -> None:
    with slapd(tmp_path) as server:
        target = LdapTarget.parse(
            server.url, base_dn=server.base_dn, bind_dn=ADMIN_DN, password=Secret("not this one")
        )
        directory = LdapDirectory(target)
        assert "invalidCredentials" in await _unavailable(directory.mailbox(ADDRESS))
        await directory.aclose()


async def test_a_wrong_base_is_passing_not_an_unknown_mailbox(tmp_path: Path) -> None:
    with slapd(tmp_path) as server:
        directory = LdapDirectory(LdapTarget.parse(server.url, base_dn="dc=other,dc=test"))
        assert "noSuchObject" in await _unavailable(directory.mailbox(ADDRESS))
        await directory.aclose()


def _server_context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    return context


@pytest.mark.parametrize("impostor", ["another authority", "another name", "plain text"])
async def test_an_impostor_on_ldaps_learns_nothing(tmp_path: Path, tls: TlsFiles, impostor: str) -> None:
    context = {
        "another authority": _server_context(tls_files(tmp_path / "other")),
        "another name": _server_context(tls),
        "plain text": None,
    }[impostor]
    # The certificate is for 127.0.0.1, not for this name.
    host = "localhost" if impostor == "another name" else "127.0.0.1"
    with fake_ldap(_answering(_found(str(ADDRESS)), done(N)), tls=context) as fake:
        target = LdapTarget.parse(
            f"ldaps://{host}:{fake.port}",
            base_dn=BASE_DN,
            ca_file=tls.ca,
            bind_dn=ADMIN_DN,
            password=PASSWORD,
        )
        directory = LdapDirectory(target, question_seconds=2)
        await _unavailable(directory.mailbox(ADDRESS))
        await directory.aclose()
        assert fake.connections >= 1
        assert PASSWORD.value.encode() not in fake.received
        assert str(ADDRESS).encode() not in fake.received


@pytest.mark.parametrize("answer", ["refused", "stripped", "pipelined"])
async def test_starttls_is_required_and_nothing_goes_before_it(tls: TlsFiles, answer: str) -> None:
    def script(conversation: Conversation) -> None:
        for number, tag, _ in conversation.requests():
            if tag != EXTENDED or answer == "refused":
                conversation.send(done(number, 2, tag=0x78))
            elif answer == "pipelined":  # an answer in clear, hoping it is read after TLS
                conversation.send(done(number, tag=0x78), _found(str(ADDRESS)), done(number + 1))
            else:
                conversation.send(done(number, tag=0x78))  # says yes, goes on in clear

    with fake_ldap(script) as fake:
        target = LdapTarget.parse(
            fake.url, base_dn=BASE_DN, ca_file=tls.ca, bind_dn=ADMIN_DN, password=PASSWORD
        )
        directory = LdapDirectory(target, question_seconds=1)
        await _unavailable(directory.mailbox(ADDRESS))
        await directory.aclose()
        assert fake.connections == 1
        assert PASSWORD.value.encode() not in fake.received
        assert str(ADDRESS).encode() not in fake.received


async def test_referrals_are_not_followed() -> None:
    with fake_ldap(_answering(_found(str(ADDRESS)), done(N))) as attacker:
        with fake_ldap(_answering(done(N, 10, referral=f"{attacker.url}/{BASE_DN}"))) as fake:
            directory = _plain(fake)
            assert "referral" in await _unavailable(directory.mailbox(ADDRESS))
            await directory.aclose()
        with fake_ldap(_answering(reference(N, f"{attacker.url}/{BASE_DN}"), done(N))) as fake:
            directory = _plain(fake)
            assert await directory.mailbox(ADDRESS) is None
            await directory.aclose()
        assert attacker.connections == 0


# ------------------------------------------------------------------ D3: what is answered


@pytest.mark.parametrize(
    "answers",
    [
        [_found("someone.else@chu-a.mssante.test"), done(N)],
        [_found(str(ADDRESS)), _found(str(ADDRESS)), done(N)],
        [_found(str(ADDRESS), mssNomExercice=b"\xff\xfe"), done(N)],
        [_found(str(ADDRESS), mssNomExercice="x" * 10_240), done(N)],
        [_found(str(ADDRESS), mssTypeBal=b""), done(N)],
        [_found(str(ADDRESS), mssTypeBal="QUEUE"), done(N)],
        [done(N, 1)],
        [done(N, 4)],
        [message(N, ber(0x65))],
        [message(N, ber(0x78, ber(0x0A, b"\0"), text(""), text("")))],
        [ber(0x30, ber(0x02, NUMBER))],
        [b"\x30\x80\x02\x04" + NUMBER + b"\0\0"],
        [b"\x02\x04" + NUMBER],
    ],
    ids=["another", "two", "not-utf8", "10k", "no-kind", "queue", "error", "too-many", "empty-result",
         "wrong-operation", "no-operation", "indefinite-length", "not-ldap"],
)  # fmt: skip
async def test_an_answer_that_cannot_be_believed_is_passing(answers: list[bytes]) -> None:
    with fake_ldap(_answering(*answers)) as fake:
        directory = _plain(fake, seconds=2)
        await _unavailable(directory.mailbox(ADDRESS))
        await directory.aclose()


async def test_a_server_cannot_make_a_search_show_what_is_not_shown() -> None:
    answers = (
        _found("good@chu-a.mssante.test"),
        _found("unlisted@chu-a.mssante.test", mssListeRouge="TRUE"),
        _found("suspended@chu-a.mssante.test", mssStatut="suspended"),
        _found("other@chu-a.mssante.test", mssNomExercice="AUTRE"),
        _found("broken@chu-a.mssante.test", mssListeRouge="perhaps"),
        _found("good@chu-a.mssante.test"),
        done(N, 4),  # the server stops at its own limit: the first entries are enough
    )
    with fake_ldap(_answering(*answers)) as fake:
        directory = _plain(fake)
        assert [str(found.address) for found in await directory.search("moreau", 10)] == [
            "good@chu-a.mssante.test"
        ]
        await directory.aclose()


def _announcing(length: int) -> Script:
    def script(conversation: Conversation) -> None:
        for number, tag, _ in conversation.requests():
            if tag == SEARCH:
                conversation.send(b"\x30\x84" + length.to_bytes(4, "big") + ber(0x02, bytes([number & 127])))
                while True:
                    conversation.send(bytes(65536))

    return script


@pytest.mark.parametrize("length", [LDAP_MESSAGE_OCTETS_MAX + 1, 50 * 1024 * 1024, 2**32 - 1])
async def test_an_oversized_message_is_refused_at_its_announcement(length: int) -> None:
    with fake_ldap(_announcing(length)) as fake:
        directory = _plain(fake, seconds=30)
        started = time.monotonic()
        await _unavailable(directory.mailbox(ADDRESS))
        assert time.monotonic() - started < 2
        await directory.aclose()


async def test_more_than_a_page_is_refused() -> None:
    sent = 0

    def script(conversation: Conversation) -> None:
        nonlocal sent
        for number, tag, _ in conversation.requests():
            while tag == SEARCH:
                conversation.send(entry(number, "cn=x", mailbox(f"n{sent}@chu-a.mssante.test")))
                sent += 1

    with fake_ldap(script) as fake:
        directory = _plain(fake, seconds=30)
        started = time.monotonic()
        await _unavailable(directory.search("moreau", 5))
        await _unavailable(directory.trust_pairs())
        assert time.monotonic() - started < 10
        await directory.aclose()
    assert sent < 1_000_000


async def test_pages_without_end_are_cut_at_the_number_of_candidates() -> None:
    def script(conversation: Conversation) -> None:
        for number, tag, _ in conversation.requests():
            if tag == SEARCH:
                names = [f"n{number}.{rank}@chu-a.mssante.test" for rank in range(100)]
                conversation.send(
                    *(entry(number, "cn=x", mailbox(name)) for name in names), done(number, cookie=b"more")
                )

    with fake_ldap(script) as fake:
        directory = _plain(fake, seconds=20)
        assert len(await directory.search("moreau", 100)) == 100
        await directory.aclose()


async def test_a_trust_space_too_large_is_passing_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    operator: dict[str, list[str | bytes]] = {"mssCodeOperateur": ["a"], "mssDnCertificat": ["CN=a"]}
    answer = (*(entry(N, f"cn={rank}", operator) for rank in range(4)), done(N))
    for most, why in ((3, "too many entries"), (4, "")):
        monkeypatch.setattr("mssante.annuaire.ldap.WHITE_LIST_ENTRIES_MAX", most)
        with fake_ldap(_answering(*answer)) as fake:
            directory = _plain(fake)
            if why:
                assert why in await _unavailable(directory.trust_pairs())
            else:
                assert (await directory.trust_pairs()).pairs == ()  # one code four times: for nobody
            await directory.aclose()


async def test_random_octets_are_passing() -> None:
    source = random.Random(2)
    good = entry(N, "cn=x", mailbox(str(ADDRESS)))
    for _ in range(60):
        spoilt = bytearray(good)
        for _ in range(source.randint(1, 4)):
            spoilt[source.randrange(12, len(spoilt))] = source.randrange(256)
        with fake_ldap(_answering(bytes(spoilt), done(N))) as fake:
            directory = _plain(fake, seconds=1)
            try:
                found = await directory.mailbox(ADDRESS)
            except Passing:
                found = None
            assert found is None or found.address.key == ADDRESS.key
            await directory.aclose()


# ------------------------------------------------------------------ D4: late, away, too many


async def test_a_directory_that_is_away_is_passing_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    directory = LdapDirectory(LdapTarget.parse(f"ldap://127.0.0.1:{port}", base_dn=BASE_DN))
    started = time.monotonic()
    await _unavailable(directory.mailbox(ADDRESS))
    await _unavailable(directory.search("moreau", 1))
    await _unavailable(directory.trust_pairs())
    assert time.monotonic() - started < 2
    await directory.aclose()


def _silent(conversation: Conversation) -> None:
    while conversation.wire.recv(4096):
        pass


def _dripping(conversation: Conversation) -> None:
    for number, _, _ in conversation.requests():
        for octet in entry(number, "cn=x", mailbox(str(ADDRESS))) + done(number):
            conversation.send(bytes([octet]))
            time.sleep(0.02)


def _dripping_handshake(conversation: Conversation) -> None:
    for octet in b"\x16\x03\x03\x40\x00" + bytes(200):
        conversation.send(bytes([octet]))
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("scheme", "script"),
    [("ldap", _silent), ("ldap", _dripping), ("ldaps", _silent), ("ldaps", _dripping_handshake)],
)
async def test_a_tarpit_is_left_at_the_deadline_and_the_loop_never_waits(scheme: str, script: Script) -> None:
    with fake_ldap(script) as fake:
        directory = LdapDirectory(
            LdapTarget.parse(f"{scheme}://127.0.0.1:{fake.port}", base_dn=BASE_DN), question_seconds=1
        )
        started = time.monotonic()
        asking = asyncio.ensure_future(directory.mailbox(ADDRESS))
        longest = 0.0
        while not asking.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        await _unavailable(asking)
        assert 0.9 < time.monotonic() - started < 3
        assert longest < 0.5
        await directory.aclose()


async def test_questions_waiting_are_bounded_and_closing_ends_them() -> None:
    with fake_ldap(_silent) as fake:
        directory = _plain(fake, seconds=30)
        asked = [asyncio.ensure_future(directory.mailbox(ADDRESS)) for _ in range(LDAP_QUESTIONS_MAX + 5)]
        while fake.connections < LDAP_QUESTIONS_AT_ONCE:
            await asyncio.sleep(0.01)
        assert sum(question.done() for question in asked) == 5
        assert fake.connections == LDAP_QUESTIONS_AT_ONCE
        started = time.monotonic()
        await directory.aclose()
        for question in asked:
            await _unavailable(question)
        assert time.monotonic() - started < 2


async def test_questions_that_wait_never_keep_the_trust_space_from_being_read() -> None:
    with fake_ldap(_silent) as fake:
        directory = _plain(fake, seconds=30)
        asked = [asyncio.ensure_future(directory.mailbox(ADDRESS)) for _ in range(LDAP_QUESTIONS_MAX)]
        while fake.connections < LDAP_QUESTIONS_AT_ONCE:
            await asyncio.sleep(0.01)
        space = asyncio.ensure_future(directory.trust_pairs())
        while fake.connections == LDAP_QUESTIONS_AT_ONCE and not space.done():
            await asyncio.sleep(0.01)
        assert fake.connections == LDAP_QUESTIONS_AT_ONCE + 1
        await directory.aclose()
        for question in (*asked, space):
            await _unavailable(question)


async def test_a_cancelled_question_frees_its_place() -> None:
    with fake_ldap(_silent) as fake:
        directory = _plain(fake, seconds=1)
        asked = [asyncio.ensure_future(directory.mailbox(ADDRESS)) for _ in range(LDAP_QUESTIONS_MAX)]
        await asyncio.sleep(0.05)
        for question in asked:
            question.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        # Those in a thread keep their place until their deadline; the others gave it back at once.
        again = [
            asyncio.ensure_future(directory.mailbox(ADDRESS))
            for _ in range(LDAP_QUESTIONS_MAX - LDAP_QUESTIONS_AT_ONCE)
        ]
        await asyncio.sleep(0.05)
        assert not any(question.done() for question in again)
        for question in again:
            question.cancel()
        await asyncio.gather(*again, return_exceptions=True)
        await directory.aclose()


async def test_a_silent_directory_is_asked_three_times_and_then_left_alone() -> None:
    clock, silent = ManualClock(), True

    def script(conversation: Conversation) -> None:
        if silent:
            return _silent(conversation)
        for number, _, _ in conversation.requests():
            conversation.send(entry(number, "cn=x", mailbox(str(ADDRESS))) + done(number))
        return None

    with fake_ldap(script) as fake:
        target = LdapTarget.parse(fake.url, base_dn=BASE_DN)
        directory = LdapDirectory(target, clock=clock, question_seconds=0.3)
        for _ in range(10):
            await _unavailable(directory.mailbox(ADDRESS))
        assert fake.connections == DIRECTORY_UNANSWERED_MAX
        silent = False
        await _unavailable(directory.mailbox(ADDRESS))
        clock.advance(timedelta(seconds=DIRECTORY_REST_SECONDS))
        for _ in range(10):
            assert await directory.mailbox(ADDRESS) is not None
        assert fake.connections == DIRECTORY_UNANSWERED_MAX + 10
        await directory.aclose()
