"""One large folder: ten sessions on it cost little more than one, and nobody waits for who reads it all."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from asyncio import events
from pathlib import Path

import pytest

from mssante.limits import MIB
from tests.scenarios.imap.test_speed import costs
from tests.support.imap.client import ImapClient
from tests.support.imap.house import MARIE, ImapHouse, letter

DELIVERED, DOUBLED = 500, 6  # 32,000 places of 500 messages
SESSIONS = 10
MEMORY_OCTETS_MAX = 60 * MIB  # nine sessions' arrays are 10 MiB; 32,000 summaries held by each would be 500
STEP_SECONDS_MAX = 0.05  # of the processor, whatever else the machine does; the longest takes a tenth of it


async def large(house: ImapHouse) -> ImapClient:
    row = await house.store.accounts.mailbox(MARIE)
    assert row is not None
    for start in range(0, DELIVERED, 100):
        await house.deliver(row.id, *(letter(n) for n in range(start, start + 100)))
    client = await house.selected()
    await client.ok("FETCH 1:* ENVELOPE")  # first use
    for _ in range(DOUBLED):
        await client.ok("COPY 1:* INBOX")
        await client.ok("NOOP")
    return client


def resident() -> int:
    gc.collect()
    found = re.search(r"^Pss:\s+(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


async def test_ten_sessions_on_one_large_folder_cost_little_more_than_one(house: ImapHouse) -> None:
    first = await large(house)
    items = "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
    await first.ok(f"FETCH 1:4000 {items}")
    before = resident()
    others = [await house.selected() for _ in range(SESSIONS - 1)]
    for other in others:
        await other.ok(f"FETCH 1:4000 {items}")
    grown = resident() - before
    print(f"{SESSIONS - 1} sessions more: {grown / MIB:.1f} MiB")
    assert grown < MEMORY_OCTETS_MAX
    for each in (first, *others):
        each.close()


class Steps:
    """How much of the processor each step of the loop took, as long as it is patched in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.longest = 0.0
        self.count = 0
        run = events.Handle._run  # no public place sees every step

        def measured(handle: asyncio.Handle) -> None:
            started = time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - started)
            self.count += 1

        monkeypatch.setattr(events.Handle, "_run", measured)


BIG = [
    "FETCH 1:8000 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
    "UID FETCH 1:8000 (FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID REFERENCES)])",
    "FETCH 1:2000 (BODY.PEEK[HEADER])",
    "FETCH 1:2000 (BODY.PEEK[])",
    "FETCH 1:* (UID FLAGS)",
    "STORE 1:* +FLAGS (\\Seen)",
]


async def test_no_step_of_a_big_command_keeps_the_others_waiting(
    house: ImapHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    (await large(house)).close()
    steps = Steps(monkeypatch)
    gc.disable()  # what it looks through here is the tests' own heap; a server's is frozen at its start
    try:
        await costs(house, BIG)  # by a client in another process: its steps are its own
    finally:
        gc.enable()
        monkeypatch.undo()
    print(f"{steps.count} steps, the longest {steps.longest * 1000:.1f} ms")
    assert steps.count > len(BIG)
    assert steps.longest < STEP_SECONDS_MAX
