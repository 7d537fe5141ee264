"""A message taken in small pieces costs its pieces, not itself each time (I6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mssante.limits import CHUNK_OCTETS
from mssante.model import BlobId
from mssante.store.messages import MessagesDoor
from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, client_tls
from tests.support.imap.process import running


def large(mebibytes: int) -> bytes:
    line = bytes(range(33, 127)) * 10 + b"\r\n"
    return b"Subject: grand\r\n\r\n" + line * (mebibytes * 2**20 // len(line))


async def test_pieces_of_one_chunk_open_it_once(house: ImapHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await house.selected()
    content = large(2)
    await client.ok("APPEND INBOX \n", content)
    read: list[tuple[int, int]] = []
    chunks = MessagesDoor.chunks

    async def counted(messages: MessagesDoor, blob: BlobId, first: int, count: int) -> list[bytes]:
        read.append((first, count))
        return await chunks(messages, blob, first, count)

    monkeypatch.setattr(MessagesDoor, "chunks", counted)
    for at in [*range(100), *range(CHUNK_OCTETS - 50, CHUNK_OCTETS + 50), 10, CHUNK_OCTETS + 1]:
        found = (await client.ok(f"FETCH 1 BODY.PEEK[]<{at}.1>")).fetched()[1][f"BODY[]<{at}>"]
        assert found == content[at : at + 1]
    assert read == [(0, 1), (1, 1), (0, 1), (1, 1)]
    across = CHUNK_OCTETS - 5
    found = (await client.ok(f"FETCH 1 BODY.PEEK[]<{across}.10>")).fetched()[1][f"BODY[]<{across}>"]
    assert found == content[across : across + 10]
    other = large(1).replace(b"grand", b"autre")
    await client.ok("APPEND INBOX \n", other)
    assert (await client.ok("FETCH 2 BODY.PEEK[]<9.5>")).fetched()[2]["BODY[]<9>"] == b"autre"
    assert (await client.ok("FETCH 1 BODY.PEEK[]<9.5>")).fetched()[1]["BODY[]<9>"] == b"grand"


@pytest.mark.campaign
async def test_ten_thousand_pieces_of_fifty_mebibytes(tmp_path: Path) -> None:
    """CPU of the server's process alone."""
    with running(tmp_path) as server:
        client = await ImapClient.open(server.port, client_tls())
        await client.login(MARIE, PASSWORD)
        content = large(50)
        await client.ok("APPEND Drafts \n", content)
        await client.ok("SELECT Drafts")
        began = server.processor_seconds()
        for at in range(10_000):
            found = (await client.ok(f"FETCH 1 BODY.PEEK[]<{at * 7}.1>")).fetched()[1]
            assert found[f"BODY[]<{at * 7}>"] == content[at * 7 : at * 7 + 1]
        in_row = server.processor_seconds() - began
        began = server.processor_seconds()
        for at in range(1000):
            place = at * 7919 * 101 % len(content)
            await client.ok(f"FETCH 1 BODY.PEEK[]<{place}.1>")
        here_and_there = server.processor_seconds() - began
        print(f"10,000 in a row: {in_row:.1f} s of CPU; here and there {here_and_there:.2f} ms each")
        assert in_row <= 30  # 15 on a machine of its own; 20.7 were seen at a load of 16
        assert here_and_there <= 10
        client.close()
