"""A peer that vanishes, anywhere: after any command, any reply, at any octet of the content (R13, C9).

What was cut is stored whole or not at all; trying again until a 250 leaves exactly one copy.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.support.operators.mail_clients import (
    deliver,
    field,
    inbox,
    note,
    peer_context,
    relay,
    stuffed,
)
from tests.support.operators.world import DOMAINS, Trio
from tests.support.smtp.house import Talk

SENDER = f"medecin@{DOMAINS['a']}"
AT_ONCE = 6
# How far a client gets before it goes. `content` cuts at an octet of the message, `dot` once all is sent.
STAGES = (
    *("connected", "greeted", "ehlo sent", "starttls sent", "half a handshake", "secured", "mail sent"),
    *("mail answered", "rcpt sent", "rcpt answered", "data sent", "data answered", "dot", "answered"),
)
GOODBYES = ("fin", "reset", "half-close")
BODY = b"Ligne de texte, puis une autre.\r\n.\r\n..deux points\r\n" * 40


@dataclass(frozen=True)
class Cut:
    """One client: its message, how far it gets, and how it leaves. `at`: an octet of the content."""

    unique: str
    message: bytes
    stage: str
    goodbye: str
    at: int | None = None


class Gone(Exception):
    """The client has left, as planned."""


class Vanishing:
    """A client of B's relay that leaves in the middle."""

    def __init__(self, trio: Trio, cut: Cut) -> None:
        self.trio = trio
        self.cut = cut
        self.talk: Talk | None = None

    async def run(self) -> None:
        try:
            await self._session()
        except Gone:
            pass
        assert self.talk is not None
        await self._leave(self.talk)

    async def _session(self) -> None:
        cut = self.cut
        talk = self.talk = await Talk.open(self.trio.b.relay_port)
        self._at("connected")
        await talk.reply()
        self._at("greeted")
        await self._command(talk, "EHLO mss.operateur-a.test", "ehlo sent", None)
        await self._command(talk, "STARTTLS", "starttls sent", None)
        if cut.stage == "half a handshake":
            await talk.send(b"\x16\x03\x01\x02\x00\x01\x00\x01")  # the first octets of a ClientHello
            raise Gone
        await talk.writer.start_tls(peer_context(self.trio.world, "operator-a"))
        self._at("secured")
        await talk.ask("EHLO mss.operateur-a.test")
        await self._command(talk, f"MAIL FROM:<{SENDER}>", "mail sent", "mail answered")
        await self._command(talk, f"RCPT TO:<{self.trio.b.login.address}>", "rcpt sent", "rcpt answered")
        await self._command(talk, "DATA", "data sent", "data answered")
        framed = stuffed(cut.message) + b".\r\n"
        await talk.send(framed[: cut.at])
        if cut.at is None:
            self._at("dot")
            assert (await talk.reply()).startswith("250")
        raise Gone

    async def _command(self, talk: Talk, line: str, sent: str, answered: str | None) -> None:
        await talk.send(line.encode() + b"\r\n")
        self._at(sent)
        await talk.reply()
        if answered:
            self._at(answered)

    def _at(self, stage: str) -> None:
        if self.cut.stage == stage:
            raise Gone

    async def _leave(self, talk: Talk) -> None:
        transport = talk.writer.transport
        match self.cut.goodbye:
            case "reset":
                raw: socket.socket = transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                talk.abort()
            case "half-close" if transport.can_write_eof():
                transport.write_eof()
                await asyncio.wait_for(talk.replies_to_the_end(), 15)
                talk.writer.close()
            case _:
                talk.writer.close()
        try:
            await asyncio.wait_for(talk.writer.wait_closed(), 5)
        except (OSError, TimeoutError, ssl.SSLError):
            pass


def planned(count: int, seed: int) -> list[Cut]:
    """Every stage once with every goodbye, then cuts in the content at random octets."""
    chance = random.Random(seed)
    cuts = []
    for number in range(count):
        unique = f"coupe-{seed}-{number}"
        message = note(SENDER, ["b@b.test"], unique=unique, body=b"%d\r\n" % number + BODY)
        kinds = [(stage, goodbye) for stage in STAGES for goodbye in GOODBYES]
        goodbye = chance.choice(GOODBYES)
        if number < len(kinds):
            cuts.append(Cut(unique, message, *kinds[number]))
        elif number % 2:  # at the end of the content, where every octet counts
            end = len(stuffed(message)) + 3
            cuts.append(Cut(unique, message, "content", goodbye, end - chance.randrange(8)))
        else:
            cuts.append(Cut(unique, message, "content", goodbye, chance.randrange(len(message))))
    return cuts


async def vanish_everywhere(trio: Trio, cuts: Sequence[Cut]) -> tuple[Counter[str], Counter[str]]:
    """Cuts, looks, tries again, looks. Returns what was stored after the cuts and after the retries."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(cut: Cut) -> None:
        async with places:
            await Vanishing(trio, cut).run()

    await asyncio.gather(*map(one, cuts))
    await asyncio.sleep(1)  # a commit outlives its peer: let those under way end
    stored = await kept(trio, cuts)
    talk = await relay(trio.world, trio.b, "operator-a")
    for number, cut in enumerate(cuts):
        if number % 50 == 49:
            talk = await relay(trio.world, trio.b, "operator-a")
        reply = await deliver(talk, SENDER, [trio.b.login.address], cut.message)
        assert reply.startswith("250"), reply
    return stored, await kept(trio, cuts)


async def kept(trio: Trio, cuts: Sequence[Cut]) -> Counter[str]:
    """How often each cut's message lies in the mailbox. Fails if one is there and not whole."""
    messages = {f"<{cut.unique}@essai.test>": cut.message for cut in cuts}
    found: Counter[str] = Counter()
    for message in await asyncio.to_thread(inbox, trio.world, trio.b):
        name = field(message, "Message-ID")
        if name in messages:
            assert message.endswith(messages[name]), f"half a message: {name}"
            found[name] += 1
    return found


def expected_stored(cut: Cut) -> bool | None:
    """Whether the server had all of it: None when the commit may have won or lost the race."""
    if cut.stage == "answered":
        return True
    framed = len(stuffed(cut.message)) + 3
    if cut.stage == "dot" or (cut.stage == "content" and (cut.at or 0) >= framed):
        return None if cut.goodbye == "reset" else True  # a reset may overtake what was sent
    return False


async def check(trio: Trio, cuts: Sequence[Cut]) -> None:
    stored, after = await vanish_everywhere(trio, cuts)
    for cut in cuts:
        name, expected = f"<{cut.unique}@essai.test>", expected_stored(cut)
        assert stored[name] <= 1
        if expected is not None:
            assert bool(stored[name]) is expected, cut
        assert after[name] == 1, cut


async def test_a_peer_vanishing_anywhere_leaves_a_whole_message_or_none(trio: Trio) -> None:
    await check(trio, planned(66, seed=1))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 7))
async def test_a_thousand_peers_vanishing_anywhere(trio: Trio, seed: int) -> None:
    await check(trio, planned(200, seed))
