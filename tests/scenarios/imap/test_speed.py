"""Whole folders at once: what they cost, and what the others notice meanwhile.

The full figures beside the anchor's are `make bench`'s; these keep a mistake from costing ten times as much.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

import pytest

from tests.support.imap.house import MARIE, PASSWORD, ImapHouse, letter
from tests.support.smtp.house import pki

FIELDS = "DATE FROM TO CC SUBJECT MESSAGE-ID REFERENCES CONTENT-TYPE X-PRIORITY"
LINES = ("Le patient se porte bien. " * 3 + "\r\n") * 25
READER = """
import socket, ssl, sys, time
port, ca, user, password, *commands = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)
tls.check_hostname = False
connection = tls.wrap_socket(socket.create_connection(("127.0.0.1", int(port))), server_hostname="localhost")
connection.recv(4096)
for number, command in enumerate([f'LOGIN "{user}" "{password}"', "SELECT INBOX", *commands]):
    started = time.perf_counter()
    tag = b"z%d " % number
    connection.sendall(tag + command.encode() + b"\\r\\n")
    tail = b""
    while b"\\r\\n" + tag not in b"\\r\\n" + tail or not tail.endswith(b"\\r\\n"):
        tail = (tail + connection.recv(1 << 18))[-4000:]
    assert b"\\r\\n" + tag + b"OK" in b"\\r\\n" + tail, tail
    print(f"{(time.perf_counter() - started) * 1000:.1f}", flush=True)
"""


async def filled(house: ImapHouse, count: int) -> None:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    for start in range(0, count, 200):
        await house.deliver(row.id, *(letter(n, body=LINES) for n in range(start, min(count, start + 200))))


async def costs(house: ImapHouse, commands: list[str]) -> dict[str, tuple[float, float]]:
    """Milliseconds of wall time as a client in another process sees it, and of processor time here."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", READER, str(house.implicit.port), str(pki().anchors), MARIE, PASSWORD),
        *commands,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(2):
        await process.stdout.readline()
    found = {}
    for number, command in enumerate(commands):
        before = time.process_time()
        wall = float(await process.stdout.readline())
        found[f"{number} {command[:40]}"] = wall, (time.process_time() - before) * 1000
    assert await process.wait() == 0
    for command, (wall, cpu) in found.items():
        print(f"{command:44} {wall:8.1f} ms, {cpu:8.1f} ms of ours")
    return found


COMMANDS = [
    "FETCH 1:* ENVELOPE",  # keys sealed still
    "FETCH 1:* ENVELOPE",
    "UID FETCH 1:* (FLAGS)",
    f"UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({FIELDS})])",
    "FETCH 1:500 BODY.PEEK[]",
    "STORE 1:* +FLAGS (\\Seen)",
    "SEARCH FROM andre777",
    "SEARCH TEXT introuvable",
]


async def test_a_thousand_messages_cost_what_they_should(house: ImapHouse) -> None:
    """Of our processor, ten times what an idle machine takes: a shared one must not fail this."""
    await filled(house, 1000)
    found = [cpu for _, cpu in (await costs(house, COMMANDS)).values()]
    bounds = [2500, 400, 60, 700, 700, 200, 600, 2500]
    assert all(cpu < bound for cpu, bound in zip(found, bounds, strict=True)), found


async def others_wait(house: ImapHouse, commands: list[str]) -> list[float]:
    """How long each NOOP of another connection took while `commands` were answered."""
    other = await house.selected("Trash")
    task = asyncio.create_task(costs(house, commands))
    waits = []
    while not task.done():
        started = time.perf_counter()
        await other.ok("NOOP")
        waits.append(time.perf_counter() - started)
        await asyncio.sleep(0.002)
    await task
    return sorted(waits)


async def test_the_others_hardly_notice_a_big_fetch(house: ImapHouse) -> None:
    await filled(house, 2000)
    waits = await others_wait(house, COMMANDS)
    print(f"others: median {statistics.median(waits) * 1000:.1f} ms, worst {waits[-1] * 1000:.1f} ms")
    assert statistics.median(waits) < 0.05


@pytest.mark.campaign
async def test_ten_thousand_messages(house: ImapHouse) -> None:
    await filled(house, 10_000)
    waits = await others_wait(
        house, [*COMMANDS, "UNSELECT", "SELECT INBOX", "STATUS INBOX (MESSAGES UNSEEN)"]
    )
    p99 = waits[len(waits) * 99 // 100]
    print(f"others: median {statistics.median(waits) * 1000:.1f}, p99 {p99 * 1000:.1f} ms")
    assert p99 < 0.05
