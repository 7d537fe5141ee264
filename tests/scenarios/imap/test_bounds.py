"""What a client may cost, before and after login: I1, I2, I3, I5, time-outs, nonsense, and our own bugs."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mssante.imap.server import conversation
from mssante.imap.server.searching import Searcher
from mssante.imap.server.session import SessionBounds
from mssante.mailbox.reading import Reader
from mssante.net.places import Caps
from mssante.observe.events import Crashed, SessionEnded
from mssante.reasons import Passing, Reason
from tests.support.imap.client import Closed, ImapClient, Line
from tests.support.imap.house import MARIE, ImapHouse, imap_house, letter

KIB, MIB = 1024, 1024 * 1024


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def sent(client: ImapClient, pieces: AsyncIterator[bytes] | list[bytes]) -> list[Line]:
    """Sends until the server hangs up or all is said; what it said then, waiting only for what must come."""
    try:
        if isinstance(pieces, list):
            for piece in pieces:
                await client.send(piece)
        else:
            async for piece in pieces:
                await client.send(piece)
    except ConnectionError:
        pass
    return await client.to_the_end()


# Before login (I1): whatever is sent, a few KiB and BYE

BOMBS: dict[str, list[bytes]] = {
    "a literal of 2 GiB that waits": [b"a LOGIN {2147483647}\r\n" * 3, b"b NOOP\r\n" * 4000],
    "a literal of 2 GiB that does not": [b"a LOGIN {2147483647+}\r\n", b"x" * MIB],
    "a literal just above the bound": [b"a LOGIN {1025+}\r\n", b"x" * 1025],
    "thousands of small literals": [b"a LOGIN" + b" {1+}\r\nx" * 20_000],
    "a line without end": [b"a" * (64 * KIB)] * 16,
    "a quoted string without end": [b'a LOGIN "' + b"x" * (64 * KIB)] * 8,
    "an endless stream of commands": [b"a NOOP\r\n" * 100_000],
    "an endless stream of nonsense": [b"((((\r\n" * 100_000],
    "a literal after a literal": [b"a LOGIN {1000+}\r\n" + b"x" * 1000 + b" {1000+}\r\n" + b"y" * 1000] * 30,
    "an APPEND": [b"a APPEND INBOX {30000000+}\r\n", b"x" * MIB],
    "a SASL line without end": [b"a AUTHENTICATE PLAIN\r\n", b"A" * (256 * KIB)],
    "NULs": [b"\0" * (64 * KIB)],
}


@pytest.mark.parametrize("name", BOMBS)
async def test_before_login_nothing_grows(house: ImapHouse, name: str) -> None:
    await sent(await house.connect(), BOMBS[name])  # warm
    before = resident_bytes()
    for client in (await house.connect(), await house.clear()):
        said = await sent(client, BOMBS[name])
        assert said, name
        assert said[-1].name == "BYE", said
    assert resident_bytes() - before <= 1 * MIB
    assert house.told(Crashed) == []


@pytest.mark.parametrize("bracket", [b"(", b")", b"[", b"]", b"{", b"}", b'"', b"\\"])
async def test_brackets_without_end_are_refused_at_once(house: ImapHouse, bracket: bytes) -> None:
    """I2: depth 10^5 both ways, before login and after."""
    after = await house.selected()
    for command in (b"NOOP ", b"SEARCH ", b'LIST "" ', b"FETCH 1 ", b"ID "):
        before = await house.connect()
        for client, count in ((before, 4000), (after, 60_000)):
            started = time.process_time()
            assert (await client.ask(command + bracket * count)).status in ("BAD", "NO")
            assert time.process_time() - started < 0.1
        before.close()


async def test_nested_searches_and_long_sets(house: ImapHouse) -> None:
    """I3, I4: normalised or refused, in milliseconds."""
    client = await house.selected()
    await client.ok("APPEND INBOX \n", letter(1))
    for query, expected in [
        ("(" * 10_000 + "ALL" + ")" * 10_000, "BAD"),
        ("NOT " * 10_000 + "ALL", "BAD"),
        ("OR ALL " * 5_000 + "ALL", "BAD"),
        ("TEXT x " * 1000 + "ALL", "NO"),
        (",".join(["1:*"] * 10_000), "OK"),
        (",".join(["1:*"] * 10_001), "NO"),
        ("1:4294967295", "OK"),
        (",".join(f"{n}:{n + 1}" for n in range(1, 15_000, 3)), "OK"),
    ]:
        started = time.process_time()
        assert (await client.ask(f"SEARCH {query}")).status == expected, query[:40]
        assert time.process_time() - started < 0.3
    assert (await client.ok("UID FETCH 1:4294967295 UID")).fetched() == {1: {"UID": "1"}}
    assert (await client.ask(f"FETCH 1 BODY[{'1.' * 60}1]")).status == "NO"
    assert (await client.ok(f"FETCH 1 BODY[{'1.' * 40}1]")).status == "OK"
    assert (await client.ask(f"FETCH 1 ({' '.join(['UID'] * 10_000)})")).status == "NO"


async def test_after_login_lines_and_literals_have_bounds_too(house: ImapHouse) -> None:
    client = await house.login()
    assert (await client.ask("CREATE " + "x" * 70_000)).status == "BAD"
    await client.ok("NOOP")
    assert (await client.ask("CREATE \n", b"x" * 200_000)).status == "NO"
    await client.ok("NOOP")
    await client.send(b"a CREATE {200000+}\r\n")
    assert (await client.to_the_end())[-1].name == "BYE"
    client = await house.login()
    await client.send(b"a SEARCH" + b" {1+}\r\nx" * 1001 + b"\r\n")
    assert (await client.to_the_end())[-1].name == "BYE"


async def test_a_message_too_large_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with imap_house(tmp_path, message_octets_max=10_000) as house:
        await house.mailbox()
        client = await house.login()
        answer = await client.ask("APPEND INBOX {10001}")
        assert (answer.status, answer.code) == ("NO", "TOOBIG")
        await client.send(b"b APPEND INBOX {10001+}\r\n" + b"x" * 10_001 + b"\r\n")
        assert (await client.answer("b")).code == "TOOBIG"
        await client.ok("APPEND INBOX \n", b"x" * 10_000)


# Nonsense


async def test_nonsense_in_a_row_ends_the_conversation_and_now_and_then_does_not(house: ImapHouse) -> None:
    for client in (await house.connect(), await house.login()):
        for _ in range(30):
            assert (await client.ask("NONSENSE")).status == "BAD"
            await client.ok("NOOP")
        for _ in range(19):
            assert (await client.ask("NONSENSE")).status == "BAD"
        await client.send(b"last NONSENSE\r\n")
        assert [line.name for line in await client.to_the_end()] == ["BAD", "BYE"]


# Time


async def test_who_says_nothing_is_sent_away(tmp_path: Path) -> None:
    bounds = SessionBounds(login_seconds=0.6, command_seconds=0.3, idle_seconds=0.8)
    async with imap_house(tmp_path, bounds=bounds) as house:
        await house.mailbox()

        async def seconds(client: ImapClient, *last: str) -> float:
            started = time.monotonic()
            assert [line.name for line in await client.to_the_end()] == [*last, "BYE"]
            return time.monotonic() - started

        assert 0.2 < await seconds(await house.connect()) < 0.7
        client = await house.connect()
        await client.send(b"a AUTHENTICATE PLAIN\r\n")
        assert 0.2 < await seconds(client, "") < 0.7
        assert 0.7 < await seconds(await house.login()) < 1.5  # RFC 3501 §5.4: patient once logged in
        idle = await house.login()
        await idle.send(b"a IDLE\r\n")
        assert 0.7 < await seconds(idle, "") < 1.5
        half = await house.login()
        await half.send(b"a NOO")  # a command begun must go on
        assert 0.2 < await seconds(half) < 0.7
        append = await house.login()
        await append.send(b"a APPEND INBOX {100}\r\n")
        assert 0.2 < await seconds(append, "") < 0.7
        assert {event.cause for event in house.told(SessionEnded)} == {"timed out"}


async def test_dripping_octets_does_not_keep_a_stranger(tmp_path: Path) -> None:
    async with imap_house(tmp_path, bounds=SessionBounds(login_seconds=0.6, command_seconds=0.3)) as house:
        client = await house.clear()
        started = time.monotonic()

        async def drip() -> None:
            try:
                for octet in b"a NOOP\r\n" * 100:
                    await client.send(bytes([octet]))
                    await asyncio.sleep(0.05)
            except ConnectionError:
                pass

        task = asyncio.create_task(drip())
        said = await client.to_the_end()
        assert said[-1].name == "BYE"
        assert time.monotonic() - started < 1.5
        task.cancel()


# A client that does not read (I5)


async def deaf(house: ImapHouse, command: bytes) -> socket.socket:
    """A client that logs in, asks, and takes nothing of the answer."""

    def speak() -> socket.socket:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(10)
        raw.connect(("127.0.0.1", house.implicit.port))
        tls = house.tls.wrap_socket(raw, server_hostname="localhost")
        tls.recv(4096)
        tls.sendall(f'a LOGIN {MARIE} "correct horse"\r\n'.encode())
        tls.recv(4096)
        tls.sendall(b"b SELECT INBOX\r\n")
        while b"b OK" not in tls.recv(16384):
            pass
        tls.sendall(command)
        return tls

    return await asyncio.to_thread(speak)


@pytest.mark.parametrize(
    "command",
    [
        b"c FETCH 1:* BODY.PEEK[]\r\n",
        b"c FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER])\r\n",
        b"".join(b"c%d FETCH 1 BODY.PEEK[]\r\n" % n for n in range(2_000)),
    ],
    ids=["bodies", "headers", "pipelined FETCHes"],
)
async def test_a_client_that_does_not_read_holds_no_memory_of_ours(tmp_path: Path, command: bytes) -> None:
    """I5, measured on 200 letters with headers of 60 and bodies of 100 KiB; and it is cut in the end."""
    async with imap_house(tmp_path, caps=Caps(write_seconds=1.5)) as house:
        mailbox = await house.mailbox()
        header, body = b"X-Filler: %b\r\n" % (b"x" * 900) * 65, "x" * 990 + "\r\n"
        for start in range(0, 200, 20):
            letters = [header + letter(n, body=body * 100) for n in range(start, start + 20)]
            await house.deliver(mailbox, *letters)
        reader = await house.selected()
        await reader.ok("FETCH 1:50 (BODY.PEEK[] BODY.PEEK[HEADER])")  # warm: buffers, keys re-wrapped
        reader.close()
        del reader
        before = resident_bytes()
        try:
            connection = await deaf(house, command)
        except (TimeoutError, ssl.SSLError, OSError):
            connection = None  # it could not even say all it wanted: we had stopped reading
        peak = before
        async with asyncio.timeout(20):
            while not house.told(SessionEnded)[1:]:
                peak = max(peak, resident_bytes())
                await asyncio.sleep(0.05)
        print(f"a deaf client cost {(peak - before) / MIB:.1f} MiB")
        assert peak - before <= 4 * MIB
        assert house.told(SessionEnded)[-1].cause == "connection lost"
        if connection is not None:
            connection.close()


async def test_others_are_served_while_a_client_reads_slowly(house: ImapHouse) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    await house.deliver(row.id, *(letter(n, body="x" * 900 + "\r\n") for n in range(200)))
    connection = await deaf(house, b"c FETCH 1:* BODY.PEEK[]\r\n" * 50)
    client = await house.selected()
    slowest = 0.0
    for _ in range(20):
        started = time.perf_counter()
        await client.ok("NOOP")
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 0.25
    await client.ok("STORE 1:* +FLAGS.SILENT (\\Seen)")
    connection.close()


# Faults of ours


async def test_a_bug_ends_its_command_and_says_nothing_of_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("canary: subject of a patient")

    async with imap_house(tmp_path) as house:
        await house.mailbox()
        client = await house.selected()
        await client.ok("APPEND INBOX \n", letter(1))
        monkeypatch.setattr(Searcher, "search", broken)
        answer = await client.ask("SEARCH ALL")
        assert (answer.status, answer.code) == ("NO", "SERVERBUG")
        assert "canary" not in answer.text
        await client.ok("FETCH 1 UID")
        (crash,) = house.told(Crashed)
        assert (crash.error, "canary" in crash.places) == ("KeyError", False)


async def test_a_bug_in_the_middle_of_a_fetch_does_not_break_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with imap_house(tmp_path) as house:
        await house.mailbox()
        client = await house.selected()
        await client.ok("APPEND INBOX \n", letter(1))

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError

        monkeypatch.setattr(Reader, "messages", broken)
        answer = await client.ask("FETCH 1 BODY[]")
        assert (answer.status, answer.code) == ("NO", "SERVERBUG")
        await client.ok("NOOP")
        assert len(house.told(Crashed)) == 1


async def test_trouble_of_the_storage_is_told_as_passing_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with imap_house(tmp_path) as house:
        await house.mailbox()
        client, idle = await house.selected(), await house.selected()
        await idle.send(b"i IDLE\r\n")
        assert (await idle.line()).tag == "+"

        async def down(*_: object, **__: object) -> None:
            raise Passing(Reason.STORAGE_UNAVAILABLE)

        with monkeypatch.context() as patch:
            folders, messages = house.store.folders, house.store.messages
            for door, name in ((folders, "changes"), (folders, "all"), (messages, "store_flags")):
                patch.setattr(door, name, down)
            patch.setattr(house.store, "accept", down)
            for command in ("NOOP", "SELECT INBOX", "STATUS INBOX (MESSAGES)", 'LIST "" *'):
                answer = await client.ask(command)
                assert (answer.status, answer.code) in [("NO", "UNAVAILABLE"), ("OK", None)], command
            refused = await client.ask("APPEND INBOX \n", letter(1))
            assert (refused.status, refused.code) == ("NO", "UNAVAILABLE")
        await client.ok("APPEND INBOX \n", letter(1))
        assert (await idle.line()).name == "EXISTS"  # the conversation in IDLE has outlived it
        assert house.told(Crashed) == []


async def test_stopping_says_bye_to_everybody(tmp_path: Path) -> None:
    async with imap_house(tmp_path) as house:
        await house.mailbox()
        clients = [await house.connect(), await house.login(), await house.selected()]
        await clients[2].send(b"a IDLE\r\n")
        assert (await clients[2].line()).tag == "+"
        await house.implicit.close(5)
        for client in clients:
            (line,) = await client.to_the_end()
            assert (line.name, line.code) == ("BYE", "UNAVAILABLE")
        with pytest.raises((OSError, Closed)):
            await house.connect()


async def test_every_command_of_the_core_has_a_handler() -> None:
    from mssante.imap.grammar import commands
    from mssante.imap.grammar.commands import Command

    handled = set(conversation.HANDLERS) | {commands.StartTls}
    assert handled == set(Command.__args__)
