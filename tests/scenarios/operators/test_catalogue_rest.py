"""Rows of the attack catalogue that no other scenario shows at its figure: S4, S6, T1, K14."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mssante.control.operations import Parts
from mssante.control.socket import ControlServer, socket_path
from mssante.limits import IMAP_CONTENTS_SEARCHED_AT_ONCE
from mssante.mailbox.reading import Message, Reader
from mssante.model import MailboxKind, PersonId
from mssante.observe.events import SessionEnded
from tests.support.imap.client import Answer, ImapClient
from tests.support.imap.house import MARIE, ImapHouse, house, letter
from tests.support.smtp.house import relay, until
from tests.support.smtp.smuggling import FAKE_TERMINATORS

__all__ = ["house"]


def _is_canonical(octets: bytes) -> bool:
    return b"\0" not in octets and re.search(rb"\r(?!\n)|(?<!\r)\n", octets) is None


@pytest.mark.parametrize("plus", ["", "+"], ids=["synchronising", "LITERAL+"])
async def test_an_appended_message_holds_no_false_end_of_data(house: ImapHouse, plus: str) -> None:
    """S4: what others could misread is not kept either, so nothing that is sent on from a folder holds it."""
    client = await house.selected("Drafts")
    kept = 0
    for fake in FAKE_TERMINATORS:
        octets = letter() + b"fin" + fake + b"MAIL FROM:<x@y.test>\r\n"
        if plus:
            tag = client.next_tag()
            await client.send(b"%b APPEND Drafts {%d+}\r\n%b\r\n" % (tag.encode(), len(octets), octets))
            answer = await client.answer(tag)
        else:
            answer = await client.ask("APPEND Drafts \n", octets)
        assert answer.status == ("OK" if _is_canonical(octets) else "NO"), fake
        kept += answer.status == "OK"
    assert kept == 2  # two of the fifteen are ordinary text
    status: Answer = await client.ok("STATUS Drafts (MESSAGES)")
    assert status.one("STATUS").values[-1] == ["MESSAGES", str(kept)]
    client.close()


@pytest.mark.parametrize("command", ["EHLO mss.pair.test", "MAIL FROM:<a@operateur-a.test>", "RSET"])
@pytest.mark.parametrize("place", [0, 4, -1])
async def test_a_nul_anywhere_in_a_command_is_500(command: str, place: int) -> None:
    """S6: three places, three commands."""
    octets = command.encode()
    place %= len(octets) + 1
    async with relay() as running:
        talk = await running.secured()
        await talk.send(octets[:place] + b"\0" + octets[place:] + b"\r\n")
        assert (await talk.reply()).startswith("500 5.5.2")
        assert (await talk.ask("NOOP")).startswith("250")


@pytest.mark.parametrize("size", [1, 100, 2_002, 65_536])
async def test_plaintext_behind_imap_starttls_is_never_executed(house: ImapHouse, size: int) -> None:
    """T1: the connection ends before the handshake."""
    client: ImapClient = await house.clear()
    injected = (b"x LOGIN marie canary-password\r\n" * 3000)[:size]
    await client.send(b"a STARTTLS\r\n" + injected)
    told = await client.to_the_end()
    assert not [line for line in told if line.tag in ("a", "x")]
    await until(lambda: any(e.cause == "no TLS was agreed" for e in house.told(SessionEnded)))


async def test_an_access_that_is_over_does_not_stand_before_one_that_is_not(house: ImapHouse) -> None:
    """A locum's own mailbox is closed to them since yesterday; the team's is still open."""
    own = await house.mailbox("remplacant@operateur-a.test")
    team = await house.mailbox("equipe@operateur-a.test", kind=MailboxKind.ORG, owner=MARIE)
    person = PersonId("remplacant@operateur-a.test")
    yesterday = house.clock.now() - timedelta(days=1)
    await house.broker.grant(person, own, since=yesterday - timedelta(days=9), until=yesterday)
    await house.broker.grant(person, team)
    await house.deliver(team, letter(1))
    client = await house.login(person)
    assert (await client.ok("STATUS INBOX (MESSAGES)")).one("STATUS").items() == {"MESSAGES": "1"}
    client.close()


@pytest.fixture
def control_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mssante-control-"))
    yield folder
    shutil.rmtree(folder)


ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as wire:
    wire.connect(sys.argv[1])
    wire.sendall(b'{"operation": "no.such", "arguments": {}}\\n')
    sys.stdout.buffer.write(wire.makefile("rb").read())
"""


async def _asked(path: Path, *before: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-c", ASK, str(path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    return (await process.communicate())[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can speak as another user")
async def test_the_control_socket_answers_its_owner_alone(control_folder: Path) -> None:
    """K14: even where somebody opened its mode, the kernel says who asks (SO_PEERCRED)."""
    parts = cast(Parts, SimpleNamespace(settings=SimpleNamespace(folder=control_folder)))
    server = ControlServer(parts)
    await server.start()
    path = socket_path(control_folder)
    assert path.stat().st_mode & 0o777 == 0o600
    os.chmod(control_folder, 0o755)
    os.chmod(path, 0o777)
    try:
        answer: dict[str, Any] = json.loads(await _asked(path))
        assert answer["refused"] == "not_permitted"
        stranger = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        assert await _asked(path, *stranger) == b""
    finally:
        await server.stop()


async def test_contents_are_looked_through_two_at_a_time(
    house: ImapHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty sessions that search the same large letters cost no more memory than two."""
    marie = (await house.store.accounts.all())[0].id
    await house.deliver(marie, *(letter(n, body="corps\r\n" * 20_000) for n in range(4)))
    under_way, most = 0, 0
    octets = Reader.octets

    async def counted(self: Reader, message: Message, offset: int, length: int) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await asyncio.sleep(0.002)
            return await octets(self, message, offset, length)
        finally:
            under_way -= 1

    monkeypatch.setattr(Reader, "octets", counted)
    clients = [await house.selected() for _ in range(8)]
    answers = await asyncio.gather(*(client.ask('SEARCH TEXT "introuvable"') for client in clients))
    assert {answer.status for answer in answers} == {"OK"}
    assert most == IMAP_CONTENTS_SEARCHED_AT_ONCE
    for client in clients:
        client.close()
