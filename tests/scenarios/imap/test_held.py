"""What the server holds for one person's commands, however much they name (I5, I7)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mssante.limits import IMAP_APPEND_MESSAGES_MAX, KIB, MIB
from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, PASSWORD, client_tls
from tests.support.imap.process import RunningImap, running

LINE = b"x" * 62 + b"\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningImap]:
    with running(tmp_path_factory.mktemp("imap"), letters=10) as found:
        yield found


async def signed_in(server: RunningImap) -> ImapClient:
    client = await ImapClient.open(server.port, client_tls())
    await client.login(MARIE, PASSWORD)
    await client.ok("SELECT INBOX")
    return client


def announced(tag: bytes, size: int) -> bytes:
    return tag + b" {%d+}\r\n" % size


async def appended(client: ImapClient, messages: int, message: bytes) -> str:
    """Sends one APPEND of so many messages; the status of its answer, and its code."""
    await client.send(b"m APPEND INBOX")
    for _ in range(messages):
        await client.send(announced(b"", len(message)) + message)
    await client.send(b"\r\n")
    while (line := await client.line()).tag != "m":
        pass
    return f"{line.name} {(line.code or '').partition(' ')[0]}"


@pytest.mark.parametrize("sessions", [1, 4])
async def test_an_append_of_many_large_messages_holds_little(server: RunningImap, sessions: int) -> None:
    clients = [await signed_in(server) for _ in range(sessions)]
    message = b"Subject: s\r\n\r\n" + LINE * (1000 * KIB // len(LINE))
    assert await appended(clients[0], 2, message) == "OK APPENDUID"
    before = server.memory("VmRSS")
    many = 60 // sessions
    answers = await asyncio.gather(*(appended(client, many, message) for client in clients))
    grown = server.memory("VmHWM") - before
    print(f"{sessions} APPEND of {many} messages of 1,000 KiB: +{grown / MIB:.0f} MiB")
    assert set(answers) == {"OK APPENDUID"}
    assert grown <= 24 * MIB
    for client in clients:
        client.close()


async def test_so_many_messages_in_one_append_and_no_more(server: RunningImap) -> None:
    client = await signed_in(server)
    exists = (await client.ok("STATUS INBOX (MESSAGES)")).lines
    assert await appended(client, IMAP_APPEND_MESSAGES_MAX + 1, b"Subject: s\r\n\r\nx") == "NO LIMIT"
    assert (await client.ok("STATUS INBOX (MESSAGES)")).lines == exists  # and nothing is kept of them
    assert await appended(client, IMAP_APPEND_MESSAGES_MAX, b"Subject: s\r\n\r\nx") == "OK APPENDUID"
    client.close()


async def test_a_header_of_thirty_three_mebibytes_is_not_held(server: RunningImap) -> None:
    """Fields of it are chosen while it streams, by several sessions at once."""
    header = b"Subject: s\r\n" + (b"X-A: " + LINE) * (33 * MIB // (5 + len(LINE))) + b"To: b@b.test\r\n"
    clients = [await signed_in(server) for _ in range(4)]
    assert await appended(clients[0], 1, header + b"\r\nx") == "OK APPENDUID"
    uid = (await clients[0].ok("UID SEARCH LARGER 30000000")).numbers()[0]
    for client in clients:
        await client.ok("NOOP")
    before = server.memory("VmRSS")
    items = "BODY.PEEK[HEADER.FIELDS (SUBJECT TO)] BODY.PEEK[HEADER.FIELDS.NOT (X-A)]"
    answers = await asyncio.gather(*(each.ok(f"UID FETCH {uid} ({items})") for each in clients))
    grown = server.memory("VmHWM") - before
    print(f"HEADER.FIELDS of 33 MiB in {len(clients)} sessions: +{grown / MIB:.0f} MiB")
    for answer in answers:
        ((fetched),) = answer.fetched().values()
        assert fetched["BODY[HEADER.FIELDS (SUBJECT TO)]"] == b"Subject: s\r\nTo: b@b.test\r\n\r\n"
        assert fetched["BODY[HEADER.FIELDS.NOT (X-A)]"] == b"Subject: s\r\nTo: b@b.test\r\n\r\n"
    assert grown <= 24 * MIB
    for client in clients:
        client.close()
