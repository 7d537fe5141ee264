"""A real server fed nonsense over its sockets: no bug met, its every word by the grammar, others served.

Rows I12 and I17; seeds make each run the same."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssante.imap.server.session import SessionBounds
from mssante.observe.events import Crashed
from tests.support.imap.client import Closed, ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, imap_house, letter
from tests.unit.imap.grammar.test_fuzz import broken

PATIENT = SessionBounds(bad_commands=10**9, connections_per_person=1000, append_credit_seconds=5)


@pytest.fixture
async def fuzzed(tmp_path: Path) -> AsyncIterator[ImapHouse]:
    async with imap_house(tmp_path, bounds=PATIENT, guessing_slowed=False) as house:
        mailbox = await house.mailbox()
        await house.deliver(mailbox, *(letter(n) for n in range(5)))
        yield house
        crashes = house.told(Crashed)
        assert crashes == [], crashes


# The whole wire


async def one_conversation(house: ImapHouse, chance: random.Random, commands: int) -> None:
    """Says it all, then ends whatever was begun, reading every line strictly."""
    client = await house.selected() if chance.random() < 0.8 else await house.connect()
    octets = b"".join(broken(chance) for _ in range(commands))
    ending = b'\r\nDONE\r\n")\r\n*\r\nend LOGOUT\r\n'
    saying = asyncio.create_task(in_pieces(client, octets + ending * 3, chance))
    try:
        while True:
            async with asyncio.timeout(0.5):
                line = await client.line()
            if line.name == "BYE":
                break
    except (Closed, TimeoutError):
        pass  # it waits for a literal we never send
    finally:
        saying.cancel()
        client.close()


async def in_pieces(client: ImapClient, octets: bytes, chance: random.Random) -> None:
    at = 0
    try:
        while at < len(octets):
            size = chance.choice((1, 3, 17, 100, 5000))
            await client.send(octets[at : at + size])
            at += size
    except ConnectionError:
        pass


async def wire(house: ImapHouse, conversations: int, commands: int, seed: int) -> None:
    bystander = await house.selected()
    for number in range(conversations):
        await one_conversation(house, random.Random(f"{seed}-{number}"), commands)
        if number % 10 == 0:
            await bystander.ok("NOOP")
            await (await house.login()).ok("LOGOUT")


async def test_two_thousand_broken_commands_on_the_wire(fuzzed: ImapHouse) -> None:
    await wire(fuzzed, 40, 50, seed=217)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10))
async def test_a_hundred_thousand_broken_commands_on_the_wire(fuzzed: ImapHouse, seed: int) -> None:
    await wire(fuzzed, 100, 100, seed=1700 + seed)


# AUTHENTICATE and LOGIN, against what must come of each


def encoded(octets: bytes) -> bytes:
    return base64.b64encode(octets)


RIGHT = encoded(f"\0{MARIE}\0{PASSWORD}".encode())
# A response line or an initial response, and how the command ends by it.
RESPONSES: list[tuple[bytes, str]] = [
    (RIGHT, "OK"),
    (encoded(f"{MARIE}\0{MARIE}\0{PASSWORD}".encode()), "OK"),
    (encoded(f"\0{MARIE}\0wrong".encode()), "NO"),
    (encoded(f"paul@x.test\0{MARIE}\0{PASSWORD}".encode()), "NO"),
    (encoded(f"\0{MARIE}\0{PASSWORD}\0".encode()), "BAD"),
    (encoded(f"\0{MARIE}\0".encode()), "BAD"),
    (encoded(b"\0\0"), "BAD"),
    (encoded(b""), "BAD"),
    (encoded(b"no NUL at all"), "BAD"),
    (encoded(b"\0\xff\xfe\0x"), "BAD"),
    (encoded(b"\0" + b"a" * 320 + b"\0x"), "NO"),
    (encoded(b"\0" + b"a" * 321 + b"\0x"), "BAD"),
    (encoded(b"\0a\0" + b"x" * 1025), "BAD"),
    (RIGHT[:-1], "BAD"),
    (RIGHT + b"=", "BAD"),
    (RIGHT + b" ", "BAD"),
    (b"!" + RIGHT, "BAD"),
    (b"AAA", "BAD"),
    (b"\xff\xfe", "BAD"),
]


class Sasl:
    """One conversation before login, and what its every command must end with."""

    def __init__(self, client: ImapClient, chance: random.Random) -> None:
        self.client = client
        self.chance = chance
        self.known = False

    async def step(self) -> None:
        kind = self.chance.choice(("two steps", "at once", "cancelled", "login", "unknown", "other"))
        response, end = self.chance.choice(RESPONSES)
        tag = self.client.next_tag().encode()
        match kind:
            case "two steps":
                await self.two_steps(tag, response, end)
            case "cancelled":
                await self.two_steps(tag, b"*", "BAD")
            case "at once":
                # RFC 4959 §3: an empty one is `=`; a blank at a command's end says nothing.
                end = "OK" if response.strip() == RIGHT else end
                await self.ends(tag, b"AUTHENTICATE PLAIN " + (response or b"="), end)
            case "login":
                right = self.chance.random() < 0.3
                password = PASSWORD if right else self.chance.choice(("", "wrong", "x" * 900))
                await self.ends(tag, f'LOGIN "{MARIE}" "{password}"'.encode(), "OK" if right else "NO")
            case "unknown":
                mechanism = self.chance.choice((b"X", b"CRAM-MD5", b"LOGIN", b"PLAINX", b"EXTERNAL"))
                await self.ends(tag, b"AUTHENTICATE " + mechanism, "NO")
            case _:
                command, ends = self.chance.choice(
                    (
                        (b"NOOP", "OK"),
                        (b"SELECT INBOX", "BAD"),
                        (b"CAPABILITY", "OK"),
                        (b"AUTHENTICATE", "BAD"),
                    )
                )
                await self.ends(tag, command, "OK" if self.known and command == b"SELECT INBOX" else ends)

    async def two_steps(self, tag: bytes, response: bytes, end: str) -> None:
        await self.say(tag + b" AUTHENTICATE PLAIN\r\n")
        line = await self.client.line()
        if self.known:
            assert (line.tag, line.name) == (tag.decode(), "BAD")
            return
        assert (line.tag, line.text) == ("+", "")
        await self.say(response + b"\r\n")
        await self.told(tag, end, signs_in=end == "OK")

    async def ends(self, tag: bytes, command: bytes, end: str) -> None:
        signs_in = command.startswith((b"AUTHENTICATE", b"LOGIN"))
        await self.say(tag + b" " + command + b"\r\n")
        await self.told(tag, "BAD" if signs_in and self.known else end, signs_in=signs_in)

    async def told(self, tag: bytes, end: str, *, signs_in: bool) -> None:
        answer = await self.client.answer(tag.decode())
        assert answer.status == end, (tag, end, answer)
        self.known = self.known or (signs_in and end == "OK")

    async def say(self, octets: bytes) -> None:
        cut = self.chance.randrange(len(octets))
        await self.client.send(octets[:cut])
        await self.client.send(octets[cut:])


async def sasl(house: ImapHouse, commands: int, seed: int) -> None:
    chance = random.Random(seed)
    done = 0
    while done < commands:
        conversation = Sasl(await house.connect(), chance)
        for _ in range(20):  # within what a stranger may say in all
            await conversation.step()
            done += 1
            if conversation.known and chance.random() < 0.3:
                break
        conversation.client.close()


async def test_authentication_is_a_state_machine(fuzzed: ImapHouse) -> None:
    await sasl(fuzzed, 300, seed=12)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(10))
async def test_a_hundred_thousand_ways_to_sign_in(fuzzed: ImapHouse, seed: int) -> None:
    await sasl(fuzzed, 10_000, seed=1200 + seed)
