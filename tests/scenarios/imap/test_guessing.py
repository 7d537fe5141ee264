"""Guessing passwords and names: slow, alarming, and telling nothing (I9, I10)."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssante.model import PersonId
from mssante.observe.events import Crashed, LoginRefused, PasswordsGuessed
from tests.support.imap.client import Closed, ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, imap_house


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[ImapHouse]:
    """Where guesses are not slowed: what is asked is what their answers tell."""
    async with imap_house(tmp_path, guessing_slowed=False) as made:
        await made.mailbox(MARIE)
        yield made
        assert made.told(Crashed) == []


async def test_whatever_is_wrong_the_answer_is_the_same(open_house: ImapHouse) -> None:
    """I10: no telling persons, mailboxes and passwords apart."""
    await open_house.person("sans-boite")
    other = await open_house.mailbox("autre@operateur-a.test")
    await open_house.person("partie")
    await open_house.grant("partie", other)
    await open_house.broker.revoke(PersonId("partie"), other)
    statuses, answers = set[str](), set[tuple[str, str | None, str]]()
    for user, password in [
        (MARIE, "wrong"),
        ("nobody", PASSWORD),
        ("sans-boite", PASSWORD),
        (f"{MARIE}/autre@operateur-a.test", PASSWORD),
        (f"{MARIE}/inconnue@operateur-a.test", PASSWORD),
        (f"{MARIE}/", "wrong"),
        ("partie", PASSWORD),
    ]:
        statuses.add((await (await open_house.connect()).ask(f'LOGIN "{user}" "{password}"')).status)
        client = await open_house.connect()
        answer = await client.ask(f'LOGIN "{user}" "{password}"')
        answers.add((answer.status, answer.code, answer.text))
        client.close()
    assert statuses == {"NO"}
    assert len(answers) == 1
    assert next(iter(answers))[:2] == ("NO", "AUTHENTICATIONFAILED")


async def _seconds(client: ImapClient, user: str) -> float:
    started = time.perf_counter()
    assert (await client.ask(f'LOGIN "{user}" "wrong"')).status == "NO"
    return time.perf_counter() - started


async def _timed(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Wrong passwords of somebody who is there and of nobody, in turn: a busy machine is so to both."""
    async with imap_house(folder, guessing_slowed=False, real_passwords=True) as house:
        await house.mailbox()
        client = await house.connect()
        await _seconds(client, MARIE)
        there, nobody = [], []
        for n in range(count):
            if n % 10 == 0:  # one conversation takes so many refusals and no more octets
                client = await house.connect()
            there.append(await _seconds(client, MARIE))
            nobody.append(await _seconds(client, f"personne{n}@operateur-a.test"))
        return there, nobody


async def test_a_name_that_is_nobody_s_takes_as_long(tmp_path: Path) -> None:
    there, nobody = await _timed(tmp_path, 3)
    assert 0.5 < statistics.median(nobody) / statistics.median(there) < 2


@pytest.mark.campaign
async def test_three_hundred_names_are_not_told_apart_by_time(tmp_path: Path) -> None:
    """Medians within 5 %, and Mann-Whitney's U (normal form) finds no difference at p = 0.01."""
    there, nobody = await _timed(tmp_path, 300)
    ratio = statistics.median(nobody) / statistics.median(there)
    ranked = sorted([(each, 0) for each in there] + [(each, 1) for each in nobody])
    u = sum(rank for rank, (_, kind) in enumerate(ranked, 1) if kind) - 300 * 301 / 2
    z = (u - 300 * 300 / 2) / (300 * 300 * 601 / 12) ** 0.5
    print(f"nobody / somebody {ratio:.3f}, z {z:.2f}")
    assert abs(ratio - 1) <= 0.05
    assert abs(z) < 2.576


async def test_guesses_from_many_connections_are_looked_at_one_after_another(tmp_path: Path) -> None:
    """I9: few guesses are looked at, and a colleague signs in meanwhile."""
    async with imap_house(tmp_path) as house:
        await house.mailbox()
        known = await house.login()  # from this address before: not held up by what others guess
        await known.ok("LOGOUT")
        guessers = [await house.connect() for _ in range(40)]
        for client in guessers:
            await client.send(b"g LOGIN victime@operateur-a.test guess\r\n")
        started = time.monotonic()
        await (await house.login()).ok("NOOP")
        assert time.monotonic() - started < 2
        await asyncio.sleep(2.2)
        looked_at = [event for event in house.told(LoginRefused) if event.reason == "authentication_failed"]
        assert 1 <= len(looked_at) <= 4  # at 0, 0, 0 and 1 s; the fifth is due at 3 s
        for client in guessers:
            client.close()


@pytest.mark.campaign
async def test_a_thousand_guesses_by_a_hundred_connections_in_a_minute(tmp_path: Path) -> None:
    """Twenty at most are looked at; who knows the password signs in all the while."""
    async with imap_house(tmp_path, real_passwords=True) as house:
        await house.mailbox()
        await house.mailbox("victime@operateur-a.test")
        await (await house.login()).ok("LOGOUT")

        async def guess(number: int) -> None:
            for n in range(10):
                client = await house.connect()
                try:
                    await client.ask(f"LOGIN victime@operateur-a.test guess{number}-{n}")
                except Closed:
                    pass
                client.close()

        guessers = [asyncio.create_task(guess(n)) for n in range(100)]
        slowest, started = 0.0, time.monotonic()
        while time.monotonic() - started < 60:
            begun = time.monotonic()
            client = await house.login()
            slowest = max(slowest, time.monotonic() - begun)
            await client.ok("LOGOUT")
            await asyncio.sleep(5)
        for guesser in guessers:
            guesser.cancel()
        await asyncio.gather(*guessers, return_exceptions=True)
        looked_at = [event for event in house.told(LoginRefused) if event.reason == "authentication_failed"]
        print(f"{len(looked_at)} of 1000 guesses were looked at; the slowest login took {slowest:.2f} s")
        assert len(looked_at) <= 20
        assert slowest <= 2  # 0.3 seen; 3.5 at a load of 20: campaigns want a machine of their own


async def test_guessing_raises_an_alarm_that_names_nobody(open_house: ImapHouse) -> None:
    for batch in range(2):
        client = await open_house.connect()
        for n in range(10):
            await client.ask(f"LOGIN victime@operateur-a.test guess{batch}{n}")
    alarms = open_house.told(PasswordsGuessed)
    assert {event.refused for event in alarms} == {10, 20}
    assert {event.remote for event in alarms} == {"127.0.0.1"}
