"""Guessing from changing addresses: the people wait a little, and nobody is kept out (I9)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from mssante.crypto import passwords
from mssante.model import Secret
from mssante.observe.events import LoginRefused
from tests.support.imap.client import Answer, ImapClient
from tests.support.imap.house import PASSWORD, ImapHouse, imap_house

GUESSERS = 130
HOSPITAL = "127.0.0.1"
OWNERS = [f"medecin{n}@operateur-a.test" for n in range(8)]
LATE = "remplacante@operateur-a.test"
KNOWN, NEW = OWNERS[:4], OWNERS[4:]


class Gate:
    """Stands before the real Argon2: closed, it lets the checks gather without any clock. It writes down
    whether each password that came through was an owner's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = threading.Event()
        self.owners: list[bool] = []
        real = passwords.verify

        def verify(password: Secret, stored: str | None) -> None:
            assert self.opened.wait(timeout=120)
            self.owners.append(password.value == PASSWORD)
            real(password, stored)

        monkeypatch.setattr(passwords, "verify", verify)

    def guesses_before(self, owners: int) -> int:
        """How many guesses had been looked at when so many owners were."""
        last = [n for n, owner in enumerate(self.owners) if owner][owners - 1]
        return self.owners[:last].count(False)

    def close(self) -> None:
        self.opened.clear()
        self.owners.clear()


async def _asked(client: ImapClient, user: str, password: str) -> asyncio.Task[Answer]:
    return asyncio.create_task(client.ask(f'LOGIN "{user}" "{password}"'))


async def _gathered(house: ImapHouse, count: int) -> None:
    """Until so many wait for the gate, or have been refused."""
    while house.broker.checks_pending + len(house.told(LoginRefused)) < count:
        await asyncio.sleep(0.01)


async def test_guesses_from_130_changing_addresses_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with imap_house(tmp_path) as house:
        for owner in (*OWNERS, LATE):
            await house.mailbox(owner)
        for owner in KNOWN:
            await (await house.login(owner)).ok("LOGOUT")
    async with imap_house(tmp_path) as house:  # a restart
        gate = Gate(monkeypatch)
        guessers = [await house.connect(here=f"127.1.{n}.1") for n in range(GUESSERS)]
        clients = [await house.connect(here=HOSPITAL) for _ in KNOWN]
        clients += [await house.connect(here=f"127.9.{n}.1") for n in range(len(NEW))]

        gate.close()
        guesses = [await _asked(each, f"victime{n}@operateur-a.test", "x") for n, each in enumerate(guessers)]
        await _gathered(house, GUESSERS)
        signing_in = [
            await _asked(each, owner, PASSWORD) for each, owner in zip(clients, OWNERS, strict=True)
        ]
        await _gathered(house, GUESSERS + len(OWNERS))
        gate.opened.set()
        answers = await asyncio.gather(*signing_in)
        await asyncio.gather(*guesses)
        assert [each.status for each in answers] == ["OK"] * len(OWNERS)
        assert gate.guesses_before(len(KNOWN)) <= 2 + len(KNOWN)  # those under way, and every other turn

        # Those addresses have failed once. Who comes now from a new one does not stand behind them.
        house.events.clear()
        gate.close()
        guesses = [await _asked(each, f"patient{n}@operateur-a.test", "x") for n, each in enumerate(guessers)]
        await _gathered(house, GUESSERS)
        late = await house.connect(here="127.9.99.1")
        signing_in = [await _asked(late, LATE, PASSWORD)]
        await _gathered(house, GUESSERS + 1)
        gate.opened.set()
        assert (await signing_in[0]).status == "OK"
        await asyncio.gather(*guesses)
        assert gate.guesses_before(1) <= 6
        for client in (*guessers, *clients, late):
            client.close()
