"""A folder of a hundred thousand messages: what searching it and changing it costs in memory (I4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mssante.limits import MIB
from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, PASSWORD, client_tls
from tests.support.imap.process import RunningImap, running

DIFFERENT = 100
MESSAGES = 100_000
HELD_OCTETS_MAX = 32 * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningImap]:
    """With so many messages in INBOX. Most are copies, which are made fast: a search holds as much of
    each."""
    with running(tmp_path_factory.mktemp("imap"), letters=DIFFERENT) as found:
        asyncio.run(_fill(found))
        yield found


async def _fill(server: RunningImap) -> None:
    client = await selected(server)
    there = DIFFERENT
    while there < MESSAGES:
        more = min(there, MESSAGES - there, 10_000)
        await client.ok(f"COPY 1:{more} INBOX")
        there += more
    client.close()


async def selected(server: RunningImap) -> ImapClient:
    client = await ImapClient.open(server.port, client_tls())
    await client.login(MARIE, PASSWORD)
    await client.ok("SELECT INBOX")
    return client


async def held(server: RunningImap, client: ImapClient, command: str) -> int:
    """How many octets more the server had in memory at the worst moment of `command`."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # the peak is measured anew from here
    before = server.memory("VmRSS")
    await client.send(f"h {command}\r\n".encode())
    while True:
        line = await client.reader.readuntil(b"\r\n")
        if line.startswith(b"h "):
            assert line.startswith(b"h OK"), line
            return server.memory("VmHWM") - before


@pytest.mark.parametrize(
    "command",
    [
        "SEARCH UNDELETED FROM introuvable",
        "SEARCH OR DELETED TEXT introuvable",
        'SEARCH UNDELETED HEADER X-Absent ""',
        "STORE 1:* +FLAGS.SILENT (\\Answered)",
        "STORE 1:* +FLAGS (\\Seen)",
        "STORE 1:* (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)",
        "SEARCH UNANSWERED",
    ],
)
async def test_what_a_command_on_a_hundred_thousand_messages_holds(server: RunningImap, command: str) -> None:
    client = await selected(server)
    octets = await held(server, client, command)
    print(f"{command}: +{octets / MIB:.0f} MiB")
    client.close()
    assert octets <= HELD_OCTETS_MAX
